//! Functions on dates and times. None of them looks at a clock.

use super::pattern::{Pattern, Zone};
use super::{Definition, EvalError, Out, Site, bigint, int, strict, text, varchar};
use crate::model::{Timestamp, Value};

const DAY_MS: i64 = 86_400_000;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "STRINGTOTIMESTAMP",
        about: "Milliseconds since 1970 of a text in a pattern, UTC unless a zone is given",
        overloads: &[
            strict("(VARCHAR, VARCHAR) BIGINT", |args, _| parse_timestamp(args).map(Value::BigInt)),
            strict("(VARCHAR, VARCHAR, VARCHAR) BIGINT", |args, _| {
                parse_timestamp(args).map(Value::BigInt)
            }),
        ],
    },
    Definition {
        name: "PARSE_TIMESTAMP",
        about: "The timestamp of a text in a pattern, UTC unless a zone is given",
        overloads: &[
            strict("(VARCHAR, VARCHAR) TIMESTAMP", |args, _| {
                parse_timestamp(args).map(|at| Value::Timestamp(Timestamp(at)))
            }),
            strict("(VARCHAR, VARCHAR, VARCHAR) TIMESTAMP", |args, _| {
                parse_timestamp(args).map(|at| Value::Timestamp(Timestamp(at)))
            }),
        ],
    },
    Definition {
        name: "TIMESTAMPTOSTRING",
        about: "Milliseconds since 1970 as text in a pattern, UTC unless a zone is given",
        overloads: &[
            strict("(BIGINT, VARCHAR) VARCHAR", format_timestamp),
            strict("(BIGINT, VARCHAR, VARCHAR) VARCHAR", format_timestamp),
            strict("(TIMESTAMP, VARCHAR) VARCHAR", format_timestamp),
            strict("(TIMESTAMP, VARCHAR, VARCHAR) VARCHAR", format_timestamp),
        ],
    },
    Definition {
        name: "FORMAT_TIMESTAMP",
        about: "A timestamp as text in a pattern, UTC unless a zone is given",
        overloads: &[
            strict("(TIMESTAMP, VARCHAR) VARCHAR", format_timestamp),
            strict("(TIMESTAMP, VARCHAR, VARCHAR) VARCHAR", format_timestamp),
        ],
    },
    Definition {
        name: "STRINGTODATE",
        about: "Days since 1970 of a text in a pattern",
        overloads: &[strict("(VARCHAR, VARCHAR) INT", |args, _| {
            Pattern::new(text(&args[1]))?.parse_date(text(&args[0])).map(Value::Int)
        })],
    },
    Definition {
        name: "PARSE_DATE",
        about: "The date of a text in a pattern",
        overloads: &[strict("(VARCHAR, VARCHAR) DATE", |args, _| {
            Pattern::new(text(&args[1]))?.parse_date(text(&args[0])).map(Value::Date)
        })],
    },
    Definition {
        name: "DATETOSTRING",
        about: "Days since 1970 as text in a pattern",
        overloads: &[strict("(INT, VARCHAR) VARCHAR", |args, _| {
            varchar(Pattern::new(text(&args[1]))?.format_date(int(&args[0]))?)
        })],
    },
    Definition {
        name: "FORMAT_DATE",
        about: "A date as text in a pattern",
        overloads: &[strict("(DATE, VARCHAR) VARCHAR", |args, _| {
            varchar(Pattern::new(text(&args[1]))?.format_date(int(&args[0]))?)
        })],
    },
    Definition {
        name: "PARSE_TIME",
        about: "The time of day of a text in a pattern",
        overloads: &[strict("(VARCHAR, VARCHAR) TIME", |args, _| {
            Pattern::new(text(&args[1]))?.parse_time(text(&args[0])).map(Value::Time)
        })],
    },
    Definition {
        name: "FORMAT_TIME",
        about: "A time of day as text in a pattern",
        overloads: &[strict("(TIME, VARCHAR) VARCHAR", |args, _| {
            varchar(Pattern::new(text(&args[1]))?.format_time(int(&args[0]))?)
        })],
    },
    Definition {
        name: "FROM_UNIXTIME",
        about: "The timestamp of milliseconds since 1970",
        overloads: &[strict("(BIGINT) TIMESTAMP", |args, _| {
            Ok(Value::Timestamp(Timestamp(bigint(&args[0]))))
        })],
    },
    Definition {
        name: "UNIX_TIMESTAMP",
        about: "Milliseconds since 1970 of a timestamp",
        overloads: &[strict("(TIMESTAMP) BIGINT", |args, _| Ok(Value::BigInt(bigint(&args[0]))))],
    },
    Definition {
        name: "FROM_DAYS",
        about: "The date of days since 1970",
        overloads: &[strict("(INT) DATE", |args, _| Ok(Value::Date(int(&args[0]))))],
    },
    Definition {
        name: "UNIX_DATE",
        about: "Days since 1970 of a date",
        overloads: &[strict("(DATE) INT", |args, _| Ok(Value::Int(int(&args[0]))))],
    },
    Definition {
        name: "TIMESTAMPADD",
        about: "A timestamp so many units later",
        overloads: &[strict("(VARCHAR, INT, TIMESTAMP) TIMESTAMP", |args, _| {
            add_timestamp(args, 1)
        })],
    },
    Definition {
        name: "TIMESTAMPSUB",
        about: "A timestamp so many units earlier",
        overloads: &[strict("(VARCHAR, INT, TIMESTAMP) TIMESTAMP", |args, _| {
            add_timestamp(args, -1)
        })],
    },
    Definition {
        name: "DATEADD",
        about: "A date so many units later; parts of days do not count",
        overloads: &[strict("(VARCHAR, INT, DATE) DATE", |args, _| add_date(args, 1))],
    },
    Definition {
        name: "DATESUB",
        about: "A date so many units earlier; parts of days do not count",
        overloads: &[strict("(VARCHAR, INT, DATE) DATE", |args, _| add_date(args, -1))],
    },
    Definition {
        name: "TIMEADD",
        about: "A time of day so many units later, over midnight",
        overloads: &[strict("(VARCHAR, INT, TIME) TIME", |args, _| add_time(args, 1))],
    },
    Definition {
        name: "TIMESUB",
        about: "A time of day so many units earlier, over midnight",
        overloads: &[strict("(VARCHAR, INT, TIME) TIME", |args, _| add_time(args, -1))],
    },
    Definition {
        name: "CONVERT_TZ",
        about: "A timestamp moved from the wall clock of one zone to that of another",
        overloads: &[strict("(TIMESTAMP, VARCHAR, VARCHAR) TIMESTAMP", |args, _| {
            let (from, to) = (Zone::named(text(&args[1]))?, Zone::named(text(&args[2]))?);
            Ok(Value::Timestamp(Timestamp(from.convert(bigint(&args[0]), &to)?)))
        })],
    },
];

fn zone(args: &[Value<'_>]) -> Result<Zone, EvalError> {
    args.get(2).map_or(Ok(Zone::UTC), |name| Zone::named(text(name)))
}

fn parse_timestamp(args: &[Value<'_>]) -> Result<i64, EvalError> {
    Pattern::new(text(&args[1]))?.parse_timestamp(text(&args[0]), &zone(args)?)
}

fn format_timestamp<'a>(args: &mut [Value<'a>], _: Site<'_>) -> Out<'a> {
    varchar(Pattern::new(text(&args[1]))?.format_timestamp(bigint(&args[0]), &zone(args)?)?)
}

/// Milliseconds of so many units.
fn duration(args: &[Value<'_>]) -> Result<i64, EvalError> {
    let unit = text(&args[0]).trim().to_uppercase();
    let unit = match unit.strip_suffix('S').unwrap_or(&unit) {
        "MILLISECOND" => 1,
        "SECOND" => 1000,
        "MINUTE" => 60_000,
        "HOUR" => 3_600_000,
        "DAY" => DAY_MS,
        "WEEK" => 7 * DAY_MS,
        _ => return Err(EvalError::BadArgument),
    };
    // 2^31 weeks are less than 2^63 milliseconds
    Ok(i64::from(int(&args[1])) * unit)
}

fn add_timestamp<'a>(args: &[Value<'a>], sign: i64) -> Out<'a> {
    let at = bigint(&args[2]).checked_add(sign * duration(args)?).ok_or(EvalError::OutOfRange)?;
    Ok(Value::Timestamp(Timestamp(at)))
}

fn add_date<'a>(args: &[Value<'a>], sign: i64) -> Out<'a> {
    let days = i64::from(int(&args[2])) + sign * duration(args)? / DAY_MS;
    i32::try_from(days).map(Value::Date).map_err(|_| EvalError::OutOfRange)
}

fn add_time<'a>(args: &[Value<'a>], sign: i64) -> Out<'a> {
    Ok(Value::Time((i64::from(int(&args[2])) + sign * duration(args)?).rem_euclid(DAY_MS) as i32))
}
