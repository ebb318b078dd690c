//! The inner join of connections with creates over the captures, on a plan made by hand.
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use helkflow::dataflow::Cluster;
use helkflow::engine::Replay;
use helkflow::expr::Expr;
use helkflow::model::{RowRef, Type, Value};
use helkflow::plan::*;
use helkflow::sysmon::{EventSet, schema};

#[test]
fn inner() {
    for w in [1, 2, 4] {
    let mut plan = Plan::default();
    let format = Arc::new(Format::Sysmon);
    let at = |names: &[&str]| names.iter().map(|n| schema().position(n).unwrap()).collect::<Vec<_>>();
    let net = plan.add(Operator::Source(Source { topic: "w".into(), format: format.clone(), columns: at(&["UTC_TIME", "PROCESS_GUID", "IMAGE", "DESTINATION_IP", "DESTINATION_PORT"]), events: Some(EventSet::of(3)) }));
    let create = plan.add(Operator::Source(Source { topic: "w".into(), format, columns: at(&["PROCESS_GUID", "COMMAND_LINE", "PARENT_IMAGE"]), events: Some(EventSet::of(1)) }));
    let nk = Key::new(vec![1], plan.schema(net));
    let ck = Key::new(vec![0], plan.schema(create));
    let left = plan.add(Operator::Arrange { input: net, key: nk });
    let right = plan.add(Operator::Arrange { input: create, key: ck });
    let all = plan.joined_schema(left, right);
    let columns = [0, 1, 2, 3, 4, 6, 7].map(|i| Expr::column(i, all.columns[i].ty.clone())).to_vec();
    let join = plan.add(Operator::Join { left, right, kind: JoinKind::Left, mfp: Mfp { predicates: vec![], columns }, unkeyed: Some(net) });
    plan.views.push(View { name: "V".into(), kind: ViewKind::Stream, topic: "V".into(), root: join });
    println!("{}", optimize(&plan, &[0], false).explain());
    let capture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/captures/empire_dcom_shellwindows_stager.zip");
    let replay = Replay { plan, view: None, inputs: vec![capture], topics: vec![], cluster: Cluster::local(w), allowed_lateness: None, dead_letters: None, changes: None, stop: Arc::new(AtomicBool::new(false)), chunk_bytes: 1 << 16 };
    let prepared = replay.prepare().unwrap();
    let types: Vec<Type> = prepared.schema().columns.iter().map(|c| c.ty.clone()).collect();
    let out = prepared.run().unwrap();
    let inner = out.rows.iter().filter(|(r, _)| !matches!(RowRef::new(r.bytes(), 7).value(5, &types[5]), Value::Null)).map(|r| r.1).sum::<i64>();
    println!("rows {} total {} inner {inner} records {} stats {:?}", out.rows.len(), out.rows.iter().map(|r| r.1).sum::<i64>(), out.records, out.stats.events);
    }
}
