//! A broker, topics of its own for each test, and a run of the binary on them.
//!
//! `HELKFLOW_KAFKA` names the broker (`scripts/test` starts one). Without it a test says so and passes, unless `CI=true`.
#![allow(dead_code)] // each test binary uses a part of it

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

/// How long anything may take that must happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The broker's address.
pub fn broker() -> Option<String> {
    let address = std::env::var("HELKFLOW_KAFKA").ok().filter(|address| !address.is_empty());
    if address.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "HELKFLOW_KAFKA names no broker");
        eprintln!("SKIPPED: HELKFLOW_KAFKA names no broker");
    }
    address
}

/// A name that no other test has.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A record as a consumer sees it that reads what is committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: BTreeMap<String, String>,
}

impl Record {
    pub fn text(&self) -> String {
        String::from_utf8(self.value.clone().unwrap()).unwrap()
    }
}

/// What a test has on the broker.
pub struct Kafka {
    pub address: String,
    runtime: tokio::runtime::Runtime,
    admin: AdminClient<DefaultClientContext>,
}

impl Kafka {
    pub fn new(address: &str) -> Kafka {
        let admin = ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
        Kafka {
            address: address.to_owned(),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            admin,
        }
    }

    pub fn create(&self, topic: &str, partitions: i32) {
        self.create_with(topic, partitions, &[]);
    }

    pub fn create_with(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let is_limited = settings.iter().any(|(key, _)| *key == "max.message.bytes");
        let new = if is_limited { new } else { new.set("max.message.bytes", "20000000") };
        let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
        for result in
            self.runtime.block_on(self.admin.create_topics([&new], &AdminOptions::new())).unwrap()
        {
            result.unwrap();
        }
    }

    /// Creates a topic again, as soon as the broker is done with deleting the one before.
    pub fn create_again(&self, topic: &str, partitions: i32) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        wait_for("the topic's end", || {
            self.runtime.block_on(self.admin.create_topics([&new], &AdminOptions::new())).unwrap()
                [0]
            .clone()
            .ok()
        });
    }

    pub fn grow(&self, topic: &str, partitions: usize) {
        let new = NewPartitions::new(topic, partitions);
        for result in self
            .runtime
            .block_on(self.admin.create_partitions([&new], &AdminOptions::new()))
            .unwrap()
        {
            result.unwrap();
        }
    }

    pub fn delete(&self, topics: &[&str]) {
        let _ = self.runtime.block_on(self.admin.delete_topics(topics, &AdminOptions::new()));
    }

    /// Deletes the records before an offset, as retention does.
    pub fn forget(&self, topic: &str, partition: i32, before: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, partition, Offset::Offset(before)).unwrap();
        self.runtime.block_on(self.admin.delete_records(&offsets, &AdminOptions::new())).unwrap();
    }

    pub fn producer(&self, settings: &[(&str, &str)]) -> BaseProducer {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.address)
            .set("message.max.bytes", "20000000")
            .set("linger.ms", "10");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        config.create().unwrap()
    }

    pub fn produce<'r>(
        &self,
        topic: &str,
        records: impl IntoIterator<Item = (Option<&'r [u8]>, Option<&'r [u8]>)>,
    ) {
        let producer = self.producer(&[]);
        for (key, value) in records {
            send(&producer, topic, key, value);
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// Sends a value to a partition.
    pub fn produce_to(&self, topic: &str, partition: i32, value: &str) {
        let producer = self.producer(&[]);
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
        producer.send(record.partition(partition).payload(value.as_bytes())).unwrap();
        producer.flush(PATIENCE).unwrap();
    }

    /// Everything in a topic that is committed; nothing if there is no such topic.
    pub fn read(&self, topic: &str) -> Vec<Record> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .set("group.id", "reader")
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest")
            .create()
            .unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
        let partitions: Vec<i32> = metadata.topics()[0]
            .partitions()
            .iter()
            .map(rdkafka::metadata::MetadataPartition::id)
            .collect();
        let mut assignment = TopicPartitionList::new();
        for id in &partitions {
            assignment.add_partition_offset(topic, *id, Offset::Beginning).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let mut records = Vec::new();
        let mut open = partitions.len();
        let deadline = Instant::now() + PATIENCE;
        while open > 0 {
            assert!(Instant::now() < deadline, "the broker does not answer");
            match consumer.poll(PATIENCE) {
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                // what a broker says that is ill is tried again by itself
                None | Some(Err(_)) => {}
                Some(Ok(message)) => {
                    let header = |header: rdkafka::message::Header<'_, &[u8]>| {
                        (
                            header.key.to_owned(),
                            String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned(),
                        )
                    };
                    records.push(Record {
                        partition: message.partition(),
                        offset: message.offset(),
                        key: message.key().map(<[u8]>::to_vec),
                        value: message.payload().map(<[u8]>::to_vec),
                        headers: message
                            .headers()
                            .map(|headers| headers.iter().map(header).collect())
                            .unwrap_or_default(),
                    });
                }
            }
        }
        records
    }

    /// Waits until no transaction is open in a topic: the run that committed the last one is told so before all its records show.
    pub fn settle(&self, topic: &str) {
        let consumer = |isolation: &str| -> BaseConsumer {
            ClientConfig::new()
                .set("bootstrap.servers", &self.address)
                .set("group.id", "reader")
                .set("isolation.level", isolation)
                .create()
                .unwrap()
        };
        let (all, committed) = (consumer("read_uncommitted"), consumer("read_committed"));
        let metadata = all.fetch_metadata(Some(topic), PATIENCE).unwrap();
        for partition in metadata.topics()[0].partitions() {
            let end = |consumer: &BaseConsumer| {
                consumer.fetch_watermarks(topic, partition.id(), PATIENCE).unwrap().1
            };
            wait_for("the last transaction", || (end(&committed) == end(&all)).then_some(()));
        }
    }

    /// What compaction would leave: the last value of each key, sorted.
    pub fn content(&self, topic: &str) -> Vec<String> {
        let mut last = BTreeMap::new();
        for record in self.read(topic) {
            last.insert(record.key.clone(), record);
        }
        let mut lines: Vec<String> = last
            .into_values()
            .filter(|record| record.value.is_some())
            .map(|record| record.text())
            .collect();
        lines.sort_unstable();
        lines
    }
}

/// Queues a record, once there is room.
pub fn send(producer: &BaseProducer, topic: &str, key: Option<&[u8]>, value: Option<&[u8]>) {
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
    record.key = key;
    record.payload = value;
    while let Err((error, same)) = producer.send(record) {
        assert_eq!(
            error.rdkafka_error_code(),
            Some(rdkafka::error::RDKafkaErrorCode::QueueFull),
            "{error}"
        );
        producer.poll(Duration::from_millis(100));
        record = same;
    }
    producer.poll(Duration::ZERO);
}

/// A port where nobody listens, below those that the kernel gives to whoever asks.
pub fn free_port() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    loop {
        let port = 10_000 + (RandomState::new().hash_one(0) % 20_000) as u16;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until something holds.
pub fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited too long for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A `helkflow run` of the binary under test, killed when it is dropped.
pub struct Live {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Live {
    /// Starts a run of statements, in a folder where its files may be; `more` are its other options.
    pub fn start(address: &str, folder: &Path, sql: &str, service: &str, more: &[&str]) -> Live {
        Live::start_with(address, folder, sql, service, more, &[])
    }

    pub fn start_with(
        address: &str,
        folder: &Path,
        sql: &str,
        service: &str,
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> Live {
        let file: PathBuf = folder.join("dataflow.sql");
        std::fs::write(&file, sql).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_helkflow"));
        command
            .arg("run")
            .arg(&file)
            .args([
                "--bootstrap-servers",
                address,
                "--service-id",
                service,
                "--http",
                "127.0.0.1:0",
            ])
            .args(more);
        command
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let log: Arc<Mutex<String>> = Arc::default();
        let (own, stderr) = (Arc::clone(&log), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = own.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Live { child, log }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for words in its log.
    pub fn says(&mut self, words: &str) {
        wait_for(words, || {
            let log = self.log();
            assert!(
                self.child.try_wait().unwrap().is_none() || log.contains(words),
                "it ended before it said {words:?}:\n{log}"
            );
            log.contains(words).then_some(())
        });
    }

    /// A GET of its HTTP server: status and body.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        use std::io::{Read, Write};
        let log = self.log();
        let address = log.split("serving http://").nth(1)?.split('/').next()?.to_owned();
        let mut stream = std::net::TcpStream::connect(&address).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    /// The sum of a metric over its labels, of those that contain `label`.
    pub fn metric(&self, name: &str, label: &str) -> Option<u64> {
        let (_, text) = self.get("/metrics")?;
        let values = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
        let values: Vec<u64> =
            values.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Waits until so many records of a topic are read and published.
    pub fn has_published(&mut self, topic: &str, records: u64) {
        let label = format!("topic=\"{topic}\"");
        wait_for(&format!("{records} records of {topic}"), || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it ended with {status}:\n{}", self.log());
            }
            let read = self.metric("helkflow_records_in_total", &label)?;
            let lag = self.metric("helkflow_lag", &label)?;
            (read >= records && lag == 0).then_some(())
        });
    }

    /// SIGTERM, and how it ends.
    pub fn stop(mut self) -> (ExitStatus, String) {
        self.signal("TERM");
        let status = self.wait();
        (status, self.log())
    }

    pub fn signal(&self, name: &str) {
        assert!(
            Command::new("kill")
                .args([&format!("-{name}"), &self.child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the end of the run", || self.child.try_wait().unwrap())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the run\n{}", self.log());
        }
    }
}
