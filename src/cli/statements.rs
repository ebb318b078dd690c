//! The statements that a run is about: of a shipped dataflow or of a file.

use std::io::Write;

use super::Failure;
use crate::engine::{Bounds, ReplayError, SHIPPED, ScriptError, Shipped, script};
use crate::sql::Script;
use crate::sql::binder::Purpose;
use crate::sql::error::nearest;

/// Binds a shipped dataflow or a file.
pub fn load(name: &str, bounds: Bounds) -> Result<Script, Failure> {
    script::load(name, bounds).map(noticed).map_err(failure)
}

/// Binds several, as if they were one, for a run that shows nothing.
pub fn load_to_publish<'n>(
    names: impl IntoIterator<Item = &'n str>,
    bounds: Bounds,
) -> Result<Script, Failure> {
    script::load_to_publish(names, bounds).map(noticed).map_err(failure)
}

/// Tells what may be meant otherwise.
fn noticed(script: Script) -> Script {
    for notice in &script.notices {
        // There is nobody to tell when stderr has gone.
        let _ = writeln!(std::io::stderr(), "note: {notice}");
    }
    script
}

fn failure(error: ScriptError) -> Failure {
    match error {
        ScriptError::Unknown { name } => unknown(&name),
        error => Failure::Usage(error.into()),
    }
}

/// A shipped dataflow by name.
pub fn shipped(name: &str) -> Result<Shipped, Failure> {
    SHIPPED.into_iter().find(|shipped| shipped.name == name).ok_or_else(|| unknown(name))
}

/// The position in the plan of the view that is asked for, by default that of the last SELECT. Names count as SQL's: unquoted ones in any case.
pub fn choose_view(script: &Script, name: Option<&str>) -> Result<usize, ReplayError> {
    let Some(name) = name else {
        return script.main_view().ok_or(ReplayError::NoView);
    };
    let views = &script.plan.views;
    let find = |name: &str| views.iter().position(|view| view.name == name);
    find(name).or_else(|| find(&name.to_uppercase())).ok_or_else(|| ReplayError::UnknownView {
        name: name.to_owned(),
        known: views.iter().map(|view| view.name.clone()).collect(),
    })
}

/// The positions in the plan of the views whose plan EXPLAIN asks for.
pub fn explained(script: &Script) -> Vec<usize> {
    (0..script.views.len()).filter(|view| script.views[*view].purpose == Purpose::Explain).collect()
}

fn unknown(name: &str) -> Failure {
    let names = SHIPPED.map(|shipped| shipped.name);
    let hint = match nearest(name, names) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("neither a file of that name nor one of {}", names.join(", ")),
    };
    Failure::misuse(format!("there is no dataflow {name}: {hint}"))
}
