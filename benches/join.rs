//! The inner join from file to rows: helkflow with one and two workers, and the hand-written join of `ceiling.rs`. Only events 1 and 3, so that joining counts.

#[allow(dead_code)] // its `main`
mod ceiling;
mod common;

use std::path::PathBuf;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use helkflow::dataflow::Cluster;
use helkflow::engine::{Reading, Replay, script};
use helkflow::sysmon::{Decoder, RecordMeta};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut lines = common::lines(60_000, "winlogbeat7");
    lines.retain(|line| wanted(line));
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let input = folder.path().join("events.ndjson");
    std::fs::write(&input, lines.join(&b'\n')).expect("it can be written");

    let mut group = criterion.benchmark_group("join");
    group.sample_size(10);
    group.throughput(Throughput::Elements(lines.len() as u64));
    group.bench_function("ceiling", |bencher| {
        bencher.iter(|| {
            ceiling::inner_join(std::slice::from_ref(&input), &mut Vec::new())
                .expect("it can be read")
        });
    });
    for workers in [1, 2] {
        group.bench_function(format!("helkflow, workers: {workers}"), |bencher| {
            bencher.iter(|| replay(&input, workers))
        });
    }
    group.finish();
    criterion.final_summary();
}

fn wanted(line: &[u8]) -> bool {
    let mut rows = common::Rows::default();
    let decoded = Decoder::new(&[common::creates(), common::connections()]).decode(
        line,
        &RecordMeta::default(),
        &mut rows,
    );
    decoded.is_ok() && !rows.ranges.is_empty()
}

fn replay(input: &std::path::Path, workers: usize) -> usize {
    let replay = Replay {
        plan: script::bind("inner_join", include_str!("inner_join.sql"), None)
            .expect("it is right")
            .plan,
        view: None,
        inputs: vec![PathBuf::from(input)],
        topics: Vec::new(),
        cluster: Cluster::local(workers),
        allowed_lateness: None,
        dead_letters: None,
        changes: None,
        stop: Arc::default(),
        reading: Reading::default(),
    };
    replay.prepare().expect("the input is there").run().expect("it can be read").rows.len()
}
