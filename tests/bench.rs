//! `scripts/bench` compares helkflow with the hand-written join of `benches/ceiling.rs`, which makes sense only while both do the same.

#[path = "../benches/ceiling.rs"]
#[allow(dead_code)] // its `main`
mod ceiling;
mod common;

use clap::Parser;
use helkflow::cli::generate::{self, GenerateArgs};
use proptest::prelude::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    generate: GenerateArgs,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn the_ceiling_gives_the_same_lines(seed: u64, shuffle in 0..500, duplicates in 0..20, zero_guids in 0..20, mixed: bool) {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("events.ndjson");
        let options = format!(
            "generate --events 1500 --hosts 9 --seed {seed} --shape mixed --shuffle {shuffle} --duplicates {duplicates} --zero-guids {zero_guids} --late-creates 20{} -o",
            if mixed { " --mixed-guid-case" } else { "" },
        );
        let options = options.split(' ').map(std::ffi::OsStr::new).chain([input.as_os_str()]);
        generate::run(&Cli::try_parse_from(options).unwrap().generate).unwrap();

        let mut output = Vec::new();
        let counts = ceiling::inner_join(&[input.clone(), input.clone()], &mut output).unwrap();
        let lines: Vec<String> = String::from_utf8(output).unwrap().lines().map(str::to_owned).collect();
        prop_assert_eq!(&lines, &common::Run::new(include_str!("../benches/inner_join.sql"), &[input.clone(), input]).lines());
        prop_assert_eq!(counts, ceiling::Counts { rows: lines.len(), unreadable: 0 });
        prop_assert!(!lines.is_empty());
    }
}
