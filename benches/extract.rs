//! Extracting columns: records that are wanted, with the columns of the inner join; with all that `process_network` may ask for; and records that nobody wants.

mod common;

use criterion::{BenchmarkId, Criterion, Throughput};
use helkflow::sysmon::{Decoder, EventSet, RecordMeta, Tap, schema};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("extract");
    let everything = Tap { columns: (0..schema().columns.len()).collect(), events: None };
    for shape in common::SHAPES {
        let lines = common::lines(4000, shape);
        let network: Vec<_> = lines.iter().filter(|line| is_connection(line)).cloned().collect();
        let others: Vec<_> = lines.iter().filter(|line| !is_connection(line)).cloned().collect();
        let cases = [
            ("wanted", &network, vec![common::creates(), common::connections()]),
            ("all columns", &lines, vec![everything.clone()]),
            ("unwanted", &others, vec![common::connections()]),
        ];
        for (name, lines, taps) in cases {
            let (mut decoder, mut rows) = (Decoder::new(&taps), common::Rows::default());
            group.throughput(Throughput::Elements(lines.len() as u64));
            group.bench_function(BenchmarkId::new(name, shape), |bencher| {
                bencher.iter(|| common::decode(&mut decoder, lines, &mut rows));
            });
        }
    }
    group.finish();
    criterion.final_summary();
}

fn is_connection(line: &[u8]) -> bool {
    let mut rows = common::Rows::default();
    let decoded = Decoder::new(&[common::tap(&["EVENT_ID"], Some(EventSet::of(3)))]).decode(
        line,
        &RecordMeta::default(),
        &mut rows,
    );
    decoded.is_ok() && !rows.ranges.is_empty()
}
