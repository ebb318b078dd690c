//! Scalar functions: general properties of all, oracles where there are any, examples for the rest.

use proptest::prelude::*;

use super::*;
use crate::expr::Tuple;
use crate::expr::typing::call;
use crate::model::Guid;

fn literal(value: Value<'static>) -> Expr {
    let ty = match &value {
        Value::Null => Type::Null,
        Value::Boolean(_) => Type::Boolean,
        Value::Int(_) => Type::Int,
        Value::BigInt(_) => Type::BigInt,
        Value::Double(_) => Type::Double,
        Value::Decimal(v) => Type::Decimal(20, v.fractional_digit_count() as u16),
        Value::Varchar(_) => Type::Varchar,
        Value::Bytes(_) => Type::Bytes,
        Value::Guid(_) => Type::Guid,
        Value::Timestamp(_) => Type::Timestamp,
        Value::Date(_) => Type::Date,
        Value::Time(_) => Type::Time,
        Value::Array(items) => Type::array(
            items
                .iter()
                .find(|item| !item.is_null())
                .map_or(Type::Null, |item| literal(item.clone()).ty),
        ),
        Value::Map(entries) => Type::map(
            Type::Varchar,
            entries.first().map_or(Type::Null, |(_, value)| literal(value.clone()).ty),
        ),
        Value::Struct(fields) => Type::Struct(
            fields
                .iter()
                .enumerate()
                .map(|(i, v)| (format!("F{i}"), literal(v.clone()).ty))
                .collect(),
        ),
    };
    Expr::literal(value, ty)
}

fn eval(name: &str, args: Vec<Value<'static>>) -> Result<Value<'static>, EvalError> {
    let expr = call(name, args.into_iter().map(literal).collect())
        .unwrap_or_else(|error| panic!("{error}"));
    expr.eval(Tuple::empty()).map(Value::into_owned)
}

fn t(text: &str) -> Value<'static> {
    Value::Varchar(text.to_string().into())
}

fn b(text: &'static str) -> Value<'static> {
    Value::Bytes(text.as_bytes().into())
}

fn i(value: i32) -> Value<'static> {
    Value::Int(value)
}

fn d(value: f64) -> Value<'static> {
    Value::Double(value)
}

fn ints(values: &[i32]) -> Value<'static> {
    Value::Array(values.iter().map(|v| i(*v)).collect())
}

fn strings(values: &[&str]) -> Value<'static> {
    Value::Array(values.iter().map(|v| t(v)).collect())
}

const NULL: Value<'static> = Value::Null;

fn conforms(value: &Value<'_>, ty: &Type) -> bool {
    match (value, ty) {
        (Value::Null, _)
        | (Value::Boolean(_), Type::Boolean)
        | (Value::Int(_), Type::Int)
        | (Value::BigInt(_), Type::BigInt)
        | (Value::Double(_), Type::Double)
        | (Value::Varchar(_), Type::Varchar)
        | (Value::Bytes(_), Type::Bytes)
        | (Value::Guid(_), Type::Guid)
        | (Value::Timestamp(_), Type::Timestamp)
        | (Value::Date(_), Type::Date)
        | (Value::Time(_), Type::Time) => true,
        (Value::Decimal(v), Type::Decimal(precision, scale)) => {
            v.fractional_digit_count() == i64::from(*scale) && v.digits() <= u64::from(*precision)
        }
        (Value::Array(items), Type::Array(ty)) => items.iter().all(|item| conforms(item, ty)),
        (Value::Map(entries), Type::Map(ty)) => {
            entries.is_sorted_by(|a, b| a.0 < b.0)
                && entries.iter().all(|(k, v)| conforms(k, &ty.0) && conforms(v, &ty.1))
        }
        (Value::Struct(values), Type::Struct(fields)) => {
            values.len() == fields.len()
                && values.iter().zip(fields.iter()).all(|(value, (_, ty))| conforms(value, ty))
        }
        _ => false,
    }
}

/// Values of a type, with those at the edges and texts that mean something to some function.
fn value_of(ty: &Type) -> BoxedStrategy<Value<'static>> {
    let known = match ty {
        Type::Null => Just(Value::Null).boxed(),
        Type::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Type::Int => prop_oneof![any::<i32>(), -4..5i32, Just(i32::MIN), Just(i32::MAX)]
            .prop_map(Value::Int)
            .boxed(),
        Type::BigInt => prop_oneof![any::<i64>(), -4..5i64, Just(i64::MIN), Just(i64::MAX)]
            .prop_map(Value::BigInt)
            .boxed(),
        Type::Double => {
            prop_oneof![any::<f64>(), -4.0..5.0f64, Just(f64::NAN), Just(f64::INFINITY), Just(0.0)]
                .prop_map(Value::Double)
                .boxed()
        }
        Type::Decimal(_, scale) => {
            let scale = i64::from(*scale);
            (-99_999..99_999i64)
                .prop_map(move |digits| Value::Decimal(BigDecimal::new(digits.into(), scale)))
                .boxed()
        }
        Type::Varchar => prop_oneof![
            any::<String>(),
            "[aé😀 ,:/.]{0,6}",
            proptest::sample::select(vec![
                "",
                "$.a[0]",
                "{\"a\": [1, \"x\"]}",
                "[1, null, \"x\"]",
                "http://u@h:80/p?a=b#f",
                "yyyy-MM-dd[ HH:mm:ss.SSS][X]",
                "2020-02-29",
                "(a)|b",
                "(",
                "UTC",
                "Europe/Paris",
                "+02:00",
                "hex",
                "utf8",
                "base64",
                "DAYS",
                "ASC",
                "%41",
                "\\u0041",
                "E",
                "12",
            ])
            .prop_map(str::to_string),
        ]
        .prop_map(|text| Value::Varchar(text.into()))
        .boxed(),
        Type::Bytes => proptest::collection::vec(any::<u8>(), 0..10)
            .prop_map(|bytes| Value::Bytes(bytes.into()))
            .boxed(),
        Type::Guid => any::<u128>().prop_map(|bits| Value::Guid(Guid(bits))).boxed(),
        Type::Timestamp => prop_oneof![any::<i64>(), 0..2_000_000_000_000i64]
            .prop_map(|ms| Value::Timestamp(Timestamp(ms)))
            .boxed(),
        Type::Date => prop_oneof![any::<i32>(), 0..20_000i32].prop_map(Value::Date).boxed(),
        Type::Time => (0..86_400_000i32).prop_map(Value::Time).boxed(),
        Type::Array(item) => {
            proptest::collection::vec(value_of(item), 0..5).prop_map(Value::Array).boxed()
        }
        Type::Map(entry) => {
            proptest::collection::vec((value_of(&entry.0), value_of(&entry.1)), 0..4)
                .prop_map(crate::expr::eval::map_value)
                .boxed()
        }
        Type::Struct(fields) => fields
            .iter()
            .map(|(_, ty)| value_of(ty))
            .collect::<Vec<_>>()
            .prop_map(Value::Struct)
            .boxed(),
    };
    prop_oneof![9 => known, 1 => Just(Value::Null)].boxed()
}

/// A type that the pattern takes; variables are the given type.
fn example(pattern: &Pattern, variable: &Type) -> Type {
    match pattern {
        Pattern::Is(ty) => ty.clone(),
        Pattern::AnyDecimal => Type::Decimal(8, 3),
        Pattern::Variable(_) => variable.clone(),
        Pattern::Array(item) => Type::array(example(item, variable)),
        Pattern::Map(key, value) => {
            Type::map(example(key, &Type::Varchar), example(value, variable))
        }
        Pattern::Struct(_) => unreachable!("of results only"),
    }
}

/// Some overload of some function, with arguments.
fn any_call() -> impl Strategy<Value = (&'static str, Vec<Expr>)> {
    let overloads: Vec<_> = REGISTRY
        .iter()
        .flat_map(|(name, entry)| {
            entry.overloads.iter().map(move |(_, signature)| (*name, signature))
        })
        .collect();
    let variables = vec![
        Type::Int,
        Type::Varchar,
        Type::Double,
        Type::Decimal(8, 3),
        Type::Struct([("A".to_string(), Type::Int), ("B".to_string(), Type::Varchar)].into()),
        Type::array(Type::BigInt),
    ];
    (proptest::sample::select(overloads), proptest::sample::select(variables), 0..3usize)
        .prop_flat_map(|((name, signature), variable, more)| {
            let count = signature.params.len();
            let count = if signature.variadic { count + more } else { count };
            let args: Vec<_> = (0..count)
                .map(|at| {
                    let ty =
                        example(&signature.params[at.min(signature.params.len() - 1)], &variable);
                    value_of(&ty).prop_map(move |value| Expr::literal(value, ty.clone()))
                })
                .collect();
            args.prop_map(move |args| (name, args))
        })
}

proptest! {
    #[test]
    fn calls_on_stored_columns_agree_with_those_on_values(
        items in proptest::collection::vec(proptest::option::of(0..4i32), 0..6),
        bounds in [proptest::option::of(-1..8i32), proptest::option::of(-1..8i32)],
        structs: bool,
        null: bool,
        whole in "[a\"é😀]{0,40}",
        most in 0..90i32,
    ) {
        let int = |value: Option<i32>| value.map_or(NULL, Value::Int);
        let item = |(n, value): (usize, &Option<i32>)| if structs { Value::Struct(vec![i(n as i32), int(*value)]) } else { int(*value) };
        let ty = if structs { Type::Struct([("F0".to_owned(), Type::Int), ("F1".to_owned(), Type::Int)].into()) } else { Type::Int };
        let value = if null { NULL } else { Value::Array(items.iter().enumerate().map(item).collect()) };
        let array = || Expr::literal(value.clone(), Type::array(ty.clone()));
        let mut until = vec![array()];
        until.extend(structs.then(|| literal(t("F1"))));
        for (name, args) in [
            ("ARRAY_LENGTH", vec![array()]),
            ("SLICE", vec![array(), literal(int(bounds[0])), literal(int(bounds[1]))]),
            ("ARRAY_UNTIL_REPEAT", until),
            ("SHORTEN", vec![literal(t(&whole)), literal(i(most))]),
            ("COALESCE", vec![Expr::null(Type::array(ty.clone())), array()]),
        ] {
            let expr = call(name, args).unwrap_or_else(|error| panic!("{error}"));
            let ExprKind::Call(function, args) = &expr.kind else { unreachable!("a call is one") };
            prop_assert!(function.takes_stored());
            let mut values: Vec<_> = args.iter().map(|arg| arg.eval(Tuple::empty()).unwrap()).collect();
            let expected = function.call(&mut values, Site { args, ty: &expr.ty }).unwrap();
            prop_assert_eq!(expr.eval(Tuple::empty()).unwrap(), expected, "{}", name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn every_function_gives_its_type_or_an_error((name, args) in any_call()) {
        // a random name of a field is refused
        let Ok(expr) = call(name, args) else { return Ok(()) };
        if let Ok(value) = expr.eval(Tuple::empty()) {
            prop_assert!(conforms(&value, &expr.ty), "{expr} = {value:?}, not a {}", expr.ty);
        }
    }
}

proptest! {
    #[test]
    fn substring_by_units(value in "[aé😀]{0,6}", position in -8..9i32, length in proptest::option::of(-2..9i32)) {
        let units: Vec<u16> = value.encode_utf16().collect();
        // positions that the part covers, counted from 1
        let len = units.len() as i32;
        let first = if position < 0 { (len + position + 1).max(1) } else { position.max(1) };
        let last = length.map_or(len, |length| first.saturating_add(length) - 1);
        let expected: Vec<u16> = (1..=len).zip(&units).filter(|(at, _)| (first..=last).contains(at)).map(|(_, unit)| *unit).collect();
        let mut args = vec![t(&value), i(position)];
        args.extend(length.map(i));
        prop_assert_eq!(eval("SUBSTRING", args), Ok(t(&String::from_utf16_lossy(&expected))));
        prop_assert_eq!(eval("LEN", vec![t(&value)]), Ok(i(len)));
    }

    #[test]
    fn instr_finds_what_substring_shows(value in "[ab]{0,8}", needle in "[ab]{1,2}", occurrence in 1..4i32) {
        let places: Vec<i32> = (0..value.len()).filter(|at| value[*at..].starts_with(&needle)).map(|at| at as i32 + 1).collect();
        let nth = |places: &[i32]| places.get(occurrence as usize - 1).copied().unwrap_or(0);
        if !value.is_empty() {
            prop_assert_eq!(eval("INSTR", vec![t(&value), t(&needle), i(1), i(occurrence)]), Ok(i(nth(&places))));
            let backwards: Vec<i32> = places.iter().rev().copied().collect();
            prop_assert_eq!(eval("INSTR", vec![t(&value), t(&needle), i(-1), i(occurrence)]), Ok(i(nth(&backwards))));
        }
    }

    #[test]
    fn what_is_split_joins_again(value in "[ab,;]{0,10}", delimiter in "[,;]{1,2}") {
        let parts = eval("SPLIT", vec![t(&value), t(&delimiter)]).unwrap();
        prop_assert_eq!(eval("ARRAY_JOIN", vec![parts, t(&delimiter)]), Ok(t(&value)));
    }

    #[test]
    fn padding_gives_the_length(value in "[aé]{0,6}", length in 0..9i32, fill in "[xy]{1,3}") {
        for name in ["LPAD", "RPAD"] {
            let Ok(Value::Varchar(padded)) = eval(name, vec![t(&value), i(length), t(&fill)]) else { panic!() };
            let padded: Vec<char> = padded.chars().collect();
            let (value, length): (Vec<char>, _) = (value.chars().collect(), length as usize);
            prop_assert_eq!(padded.len(), length);
            let kept = value.len().min(length);
            let (at, filled) = if name == "RPAD" { (0, &padded[kept..]) } else { (length - kept, &padded[..length - kept]) };
            prop_assert_eq!(&padded[at..at + kept], &value[..kept]);
            prop_assert!(filled.iter().copied().eq(fill.chars().cycle().take(length - kept)));
        }
    }

    #[test]
    fn encodings_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
        let value = Value::Bytes(bytes.clone().into());
        for encoding in ["hex", "base64"] {
            let text = eval("FROM_BYTES", vec![value.clone(), t(encoding)]).unwrap();
            prop_assert_eq!(eval("TO_BYTES", vec![text, t(encoding)]), Ok(value.clone()));
        }
    }

    #[test]
    fn urls_read_back(value: String) {
        let encoded = eval("URL_ENCODE_PARAM", vec![t(&value)]).unwrap();
        prop_assert_eq!(eval("URL_DECODE_PARAM", vec![encoded]), Ok(t(&value)));
    }

    #[test]
    fn times_read_back_through_every_pattern(ms in -62_000_000_000_000..Timestamp::MAX.0 - 90_000_000, zone in proptest::sample::select(vec!["UTC", "+05:30", "-0800", "Asia/Kolkata"])) {
        // offsets had seconds once, for which most patterns have no place
        let ms = if zone.contains('/') { ms.abs() } else { ms };
        for pattern in [
            "yyyy-MM-dd'T'HH:mm:ss.SSSX", "uuuu-MM-dd HH:mm:ss.SSSXXX", "EEE, d MMM yyyy h:mm:ss.SSS a Z", "yyyyMMddHHmmssSSSx",
            "EEEE dd MMMM yyyy KK:mm:ss.SSSSSSSSS a xxx", "yyyy-DDD A VV", "dd.MM.yyyy kk:mm[:ss][.SSS] 'o''clock' XX", "yyyy-MM-dd HH:mm:ss n O",
        ] {
            let text = eval("FORMAT_TIMESTAMP", vec![Value::Timestamp(Timestamp(ms)), t(pattern), t(zone)]).unwrap();
            let Value::Varchar(printed) = &text else { panic!() };
            let back = eval("PARSE_TIMESTAMP", vec![text.clone(), t(pattern), t(zone)]);
            prop_assert_eq!(back, Ok(Value::Timestamp(Timestamp(ms))), "{} as {} is {}", ms, pattern, printed);
        }
    }

    #[test]
    fn dates_and_times_of_day_read_back(days in -700_000..2_900_000i32, ms in 0..86_400_000i32) {
        for pattern in ["yyyy-MM-dd", "d/M/yyyy", "yyyyMMdd", "MMM d yyyy"] {
            let text = eval("FORMAT_DATE", vec![Value::Date(days), t(pattern)]).unwrap();
            prop_assert_eq!(eval("PARSE_DATE", vec![text, t(pattern)]), Ok(Value::Date(days)));
        }
        for pattern in ["HH:mm:ss.SSS", "hh:mm:ss.SSS a", "HHmmssSSS", "A"] {
            let text = eval("FORMAT_TIME", vec![Value::Time(ms), t(pattern)]).unwrap();
            prop_assert_eq!(eval("PARSE_TIME", vec![text, t(pattern)]), Ok(Value::Time(ms)));
        }
    }

    #[test]
    fn any_pattern_and_text_are_read_or_refused(pattern in "[yMdHmsSXxZzVOEaDkKhGAn'\\[\\] :/-]{0,10}", text in "[0-9A-Za-z:+ -]{0,16}", other: String) {
        let _ = eval("PARSE_TIMESTAMP", vec![t(&text), t(&pattern)]);
        let _ = eval("PARSE_TIMESTAMP", vec![t(&other), t(&pattern)]);
        let _ = eval("FORMAT_TIMESTAMP", vec![Value::Timestamp(Timestamp(1_600_000_000_123)), t(&pattern)]);
    }

    #[test]
    fn the_prefix_has_no_repetition(values in proptest::collection::vec(0..5i32, 0..8)) {
        let Ok(Value::Array(items)) = eval("ARRAY_UNTIL_REPEAT", vec![ints(&values)]) else { panic!() };
        let prefix = values[..items.len()].to_vec();
        prop_assert_eq!(&ints(&prefix), &Value::Array(items));
        prop_assert!(prefix.iter().enumerate().all(|(i, v)| !prefix[..i].contains(v)));
        prop_assert!(values.get(prefix.len()).is_none_or(|next| prefix.contains(next)));
    }

    #[test]
    fn json_fields_keep_their_text(name in "[a-z]{1,4}", value in "-?[1-9][0-9]{0,30}(\\.[0-9]{1,20})?") {
        let json = format!("{{\"x\": [ {{\"{name}\" : {value} }}, null]}}");
        prop_assert_eq!(eval("EXTRACTJSONFIELD", vec![t(&json), t(&format!("$.x[0].{name}"))]), Ok(t(&value)));
    }
}

#[test]
fn every_signature_is_read() {
    // the registry panics on one that is not
    assert!(functions().len() > 100);
    for listing in functions() {
        assert!(!listing.about.is_empty() && !listing.about.ends_with('.'), "{}", listing.name);
        assert_eq!(listing.name, listing.name.to_uppercase());
    }
}

#[test]
fn overloads() {
    let ty = |name: &str, args: Vec<Value<'static>>| {
        call(name, args.into_iter().map(literal).collect()).unwrap().ty
    };
    let decimal = Value::Decimal("1.25".parse().unwrap());
    assert_eq!(ty("ABS", vec![i(1)]), Type::Int);
    assert_eq!(ty("ABS", vec![decimal.clone()]), Type::Decimal(20, 2));
    assert_eq!(ty("SQRT", vec![i(1)]), Type::Double);
    assert_eq!(ty("ROUND", vec![decimal.clone()]), Type::Decimal(19, 0));
    assert_eq!(ty("GREATEST", vec![i(1), Value::BigInt(2)]), Type::BigInt);
    assert_eq!(ty("COALESCE", vec![NULL, t("x")]), Type::Varchar);
    assert_eq!(ty("COALESCE", vec![i(1), decimal, d(0.5)]), Type::Double);
    assert_eq!(ty("ARRAY_CONTAINS", vec![strings(&["a"]), NULL]), Type::Boolean);
    assert_eq!(ty("UNIX_TIMESTAMP", vec![t("2020-01-01")]), Type::BigInt);
    assert!(call("COALESCE", vec![literal(i(1)), literal(t("x"))]).is_err());
}

#[test]
fn text_functions() {
    for (name, args, expected) in [
        ("CONCAT", vec![t("a"), NULL, t("b")], t("ab")),
        ("CONCAT_WS", vec![t(", "), t("a"), NULL, t("b")], t("a, b")),
        ("CONCAT_WS", vec![b("a"), b("b"), NULL, b("c")], b("bac")),
        ("SPLIT", vec![b(".a."), b(".")], Value::Array(vec![b(""), b("a"), b("")])),
        ("LPAD", vec![b("x"), i(3), b("ab")], b("abx")),
        ("TRIM", vec![t(" \t a b \n")], t("a b")),
        ("INITCAP", vec![t("the QUICK fox")], t("The Quick Fox")),
        ("REPLACE", vec![t("foobar"), t("o"), t("00")], t("f0000bar")),
        ("SPLIT", vec![t("$a$b$"), t("$")], strings(&["", "a", "b", ""])),
        ("SPLIT", vec![t("aé"), t("")], strings(&["a", "é"])),
        (
            "SPLIT_TO_MAP",
            vec![t("a=1&b=2&c"), t("&"), t("=")],
            Value::Map(vec![(t("a"), t("1")), (t("b"), t("2"))]),
        ),
        ("INSTR", vec![t("CORPORATE FLOOR"), t("OR"), i(3), i(2)], i(14)),
        ("INSTR", vec![t("CORPORATE FLOOR"), t("OR"), i(-3), i(2)], i(2)),
        ("CHR", vec![i(75)], t("K")),
        ("CHR", vec![t("\\u004b")], t("K")),
        ("FIELD", vec![t("b"), t("a"), t("b")], i(2)),
        ("ELT", vec![i(2), t("a"), t("b")], t("b")),
        ("ELT", vec![i(3), t("a"), t("b")], NULL),
        ("MASK", vec![t("My Test $123")], t("Xx-Xxxx--nnn")),
        ("MASK_KEEP_RIGHT", vec![t("Ab-12"), i(2)], t("Xx-12")),
        ("BASENAME", vec![t(r"C:\Windows\System32\cmd.exe")], t("cmd.exe")),
        ("BASENAME", vec![t("/usr/bin/bash")], t("bash")),
        ("BASENAME", vec![t("System")], t("System")),
        ("ENCODE", vec![t("hello"), t("utf8"), t("hex")], t("68656c6c6f")),
        ("ENCODE", vec![t("aGVsbG8="), t("base64"), t("ascii")], t("hello")),
        ("REGEXP_EXTRACT", vec![t("(.*) (.*)"), t("hello there"), i(2)], t("there")),
        ("REGEXP_EXTRACT", vec![t("x"), t("hello"), i(7)], NULL),
        ("REGEXP_EXTRACT_ALL", vec![t("ab?"), t("a ab")], strings(&["a", "ab"])),
        ("REGEXP_REPLACE", vec![t("a1b2"), t("([a-z])([0-9])"), t("$2$1\\$")], t("1a$2b$")),
        ("REGEXP_SPLIT_TO_ARRAY", vec![t("aXYbX"), t("X+Y?")], strings(&["a", "b", ""])),
        (
            "URL_EXTRACT_HOST",
            vec![t("https://u@docs.example.com:8080/a%20b?x=1&y=%26#top")],
            t("docs.example.com"),
        ),
        ("URL_EXTRACT_PORT", vec![t("https://[::1]:8080/")], i(8080)),
        ("URL_EXTRACT_PATH", vec![t("https://docs.example.com/a%20b?x=1")], t("/a b")),
        ("URL_EXTRACT_PARAMETER", vec![t("https://e.com/?x=1&y=%26"), t("y")], t("&")),
        ("URL_EXTRACT_FRAGMENT", vec![t("https://e.com/#top")], t("top")),
    ] {
        assert_eq!(eval(name, args.clone()), Ok(expected), "{name}{args:?}");
    }
    assert_eq!(eval("REGEXP_EXTRACT", vec![t("("), t("a")]), Err(EvalError::BadRegex));
}

#[test]
fn number_functions() {
    for (name, args, expected) in [
        ("ROUND", vec![d(-1.5)], Value::BigInt(-1)),
        ("ROUND", vec![d(1.005), i(2)], d(1.01)),
        ("ROUND", vec![d(1234.5), i(-2)], d(1200.0)),
        ("ROUND", vec![i(1250), i(-2)], i(1300)),
        (
            "ROUND",
            vec![Value::Decimal("-1.5".parse().unwrap())],
            Value::Decimal("-1".parse().unwrap()),
        ),
        ("TRUNC", vec![d(-1.9)], Value::BigInt(-1)),
        ("TRUNC", vec![d(1.29), i(1)], d(1.2)),
        (
            "CEIL",
            vec![Value::Decimal("1.01".parse().unwrap())],
            Value::Decimal("2.00".parse().unwrap()),
        ),
        ("FLOOR", vec![d(-1.5)], d(-2.0)),
        ("LOG", vec![d(2.0), d(8.0)], d(3.0)),
        ("SIGN", vec![d(-0.5)], i(-1)),
        ("MOD", vec![i(-7), i(3)], i(-1)),
        ("GREATEST", vec![i(1), NULL, d(2.5)], d(2.5)),
        ("LEAST", vec![t("b"), t("a")], t("a")),
        ("GENERATE_SERIES", vec![i(5), i(1), i(-2)], ints(&[5, 3, 1])),
        ("GENERATE_SERIES", vec![i(1), i(2), i(-3)], ints(&[])),
    ] {
        assert_eq!(eval(name, args.clone()), Ok(expected), "{name}{args:?}");
    }
    assert_eq!(eval("ABS", vec![i(i32::MIN)]), Err(EvalError::OutOfRange));
    assert_eq!(eval("GENERATE_SERIES", vec![i(0), i(i32::MAX)]), Err(EvalError::BadArgument));
    let Ok(Value::Double(km)) =
        eval("GEO_DISTANCE", vec![d(37.4439), d(-122.1663), d(51.5257), d(-0.1122)])
    else {
        panic!()
    };
    assert!((km - 8634.66).abs() < 1.0, "{km}");
}

#[test]
fn collection_functions() {
    let pair = |a: i32, b: &str| Value::Struct(vec![i(a), t(b)]);
    for (name, args, expected) in [
        ("ARRAY_DISTINCT", vec![ints(&[2, 1, 2])], ints(&[2, 1])),
        ("ARRAY_EXCEPT", vec![ints(&[2, 1, 2, 3]), ints(&[2])], ints(&[1, 3])),
        ("ARRAY_INTERSECT", vec![ints(&[3, 1, 3]), ints(&[3])], ints(&[3])),
        ("ARRAY_UNION", vec![ints(&[1, 2]), ints(&[2, 3])], ints(&[1, 2, 3])),
        (
            "ARRAY_SORT",
            vec![Value::Array(vec![i(2), NULL, i(3)]), t("desc")],
            Value::Array(vec![i(3), i(2), NULL]),
        ),
        ("ARRAY_MAX", vec![Value::Array(vec![NULL, i(3)])], i(3)),
        ("ARRAY_REMOVE", vec![ints(&[1, 2, 1]), i(1)], ints(&[2])),
        ("ARRAY_JOIN", vec![Value::Array(vec![i(1), NULL])], t("1,null")),
        ("SLICE", vec![ints(&[1, 2, 3, 4]), i(2), i(3)], ints(&[2, 3])),
        ("SLICE", vec![ints(&[1, 2, 3]), NULL, i(2)], ints(&[1, 2])),
        (
            "AS_MAP",
            vec![strings(&["a", "b"]), ints(&[1, 2])],
            Value::Map(vec![(t("a"), i(1)), (t("b"), i(2))]),
        ),
        (
            "MAP_UNION",
            vec![Value::Map(vec![(t("a"), i(1))]), Value::Map(vec![(t("a"), i(2))])],
            Value::Map(vec![(t("a"), i(2))]),
        ),
        (
            "ENTRIES",
            vec![Value::Map(vec![(t("a"), i(1))]), Value::Boolean(true)],
            Value::Array(vec![Value::Struct(vec![t("a"), i(1)])]),
        ),
        (
            "ARRAY_UNTIL_REPEAT",
            vec![Value::Array(vec![pair(1, "a"), pair(2, "b"), pair(1, "c"), pair(3, "d")])],
            Value::Array(vec![pair(1, "a"), pair(2, "b")]),
        ),
    ] {
        assert_eq!(eval(name, args.clone()), Ok(expected), "{name}{args:?}");
    }
}

#[test]
fn the_field_that_must_not_repeat_is_checked() {
    let pair = |a: i32, b: &str| Value::Struct(vec![i(a), t(b)]);
    let items = || Value::Array(vec![pair(1, "a"), pair(2, "b"), pair(3, "a"), pair(4, "d")]);
    assert_eq!(
        eval("ARRAY_UNTIL_REPEAT", vec![items(), t("F1")]),
        Ok(Value::Array(vec![pair(1, "a"), pair(2, "b")]))
    );
    let error = call("ARRAY_UNTIL_REPEAT", vec![literal(items()), literal(t("F2"))]).unwrap_err();
    assert_eq!(error.to_string(), "no field F2 in STRUCT<F0 INTEGER, F1 STRING>");
}

#[test]
fn json_functions() {
    for (name, args, expected) in [
        ("EXTRACTJSONFIELD", vec![t(r#"{"a": {"b": "x\ny"}}}"#), t("$.a.b")], t("x\ny")),
        (
            "EXTRACTJSONFIELD",
            vec![t(r#"{"a": {"b": [1, "c d"]}}"#), t("$['a']")],
            t(r#"{"b":[1,"c d"]}"#),
        ),
        ("EXTRACTJSONFIELD", vec![t(r#"{"a": [1.50]}"#), t("$.a[-1]")], NULL),
        ("EXTRACTJSONFIELD", vec![t(r#"{"a": null}"#), t("$.a")], NULL),
        ("JSON_ARRAY_CONTAINS", vec![t("[1, 2.0]"), i(2)], Value::Boolean(true)),
        ("JSON_ARRAY_CONTAINS", vec![t(r#"["x"]"#), t("x")], Value::Boolean(true)),
        ("JSON_ARRAY_CONTAINS", vec![t("[null]"), NULL], Value::Boolean(true)),
        ("JSON_ARRAY_CONTAINS", vec![t("[\"1\"]"), i(1)], Value::Boolean(false)),
        ("JSON_ARRAY_LENGTH", vec![t("[1, 2]")], i(2)),
        ("JSON_ARRAY_LENGTH", vec![t("{}")], NULL),
        ("JSON_ITEMS", vec![t(r#"[{"a": 1}, "b"]"#)], strings(&[r#"{"a":1}"#, "\"b\""])),
        ("JSON_KEYS", vec![t(r#"{"b": 1, "a": 2}"#)], strings(&["b", "a"])),
        (
            "JSON_RECORDS",
            vec![t(r#"{"b": "x", "a": 2}"#)],
            Value::Map(vec![(t("a"), t("2")), (t("b"), t("\"x\""))]),
        ),
        ("JSON_CONCAT", vec![t(r#"{"a": 1}"#), t(r#"{"a": 2, "b": 3}"#)], t(r#"{"a":2,"b":3}"#)),
        ("JSON_CONCAT", vec![t("[1]"), t("2")], t("[1,2]")),
        ("IS_JSON_STRING", vec![t("[1, 2")], Value::Boolean(false)),
        ("IS_JSON_STRING", vec![t("\"a\"")], Value::Boolean(true)),
        ("TO_JSON_STRING", vec![Value::Struct(vec![i(1), NULL])], t(r#"{"F0":1,"F1":null}"#)),
    ] {
        assert_eq!(eval(name, args.clone()), Ok(expected), "{name}{args:?}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(eval("IS_JSON_STRING", vec![t(&deep)]), Ok(Value::Boolean(false)));
    assert_eq!(eval("EXTRACTJSONFIELD", vec![t(&deep), t("$[0]")]), Err(EvalError::BadJson));
}

#[test]
fn time_functions() {
    let at = |ms| Value::Timestamp(Timestamp(ms));
    for (name, args, expected) in [
        (
            "STRINGTOTIMESTAMP",
            vec![t("2018-04-11 05:25:02.955"), t("yyyy-MM-dd HH:mm:ss.SSS")],
            Value::BigInt(1_523_424_302_955),
        ),
        (
            "STRINGTOTIMESTAMP",
            vec![t("2018-04-11 07:25"), t("yyyy-MM-dd HH:mm"), t("Europe/Berlin")],
            Value::BigInt(1_523_424_300_000),
        ),
        (
            "STRINGTOTIMESTAMP",
            vec![t("2018-04-11T05:25:02Z"), t("yyyy-MM-dd'T'HH:mm:ssX")],
            Value::BigInt(1_523_424_302_000),
        ),
        (
            "PARSE_TIMESTAMP",
            vec![t("2018-05-11T21:58:33 PST"), t("yyyy-MM-dd'T'HH:mm:ss zzz")],
            at(1_526_101_113_000),
        ),
        (
            "PARSE_TIMESTAMP",
            vec![t("2019-08-27T13:31:09.2+0000"), t("yyyy-MM-dd'T'HH:mm:ss.SX")],
            at(1_566_912_669_200),
        ),
        ("PARSE_TIMESTAMP", vec![t("05-11-18 9PM"), t("MM-dd-yy ha")], at(1_526_072_400_000)),
        (
            "TIMESTAMPTOSTRING",
            vec![
                Value::BigInt(1_526_075_913_000),
                t("yyyy-MM-dd HH:mm:ss zzz"),
                t("America/Los_Angeles"),
            ],
            t("2018-05-11 14:58:33 PDT"),
        ),
        (
            "FORMAT_TIMESTAMP",
            vec![at(1_526_075_913_000), t("EEEE, d MMMM y 'at' h:mm a VV"), t("Europe/London")],
            t("Friday, 11 May 2018 at 10:58 PM Europe/London"),
        ),
        ("PARSE_DATE", vec![t("01-Jan-2022"), t("dd-MMM-yyyy")], Value::Date(18_993)),
        ("PARSE_TIME", vec![t("01:00:00 Pm"), t("hh:mm:ss a")], Value::Time(46_800_000)),
        ("FORMAT_TIME", vec![Value::Time(1_234_567), t("HHmmss'AAAAA'")], t("002034AAAAA")),
        ("DATETOSTRING", vec![i(17_662), t("yyyy-MM-dd")], t("2018-05-11")),
        ("TIMESTAMPADD", vec![t("HOURS"), i(2), at(0)], at(7_200_000)),
        ("TIMESTAMPSUB", vec![t("second"), i(2), at(0)], at(-2000)),
        ("DATEADD", vec![t("WEEKS"), i(2), Value::Date(0)], Value::Date(14)),
        ("TIMESUB", vec![t("MINUTES"), i(1), Value::Time(0)], Value::Time(86_340_000)),
        ("CONVERT_TZ", vec![at(100), t("+0200"), t("+0500")], at(10_800_100)),
        ("FROM_DAYS", vec![i(3)], Value::Date(3)),
    ] {
        assert_eq!(eval(name, args.clone()), Ok(expected), "{name}{args:?}");
    }
    for (name, args, error) in [
        ("PARSE_TIMESTAMP", vec![t("2018-02-29"), t("yyyy-MM-dd")], EvalError::BadTime),
        ("PARSE_TIMESTAMP", vec![t("2018-02-28x"), t("yyyy-MM-dd")], EvalError::BadTime),
        ("PARSE_TIMESTAMP", vec![t("2018"), t("yyyy'")], EvalError::BadTimePattern),
        ("FORMAT_DATE", vec![Value::Date(0), t("HH")], EvalError::BadTimePattern),
        ("FORMAT_TIMESTAMP", vec![at(0), t("yyyy"), t("Mars/Olympus")], EvalError::BadTimeZone),
        ("TIMESTAMPADD", vec![t("FORTNIGHTS"), i(2), at(0)], EvalError::BadArgument),
    ] {
        assert_eq!(eval(name, args.clone()), Err(error), "{name}{args:?}");
    }
}

#[test]
fn the_time_in_a_process_guid() {
    let time = |text: &str| {
        eval("guid_time", vec![Value::Guid(Guid::parse(text.as_bytes()).unwrap())]).unwrap()
    };
    // 0x5ACD9C2E seconds
    assert_eq!(
        time("{A98268C1-9C2E-5ACD-0000-0010396CAB00}"),
        Value::Timestamp(Timestamp(1_523_424_302_000))
    );
    assert_eq!(time("{00000000-0000-0000-0000-000000000000}"), NULL);
    assert_eq!(time("{A98268C1-0001-0000-0000-0010396CAB00}"), NULL);
}
