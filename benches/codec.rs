//! Rows in transit between processes: what timely does (bincode), and what it could do.
//!
//! All encode the same updates of the inner join, as one message of 512 of them, and decode to where every row's bytes can be read. See "Why abomonation is not in the binary" in ARCHITECTURE.md:
//! this is the only place that uses it, and what it costs not to.
#![allow(unsafe_code)] // abomonation has no safe interface

mod common;

use std::hint::black_box;

use abomonation::{decode, encode};
use columnar::bytes::indexed;
use columnar::{Borrow, BorrowedOf, Columnar, FromBytes, Index, Len, Push};
use criterion::{Criterion, Throughput};
use helkflow::model::Row;
use helkflow::sysmon::Decoder;

/// As between workers: row, tick, and the two counts.
type Update = (Row, u64, (i32, i32));

/// The same without sharing, for those that do not know our row.
type Plain = (Vec<u8>, u64, (i32, i32));

const MESSAGE: usize = 512;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let updates = updates();
    let plain: Vec<Plain> =
        updates.iter().map(|(row, tick, diff)| (row.bytes().to_vec(), *tick, *diff)).collect();
    let payload: usize = plain.iter().map(|(row, _, _)| row.len()).sum();

    let mut words = Vec::new();
    columnar_encode(&plain, &mut words);
    let mut memory = Vec::new();
    // SAFETY: encoding reads the values and their padding, which abomonation accepts as bytes.
    unsafe { encode(&plain, &mut memory) }.expect("memory takes all");
    let sizes = [
        ("bincode", bincode::serialize(&updates).expect("it is serialisable").len()),
        ("postcard", postcard::to_stdvec(&updates).expect("it is serialisable").len()),
        ("columnar", 8 * words.len()),
        ("abomonation", memory.len()),
    ];
    println!(
        "{MESSAGE} rows of {} bytes on average; bytes for each in a message:",
        payload / MESSAGE
    );
    for (name, bytes) in sizes {
        println!("  {name} {}", bytes / MESSAGE);
    }

    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(MESSAGE as u64));

    let mut buffer = Vec::new();
    group.bench_function("encode/bincode", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            bincode::serialize_into(&mut buffer, &updates).expect("memory takes all");
        });
    });
    let encoded = buffer.clone();
    group.bench_function("decode/bincode", |bencher| {
        bencher.iter(|| {
            bytes_of(&bincode::deserialize::<Vec<Update>>(&encoded).expect("it was encoded"))
        });
    });

    group.bench_function("encode/postcard", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            buffer = postcard::to_extend(&updates, std::mem::take(&mut buffer))
                .expect("memory takes all");
        });
    });
    let encoded = buffer.clone();
    group.bench_function("decode/postcard", |bencher| {
        bencher.iter(|| {
            bytes_of(&postcard::from_bytes::<Vec<Update>>(&encoded).expect("it was encoded"))
        });
    });

    group.bench_function("encode/columnar", |bencher| {
        bencher.iter(|| columnar_encode(&plain, &mut words))
    });
    group.bench_function("decode/columnar", |bencher| {
        bencher.iter(|| {
            let rows = <BorrowedOf<'_, Plain>>::from_bytes(&mut indexed::decode(&words));
            (0..rows.len()).map(|i| rows.get(i).0.len()).sum::<usize>()
        });
    });

    group.bench_function("encode/abomonation", |bencher| {
        bencher.iter(|| {
            memory.clear();
            // SAFETY: as above.
            unsafe { encode(&plain, &mut memory) }.expect("memory takes all");
        });
    });
    group.bench_function("decode/abomonation", |bencher| {
        bencher.iter(|| {
            // SAFETY: `memory` was encoded from this type by this process. Allocations of this size are aligned for it, which abomonation takes for granted. Decoding twice writes the same pointers.
            let (rows, _) = unsafe { decode::<Vec<Plain>>(&mut memory) }.expect("it was encoded");
            black_box(rows.iter().map(|(row, _, _)| row.len()).sum::<usize>())
        });
    });
    group.finish();
    criterion.final_summary();
}

/// Rows of the inner join, as many as a message has.
fn updates() -> Vec<Update> {
    let mut decoder = Decoder::new(&[common::creates(), common::connections()]);
    let mut rows = common::Rows::default();
    common::decode(&mut decoder, &common::lines(30_000, "winlogbeat7"), &mut rows);
    let arena = helkflow::model::Arena::new(rows.arena);
    let updates: Vec<Update> = rows
        .ranges
        .into_iter()
        .take(MESSAGE)
        .enumerate()
        .map(|(i, (_, range))| (Row::new(&arena, range), 2 * i as u64, (1, 1)))
        .collect();
    assert_eq!(updates.len(), MESSAGE, "there are enough events");
    updates
}

fn columnar_encode(updates: &[Plain], words: &mut Vec<u64>) {
    let mut columns = <Plain as Columnar>::Container::default();
    for update in updates {
        columns.push(update);
    }
    words.clear();
    indexed::encode(words, &columns.borrow());
}

fn bytes_of(updates: &[Update]) -> usize {
    updates.iter().map(|(row, _, _)| row.bytes().len()).sum()
}
