//! The options of `run`, as they are given.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::cli::hosts::HostsArgs;
use crate::cli::units::{duration, size, time};
use crate::format::rendering::As;
use crate::model::Timestamp;

/// Run dataflows on Kafka: topics in, topics out, until told to stop
///
/// Reads the topics of the statements, keeps their tables up to date, and writes every CREATE … AS SELECT to its topic. With --state-dir a run goes on where it was, however it ended, and publishes
/// everything exactly once; without, it remembers nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  helkflow run process_network --bootstrap-servers broker:9092 --state-dir /var/lib/helkflow
  helkflow run mine.sql sysmon_join -X security.protocol=SASL_SSL --properties sasl.properties
  helkflow run process_network --view process_network --http 0.0.0.0:8088

Run `helkflow run --help` for what the options mean.",
    after_long_help = "\
Configuration:
  What is not given as a flag is taken from the environment, then from the --config file, then from
  SET in the statements, then it is the default. The file is TOML, with the names of the flags as
  keys, and Kafka properties as a table:
    files = [\"process_network\"]
    bootstrap-servers = \"broker:9092\"
    state-dir = \"/var/lib/helkflow\"
    allowed-lateness = \"1h\"
    [kafka]
    \"security.protocol\" = \"SSL\"
  Kafka properties are librdkafka's. Whatever is given as -X KEY=VALUE shows in the list of
  processes, to every user of the machine, so passwords and other secrets belong elsewhere: in a
  file that only the service may read (--properties, or [kafka] in --config), or in the
  environment. The environment has them as HELKFLOW_KAFKA_SECURITY_PROTOCOL;
  KSQL_SECURITY_PROTOCOL, KSQL_BOOTSTRAP_SERVERS and the like, as KSQL's containers have them, are
  read as well.

Topics:
  Topics that are read are waited for. Topics that are written are made if they are missing, with
  PARTITIONS (1) and REPLICAS (the broker's default) of their WITH clause; those of tables are
  compacted, and a deletion is a tombstone. What cannot be decoded goes to SERVICE_dead_letters
  with its origin and reason as headers.

  With --as the values of network views have the names of Sysmon (flat), of HELK's SYSMON_JOIN
  (helk), or of the Elastic Common Schema (ecs). A network view has at least EVENT_KEY, EVENT_TIME,
  PROCESS_GUID, SOURCE_IP and DESTINATION_IP, and JSON values; others are as they are.

Exactly once:
  Consumers must read with isolation.level=read_committed. The run's progress is kept in topic
  SERVICE_progress; its transactional id is SERVICE, so two runs need two --service-id. Without
  exactly once, a run is a member of the group SERVICE_runs, and warns when another one is as well.

Exit codes:
  0    told to stop by SIGTERM or SIGINT; everything that was read is published
  1    failed while running
  2    wrong usage: an option, the configuration, SQL
  167  resident memory was above --memory-limit

Examples:
  helkflow run process_network --bootstrap-servers broker:9092 --state-dir /var/lib/helkflow
  helkflow run mine.sql sysmon_join -X security.protocol=SASL_SSL --properties sasl.properties
  helkflow run process_network --view process_network --http 0.0.0.0:8088"
)]
pub struct RunArgs {
    /// Shipped dataflows (see `helkflow dataflows`) or files of SQL, run as one
    #[arg(value_name = "NAME|FILE.sql", env = "HELKFLOW_FILES", value_delimiter = ',')]
    pub files: Vec<String>,

    /// Read configuration from FILE
    #[arg(long, value_name = "FILE.toml", env = "HELKFLOW_CONFIG")]
    pub config: Option<PathBuf>,

    /// What may also be configured by the file.
    #[command(flatten)]
    pub options: Options,

    /// Set a Kafka property, by librdkafka's name; may be given several times. Every user of the machine can see it in the list of processes: a password belongs in --properties, the environment or --config
    #[arg(short = 'X', value_name = "KEY=VALUE", value_parser = property, help_heading = "Kafka")]
    pub property: Vec<(String, String)>,

    /// Read Kafka properties from FILE, a line KEY=VALUE for each
    #[arg(long, value_name = "FILE", env = "HELKFLOW_PROPERTIES", help_heading = "Kafka")]
    pub properties: Option<PathBuf>,

    /// Several processes.
    #[command(flatten)]
    pub hosts: HostsArgs,
}

/// Options that flags, the environment and the configuration file have in common. Each is taken from the first of them that has it.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Options {
    /// Brokers to begin with [default: localhost:9092]
    #[arg(
        long,
        value_name = "HOST:PORT,…",
        env = "HELKFLOW_BOOTSTRAP_SERVERS",
        help_heading = "Kafka"
    )]
    pub bootstrap_servers: Option<String>,

    /// Name of the run: consumer group, transactional id, and prefix of its own topics [default: helkflow]
    #[arg(long, value_name = "NAME", env = "HELKFLOW_SERVICE_ID", help_heading = "Kafka")]
    pub service_id: Option<String>,

    /// Where partitions are begun that were never read: earliest or latest [default: earliest]
    #[arg(long, value_name = "WHERE", env = "HELKFLOW_AUTO_OFFSET_RESET", help_heading = "Kafka")]
    pub auto_offset_reset: Option<String>,

    /// Begin them at the first record of this time or later instead, as 2026-01-15T09:00Z
    #[arg(long, value_name = "TIME", env = "HELKFLOW_FROM", value_parser = time, help_heading = "Kafka")]
    #[serde(deserialize_with = "by_time")]
    pub from: Option<Timestamp>,

    /// Fail if a topic that is read does not exist [default: wait for it]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", env = "HELKFLOW_REQUIRE_TOPICS", help_heading = "Kafka")]
    pub require_topics: Option<bool>,

    /// exactly_once_v2 or at_least_once [default: exactly_once_v2 with --state-dir, at_least_once without]
    #[arg(
        long,
        value_name = "GUARANTEE",
        env = "HELKFLOW_PROCESSING_GUARANTEE",
        help_heading = "Kafka"
    )]
    pub processing_guarantee: Option<String>,

    /// How long results may wait for others to share their transaction [default: 50ms, and 5ms for at_least_once]
    #[arg(long, value_name = "DURATION", env = "HELKFLOW_COMMIT_INTERVAL", value_parser = duration, help_heading = "Kafka")]
    #[serde(deserialize_with = "by_duration")]
    pub commit_interval: Option<Duration>,

    /// Publish only this view, and compute others only for it; may be given several times [default: every CREATE … AS SELECT]
    #[arg(long, value_name = "NAME", env = "HELKFLOW_VIEW", value_delimiter = ',')]
    pub view: Option<Vec<String>>,

    /// Write the JSON values of network views in the words of others [default: the columns of the view]
    #[arg(long = "as", value_enum, value_name = "KIND", env = "HELKFLOW_AS")]
    #[serde(rename = "as")]
    pub rendering: Option<As>,

    /// Worker threads [default: one for each processor]
    #[arg(short, long, value_name = "N", env = "HELKFLOW_WORKERS", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub workers: Option<usize>,

    /// How late events may be before state is let go; WITHIN and RETENTION are counted from there [default: 1h]
    #[arg(long, value_name = "DURATION", env = "HELKFLOW_ALLOWED_LATENESS", value_parser = duration)]
    #[serde(deserialize_with = "by_duration")]
    pub allowed_lateness: Option<Duration>,

    /// How long before its arrival an event's time counts for at least; older ones keep state no longer [default: 365d]
    #[arg(long, value_name = "DURATION", env = "HELKFLOW_MAX_EVENT_AGE", value_parser = duration)]
    #[serde(deserialize_with = "by_duration")]
    pub max_event_age: Option<Duration>,

    /// After how long a partition holds no state back any more that stays more than a day behind the others [default: 15m]
    #[arg(long, value_name = "DURATION", env = "HELKFLOW_STRAGGLER_TIMEOUT", value_parser = duration)]
    #[serde(deserialize_with = "by_duration")]
    pub straggler_timeout: Option<Duration>,

    /// Bytes of a process's own command line that rows of shipped dataflows have, before its length and hash [default: 32K]
    #[arg(long, value_name = "BYTES", env = "HELKFLOW_MAX_COMMAND_LINE", value_parser = size)]
    #[serde(deserialize_with = "by_size")]
    pub max_command_line: Option<u64>,

    /// The same of each ancestor, for its command line and its image [default: 8K]
    #[arg(long, value_name = "BYTES", env = "HELKFLOW_MAX_ANCESTOR", value_parser = size)]
    #[serde(deserialize_with = "by_size")]
    pub max_ancestor: Option<u64>,

    /// Where state is kept over restarts [default: nowhere]
    #[arg(long, value_name = "DIR", env = "HELKFLOW_STATE_DIR", help_heading = "State")]
    pub state_dir: Option<PathBuf>,

    /// Forget the state that is there, and publish everything again [default: go on with it]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", help_heading = "State")]
    #[serde(skip)]
    pub reset: Option<bool>,

    /// How often state is made durable; after a crash what came since is read again [default: 1s]
    #[arg(long, value_name = "DURATION", env = "HELKFLOW_CHECKPOINT_INTERVAL", value_parser = duration, help_heading = "State")]
    #[serde(deserialize_with = "by_duration")]
    pub checkpoint_interval: Option<Duration>,

    /// Serve /metrics and /healthz at this address [default: nowhere]
    #[arg(long, value_name = "HOST:PORT", env = "HELKFLOW_HTTP", help_heading = "Watching")]
    pub http: Option<String>,

    /// How the log is written
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        env = "HELKFLOW_LOG_FORMAT",
        help_heading = "Watching"
    )]
    pub log_format: Option<LogFormat>,

    /// End the process, to be started again, when nothing has moved for so long though records are waiting [default: 5m]
    #[arg(long, value_name = "DURATION", env = "HELKFLOW_WATCHDOG", value_parser = duration, help_heading = "Watching")]
    #[serde(deserialize_with = "by_duration")]
    pub watchdog: Option<Duration>,

    /// End the process with exit code 167 when its resident memory is above this, as 2G [default: no limit]
    #[arg(long, value_name = "BYTES", env = "HELKFLOW_MEMORY_LIMIT", value_parser = size, help_heading = "Watching")]
    #[serde(deserialize_with = "by_size")]
    pub memory_limit: Option<u64>,
}

/// How the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

fn parsed<'de, D: serde::Deserializer<'de>, T>(
    deserializer: D,
    parse: fn(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map(Some).map_err(serde::de::Error::custom)
}

fn by_duration<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    parsed(deserializer, duration)
}

fn by_size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    parsed(deserializer, size)
}

fn by_time<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    parsed(deserializer, time)
}
