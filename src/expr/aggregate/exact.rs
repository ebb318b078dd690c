//! Exact sums of doubles.
//!
//! Floating-point addition is not associative: a sum would depend on the order of arrival, on the number of workers, and on what was added and
//! taken away again. Every finite double is a whole multiple of 2⁻¹⁰⁷⁴, so sums (and sums of products, in multiples of 2⁻²¹⁴⁸) are kept as
//! integers and rounded once, when they are read. That is slower than adding doubles, by far more digits than anyone needs, and always right.

use bigdecimal::ToPrimitive;
use bigdecimal::num_bigint::{BigInt, Sign};
use serde::{Deserialize, Serialize};

/// The sum of a multiset of doubles.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ExactSum {
    /// In multiples of 2⁻¹⁰⁷⁴.
    #[serde(with = "crate::model::big::integer")]
    finite: BigInt,
    nan: i64,
    positive: i64,
    negative: i64,
}

/// The binary exponent of [`ExactSum`]'s unit.
const UNIT: i64 = -1074;

impl ExactSum {
    pub(super) fn add(&mut self, value: f64, count: i64) {
        if value.is_nan() {
            self.nan += count;
        } else if value == f64::INFINITY {
            self.positive += count;
        } else if value == f64::NEG_INFINITY {
            self.negative += count;
        } else {
            self.finite += units(value) * count;
        }
    }

    pub(super) fn value(&self) -> f64 {
        match (self.nan != 0, self.positive != 0, self.negative != 0) {
            (true, ..) | (_, true, true) => f64::NAN,
            (_, true, _) => f64::INFINITY,
            (_, _, true) => f64::NEG_INFINITY,
            _ => rounded(&self.finite, UNIT),
        }
    }
}

/// A finite double in multiples of 2⁻¹⁰⁷⁴.
fn units(value: f64) -> BigInt {
    let bits = value.to_bits();
    let exponent = (bits >> 52) & 0x7ff;
    let fraction = bits & ((1 << 52) - 1);
    // a subnormal has exponent 0 and no hidden bit; the smallest normal one has exponent 1 and the same unit
    let (mantissa, shift) =
        if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
    let magnitude = BigInt::from(mantissa) << shift;
    if value.is_sign_negative() { -magnitude } else { magnitude }
}

/// `value`·2^`exponent`, rounded to the nearest double.
fn rounded(value: &BigInt, exponent: i64) -> f64 {
    let extra = value.bits().saturating_sub(64);
    let magnitude = value.magnitude();
    let top = (magnitude >> extra).to_u64().expect("64 bits are left");
    // what was shifted out must not make a tie of what is none; 64 bits leave room below the 53 that are kept
    let sticky = u64::from(magnitude.trailing_zeros().is_some_and(|zeros| zeros < extra));
    let mut result = (top | sticky) as f64;
    let mut exponent = exponent + extra as i64;
    while exponent != 0 && result != 0.0 && result.is_finite() {
        let step = exponent.clamp(-1000, 1000);
        result *= 2f64.powi(step as i32);
        exponent -= step;
    }
    if value.sign() == Sign::Minus { -result } else { result }
}

/// The moments of a multiset of pairs: enough for variance and correlation, exactly.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Moments {
    count: i64,
    /// Pairs with a number that is not finite: while there is one, there is no result.
    unusable: i64,
    #[serde(with = "crate::model::big::integer")]
    x: BigInt,
    #[serde(with = "crate::model::big::integer")]
    y: BigInt,
    #[serde(with = "crate::model::big::integer")]
    xx: BigInt,
    #[serde(with = "crate::model::big::integer")]
    yy: BigInt,
    #[serde(with = "crate::model::big::integer")]
    xy: BigInt,
}

impl Moments {
    pub(super) fn add(&mut self, x: f64, y: f64, count: i64) {
        if !x.is_finite() || !y.is_finite() {
            self.unusable += count;
            return;
        }
        let (x, y) = (units(x), units(y));
        self.count += count;
        self.xx += &x * &x * count;
        self.yy += &y * &y * count;
        self.xy += &x * &y * count;
        self.x += x * count;
        self.y += y * count;
    }

    /// `n·Σab − Σa·Σb`, in multiples of 2⁻²¹⁴⁸.
    fn co(&self, ab: &BigInt, a: &BigInt, b: &BigInt) -> f64 {
        rounded(&(ab * self.count - a * b), 2 * UNIT)
    }

    /// The sample's standard deviation of the first components; 0 of fewer than two, as in ksqlDB.
    pub(super) fn deviation(&self) -> f64 {
        if self.count + self.unusable < 2 {
            return 0.0;
        }
        if self.unusable != 0 {
            return f64::NAN;
        }
        let n = self.count as f64;
        (self.co(&self.xx, &self.x, &self.x) / (n * (n - 1.0))).sqrt()
    }

    /// Pearson's coefficient; NaN where it is not defined, `None` of nothing.
    pub(super) fn correlation(&self) -> Option<f64> {
        if self.unusable != 0 {
            return Some(f64::NAN);
        }
        if self.count < 1 {
            return None;
        }
        let (xx, yy) = (self.co(&self.xx, &self.x, &self.x), self.co(&self.yy, &self.y, &self.y));
        Some(self.co(&self.xy, &self.x, &self.y) / xx.sqrt() / yy.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bigdecimal::Zero;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_double_is_its_own_sum(bits: u64) {
            let value = f64::from_bits(bits);
            let mut sum = ExactSum::default();
            sum.add(value, 1);
            if value.is_nan() {
                prop_assert!(sum.value().is_nan());
            } else {
                // −0 sums to 0
                prop_assert_eq!(sum.value().to_bits(), (value + 0.0).to_bits());
            }
        }

        #[test]
        fn two_doubles_add_as_ieee_754_does(a: f64, b: f64) {
            let mut sum = ExactSum::default();
            sum.add(a, 1);
            sum.add(b, 1);
            prop_assert_eq!(sum.value().to_bits(), (a + b + 0.0).to_bits());
        }

        #[test]
        fn what_is_taken_away_leaves_no_trace(kept: Vec<f64>, gone: Vec<f64>) {
            let (mut with, mut without) = (ExactSum::default(), ExactSum::default());
            for (values, count) in [(&gone, 1), (&kept, 1), (&gone, -1)] {
                for value in values {
                    with.add(*value, count);
                }
            }
            for value in kept.iter().rev() {
                without.add(*value, 1);
            }
            prop_assert_eq!(with.value().to_bits(), without.value().to_bits());
        }

        #[test]
        fn deviation_agrees_with_the_textbook(values in proptest::collection::vec(-1e6f64..1e6, 2..20)) {
            let mut moments = Moments::default();
            for value in &values {
                moments.add(*value, *value, 1);
            }
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let expected = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
            prop_assert!((moments.deviation() - expected).abs() <= 1e-6 * expected.max(1.0));
            if expected > 1.0 {
                prop_assert!((moments.correlation().unwrap() - 1.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn zero_is_positive() {
        let mut sum = ExactSum::default();
        assert!(sum.finite.is_zero());
        sum.add(-0.0, 1);
        assert!(sum.value().is_sign_positive());
    }
}
