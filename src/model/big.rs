//! Serial forms of big numbers, for what is kept over restarts: two's complement, and the scale of a decimal.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `#[serde(with = "big::integer")]`
pub mod integer {
    use super::{BigInt, Deserialize, Deserializer, Serializer};

    /// As bytes, least significant first.
    pub fn serialize<S: Serializer>(number: &BigInt, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&number.to_signed_bytes_le())
    }

    /// What [`serialize`] wrote.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BigInt, D::Error> {
        serde_bytes::ByteBuf::deserialize(deserializer)
            .map(|bytes| BigInt::from_signed_bytes_le(&bytes))
    }
}

/// `#[serde(with = "big::decimal")]`
pub mod decimal {
    use super::{BigDecimal, BigInt, Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Parts(#[serde(with = "super::integer")] BigInt, i64);

    /// As digits and scale.
    pub fn serialize<S: Serializer>(number: &BigDecimal, serializer: S) -> Result<S::Ok, S::Error> {
        let (digits, scale) = number.as_bigint_and_exponent();
        Parts(digits, scale).serialize(serializer)
    }

    /// What [`serialize`] wrote.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BigDecimal, D::Error> {
        Parts::deserialize(deserializer).map(|Parts(digits, scale)| BigDecimal::new(digits, scale))
    }
}
