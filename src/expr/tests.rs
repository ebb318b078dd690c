//! Operators, casts and typing.

use bigdecimal::BigDecimal;
use proptest::prelude::*;

use super::typing::*;
use super::*;
use crate::model::{Guid, Row, RowRef, Timestamp};

fn int(value: i32) -> Expr {
    Expr::literal(Value::Int(value), Type::Int)
}

fn truth(value: Option<bool>) -> Expr {
    Expr::literal(value.map_or(Value::Null, Value::Boolean), Type::Boolean)
}

fn decimal(text: &str) -> Expr {
    let value: BigDecimal = text.parse().unwrap();
    let scale = value.fractional_digit_count();
    let ty = Type::Decimal((value.digits() as i64).max(scale) as u16, scale as u16);
    Expr::literal(Value::Decimal(value), ty)
}

fn eval(expr: &Expr) -> Result<Value<'static>, EvalError> {
    expr.eval(Tuple::empty()).map(Value::into_owned)
}

fn boolean(expr: &Expr) -> Option<bool> {
    match eval(expr).unwrap() {
        Value::Boolean(value) => Some(value),
        Value::Null => None,
        other => panic!("{other:?} is no truth value"),
    }
}

const TRUTH: [Option<bool>; 3] = [Some(false), None, Some(true)];

#[test]
fn kleene_logic() {
    // with FALSE < NULL < TRUE, AND is the least and OR the greatest
    for a in TRUTH {
        assert_eq!(boolean(&not(truth(a)).unwrap()), a.map(|a| !a));
        for b in TRUTH {
            let rank = |v: Option<bool>| TRUTH.iter().position(|t| *t == v);
            assert_eq!(
                boolean(&and(vec![truth(a), truth(b)]).unwrap()),
                TRUTH[rank(a).min(rank(b)).unwrap()],
                "{a:?} AND {b:?}"
            );
            assert_eq!(
                boolean(&or(vec![truth(a), truth(b)]).unwrap()),
                TRUTH[rank(a).max(rank(b)).unwrap()],
                "{a:?} OR {b:?}"
            );
        }
    }
    assert_eq!(boolean(&and(vec![]).unwrap()), Some(true));
    assert_eq!(boolean(&or(vec![]).unwrap()), Some(false));
}

#[test]
fn a_decided_operand_stops_evaluation() {
    let failing = || {
        compare(Comparison::Equal, arithmetic(Arithmetic::Divide, int(1), int(0)).unwrap(), int(1))
            .unwrap()
    };
    assert_eq!(boolean(&and(vec![truth(Some(false)), failing()]).unwrap()), Some(false));
    assert_eq!(boolean(&or(vec![truth(Some(true)), failing()]).unwrap()), Some(true));
    assert_eq!(
        eval(&and(vec![truth(Some(true)), failing()]).unwrap()),
        Err(EvalError::DivisionByZero)
    );
    assert_eq!(
        eval(
            &case(
                None,
                vec![(truth(None), failing()), (truth(Some(true)), truth(None))],
                Some(failing())
            )
            .unwrap()
        ),
        Ok(Value::Null)
    );
}

#[test]
fn comparisons_with_null() {
    let null = || Expr::null(Type::Int);
    for op in
        [Comparison::Equal, Comparison::NotEqual, Comparison::Less, Comparison::GreaterOrEqual]
    {
        assert_eq!(boolean(&compare(op, int(1), null()).unwrap()), None);
        assert_eq!(boolean(&compare(op, null(), null()).unwrap()), None);
    }
    assert_eq!(boolean(&compare(Comparison::Distinct, null(), null()).unwrap()), Some(false));
    assert_eq!(boolean(&compare(Comparison::NotDistinct, int(1), null()).unwrap()), Some(false));
    assert_eq!(boolean(&is_null(null(), false)), Some(true));
    assert_eq!(boolean(&is_null(null(), true)), Some(false));
    assert_eq!(boolean(&in_list(int(1), vec![int(2), null()]).unwrap()), None);
    assert_eq!(boolean(&in_list(int(2), vec![int(2), null()]).unwrap()), Some(true));
    assert_eq!(boolean(&in_list(int(1), vec![int(2)]).unwrap()), Some(false));
}

/// LIKE by its definition: backtracking over all choices.
fn like_oracle(text: &[char], pattern: &[char], escape: Option<char>) -> bool {
    match pattern {
        [] => text.is_empty(),
        [c, literal, rest @ ..] if escape == Some(*c) => {
            text.first() == Some(literal) && like_oracle(&text[1..], rest, escape)
        }
        [c] if escape == Some(*c) => text == [*c],
        ['%', rest @ ..] => (0..=text.len()).any(|n| like_oracle(&text[n..], rest, escape)),
        ['_', rest @ ..] => !text.is_empty() && like_oracle(&text[1..], rest, escape),
        [c, rest @ ..] => text.first() == Some(c) && like_oracle(&text[1..], rest, escape),
    }
}

proptest! {
    #[test]
    fn a_folded_list_says_what_the_list_says(
        items in proptest::collection::vec(proptest::option::of(-3..4i32), 1..8),
        value in proptest::option::of(-4..5i32),
    ) {
        let literal = |value: Option<i32>| {
            Expr::literal(value.map_or(Value::Null, Value::Int), Type::Int)
        };
        let list: Vec<Expr> = items.into_iter().map(literal).collect();
        let one_by_one = Expr {
            kind: ExprKind::In(Box::new(Expr::column(0, Type::Int)), list),
            ty: Type::Boolean,
        };
        let folded = one_by_one.clone().fold();
        prop_assert!(matches!(folded.kind, ExprKind::InSet(..)));
        let row = Row::from_values(std::iter::once(value.map_or(Value::Null, Value::Int)));
        let tuple = Tuple::single(RowRef::new(row.bytes(), 1));
        prop_assert_eq!(folded.eval(tuple), one_by_one.eval(tuple));
    }

    #[test]
    fn like_is_what_it_is_defined_as(text in "[ab%_é!]{0,8}", pattern in "[ab%_é!]{0,6}", escaped: bool) {
        let escape = escaped.then_some('!');
        let (t, p): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
        let expr = like(Expr::text(text), Expr::text(pattern), escape).unwrap();
        prop_assert_eq!(boolean(&expr), Some(like_oracle(&t, &p, escape)));
    }

    #[test]
    fn casts_to_text_and_back(i: i32, l: i64, d: f64, b: bool, g: u128, ms in Timestamp::MIN.0..=Timestamp::MAX.0, days in -719_162..2_932_896i32, time in 0..86_400_000i32, digits: i64, scale in 0..19u16) {
        for (value, ty) in [
            (Value::Int(i), Type::Int),
            (Value::BigInt(l), Type::BigInt),
            (Value::Double(d), Type::Double),
            (Value::Boolean(b), Type::Boolean),
            (Value::Guid(Guid(g)), Type::Guid),
            (Value::Timestamp(Timestamp(ms)), Type::Timestamp),
            (Value::Date(days), Type::Date),
            (Value::Time(time), Type::Time),
            (Value::Decimal(BigDecimal::new(digits.into(), scale.into())), Type::Decimal(19, scale)),
        ] {
            let text = typing::cast(Expr::literal(value.clone(), ty.clone()), &Type::Varchar).unwrap();
            let back = typing::cast(text, &ty).unwrap();
            prop_assert_eq!(eval(&back).unwrap(), value);
        }
    }

    #[test]
    fn integers_widen_without_loss(i: i32, l: i64) {
        for to in [Type::BigInt, Type::Decimal(19, 0), Type::Double] {
            let wide = typing::cast(int(i), &to).unwrap();
            prop_assert_eq!(eval(&typing::cast(wide, &Type::Int).unwrap()).unwrap(), Value::Int(i));
        }
        let wide = typing::cast(Expr::literal(Value::BigInt(l), Type::BigInt), &Type::Decimal(19, 0)).unwrap();
        prop_assert_eq!(eval(&typing::cast(wide.clone(), &Type::BigInt).unwrap()).unwrap(), Value::BigInt(l));
        let narrow = typing::cast(wide, &Type::Int).unwrap();
        prop_assert_eq!(eval(&narrow).map_err(EvalError::code), i32::try_from(l).map(Value::Int).map_err(|_| "out_of_range"));
    }

    #[test]
    fn numbers_of_different_types_compare_by_value(a in -5..5i32, b in -5..5i64) {
        for (ty, value) in [
            (Type::BigInt, Value::BigInt(b)),
            (Type::Double, Value::Double(b as f64)),
            (Type::Decimal(4, 2), Value::Decimal(BigDecimal::new((b * 100).into(), 2))),
        ] {
            let less = compare(Comparison::Less, int(a), Expr::literal(value, ty)).unwrap();
            prop_assert_eq!(boolean(&less), Some(i64::from(a) < b));
        }
    }

    #[test]
    fn integer_arithmetic_is_exact_or_an_error(a: i32, b: i32) {
        let wide = |op| match op {
            Arithmetic::Add => Some(i64::from(a) + i64::from(b)),
            Arithmetic::Subtract => Some(i64::from(a) - i64::from(b)),
            Arithmetic::Multiply => Some(i64::from(a) * i64::from(b)),
            Arithmetic::Divide => i64::from(a).checked_div(b.into()),
            Arithmetic::Modulo => i64::from(a).checked_rem(b.into()),
        };
        for op in [Arithmetic::Add, Arithmetic::Subtract, Arithmetic::Multiply, Arithmetic::Divide, Arithmetic::Modulo] {
            let expected = match wide(op) {
                None => Err(EvalError::DivisionByZero),
                Some(value) => i32::try_from(value).map(Value::Int).map_err(|_| EvalError::OutOfRange),
            };
            prop_assert_eq!(eval(&arithmetic(op, int(a), int(b)).unwrap()), expected);
        }
    }

    #[test]
    fn decimal_arithmetic_is_exact(a in -99_999..99_999i64, b in -99_999..99_999i64, sa in 0..5i64, sb in 0..5i64) {
        let literal = |digits: i64, scale: i64| Expr::literal(Value::Decimal(BigDecimal::new(digits.into(), scale)), Type::Decimal(5, scale as u16));
        let (x, y) = (BigDecimal::new(a.into(), sa), BigDecimal::new(b.into(), sb));
        for (op, expected) in [(Arithmetic::Add, &x + &y), (Arithmetic::Subtract, &x - &y), (Arithmetic::Multiply, &x * &y)] {
            let expr = arithmetic(op, literal(a, sa), literal(b, sb)).unwrap();
            let Value::Decimal(value) = eval(&expr).unwrap() else { panic!() };
            let Type::Decimal(_, scale) = expr.ty else { panic!() };
            prop_assert_eq!(value.fractional_digit_count(), i64::from(scale));
            prop_assert_eq!(value, expected);
        }
        let quotient = arithmetic(Arithmetic::Divide, literal(a, sa), literal(b, sb)).unwrap();
        let Type::Decimal(_, scale) = quotient.ty else { panic!() };
        match eval(&quotient) {
            Ok(Value::Decimal(value)) => {
                // |a/b - q| <= half a unit, without division: |2a - 2qb| <= |b|·unit
                let error = (&x - &value * &y) * BigDecimal::from(2);
                prop_assert!(error.abs() <= y.abs() * BigDecimal::new(1.into(), scale.into()), "{x} / {y} = {value}");
            }
            other => prop_assert_eq!(other, Err(EvalError::DivisionByZero)),
        }
    }

    #[test]
    fn folding_changes_nothing(a in proptest::option::of(-2..3i32), b in -2..3i32, c in proptest::option::of("[ab]{0,2}")) {
        let x = || Expr::literal(a.map_or(Value::Null, Value::Int), Type::Int);
        let text = || Expr::literal(c.clone().map_or(Value::Null, |c| Value::Varchar(c.into())), Type::Varchar);
        let quotient = arithmetic(Arithmetic::Divide, x(), int(b)).unwrap();
        let column = Expr::column(0, Type::Int);
        let exprs = [
            quotient.clone(),
            case(None, vec![(compare(Comparison::Greater, column.clone(), quotient.clone()).unwrap(), x())], Some(int(7))).unwrap(),
            and(vec![is_null(x(), false), like(text(), Expr::text("a%"), None).unwrap(), in_list(column, vec![x(), int(b)]).unwrap()]).unwrap(),
            call("COALESCE", vec![x(), quotient]).unwrap(),
            subscript(array(vec![x(), int(b)]).unwrap(), int(b)).unwrap(),
            field(structure(vec![("A".into(), x()), ("B".into(), text())]), "b").unwrap(),
            subscript(map(vec![(Expr::text("a"), x()), (text(), int(b))]).unwrap(), Expr::text("a")).unwrap(),
        ];
        let row = Row::from_values([Value::Int(1)].into_iter());
        let tuple = Tuple::single(RowRef::new(row.bytes(), 1));
        for expr in exprs {
            let folded = expr.clone().fold();
            prop_assert_eq!(&folded.ty, &expr.ty);
            prop_assert_eq!(folded.eval(tuple), expr.eval(tuple), "{}", expr);
        }
    }
}

#[test]
fn text_is_read_as_what_it_is_compared_with() {
    let guid = Expr::column(0, Type::Guid);
    let spelled = |text: &str| compare(Comparison::Equal, guid.clone(), Expr::text(text));
    let row = Row::from_values(
        [Value::Guid(Guid::parse(b"{A98268C1-9C2E-5ACD-0000-0010396CAB00}").unwrap())].into_iter(),
    );
    let tuple = Tuple::single(RowRef::new(row.bytes(), 1));
    for text in ["{a98268c1-9c2e-5acd-0000-0010396cab00}", "A98268C1-9C2E-5ACD-0000-0010396CAB00"] {
        let expr = spelled(text).unwrap();
        assert_eq!(expr.eval(tuple), Ok(Value::Boolean(true)));
        let (subject, values) = expr.as_equals_any().unwrap();
        assert_eq!((subject.as_column(), values.len()), (Some(0), 1));
    }
    assert_eq!(spelled("explorer").unwrap_err().to_string(), "'explorer' cannot be read as GUID");

    let time = Expr::column(0, Type::Timestamp);
    let since =
        compare(Comparison::GreaterOrEqual, time.clone(), Expr::text("2020-01-01T00:00:00"))
            .unwrap();
    assert_eq!(
        since.display(&["EVENT_TIME"]).to_string(),
        "(EVENT_TIME >= '2020-01-01T00:00:00.000')"
    );
    let within = between(time, Expr::text("2020"), Expr::text("2020-02")).unwrap();
    assert_eq!(
        within.to_string(),
        "((#0 >= '2020-01-01T00:00:00.000') AND (#0 <= '2020-02-01T00:00:00.000'))"
    );

    // a column is read row by row
    let both =
        compare(Comparison::Equal, Expr::column(0, Type::Guid), Expr::column(1, Type::Varchar))
            .unwrap();
    let row = Row::from_values([Value::Guid(Guid::ZERO), Value::text("-")].into_iter());
    assert_eq!(both.eval(Tuple::single(RowRef::new(row.bytes(), 2))), Err(EvalError::BadCast));
}

#[test]
fn text_constants_are_read_as_the_other_items() {
    let guid = || Expr::column(0, Type::Guid);
    let zero = "{00000000-0000-0000-0000-000000000000}";
    assert_eq!(call("NULLIF", vec![guid(), Expr::text(zero)]).unwrap().ty, Type::Guid);
    assert_eq!(call("IFNULL", vec![Expr::text(zero), guid()]).unwrap().ty, Type::Guid);
    assert!(call("NULLIF", vec![guid(), Expr::text("-")]).is_err());
    let number = |text: &str| in_list(Expr::column(0, Type::Int), vec![int(1), Expr::text(text)]);
    assert_eq!(number("2").unwrap().to_string(), "(#0 IN (1, 2))");
    assert_eq!(
        number("2147483648").unwrap().to_string(),
        "(CAST(#0 AS BIGINT) IN (1, 2147483648))"
    );
    assert_eq!(number("x").unwrap_err().to_string(), "'x' cannot be read as INTEGER");
    assert_eq!(
        array(vec![Expr::null(Type::Null), int(10), Expr::text("2e1")]).unwrap().ty,
        Type::array(Type::Double)
    );
    assert_eq!(
        boolean(&in_list(truth(Some(true)), vec![Expr::text("f"), Expr::text("Y")]).unwrap()),
        Some(true)
    );
    assert!(array(vec![]).is_err());
    let point = |x: &str, y: &str| structure(vec![(x.into(), int(1)), (y.into(), int(2))]);
    let both = array(vec![point("X", "Y"), point("Y", "Z")]).unwrap();
    assert_eq!(both.ty.to_string(), "ARRAY<STRUCT<X INTEGER, Y INTEGER, Z INTEGER>>");
    assert_eq!(
        eval(&both).unwrap(),
        Value::Array(vec![
            Value::Struct(vec![Value::Int(1), Value::Int(2), Value::Null]),
            Value::Struct(vec![Value::Null, Value::Int(1), Value::Int(2)]),
        ])
    );
    let time = compare(Comparison::Less, Expr::column(0, Type::Timestamp), int(1000)).unwrap();
    assert_eq!(time.to_string(), "(#0 < '1970-01-01T00:00:01.000')");
}

#[test]
fn a_missing_right_row_reads_as_null() {
    let left = Row::from_values([Value::Int(1)].into_iter());
    let right = Row::from_values([Value::text("x")].into_iter());
    let (left, right) = (RowRef::new(left.bytes(), 1), RowRef::new(right.bytes(), 1));
    let column = Expr::column(1, Type::Varchar);
    assert_eq!(column.eval(Tuple::joined(left, Some(right))), Ok(Value::text("x")));
    assert_eq!(column.eval(Tuple::joined(left, None)), Ok(Value::Null));
}

#[test]
fn decimals_have_ksqldbs_types() {
    let of = |op, a: &str, b: Expr| arithmetic(op, decimal(a), b).unwrap();
    assert_eq!(of(Arithmetic::Add, "10.1", decimal("1.23")).ty, Type::Decimal(5, 2));
    assert_eq!(of(Arithmetic::Multiply, "10.1", decimal("1.23")).ty, Type::Decimal(7, 3));
    assert_eq!(of(Arithmetic::Divide, "10.1", decimal("1.23")).ty, Type::Decimal(10, 6));
    assert_eq!(of(Arithmetic::Add, "10.1", int(1)).ty, Type::Decimal(12, 1));
    assert_eq!(
        of(Arithmetic::Add, "10.1", Expr::literal(Value::Double(0.5), Type::Double)).ty,
        Type::Double
    );
    assert_eq!(
        eval(&of(Arithmetic::Modulo, "10.1", decimal("1.23"))).unwrap(),
        Value::Decimal("0.26".parse().unwrap())
    );
}

#[test]
fn casts_of_ksqldb() {
    let cast = |expr: Expr, to: Type| {
        typing::cast(expr, &to).map(|expr| expr.eval(Tuple::empty()).map(Value::into_owned))
    };
    let double = |v| Expr::literal(Value::Double(v), Type::Double);
    assert_eq!(cast(double(-2.9), Type::Int).unwrap(), Ok(Value::Int(-2)));
    assert_eq!(cast(double(3e9), Type::Int).unwrap(), Err(EvalError::OutOfRange));
    assert_eq!(cast(double(f64::NAN), Type::BigInt).unwrap(), Err(EvalError::OutOfRange));
    assert_eq!(
        cast(double(1.005), Type::Decimal(3, 2)).unwrap(),
        Ok(Value::Decimal("1.01".parse().unwrap()))
    );
    assert_eq!(cast(decimal("123.45"), Type::Decimal(4, 2)).unwrap(), Err(EvalError::OutOfRange));
    for (value, text) in [
        (1.0, "1.0"),
        (1e7, "1.0E7"),
        (0.001, "0.001"),
        (1.25e-5, "1.25E-5"),
        (f64::INFINITY, "Infinity"),
    ] {
        assert_eq!(cast(double(value), Type::Varchar).unwrap(), Ok(Value::text(text)));
    }
    for (text, value) in [("TRUE", true), ("y", true), ("no", false), ("maybe", false)] {
        assert_eq!(cast(Expr::text(text), Type::Boolean).unwrap(), Ok(Value::Boolean(value)));
    }
    assert_eq!(cast(Expr::text(" 42 "), Type::Int).unwrap(), Ok(Value::Int(42)));
    assert_eq!(cast(Expr::text("4x"), Type::Int).unwrap(), Err(EvalError::BadCast));
    assert!(cast(Expr::text("1e999999999999"), Type::Decimal(4, 2)).unwrap().is_err());
    assert_eq!(
        cast(Expr::text("1e99999999"), Type::Decimal(4, 2)).unwrap(),
        Err(EvalError::OutOfRange)
    );
    assert_eq!(
        cast(Expr::text("1e-99999999"), Type::Decimal(4, 2)).unwrap(),
        Ok(Value::Decimal(BigDecimal::new(0.into(), 2)))
    );
    assert_eq!(cast(Expr::text("2020-02-30"), Type::Date).unwrap(), Err(EvalError::BadCast));
    assert_eq!(cast(Expr::text("1970-01-02"), Type::Date).unwrap(), Ok(Value::Date(1)));
    let items = array(vec![int(1), Expr::null(Type::Null)]).unwrap();
    assert_eq!(cast(items.clone(), Type::Varchar).unwrap(), Ok(Value::text("[1, null]")));
    assert_eq!(
        cast(items, Type::array(Type::Varchar)).unwrap(),
        Ok(Value::Array(vec![Value::text("1"), Value::Null]))
    );
    assert_eq!(
        cast(truth(None), Type::Int).unwrap_err().to_string(),
        "cannot cast BOOLEAN to INTEGER"
    );
}

#[test]
fn errors_say_what_was_expected_and_found() {
    let column = |ty| Expr::column(0, ty);
    let cases: [(Result<Expr, TypeError>, &str); 10] = [
        (call("SUBSTRNG", vec![]), "unknown function SUBSTRNG; did you mean SUBSTRING?"),
        (
            call("UCASE", vec![int(1)]),
            "UCASE does not take (INTEGER); expected UCASE(VARCHAR) VARCHAR",
        ),
        (
            arithmetic(Arithmetic::Subtract, column(Type::Varchar), int(1)),
            "- is not defined on STRING and INTEGER",
        ),
        (
            compare(Comparison::Equal, column(Type::Boolean), int(1)),
            "= is not defined on BOOLEAN and INTEGER",
        ),
        (and(vec![int(1), truth(None)]), "an operand of AND must be BOOLEAN, found INTEGER"),
        (
            like(int(1), Expr::text("%"), None),
            "the left side of LIKE must be STRING, found INTEGER",
        ),
        (field(int(1), "A"), "the left side of -> must be a STRUCT, found INTEGER"),
        (field(structure(vec![("A".into(), int(1))]), "B"), "no field B in STRUCT<A INTEGER>"),
        (
            subscript(array(vec![int(1)]).unwrap(), Expr::text("x")),
            "an array's index must be INTEGER, found STRING",
        ),
        (
            case(None, vec![(truth(None), int(1))], Some(Expr::text("x"))),
            "a result of CASE must be INTEGER, as the others, found STRING",
        ),
    ];
    for (result, message) in cases {
        assert_eq!(result.unwrap_err().to_string(), message);
    }
}

#[test]
fn arrays_count_from_one() {
    let at =
        |index| subscript(array(vec![int(10), int(20), int(30)]).unwrap(), int(index)).unwrap();
    for (index, value) in [
        (1, Some(10)),
        (3, Some(30)),
        (4, None),
        (0, None),
        (-1, Some(30)),
        (-3, Some(10)),
        (-4, None),
        (i32::MIN, None),
    ] {
        assert_eq!(eval(&at(index)).unwrap(), value.map_or(Value::Null, Value::Int), "[{index}]");
    }
}

#[test]
fn columns_are_renumbered_and_substituted() {
    let mut expr =
        arithmetic(Arithmetic::Add, Expr::column(0, Type::Int), Expr::column(2, Type::Int))
            .unwrap();
    expr.remap(&|i| i + 10);
    let mut seen = Vec::new();
    expr.columns(&mut |i| seen.push(i));
    assert_eq!(seen, [10, 12]);
    let mut columns = vec![int(0); 13];
    columns[12] = negate(Expr::column(1, Type::Int)).unwrap();
    assert_eq!(expr.substitute(&columns).display(&["A", "B"]).to_string(), "(0 + -B)");
}

#[test]
fn prints_as_sql() {
    let names = ["IMAGE", "PID"];
    let image = || Expr::column(0, Type::Varchar);
    let pid = || Expr::column(1, Type::Int);
    let expr = and(vec![
        or(vec![like(image(), Expr::text("%'s\\%"), Some('!')).unwrap(), is_null(image(), true)])
            .unwrap(),
        not(in_list(pid(), vec![int(0), int(4)]).unwrap()).unwrap(),
        compare(
            Comparison::Distinct,
            typing::cast(pid(), &Type::Varchar).unwrap(),
            call("lcase", vec![image()]).unwrap(),
        )
        .unwrap(),
    ])
    .unwrap();
    assert_eq!(
        expr.display(&names).to_string(),
        "(((IMAGE LIKE '%''s\\%' ESCAPE '!') OR (IMAGE IS NOT NULL)) AND (NOT (PID IN (0, 4))) \
         AND (CAST(PID AS STRING) IS DISTINCT FROM LCASE(IMAGE)))"
    );
}
