//! What a run reads and writes: the readers, sinks and publisher of a plan's topics.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::left::Left;
use super::{LiveError, Published, Settings};
use crate::connect::kafka::{
    self, Event, Guarantee, KeyEncoder, Letters, Partition, Reader, Shared, TopicReader,
    TopicSettings, TopicSink, ValueEncoder,
};
use crate::dataflow::{self, Counters, LiveSource, Sink, Tick};
use crate::format::json_rows::JsonEncoder;
use crate::format::rendering::{As, Rendering};
use crate::model::{Schema, Type};
use crate::plan::{KeyFormat, NodeId, Operator, Plan, View, ViewKind};
use crate::sql::ast::Literal;
use crate::sql::binder::ViewInfo;

/// The topics that are read, each once.
pub fn topic_names(plan: &Plan) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = Vec::new();
    for topic in dataflow::topics(plan) {
        if !names.iter().any(|name| **name == *topic.name) {
            names.push(topic.name.as_str().into());
        }
    }
    names
}

/// What the readers of a process have in common.
pub struct Readers {
    /// What they read.
    pub plan: Plan,
    /// The topics of it.
    pub names: Vec<Arc<str>>,
    /// What they share while they read.
    pub shared: Arc<Shared>,
    /// What an earlier life has left.
    pub left: Arc<Left>,
    /// Takes dead letters.
    pub events: Sender<Event>,
    /// From where on these are published.
    pub begin: Arc<OnceLock<Tick>>,
}

impl Readers {
    /// What makes the reader of a worker, and for each worker of this process where its partitions are to be sent.
    pub fn maker(
        self,
        settings: &Settings,
    ) -> (impl Fn(usize) -> Box<dyn LiveSource> + Send + Sync + 'static, Vec<Sender<Partition>>)
    {
        let workers = settings.cluster.threads;
        let (all_workers, first) =
            (workers * settings.cluster.processes(), workers * settings.cluster.process);
        let dead_letters: Arc<str> = dead_letter_topic(&settings.service_id).into();
        let (inboxes, arriving): (Vec<_>, Vec<_>) = (0..workers)
            .map(|_| mpsc::channel())
            .map(|(inbox, arriving)| (inbox, Some(arriving)))
            .unzip();
        let arriving: Mutex<Vec<Option<Receiver<Partition>>>> = Mutex::new(arriving);
        let Readers { plan, names, shared, left, events, begin } = self;
        let make = move |index: usize| -> Box<dyn LiveSource> {
            let worker = index - first;
            let bindings = left.bindings.as_ref();
            let arriving = arriving.lock().unwrap_or_else(PoisonError::into_inner)[worker].take();
            Box::new(Reader::new(kafka::Parts {
                worker,
                shared: Arc::clone(&shared),
                topics: names.iter().map(|name| topic_reader(&plan, name)).collect(),
                arriving: arriving.expect("each worker makes its reader once"),
                again: left.again(&names, index, all_workers),
                writer: bindings.map(|bindings| {
                    bindings.writer(&worker.to_string()).unwrap_or_else(|error| panic!("{error}"))
                }),
                events: events.clone(),
                letters: Letters { topic: Arc::clone(&dead_letters), from: Arc::clone(&begin) },
            }))
        };
        (make, inboxes)
    }
}

/// The topic of a run's dead letters.
pub fn dead_letter_topic(service: &str) -> String {
    format!("{service}_dead_letters")
}

fn topic_reader(plan: &Plan, name: &Arc<str>) -> TopicReader {
    let own =
        dataflow::topics(plan).into_iter().enumerate().filter(|(_, topic)| topic.name == **name);
    let sources = own.map(|(number, topic)| {
        let source = |id: &NodeId| match &plan.node(*id).operator {
            Operator::Source(source) => source.clone(),
            _ => unreachable!("taps are source nodes"),
        };
        (number, topic.taps.iter().map(source).collect::<Vec<_>>())
    });
    TopicReader::new(Arc::clone(name), &sources.collect::<Vec<_>>())
}

/// How a run publishes its views.
pub fn publisher_settings(
    plan: &Plan,
    settings: &Settings,
    published: &[Published],
    left: &Left,
    counters: &Counters,
) -> Result<kafka::Settings, LiveError> {
    let mut topics = Vec::new();
    for Published { view, info } in published {
        let number = |name: &str, default: i32| match info.properties.get(name) {
            None => Ok(default),
            Some(Literal::Int(number)) if *number > 0 => Ok(*number),
            Some(other) => Err(LiveError::Statement(format!(
                "{}: {name} must be a positive number, not {other:?}",
                view.name
            ))),
        };
        topics.push(TopicSettings {
            name: view.topic.clone(),
            partitions: number("PARTITIONS", 1)?,
            replicas: number("REPLICAS", -1)?,
            compact: view.kind == ViewKind::Table && has_own_key(info, plan.schema(view.root)),
            properties: Vec::new(),
        });
    }
    topics.push(TopicSettings {
        name: dead_letter_topic(&settings.service_id),
        partitions: 1,
        replicas: -1,
        compact: false,
        properties: Vec::new(),
    });
    Ok(kafka::Settings {
        name: settings.service_id.clone(),
        progress_topic: format!("{}_progress", settings.service_id),
        topics,
        views: published.iter().map(|published| published.view.name.clone()).collect(),
        life: left.lives.last().cloned().unwrap_or_default(),
        guarantee: settings.guarantee,
        commit_interval: settings.commit_interval,
        dead_letters: dead_letter_topic(&settings.service_id).into(),
        counters: counters.clone(),
        bindings: left.bindings.clone().filter(|_| settings.guarantee == Guarantee::ExactlyOnce),
    })
}

/// Whether the key of a table's records is the key of the table. `record` has the columns of a
/// record.
fn has_own_key(info: &ViewInfo, record: &Schema) -> bool {
    let mut columns = info.partition_by.clone();
    columns.sort_unstable();
    !columns.is_empty() && columns == record.key()
}

/// How the network views are rendered. It is an error if there is none: nothing would become of what was asked for.
pub fn renderings(
    kind: As,
    published: &[Published],
) -> Result<HashMap<String, Rendering>, LiveError> {
    let mut found = HashMap::new();
    let mut other = String::new();
    for Published { view, info } in published {
        match Rendering::new(kind, &info.schema) {
            Ok(rendering) => _ = found.insert(view.name.clone(), rendering),
            Err(error) => {
                other = format!("--as {kind} is for network views: {} is {error}", view.name)
            }
        }
    }
    if found.is_empty() { Err(LiveError::Statement(other)) } else { Ok(found) }
}

/// Checks how views are to be published, and makes what makes their sinks.
pub fn sink_maker(
    plan: &Plan,
    published: &[Published],
    renderings: HashMap<String, Rendering>,
    events: mpsc::Sender<Event>,
    (counters, pace): (&Counters, &Arc<kafka::Pace>),
) -> Result<impl Fn(usize, &View) -> Box<dyn Sink> + Send + Sync + 'static, LiveError> {
    let mut known = BTreeMap::new();
    for Published { view, info } in published {
        // what is shown, and what a record has besides
        let (schema, record) = (info.schema.clone(), plan.schema(view.root).clone());
        let text = |name: &str| match info.properties.get(name) {
            Some(Literal::String(text)) => Some(text.to_uppercase()),
            _ => None,
        };
        let refused = |what: String| LiveError::Statement(format!("{}: {what}", view.name));
        let key = match text("KEY_FORMAT").or_else(|| text("FORMAT")).as_deref() {
            None => None,
            Some("KAFKA") => Some(KeyFormat::Kafka),
            Some("JSON") => Some(KeyFormat::Json),
            Some("DELIMITED") => Some(KeyFormat::Delimited),
            Some("NONE") if view.kind == ViewKind::Table => {
                return Err(refused(
                    "the rows of a table need keys, so KEY_FORMAT='NONE' is not for it".into(),
                ));
            }
            Some("NONE") => Some(KeyFormat::None),
            Some(other) => return Err(refused(format!("keys cannot be written as {other}"))),
        };
        let value =
            text("VALUE_FORMAT").or_else(|| text("FORMAT")).unwrap_or_else(|| "JSON".into());
        let plain: Vec<usize> =
            (0..schema.width()).filter(|i| !info.partition_by.contains(i)).collect();
        match (&value[..], &plain[..]) {
            ("JSON" | "DELIMITED", _) => {}
            ("KAFKA", [column]) if crate::format::kafka::has_form(&schema.columns[*column].ty) => {}
            ("KAFKA", _) => {
                return Err(refused(
                    "VALUE_FORMAT='KAFKA' is for records of one plain value".into(),
                ));
            }
            (other, _) => return Err(refused(format!("values cannot be written as {other}"))),
        }
        let time = text("TIMESTAMP").and_then(|name| {
            schema.columns.iter().position(|column| {
                column.name.eq_ignore_ascii_case(&name) && column.ty == Type::Timestamp
            })
        });
        known.insert(
            view.name.clone(),
            (view.clone(), info.clone(), (schema, record), key, value, plain, time),
        );
    }
    let (counters, pace) = (counters.clone(), Arc::clone(pace));
    let events = Mutex::new(events);
    Ok(move |_: usize, view: &View| -> Box<dyn Sink> {
        let (view, info, (schema, record), key, value, plain, time) = &known[&view.name];
        let value = match &value[..] {
            "DELIMITED" => ValueEncoder::Delimited(schema.clone()),
            "KAFKA" => ValueEncoder::Kafka(plain[0], schema.columns[plain[0]].ty.clone()),
            _ => match renderings.get(&view.name) {
                Some(rendering) => ValueEncoder::Rendered(rendering.clone()),
                None => ValueEncoder::Json(JsonEncoder::new(schema)),
            },
        };
        Box::new(TopicSink {
            topic: view.topic.as_str().into(),
            kind: view.kind,
            width: record.width(),
            key_is_identity: has_own_key(info, record),
            // where nothing says which row replaces which, none does
            identity: Some(record.key())
                .filter(|key| !key.is_empty())
                .unwrap_or_else(|| (0..record.width()).collect()),
            key: KeyEncoder::new(info.partition_by.clone(), record, *key),
            value,
            tombstone: (view.kind == ViewKind::Stream && record.width() > schema.width())
                .then(|| record.width() - 1),
            time: *time,
            events: events.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            pace: Arc::clone(&pace),
            counters: counters.clone(),
        })
    })
}
