//! How far a run has published, as the broker knows it.
//!
//! The progress topic has one partition and keeps the last record of each key; a run writes its progress under its own name, in the transaction that has the records themselves. So both are there or neither.
//!
//! It is read twice: before the producer is opened, so that a run that may not go on from it disturbs nobody, and after, when nobody else can write any more.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use super::client::{Client, ClientError, Context};

/// What is published.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// All changes of ticks before this one; the tick before it has some.
    pub tick: u64,
    /// Of these views.
    pub views: Vec<String>,
    /// The life of the run that has published it: two runs with the same name, as of a copied state, have different ones.
    #[serde(default)]
    pub life: String,
}

/// How much of the topic's end is looked at first.
const FIRST_LOOK: i64 = 64;

/// Reads the progress of the run of that name: `None` when it has none. An error of the broker's is told as text and may be tried again.
pub fn read(
    client: &Client,
    topic: &str,
    name: &str,
    timeout: Duration,
) -> Result<Result<Option<Progress>, String>, ClientError> {
    let consumer: BaseConsumer<Context> = client.make(
        // the end of the topic is told when a fetch finds nothing
        &[("fetch.wait.max.ms", "20")],
        &[
            ("group.id", name),
            ("enable.auto.commit", "false"),
            ("isolation.level", "read_committed"),
            ("enable.partition.eof", "true"),
        ],
    )?;
    Ok(search(&consumer, topic, name, Instant::now() + timeout).map_err(|error| error.to_string()))
}

fn search(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    name: &str,
    deadline: Instant,
) -> Result<Option<Progress>, KafkaError> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let (low, high) = match consumer.fetch_watermarks(topic, 0, left()) {
        // there is no such topic, so there is no progress
        Err(error)
            if matches!(
                error.rdkafka_error_code(),
                Some(
                    RDKafkaErrorCode::UnknownTopicOrPartition
                        | RDKafkaErrorCode::UnknownPartition
                        | RDKafkaErrorCode::UnknownTopic
                )
            ) =>
        {
            return Ok(None);
        }
        other => other?,
    };
    let mut look = FIRST_LOOK;
    loop {
        let from = low.max(high - look);
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, 0, Offset::Offset(from))?;
        consumer.assign(&assignment)?;
        let mut found = None;
        loop {
            match consumer.poll(left()) {
                None => {
                    return Err(KafkaError::MessageConsumption(
                        RDKafkaErrorCode::OperationTimedOut,
                    ));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) => return Err(error),
                Some(Ok(message)) => {
                    if message.key() == Some(name.as_bytes()) {
                        found = message
                            .payload()
                            .and_then(|value| serde_json::from_slice(value).ok())
                            .or(found);
                    }
                }
            }
        }
        if found.is_some() || from <= low {
            return Ok(found);
        }
        look *= 32;
    }
}
