//! Constant arguments with which a call fails on every row: a pattern that is none, an unknown
//! zone.
//!
//! Nothing in a signature says which argument is a pattern, so the function is asked: a call is
//! tried with its constants and with samples for all other arguments. It never works if it fails by
//! its arguments on all samples, while it would work on some with other constants. What depends on
//! the data (a text that does not fit, a number that is too large) counts as working.

use super::{EvalError, Expr, ExprKind, Tuple};
use crate::model::{Guid, Timestamp, Type, Value};

/// Why a call can never work, and by which of its arguments, if it is one alone.
pub fn never_works(call: &Expr) -> Option<(Option<usize>, EvalError)> {
    let ExprKind::Call(_, args) = &call.kind else { return None };
    let folded: Vec<Expr> = args.iter().map(|arg| arg.clone().fold()).collect();
    let constants: Vec<Option<&Value<'static>>> = folded.iter().map(Expr::as_literal).collect();
    if constants.iter().all(Option::is_none) {
        return None;
    }
    let error = fails(call, &constants)?;
    if fails(call, &vec![None; args.len()]).is_some() {
        // the samples do not do
        return None;
    }
    let alone = (0..args.len()).find(|&i| {
        let mut one = vec![None; args.len()];
        one[i] = constants[i];
        constants[i].is_some() && fails(call, &one).is_some()
    });
    Some((alone, error))
}

/// How the call fails with these arguments, if it does with all samples for the others.
fn fails(call: &Expr, fixed: &[Option<&Value<'static>>]) -> Option<EvalError> {
    let ExprKind::Call(function, args) = &call.kind else { return None };
    let choices: Vec<Vec<Value<'static>>> = args
        .iter()
        .zip(fixed)
        .map(|(arg, fixed)| fixed.map_or_else(|| samples(&arg.ty), |value| vec![value.clone()]))
        .collect();
    let mut at = vec![0; choices.len()];
    loop {
        let values = choices
            .iter()
            .zip(&at)
            .zip(args)
            .map(|((choices, at), arg)| Expr::literal(choices[*at].clone(), arg.ty.clone()));
        let tried = Expr { kind: ExprKind::Call(*function, values.collect()), ty: call.ty.clone() };
        let Err(
            failure @ (EvalError::BadTimePattern
            | EvalError::BadTimeZone
            | EvalError::BadRegex
            | EvalError::BadJson
            | EvalError::BadArgument),
        ) = tried.eval(Tuple::empty())
        else {
            return None;
        };
        // the next choice, as a number counts on
        let Some(digit) = (0..at.len()).find(|&i| at[i] + 1 < choices[i].len()) else {
            return Some(failure);
        };
        at[digit] += 1;
        at[..digit].fill(0);
    }
}

/// Values of a type, among them one of each kind that functions ask for; NULL where there are none,
/// with which every call works.
fn samples(ty: &Type) -> Vec<Value<'static>> {
    match ty {
        Type::Varchar => ["", "yyyy", "UTC", "$", "DAY", "hex", "BIG_ENDIAN", "{}", "0"]
            .map(Value::text)
            .to_vec(),
        Type::Int => [0, 1, 2].map(Value::Int).to_vec(),
        Type::BigInt => [0, 1, 2].map(Value::BigInt).to_vec(),
        Type::Double => [0.0, 1.0].map(Value::Double).to_vec(),
        Type::Boolean => [true, false].map(Value::Boolean).to_vec(),
        Type::Bytes => [0, 4, 8].map(|len| Value::Bytes(vec![0; len].into())).to_vec(),
        Type::Guid => vec![Value::Guid(Guid(1))],
        Type::Timestamp => vec![Value::Timestamp(Timestamp(0))],
        Type::Date => vec![Value::Date(0)],
        Type::Time => vec![Value::Time(0)],
        _ => vec![Value::Null],
    }
}
