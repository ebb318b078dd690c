//! Telling the shape of a record: the walk that every wanted record costs, with nothing extracted but the shape's name.

mod common;

use criterion::{BenchmarkId, Criterion, Throughput};
use helkflow::sysmon::Decoder;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("shape");
    for shape in common::SHAPES.into_iter().chain(["mixed"]) {
        let lines = common::lines(2000, shape);
        let (mut decoder, mut rows) =
            (Decoder::new(&[common::tap(&["SHAPE"], None)]), common::Rows::default());
        group.throughput(Throughput::Elements(lines.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(shape), |bencher| {
            bencher.iter(|| common::decode(&mut decoder, &lines, &mut rows));
        });
    }
    group.finish();
    criterion.final_summary();
}
