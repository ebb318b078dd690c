//! A live run that ends and goes on from its state publishes what one publishes that never ended, tick by tick.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::store::{self, Manifest, Node, NodeName, Offsets, Store};

/// What comes at a moment: to which topic, and what.
type Step = (bool, u64, Vec<Record>);

/// Feeds steps: step `i` goes to worker `i % workers`, and all workers end at one moment.
struct Steps {
    mine: std::vec::IntoIter<(u64, usize, Vec<Record>)>,
    taps: Vec<Vec<Vec<usize>>>,
    end: u64,
}

impl LiveSource for Steps {
    fn turn(&mut self, pieces: &mut Vec<LivePiece>) -> Turn {
        let Some((ms, topic, records)) = self.mine.next() else { return Turn::Stop(self.end) };
        let mut piece = Piece::new(self.taps[topic].len());
        piece.partition = (ms % 2) as u32;
        piece.offset = ms;
        fill(&mut piece, &self.taps[topic], ms, records);
        pieces.push(LivePiece { topic, piece });
        Turn::Moment(ms)
    }

    fn offsets_before(&mut self, _: Tick) -> Offsets {
        Offsets::new()
    }
}

/// Takes the state of all workers at the end.
struct Lead {
    end: Tick,
    workers: usize,
    wanted: AtomicU64,
    parts: Mutex<Vec<store::Changes>>,
}

impl Conductor for Lead {
    fn closed(&self, frontier: Tick) {
        if frontier >= self.end {
            self.wanted.store(self.end.0, Ordering::Release);
        }
    }

    fn wanted(&self) -> Tick {
        Tick(self.wanted.load(Ordering::Acquire))
    }

    fn hand_over(&self, _: usize, _: Tick, changes: store::Changes, _: Offsets) {
        self.parts.lock().unwrap().push(changes);
    }

    fn journal_bytes(&self, _: usize, _: usize) {}

    fn stop(&self) {}

    fn finished(&self) -> bool {
        self.parts.lock().unwrap().len() == self.workers
    }
}

/// Runs steps to a moment, from what the store has; then makes a checkpoint there. What was published.
fn live(
    plan: &Plan,
    steps: &[(u64, usize, Vec<Record>)],
    end: u64,
    workers: usize,
    lateness: Duration,
    store: &mut Store,
) -> Changes {
    let types: Vec<Type> =
        plan.schema(plan.views[0].root).columns.iter().map(|column| column.ty.clone()).collect();
    let taps: Vec<Vec<Vec<usize>>> = super::super::topics(plan)
        .into_iter()
        .map(|topic| {
            let columns = |tap: &NodeId| match &plan.node(*tap).operator {
                Operator::Source(source) => source.columns.clone(),
                _ => unreachable!(),
            };
            topic.taps.iter().map(columns).collect()
        })
        .collect();
    let restored = store.manifest().map(|manifest| Restored {
        snapshot: store.snapshot(),
        frontier: Tick(manifest.frontier),
        known: Arc::new(manifest.nodes.iter().map(|node| node.node.0).collect()),
    });
    let from = restored.as_ref().map_or(Tick(0), |restored| restored.frontier);
    let lead = Arc::new(Lead {
        end: Tick::moment(end, 0),
        workers,
        wanted: AtomicU64::new(0),
        parts: Mutex::default(),
    });
    let (changes, steps): (Arc<Mutex<Changes>>, Vec<_>) = (Arc::default(), steps.to_vec());
    let collected = Arc::clone(&changes);
    run(Run {
        plan: plan.clone(),
        cluster: Cluster::local(workers),
        fingerprint: [0; 32],
        secret: crate::model::Secret::default(),
        allowed_lateness: Some(lateness),
        counters: Counters::default(),
        sink: Arc::new(move |_, _| Box::new(Collect(Arc::clone(&collected), types.clone()))),
        failed: Arc::new(|error| panic!("{error}")),
        mode: Mode::Live(Live {
            source: Arc::new(move |worker| {
                let mine: Vec<_> = steps
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| i % workers == worker)
                    .map(|(_, step)| step.clone())
                    .collect();
                Box::new(Steps { mine: mine.into_iter(), taps: taps.clone(), end })
            }),
            conductor: Arc::clone(&lead) as Arc<dyn Conductor>,
            durable: true,
            restored,
            clock: Clock::live(Duration::MAX, Duration::MAX),
            sizes: Sizes::default(),
            undelivered: vec![Some(Undelivered::new(Tick(0), Arc::new(from.into())))],
        }),
    })
    .unwrap();
    let node = |node: u64| NodeName { node: Node(node), name: String::new() };
    let mut nodes: Vec<NodeName> =
        plan.identities().into_iter().chain([WATERMARK]).map(node).collect();
    nodes.sort_by_key(|node| node.node.0);
    nodes.dedup();
    let parts = std::mem::take(&mut *lead.parts.lock().unwrap());
    store
        .checkpoint(Manifest { frontier: lead.end.0, nodes, ..Manifest::default() }, &parts)
        .unwrap();
    let mut changes = std::mem::take(&mut *changes.lock().unwrap());
    changes.sort();
    changes
}

/// The steps with moments, by the numbers of topics.
fn timed(plan: &Plan, steps: Vec<Step>) -> Vec<(u64, usize, Vec<Record>)> {
    let topics = super::super::topics(plan);
    let mut ms = 1_000_000;
    let mut timed = Vec::new();
    for (left, pause, records) in steps {
        ms += 1 + pause;
        timed.push((ms, if left { 0 } else { topics.len() - 1 }, records));
    }
    timed
}

fn goes_on(
    plan: &Plan,
    steps: Vec<Step>,
    cuts: &[usize],
    workers: &[usize],
    lateness: Duration,
) -> Result<(), TestCaseError> {
    let plan = plan::optimize(plan, &[0], true);
    let steps = timed(&plan, steps);
    let end = steps.last().map_or(1_000_000, |(ms, ..)| *ms) + 1;
    let folder = tempfile::tempdir().unwrap();
    let expected = live(
        &plan,
        &steps,
        end,
        1,
        lateness,
        &mut Store::open(&folder.path().join("one"), false).unwrap(),
    );
    let mut found = Changes::new();
    let mut cuts: Vec<usize> =
        cuts.iter().map(|cut| cut % (steps.len() + 1)).chain([steps.len()]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut begin = 0;
    for (life, cut) in cuts.into_iter().enumerate() {
        let mut store = Store::open(&folder.path().join("many"), false).unwrap();
        let at = if cut == steps.len() { end } else { steps[cut].0 };
        found.extend(live(
            &plan,
            &steps[begin..cut],
            at,
            workers[life % workers.len()],
            lateness,
            &mut store,
        ));
        begin = cut;
    }
    prop_assert_eq!(found, expected);
    Ok(())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = (0u8..4, 0u8..4, 0i64..30);
    proptest::collection::vec(
        (any::<bool>(), 0u64..3000, proptest::collection::vec(record, 0..4)),
        1..12,
    )
}

/// The same with each value once. What a join has answered for good it knows by the columns that are read, so two rows that differ in their time alone are one to it.
fn each_once(mut steps: Vec<Step>) -> Vec<Step> {
    for (i, (_, value, _)) in steps.iter_mut().flat_map(|(.., records)| records).enumerate() {
        *value = i as u8;
    }
    steps
}

#[test]
fn a_topic_that_is_read_by_two_times_goes_on_as_two() {
    let mut plan = Plan::default();
    let time = Some(Expr::column(TIME, Type::Timestamp));
    let left = source(&mut plan, "l");
    let right =
        plan.add(Operator::Source(plan::Source { time, ..reading("l", vec![KEY, VALUE, TIME]) }));
    let left =
        plan.add(Operator::Expire { input: left, time: TIME, after: Duration::from_secs(5) });
    let right = first_by_time(&mut plan, right, None);
    let root = join(&mut plan, left, right, JoinKind::Inner);
    show(&mut plan, root);
    // of one partition; that the second topic is behind keeps the row of key 1 until its partner comes
    let steps = [
        (true, (3, 3, 900)),
        (false, (2, 2, 10)),
        (true, (1, 1, 100)),
        (true, (3, 4, 901)),
        (false, (1, 5, 11)),
    ];
    let steps = steps.map(|(left, record)| (left, 1, vec![record])).to_vec();
    goes_on(&plan, steps, &[2], &[1], Duration::from_secs(10)).unwrap();
}

/// Equal rows that came to different workers are counted together.
#[test]
fn equal_rows_of_several_workers_go_on() {
    let plan = random_plan(&[(3, 1, 0), (7, 1, 2)], Some(Duration::from_secs(3600)));
    let steps = [(2, 3, 6), (2, 3, 6), (2, 0, 6)].map(|record| (false, 0, vec![record]));
    goes_on(&plan, steps.to_vec(), &[2], &[3, 1], Duration::from_secs(3600)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_join_goes_on(steps in steps(), cuts in proptest::collection::vec(0usize..12, 1..3), outer: bool, distinct: bool, workers in proptest::collection::vec(1usize..4, 1..4), lateness in 0u64..4) {
        let mut plan = Plan::default();
        let (mut left, right) = (source(&mut plan, "l"), source(&mut plan, "r"));
        if distinct {
            // so that rows are taken back before they expire
            let key = Key::new(vec![TIME], plan.schema(left));
            left = plan.add(Operator::DistinctOn { input: left, key });
        }
        let left = plan.add(Operator::Expire { input: left, time: TIME, after: Duration::from_secs(5) });
        let right = first_by_time(&mut plan, right, Some(Duration::from_secs(3)));
        let root = join(&mut plan, left, right, if outer { JoinKind::Left } else { JoinKind::Inner });
        show(&mut plan, root);
        goes_on(&plan, each_once(steps), &cuts, &workers, Duration::from_secs(lateness))?;
    }

    #[test]
    fn the_last_rows_of_keys_go_on(steps in steps(), cuts in proptest::collection::vec(0usize..12, 1..3), workers in proptest::collection::vec(1usize..4, 1..4), lateness in 0u64..4) {
        let mut plan = Plan::default();
        let rows = source_of(&mut plan, "r", OF_TABLE.to_vec());
        let key = Key::new(vec![KEY], plan.schema(rows));
        let root = plan.add(Operator::Upsert { input: rows, key, retention: Some((TIME, Duration::from_secs(4))) });
        show(&mut plan, root);
        goes_on(&plan, steps, &cuts, &workers, Duration::from_secs(lateness))?;
    }

    #[test]
    fn the_order_of_arrival_goes_on(steps in steps(), cuts in proptest::collection::vec(0usize..12, 1..3), workers in proptest::collection::vec(1usize..4, 1..4)) {
        let mut plan = Plan::default();
        let rows = source_of(&mut plan, "r", OF_TABLE.to_vec());
        let hidden = Hidden {
            time: Some(Expr::column(2, Type::Timestamp)),
            offset: Some((Expr::column(3, Type::Int), Expr::column(4, Type::BigInt))),
        };
        let call = |name, more: Option<i32>| {
            let count = more.map(|n| Expr::literal(Value::Int(n), Type::Int));
            let args = std::iter::once(Expr::column(VALUE, Type::Int)).chain(count).collect();
            aggregate::call(name, args, &hidden).unwrap()
        };
        let aggregates = vec![call("LATEST_BY_OFFSET", None), call("EARLIEST_BY_OFFSET", None), call("LATEST_BY_OFFSET", Some(2))];
        let key = Key::new(vec![KEY], plan.schema(rows));
        let grouped = plan.add(Operator::Aggregate { input: rows, key, aggregates, retention: None });
        // the last two as one number, which the test sees
        let list = Expr::column(3, Type::array(Type::Int));
        let item = |i: i32| crate::expr::typing::subscript(list.clone(), Expr::literal(Value::Int(i), Type::Int)).unwrap();
        let columns = vec![Expr::column(0, Type::Guid), Expr::column(1, Type::Int), Expr::column(2, Type::Int), item(1), item(2)];
        let names = columns.iter().map(|expr| Column::new("C", expr.ty.clone())).collect();
        let root = plan.transform(grouped, Mfp { predicates: vec![], columns }, names);
        show(&mut plan, root);
        goes_on(&plan, steps, &cuts, &workers, Duration::from_secs(3600))?;
    }

    #[test]
    fn any_plan_goes_on(shape in proptest::collection::vec((0u8..11, 0usize..8, 0usize..8), 1..7), steps in steps(), cuts in proptest::collection::vec(0usize..12, 1..3), workers in proptest::collection::vec(1usize..4, 1..4)) {
        // nothing expires within the test: what had is in the two others
        let plan = random_plan(&shape, Some(Duration::from_secs(3600)));
        goes_on(&plan, steps, &cuts, &workers, Duration::from_secs(3600))?;
    }
}
