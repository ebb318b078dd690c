//! Arbitrary statements, over the whole grammar.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::sql::Span;
use crate::sql::ast::*;

fn name() -> BoxedStrategy<String> {
    prop_oneof![
        4 => "[A-Z_][A-Z0-9_]{0,6}",
        1 => proptest::sample::select(vec![
            "SELECT", "FROM", "EMIT", "PARTITION", "ARRAY", "MAP", "STRUCT", "ALL", "STREAMS", "FUNCTION", "RECURSIVE", "TUMBLING", "COLUMN", "NOT",
            "IF", "EXISTS", "KEY", "DAYS", "AT", "TIME", "ESCAPE", "COUNT", "DISTINCT", "VALUES", "TYPE", "SOURCE", "INTERVAL", "LIMIT", "END",
        ]).prop_map(String::from),
        1 => any::<String>().prop_filter("not empty", |name| !name.is_empty()),
    ]
    .boxed()
}

fn ident() -> BoxedStrategy<Ident> {
    name().prop_map(Ident::new).boxed()
}

fn literal() -> BoxedStrategy<Literal> {
    prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Boolean),
        any::<i32>().prop_map(Literal::Int),
        any::<i64>().prop_map(|v| Literal::number(&v.to_string()).unwrap()),
        "-?[0-9]{1,30}\\.[0-9]{1,12}".prop_map(Literal::Decimal),
        "-?[1-9][0-9]{19,30}".prop_map(Literal::Decimal),
        any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(Literal::Double),
        any::<String>().prop_map(Literal::String),
    ]
    .boxed()
}

fn type_name() -> BoxedStrategy<TypeName> {
    let leaf =
        (ident(), vec(any::<u32>(), 0..3)).prop_map(|(name, params)| TypeName::Named(name, params));
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|item| TypeName::Array(Box::new(item))),
            (inner.clone(), inner.clone())
                .prop_map(|(key, value)| TypeName::Map(Box::new(key), Box::new(value))),
            vec((ident(), inner), 0..3).prop_map(TypeName::Struct),
        ]
    })
    .boxed()
}

fn binary_op() -> impl Strategy<Value = BinaryOp> {
    use BinaryOp::*;
    proptest::sample::select(vec![
        Add,
        Subtract,
        Multiply,
        Divide,
        Modulo,
        Concat,
        Equal,
        NotEqual,
        Less,
        LessEqual,
        Greater,
        GreaterEqual,
        Distinct,
        NotDistinct,
    ])
}

fn node(kind: impl Strategy<Value = ExprKind>) -> impl Strategy<Value = Expr> {
    kind.prop_map(|kind| Expr::new(kind, Span::default()))
}

pub fn expr() -> BoxedStrategy<Expr> {
    let leaf = node(prop_oneof![
        literal().prop_map(ExprKind::Literal),
        (of(ident()), ident()).prop_map(|(source, name)| ExprKind::Column { source, name }),
        (ident(), any::<String>()).prop_map(|(ty, text)| ExprKind::Typed { ty, text }),
    ]);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let one = prop_oneof![
            (proptest::sample::select(vec![UnaryOp::Not, UnaryOp::Minus, UnaryOp::Plus]), boxed())
                .prop_map(|(op, operand)| ExprKind::Unary { op, operand }),
            (boxed(), any::<bool>()).prop_map(|(operand, negated)| ExprKind::IsNull { operand, negated }),
            (boxed(), type_name()).prop_map(|(operand, ty)| ExprKind::Cast { operand, ty }),
            (boxed(), any::<String>()).prop_map(|(operand, zone)| ExprKind::AtTimeZone { operand, zone }),
            (boxed(), ident()).prop_map(|(base, name)| ExprKind::Field { base, name }),
        ];
        let two = prop_oneof![
            4 => (binary_op(), boxed(), boxed()).prop_map(|(op, left, right)| ExprKind::Binary { op, left, right }),
            1 => (boxed(), boxed()).prop_map(|(base, index)| ExprKind::Index { base, index }),
            1 => (boxed(), boxed(), of(any::<char>()), any::<bool>())
                .prop_map(|(operand, pattern, escape, negated)| ExprKind::Like { operand, pattern, escape, negated }),
        ];
        let case = (of(boxed()), vec((inner.clone(), inner.clone()), 1..3), of(boxed()))
            .prop_map(|(operand, whens, otherwise)| ExprKind::Case { operand, whens, otherwise });
        let lambda = node((vec(ident(), 1..3), boxed()).prop_map(|(params, body)| ExprKind::Lambda { params, body }));
        let more = prop_oneof![
            vec(inner.clone(), 2..4).prop_map(ExprKind::And),
            vec(inner.clone(), 2..4).prop_map(ExprKind::Or),
            vec(inner.clone(), 0..3).prop_map(ExprKind::Array),
            vec((inner.clone(), inner.clone()), 0..3).prop_map(ExprKind::Map),
            vec((ident(), inner.clone()), 0..3).prop_map(ExprKind::Struct),
            (boxed(), boxed(), boxed(), any::<bool>()).prop_map(|(operand, low, high, negated)| ExprKind::Between {
                operand,
                low,
                high,
                negated
            }),
            (boxed(), vec(inner.clone(), 1..3), any::<bool>()).prop_map(|(operand, items, negated)| ExprKind::In {
                operand,
                items,
                negated
            }),
            (ident(), vec(prop_oneof![3 => inner.clone(), 1 => lambda], 0..3)).prop_map(|(name, args)| ExprKind::Call { name, args }),
            case,
        ];
        node(prop_oneof![one, two, more])
    })
    .boxed()
}

fn duration() -> BoxedStrategy<Duration> {
    use TimeUnit::*;
    (any::<u64>(), proptest::sample::select(vec![Millisecond, Second, Minute, Hour, Day]))
        .prop_map(|(count, unit)| Duration { count, unit })
        .boxed()
}

fn relation(query: impl Strategy<Value = Query> + 'static) -> BoxedStrategy<Relation> {
    let kind = prop_oneof![
        ident().prop_map(RelationKind::Named),
        query.prop_map(|query| RelationKind::Query(Box::new(query)))
    ];
    (kind, of(ident()))
        .prop_map(|(kind, alias)| Relation { kind, alias, span: Span::default() })
        .boxed()
}

fn select(query: BoxedStrategy<Query>) -> BoxedStrategy<Select> {
    let span = Span::default();
    let item = prop_oneof![
        4 => (expr(), of(ident())).prop_map(|(expr, alias)| Item::Expr { expr, alias }),
        1 => Just(Item::All(span)),
        1 => ident().prop_map(Item::AllOf),
        1 => expr().prop_map(Item::Fields),
    ];
    let within = (any::<bool>(), duration(), of(duration()), of(duration())).prop_map(
        move |(retroactive, before, after, grace)| Within {
            retroactive,
            before,
            after,
            grace,
            span,
        },
    );
    let join = (
        proptest::sample::select(vec![
            JoinKind::Inner,
            JoinKind::Left,
            JoinKind::Right,
            JoinKind::Full,
        ]),
        relation(query.clone()),
        of(within),
        expr(),
    )
        .prop_map(move |(kind, relation, within, on)| Join {
            kind,
            relation,
            within,
            on,
            span,
        });
    let kind = prop_oneof![
        duration().prop_map(WindowKind::Tumbling),
        (duration(), duration()).prop_map(|(size, advance)| WindowKind::Hopping(size, advance)),
        duration().prop_map(WindowKind::Session),
    ];
    let window = (of(ident()), kind, of(duration()), of(duration())).prop_map(
        move |(name, kind, retention, grace)| Window { name, kind, retention, grace, span },
    );
    let keys = || of(vec(expr(), 0..3));
    let clauses = (of(window), of(expr()), keys(), keys(), of(expr()));
    (of(vec(expr(), 1..3)), vec(item, 1..3), relation(query), vec(join, 0..2), clauses)
        .prop_map(
            move |(
                distinct_on,
                items,
                from,
                joins,
                (window, filter, group_by, partition_by, having),
            )| Select {
                span,
                distinct_on,
                items,
                from,
                joins,
                window,
                filter,
                group_by,
                partition_by,
                having,
            },
        )
        .boxed()
}

fn query() -> BoxedStrategy<Query> {
    let simple = ident().prop_map(|source| Query {
        with: None,
        arms: vec![Select {
            span: Span::default(),
            distinct_on: None,
            items: vec![Item::All(Span::default())],
            from: Relation {
                kind: RelationKind::Named(source),
                alias: None,
                span: Span::default(),
            },
            joins: Vec::new(),
            window: None,
            filter: None,
            group_by: None,
            partition_by: None,
            having: None,
        }],
        emit: None,
        limit: None,
    });
    simple
        .prop_recursive(2, 4, 2, |inner| {
            let cte = (ident(), vec(ident(), 0..2), inner.clone())
                .prop_map(|(name, columns, query)| Cte { name, columns, query });
            let with = (any::<bool>(), vec(cte, 1..3))
                .prop_map(|(recursive, ctes)| With { recursive, ctes });
            let emit = of(proptest::sample::select(vec![Emit::Changes, Emit::Final]));
            (of(with), vec(select(inner.boxed()), 1..3), emit, of(any::<u64>()))
                .prop_map(|(with, arms, emit, limit)| Query { with, arms, emit, limit })
        })
        .boxed()
}

fn properties() -> BoxedStrategy<Vec<Property>> {
    vec(
        (ident(), literal()).prop_map(|(name, value)| Property {
            name,
            value,
            span: Span::default(),
        }),
        0..3,
    )
    .boxed()
}

fn source_kind() -> impl Strategy<Value = SourceKind> {
    proptest::sample::select(vec![SourceKind::Stream, SourceKind::Table])
}

fn columns() -> BoxedStrategy<Vec<Column>> {
    let role = prop_oneof![
        Just(ColumnRole::Value),
        Just(ColumnRole::Key),
        Just(ColumnRole::PrimaryKey),
        Just(ColumnRole::Headers),
        any::<String>().prop_map(ColumnRole::Header),
    ];
    vec((ident(), type_name(), role).prop_map(|(name, ty, role)| Column { name, ty, role }), 0..3)
        .boxed()
}

fn create() -> BoxedStrategy<Statement> {
    prop_oneof![
        (
            any::<bool>(),
            any::<bool>(),
            source_kind(),
            any::<bool>(),
            ident(),
            columns(),
            properties()
        )
            .prop_map(
                |(or_replace, source, kind, if_not_exists, name, columns, properties)| {
                    Statement::CreateSource(CreateSource {
                        or_replace,
                        source,
                        kind,
                        if_not_exists,
                        name,
                        columns,
                        properties,
                    })
                }
            ),
        (any::<bool>(), source_kind(), any::<bool>(), ident(), properties(), query()).prop_map(
            |(or_replace, kind, if_not_exists, name, properties, query)| {
                Statement::CreateAs(CreateAs {
                    or_replace,
                    kind,
                    if_not_exists,
                    name,
                    properties,
                    query,
                })
            }
        ),
        (
            proptest::sample::select(vec![ConnectorKind::Source, ConnectorKind::Sink]),
            any::<bool>(),
            ident(),
            properties()
        )
            .prop_map(|(kind, if_not_exists, name, properties)| {
                Statement::CreateConnector { kind, if_not_exists, name, properties }
            }),
        (any::<bool>(), ident(), type_name()).prop_map(|(if_not_exists, name, ty)| {
            Statement::CreateType { if_not_exists, name, ty }
        }),
    ]
    .boxed()
}

fn change() -> BoxedStrategy<Statement> {
    prop_oneof![
        (ident(), properties(), query()).prop_map(|(target, properties, query)| {
            Statement::InsertSelect { target, properties, query }
        }),
        (ident(), vec(ident(), 0..3), vec(expr(), 0..3)).prop_map(|(target, columns, values)| {
            Statement::InsertValues { target, columns, values }
        }),
        (source_kind(), ident(), vec((ident(), type_name()), 1..3))
            .prop_map(|(kind, name, columns)| Statement::AlterSource { kind, name, columns }),
        (any::<String>(), any::<String>())
            .prop_map(|(name, value)| Statement::AlterSystem(name, value)),
        (source_kind(), any::<bool>(), ident(), any::<bool>()).prop_map(
            |(kind, if_exists, name, delete_topic)| Statement::DropSource {
                kind,
                if_exists,
                name,
                delete_topic
            }
        ),
        (any::<bool>(), ident())
            .prop_map(|(if_exists, name)| Statement::DropConnector { if_exists, name }),
        (any::<bool>(), ident())
            .prop_map(|(if_exists, name)| Statement::DropType { if_exists, name }),
    ]
    .boxed()
}

fn list() -> BoxedStrategy<List> {
    any::<(bool, bool)>()
        .prop_flat_map(|(all, extended)| {
            proptest::sample::select(vec![
                List::Topics { all, extended },
                List::Streams { extended },
                List::Tables { extended },
                List::Queries { extended },
                List::Properties,
                List::Functions,
                List::Types,
                List::Variables,
                List::Connectors(None),
                List::Connectors(Some(ConnectorKind::Sink)),
                List::ConnectorPlugins,
            ])
        })
        .boxed()
}

fn describe() -> BoxedStrategy<Describe> {
    prop_oneof![
        (ident(), any::<bool>()).prop_map(|(name, extended)| Describe::Source { name, extended }),
        any::<bool>().prop_map(|extended| Describe::Streams { extended }),
        any::<bool>().prop_map(|extended| Describe::Tables { extended }),
        ident().prop_map(Describe::Function),
        ident().prop_map(Describe::Connector),
    ]
    .boxed()
}

fn assertion() -> BoxedStrategy<Assertion> {
    prop_oneof![
        (any::<bool>(), name(), properties(), of(duration())).prop_map(
            |(exists, name, properties, timeout)| Assertion::Topic {
                exists,
                name,
                properties,
                timeout
            }
        ),
        (any::<bool>(), name(), of(any::<u64>()), of(duration())).prop_map(
            |(exists, subject, id, timeout)| Assertion::Schema {
                exists,
                subject: Some(subject),
                id,
                timeout
            }
        ),
        (ident(), vec(ident(), 0..2), vec(expr(), 0..3))
            .prop_map(|(source, columns, values)| Assertion::Values { source, columns, values }),
        (ident(), vec(ident(), 0..2), vec(expr(), 0..3))
            .prop_map(|(source, columns, values)| Assertion::Tombstone { source, columns, values }),
        (source_kind(), ident(), columns(), properties()).prop_map(
            |(kind, name, columns, properties)| Assertion::Source {
                kind,
                name,
                columns,
                properties
            }
        ),
    ]
    .boxed()
}

fn which() -> BoxedStrategy<Which> {
    prop_oneof![Just(Which::All), ident().prop_map(Which::Query)].boxed()
}

fn control() -> BoxedStrategy<Statement> {
    prop_oneof![
        list().prop_map(Statement::List),
        describe().prop_map(Statement::Describe),
        ident().prop_map(|name| Statement::Explain(Explain::Query(name))),
        (name(), any::<bool>(), of(any::<u64>()), of(any::<u64>())).prop_map(
            |(topic, from_beginning, interval, limit)| Statement::Print {
                topic,
                from_beginning,
                interval,
                limit
            }
        ),
        which().prop_map(Statement::Terminate),
        which().prop_map(Statement::Pause),
        which().prop_map(Statement::Resume),
        (any::<String>(), any::<String>()).prop_map(|(name, value)| Statement::Set(name, value)),
        any::<String>().prop_map(Statement::Unset),
        (ident(), any::<String>()).prop_map(|(name, value)| Statement::Define(name, value)),
        ident().prop_map(Statement::Undefine),
        assertion().prop_map(Statement::Assert),
        any::<String>().prop_map(Statement::RunScript),
    ]
    .boxed()
}

pub fn statement() -> BoxedStrategy<Statement> {
    let plain = prop_oneof![query().prop_map(Statement::Query), create(), change(), control()];
    (plain, any::<bool>())
        .prop_map(|(statement, explain)| {
            if explain {
                Statement::Explain(Explain::Statement(Box::new(statement)))
            } else {
                statement
            }
        })
        .boxed()
}
