//! The status of a run in Prometheus' text format.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::engine::live::Status;
use crate::store::Node;

/// All metrics of a run.
pub fn text(status: Status) -> String {
    let mut registry = Registry::with_prefix("helkflow");
    registry.register_collector(Box::new(Metrics(status)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("writing to memory");
    text
}

#[derive(Debug)]
struct Metrics(Status);

type Labels = Vec<(&'static str, String)>;

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = &self.0;
        let by_partition =
            |value: &dyn Fn(&crate::connect::kafka::Seen, i64) -> u64| -> Vec<(Labels, u64)> {
                let entry = |((topic, partition), (seen, end)): (
                    &(std::sync::Arc<str>, i32),
                    &(crate::connect::kafka::Seen, i64),
                )| {
                    (
                        vec![("topic", topic.to_string()), ("partition", partition.to_string())],
                        value(seen, *end),
                    )
                };
                status.partitions.iter().map(entry).collect()
            };
        let one = |value: u64| vec![(Labels::new(), value)];
        counter(&mut encoder, "records_in", "Records read", by_partition(&|seen, _| seen.records))?;
        counter(
            &mut encoder,
            "bytes_in",
            "Bytes of their keys and values",
            by_partition(&|seen, _| seen.bytes),
        )?;
        let dead =
            |((topic, partition, reason), count): (&(std::sync::Arc<str>, i32, &str), &u64)| {
                (
                    vec![
                        ("topic", topic.to_string()),
                        ("partition", partition.to_string()),
                        ("reason", (*reason).to_owned()),
                    ],
                    *count,
                )
            };
        counter(
            &mut encoder,
            "dead_letters",
            "Records that could not be decoded and went to the dead letter topic, by reason",
            status.dead.iter().map(dead).collect(),
        )?;
        counter(
            &mut encoder,
            "records_empty",
            "Records without value that mean nothing",
            by_partition(&|seen, _| seen.empty),
        )?;
        gauge(
            &mut encoder,
            "lag",
            "Records of the partition that are not yet read and published",
            by_partition(&|seen, end| u64::try_from(end - seen.published).unwrap_or(0)),
        )?;
        let written = status
            .written
            .iter()
            .map(|(topic, count)| (vec![("topic", topic.to_string())], *count))
            .collect();
        counter(&mut encoder, "records_out", "Records written", written)?;
        let counters = status
            .counters
            .iter()
            .map(|(reason, count)| (vec![("reason", reason.to_string())], *count))
            .collect();
        counter(
            &mut encoder,
            "rows_noted",
            "Rows dropped, late or changed by a failure, by reason",
            counters,
        )?;
        let events = status
            .stats
            .events
            .iter()
            .map(|(event, count)| (vec![("event_id", event.to_string())], *count))
            .collect();
        counter(&mut encoder, "events", "Sysmon events decoded", events)?;
        counter(
            &mut encoder,
            "records_passed_over",
            "Records whose event no statement reads",
            one(status.stats.passed_over),
        )?;
        let kept = |((operator, node), size): (&(String, Node), &usize)| {
            (vec![("operator", operator.clone()), ("node", node.to_string())], *size as u64)
        };
        gauge(
            &mut encoder,
            "rows_kept",
            "Rows that operators keep; in an index also what is gone and not merged away yet",
            status.kept.iter().map(kept).collect(),
        )?;
        counter(
            &mut encoder,
            "ticks",
            "Ticks that the dataflow is through with",
            one(status.ticks),
        )?;
        gauge(
            &mut encoder,
            "frontier_lag_milliseconds",
            "How far the dataflow is behind the clock",
            one(status.frontier_lag_ms),
        )?;
        gauge(
            &mut encoder,
            "published_lag_milliseconds",
            "How far what is published is behind the clock",
            one(status.published_lag_ms),
        )?;
        gauge(
            &mut encoder,
            "in_flight_bytes",
            "Records read and not yet published",
            one(status.in_flight as u64),
        )?;
        gauge(&mut encoder, "resident_bytes", "Resident memory", one(status.resident))?;
        if let Some(state) = &status.state {
            gauge(&mut encoder, "state_bytes", "State on disk", one(state.bytes))?;
            gauge(
                &mut encoder,
                "state_entries",
                "Entries of the state on disk, superseded ones included",
                one(state.entries),
            )?;
            gauge(&mut encoder, "state_runs", "Files of the state", one(state.runs as u64))?;
            gauge(
                &mut encoder,
                "journal_bytes",
                "Changes of state that no checkpoint has",
                one(status.journal as u64),
            )?;
            counter(&mut encoder, "checkpoints", "Checkpoints made", one(status.checkpoints))?;
        }
        Ok(())
    }
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: Vec<(Labels, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: Vec<(Labels, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
            .encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
