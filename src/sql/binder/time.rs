//! `TIMESTAMP` and `TIMESTAMP_FORMAT` of a WITH clause: in which column a row's time is.

use super::properties::Properties;
use super::relation::{Pseudo, expected_type};
use super::{Binder, Result};
use crate::expr::{EvalError, Expr, Tuple, typing};
use crate::model::{Column, Type};
use crate::plan::{Mfp, NodeId};
use crate::sql::error::SqlError;

impl Binder<'_> {
    /// Takes ROWTIME from the column that the properties name, if any; where that is NULL the record's own time stays.
    pub(super) fn with_time(
        &mut self,
        node: NodeId,
        pseudo: Option<Pseudo>,
        properties: &Properties,
    ) -> Result<NodeId> {
        let span = properties.span("TIMESTAMP");
        let columns = self.script.plan.schema(node).columns.clone();
        let visible = &columns[..pseudo.map_or(columns.len(), |pseudo| pseudo.time)];
        let (time, pseudo) = match (time_in(visible, properties)?, pseudo) {
            (None, _) => return Ok(node),
            (Some(time), Some(pseudo)) => (time, pseudo),
            (Some(_), None) => {
                return Err(SqlError::new(
                    span,
                    "TIMESTAMP has no meaning here: these rows do not come from one record",
                ));
            }
        };
        let own = Expr::column(pseudo.time, Type::Timestamp);
        let time = typing::call("COALESCE", vec![time, own])
            .map_err(|error| SqlError::new(span, error.to_string()))?;
        let mut exprs: Vec<Expr> = columns
            .iter()
            .enumerate()
            .map(|(i, column)| Expr::column(i, column.ty.clone()))
            .collect();
        exprs[pseudo.time] = time;
        Ok(self.script.plan.transform(node, Mfp { predicates: vec![], columns: exprs }, columns))
    }
}

/// The time of a row of these columns, if the properties say where it is. On text that is not written so it fails.
pub(super) fn time_in(columns: &[Column], properties: &Properties) -> Result<Option<Expr>> {
    let Some(name) = properties.text("TIMESTAMP")? else { return Ok(None) };
    let span = properties.span("TIMESTAMP");
    let position = |name: &str| columns.iter().position(|column| column.name == name);
    let Some(at) = position(&name).or_else(|| position(&name.to_uppercase())) else {
        let known = columns.iter().map(|column| &column.name[..]);
        return Err(SqlError::new(span, format!("there is no column {name}")).near(&name, known));
    };
    let column = Expr::column(at, columns[at].ty.clone());
    let error = |error: typing::TypeError| SqlError::new(span, error.to_string());
    Ok(Some(match (&column.ty, properties.text("TIMESTAMP_FORMAT")?) {
        (Type::Timestamp, None) => column,
        (Type::BigInt, None) => typing::call("FROM_UNIXTIME", vec![column]).map_err(error)?,
        (Type::Varchar, Some(pattern)) => {
            let parse = |text| {
                typing::call("PARSE_TIMESTAMP", vec![text, Expr::text(pattern.clone())])
                    .map_err(error)
            };
            if let Err(failure @ EvalError::BadTimePattern) =
                parse(Expr::text(""))?.eval(Tuple::empty())
            {
                return Err(SqlError::new(
                    properties.span("TIMESTAMP_FORMAT"),
                    failure.to_string(),
                ));
            }
            parse(column)?
        }
        (Type::Varchar, None) => {
            return Err(SqlError::new(
                span,
                format!("{name} is text, so TIMESTAMP_FORMAT must say how it is written"),
            ));
        }
        (_, Some(_)) => {
            return Err(SqlError::new(
                properties.span("TIMESTAMP_FORMAT"),
                "TIMESTAMP_FORMAT is for columns of type VARCHAR",
            ));
        }
        (found, None) => {
            return Err(expected_type(span, &name, "TIMESTAMP, BIGINT or VARCHAR", found));
        }
    }))
}
