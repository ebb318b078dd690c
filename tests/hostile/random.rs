//! Chance that is the same each time, and rounds of it.

use std::time::{Duration, Instant};

/// SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Less than `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub fn choose<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }

    /// Bytes that mean something to a scanner of JSON or XML, and others.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        const TELLING: &[u8] =
            b"[]{}\",:\\<>/&; \t\r\x0b\x0c\0\x1f\x7f\xef\xbb\xbf\xc3\xff01e+-.tfn";
        let length = 1 + self.below(most);
        let byte = |random: &mut Random| match random.below(4) {
            0 => random.next() as u8,
            _ => TELLING[random.below(TELLING.len())],
        };
        (0..length).map(|_| byte(self)).filter(|byte| *byte != b'\n').collect()
    }
}

/// Runs `round` with one seed after the other, for as long as a mutator goes on and at least once.
pub fn rounds(mut round: impl FnMut(u64)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("HELKFLOW_HOSTILE_SECONDS").unwrap_or(8);
    let first = number("HELKFLOW_HOSTILE_SEED").unwrap_or(1);
    let began = Instant::now();
    for seed in first.. {
        let told = Told(seed);
        round(seed);
        std::mem::forget(told);
        if began.elapsed() >= Duration::from_secs(seconds) {
            eprintln!("seeds {first} to {seed}");
            return;
        }
    }
}

/// Tells the seed of a round that fails.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        eprintln!("failed with HELKFLOW_HOSTILE_SEED={}", self.0);
    }
}
