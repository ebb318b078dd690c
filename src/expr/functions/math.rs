//! Functions on numbers. Those of Java's `Math` give NaN where they are not defined.

use std::borrow::Cow;

use bigdecimal::{BigDecimal, RoundingMode, Signed, Zero};

use super::{Definition, Out, Site, bigint, decimal, double, int, lenient, strict, take, text};
use crate::expr::cast::{double_text, fit_decimal};
use crate::expr::{Arithmetic, EvalError, Expr, TypeError, arithmetic};
use crate::model::{Type, Value};

/// A function of one DOUBLE.
macro_rules! real {
    ($name:literal, $about:literal, $body:expr) => {
        Definition {
            name: $name,
            about: $about,
            overloads: &[strict("(DOUBLE) DOUBLE", |args, _| {
                let function: fn(f64) -> f64 = $body;
                Ok(Value::Double(function(double(&args[0]))))
            })],
        }
    };
}

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "ABS",
        about: "Absolute value",
        overloads: &[
            strict("(INT) INT", |args, _| {
                int(&args[0]).checked_abs().map(Value::Int).ok_or(EvalError::OutOfRange)
            }),
            strict("(BIGINT) BIGINT", |args, _| {
                bigint(&args[0]).checked_abs().map(Value::BigInt).ok_or(EvalError::OutOfRange)
            }),
            strict("(DOUBLE) DOUBLE", |args, _| Ok(Value::Double(double(&args[0]).abs()))),
            strict("(DECIMAL) DECIMAL", |args, _| Ok(Value::Decimal(decimal(&args[0]).abs()))),
        ],
    },
    Definition {
        name: "CEIL",
        about: "The least whole number that is not less",
        overloads: &[
            strict("(INT) INT", |args, _| Ok(take(&mut args[0]))),
            strict("(BIGINT) BIGINT", |args, _| Ok(take(&mut args[0]))),
            strict("(DOUBLE) DOUBLE", |args, _| Ok(Value::Double(double(&args[0]).ceil()))),
            strict("(DECIMAL) DECIMAL", |args, site| {
                whole(decimal(&args[0]), RoundingMode::Ceiling, site)
            }),
        ],
    },
    Definition {
        name: "FLOOR",
        about: "The greatest whole number that is not greater",
        overloads: &[
            strict("(INT) INT", |args, _| Ok(take(&mut args[0]))),
            strict("(BIGINT) BIGINT", |args, _| Ok(take(&mut args[0]))),
            strict("(DOUBLE) DOUBLE", |args, _| Ok(Value::Double(double(&args[0]).floor()))),
            strict("(DECIMAL) DECIMAL", |args, site| {
                whole(decimal(&args[0]), RoundingMode::Floor, site)
            }),
        ],
    },
    Definition {
        name: "ROUND",
        about: "Rounded to so many digits after the point, ties towards the greater",
        overloads: &[
            strict("(INT) INT", |args, _| Ok(take(&mut args[0]))),
            strict("(BIGINT) BIGINT", |args, _| Ok(take(&mut args[0]))),
            strict("(DOUBLE) BIGINT", |args, _| to_bigint((double(&args[0]) + 0.5).floor())),
            strict("(DECIMAL) DECIMAL", |args, site| fit(&tie_up(decimal(&args[0]), 0), site))
                .returning(without_fraction),
            strict("(INT, INT) INT", |args, _| digits_int(args, tie_up)),
            strict("(BIGINT, INT) BIGINT", |args, _| digits_bigint(args, tie_up)),
            strict("(DOUBLE, INT) DOUBLE", |args, _| digits_double(args, tie_up)),
            strict("(DECIMAL, INT) DECIMAL", |args, site| {
                fit(&tie_up(decimal(&args[0]), digits(&args[1])?), site)
            }),
        ],
    },
    Definition {
        name: "TRUNC",
        about: "Cut to so many digits after the point",
        overloads: &[
            strict("(INT) INT", |args, _| Ok(take(&mut args[0]))),
            strict("(BIGINT) BIGINT", |args, _| Ok(take(&mut args[0]))),
            strict("(DOUBLE) BIGINT", |args, _| to_bigint(double(&args[0]).trunc())),
            strict("(DECIMAL) DECIMAL", |args, site| fit(&cut(decimal(&args[0]), 0), site))
                .returning(without_fraction),
            strict("(INT, INT) INT", |args, _| digits_int(args, cut)),
            strict("(BIGINT, INT) BIGINT", |args, _| digits_bigint(args, cut)),
            strict("(DOUBLE, INT) DOUBLE", |args, _| digits_double(args, cut)),
            strict("(DECIMAL, INT) DECIMAL", |args, site| {
                fit(&cut(decimal(&args[0]), digits(&args[1])?), site)
            }),
        ],
    },
    Definition {
        name: "SIGN",
        about: "-1, 0 or 1",
        overloads: &[
            strict("(INT) INT", |args, _| Ok(Value::Int(int(&args[0]).signum()))),
            strict("(BIGINT) INT", |args, _| Ok(Value::Int(bigint(&args[0]).signum() as i32))),
            strict("(DOUBLE) INT", |args, _| {
                let value = double(&args[0]);
                Ok(Value::Int(i32::from(value > 0.0) - i32::from(value < 0.0)))
            }),
        ],
    },
    Definition {
        name: "MOD",
        about: "Remainder, with the sign of the dividend; the same as %",
        overloads: &[
            strict("(INT, INT) INT", modulo),
            strict("(BIGINT, BIGINT) BIGINT", modulo),
            strict("(DOUBLE, DOUBLE) DOUBLE", modulo),
        ],
    },
    Definition {
        name: "POWER",
        about: "A number to the power of another",
        overloads: &[strict("(DOUBLE, DOUBLE) DOUBLE", |args, _| {
            Ok(Value::Double(double(&args[0]).powf(double(&args[1]))))
        })],
    },
    Definition {
        name: "LOG",
        about: "Natural logarithm, or logarithm to a base",
        overloads: &[
            strict("(DOUBLE) DOUBLE", |args, _| Ok(Value::Double(double(&args[0]).ln()))),
            strict("(DOUBLE, DOUBLE) DOUBLE", |args, _| {
                // log 1000 to base 10 is 3, which the quotient of natural logarithms misses
                let (base, value) = (double(&args[0]), double(&args[1]));
                let log = if base.to_bits() == 10f64.to_bits() {
                    value.log10()
                } else {
                    value.ln() / base.ln()
                };
                Ok(Value::Double(log))
            }),
        ],
    },
    real!("SQRT", "Square root", f64::sqrt),
    real!("CBRT", "Cube root", f64::cbrt),
    real!("EXP", "e to a power", f64::exp),
    real!("LN", "Natural logarithm", f64::ln),
    real!("SIN", "Sine of radians", f64::sin),
    real!("COS", "Cosine of radians", f64::cos),
    real!("TAN", "Tangent of radians", f64::tan),
    real!("COT", "Cotangent of radians", |x| 1.0 / x.tan()),
    real!("ASIN", "Arc sine in radians", f64::asin),
    real!("ACOS", "Arc cosine in radians", f64::acos),
    real!("ATAN", "Arc tangent in radians", f64::atan),
    real!("SINH", "Hyperbolic sine", f64::sinh),
    real!("COSH", "Hyperbolic cosine", f64::cosh),
    real!("TANH", "Hyperbolic tangent", f64::tanh),
    real!("DEGREES", "Radians in degrees", f64::to_degrees),
    real!("RADIANS", "Degrees in radians", f64::to_radians),
    Definition {
        name: "ATAN2",
        about: "Angle of a point (y, x) in radians",
        overloads: &[strict("(DOUBLE, DOUBLE) DOUBLE", |args, _| {
            Ok(Value::Double(double(&args[0]).atan2(double(&args[1]))))
        })],
    },
    Definition {
        name: "PI",
        about: "The constant",
        overloads: &[strict("() DOUBLE", |_, _| Ok(Value::Double(std::f64::consts::PI)))],
    },
    Definition {
        name: "GREATEST",
        about: "The greatest of the arguments, without the NULLs",
        overloads: &[lenient("(T...) T", |args, _| {
            Ok(args
                .iter_mut()
                .map(take)
                .filter(|value| !value.is_null())
                .max()
                .unwrap_or(Value::Null))
        })],
    },
    Definition {
        name: "LEAST",
        about: "The least of the arguments, without the NULLs",
        overloads: &[lenient("(T...) T", |args, _| {
            Ok(args
                .iter_mut()
                .map(take)
                .filter(|value| !value.is_null())
                .min()
                .unwrap_or(Value::Null))
        })],
    },
    Definition {
        name: "GEO_DISTANCE",
        about: "Great-circle distance of two points (lat, lon, lat, lon) in kilometres, or in miles with 'MI'",
        overloads: &[
            strict("(DOUBLE, DOUBLE, DOUBLE, DOUBLE) DOUBLE", geo_distance),
            strict("(DOUBLE, DOUBLE, DOUBLE, DOUBLE, VARCHAR) DOUBLE", geo_distance),
        ],
    },
];

fn fit<'a>(value: &BigDecimal, site: Site<'_>) -> Out<'a> {
    fit_decimal(value, site.ty).map(Value::Decimal)
}

/// A whole number in the type of the argument, which has its scale.
fn whole<'a>(value: &BigDecimal, mode: RoundingMode, site: Site<'_>) -> Out<'a> {
    fit(&value.with_scale_round(0, mode), site)
}

/// The type of a decimal rounded to a whole number, which may need one digit more.
fn without_fraction(args: &[Expr]) -> Result<Type, TypeError> {
    Ok(match args[0].ty {
        Type::Decimal(precision, scale) => Type::Decimal(precision.saturating_sub(scale) + 1, 0),
        _ => Type::Decimal(10, 0),
    })
}

fn to_bigint<'a>(value: f64) -> Out<'a> {
    if value >= i64::MIN as f64 && value < i64::MAX as f64 {
        Ok(Value::BigInt(value as i64))
    } else {
        Err(EvalError::OutOfRange)
    }
}

/// Digits after the point; a number has no more than this many that matter.
fn digits(value: &Value<'_>) -> Result<i64, EvalError> {
    let digits = int(value);
    if (-400..=400).contains(&digits) { Ok(i64::from(digits)) } else { Err(EvalError::BadArgument) }
}

type Rounding = fn(&BigDecimal, i64) -> BigDecimal;

/// Rounds ties towards positive infinity, as ksqlDB does.
fn tie_up(value: &BigDecimal, digits: i64) -> BigDecimal {
    let mode = if value.is_negative() { RoundingMode::HalfDown } else { RoundingMode::HalfUp };
    value.with_scale_round(digits, mode)
}

fn cut(value: &BigDecimal, digits: i64) -> BigDecimal {
    value.with_scale_round(digits, RoundingMode::Down)
}

fn digits_int<'a>(args: &mut [Value<'a>], round: Rounding) -> Out<'a> {
    let rounded = Value::Decimal(round(&BigDecimal::from(int(&args[0])), digits(&args[1])?));
    crate::expr::cast::cast(rounded, &Type::Decimal(10, 0), &Type::Int)
}

fn digits_bigint<'a>(args: &mut [Value<'a>], round: Rounding) -> Out<'a> {
    let rounded = Value::Decimal(round(&BigDecimal::from(bigint(&args[0])), digits(&args[1])?));
    crate::expr::cast::cast(rounded, &Type::Decimal(19, 0), &Type::BigInt)
}

/// Rounds the decimal that people read, not the binary fraction: 1.005 to two digits is 1.01.
fn digits_double<'a>(args: &mut [Value<'a>], round: Rounding) -> Out<'a> {
    let value = double(&args[0]);
    if !value.is_finite() {
        return Ok(Value::Double(value));
    }
    let decimal: BigDecimal = double_text(value).parse().expect("a finite double is a decimal");
    let rounded = round(&decimal, digits(&args[1])?);
    if rounded.is_zero() {
        return Ok(Value::Double(0.0));
    }
    Ok(Value::Double(rounded.to_scientific_notation().parse().expect("a decimal is a number")))
}

fn modulo<'a>(args: &mut [Value<'a>], site: Site<'_>) -> Out<'a> {
    arithmetic::apply(Arithmetic::Modulo, take(&mut args[0]), take(&mut args[1]), site.ty)
}

/// The haversine formula on a sphere.
fn geo_distance<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    let unit = args.get(4).map_or(Cow::Borrowed("KM"), |unit| text(unit).to_uppercase().into());
    let radius = if unit.starts_with("MI") {
        3959.0
    } else if unit.starts_with("KM") || unit.starts_with("KILO") {
        6371.0
    } else {
        return Err(EvalError::BadArgument);
    };
    let [lat1, lon1, lat2, lon2] = [0, 1, 2, 3].map(|i| double(&args[i]));
    if lat1.abs() > 90.0 || lat2.abs() > 90.0 || lon1.abs() > 180.0 || lon2.abs() > 180.0 {
        return Err(EvalError::BadArgument);
    }
    let (dlat, dlon) = ((lat2 - lat1).to_radians(), (lon2 - lon1).to_radians());
    let a = (dlat / 2.0).sin().powi(2)
        + (dlon / 2.0).sin().powi(2) * lat1.to_radians().cos() * lat2.to_radians().cos();
    Ok(Value::Double(2.0 * radius * a.sqrt().atan2((1.0 - a).sqrt())))
}
