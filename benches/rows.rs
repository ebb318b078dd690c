//! Packed rows: writing them from JSON content and from text, reading columns, and JSON lines out of them.

mod common;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use helkflow::model::{Guid, RowRef, RowWriter, Timestamp, Type};

const WIDTH: usize = 5;
const TYPES: [Type; WIDTH] = [Type::Timestamp, Type::Guid, Type::Varchar, Type::Varchar, Type::Int];
const ROWS: u64 = 1000;
const IMAGE: &str = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe";
const IMAGE_AS_JSON: &[u8] = br"C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe";
const ADDRESS: &[u8] = b"198.51.100.23";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("rows");
    group.throughput(Throughput::Elements(ROWS));
    let mut arena = Vec::new();
    group.bench_function("write, text from JSON", |bencher| {
        bencher.iter(|| {
            arena.clear();
            (0..ROWS).for_each(|i| write(&mut arena, i, |writer| writer.json_text(IMAGE_AS_JSON)));
        });
    });
    group.bench_function("write, text", |bencher| {
        bencher.iter(|| {
            arena.clear();
            (0..ROWS).for_each(|i| write(&mut arena, i, |writer| writer.text(IMAGE)));
        });
    });
    let ranges: Vec<_> = {
        arena.clear();
        (0..ROWS)
            .map(|i| {
                let start = arena.len();
                write(&mut arena, i, |writer| writer.json_text(IMAGE_AS_JSON));
                start..arena.len()
            })
            .collect()
    };
    let row = |range: &std::ops::Range<usize>| RowRef::new(&arena[range.clone()], WIDTH);
    group.bench_function("copy two columns", |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| {
            out.clear();
            for range in &ranges {
                let mut writer = RowWriter::new(&mut out, 2);
                writer.raw(row(range).raw(3));
                writer.raw(row(range).raw(1));
                black_box(writer.finish());
            }
        });
    });
    group.bench_function("to JSON", |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| {
            out.clear();
            for range in &ranges {
                TYPES
                    .iter()
                    .enumerate()
                    .for_each(|(i, ty)| row(range).raw(i).write_json(ty, &mut out));
            }
        });
    });
    group.finish();
    criterion.final_summary();
}

fn write<R>(arena: &mut Vec<u8>, i: u64, image: impl FnOnce(&mut RowWriter<'_>) -> R) {
    let mut writer = RowWriter::new(arena, WIDTH);
    writer.timestamp(Timestamp(1_700_000_000_000 + i as i64));
    writer.guid(Guid(u128::from(i) << 64 | 1));
    image(&mut writer);
    writer.json_text(ADDRESS);
    writer.int(443);
    black_box(writer.finish());
}
