//! Topics that a run needs: what they should be like, and making those that are missing.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use tracing::{info, warn};

use super::client::{Client, ClientError, Context};

/// What a topic should be like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicSettings {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas; −1 is the broker's default.
    pub replicas: i32,
    /// Only the last record of each key is kept.
    pub compact: bool,
    /// Settings of the topic, by Kafka's names.
    pub properties: Vec<(&'static str, String)>,
}

/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long is listened to what a client says of a failure; the events of one are many, and a poll without time hears one of them.
const HEARING: Duration = Duration::from_millis(100);

/// Makes topics that are missing; those that are there stay as they are. True when all of them are there; if not, the reason was told, and it may be tried again.
pub fn create(client: &Client, topics: &[TopicSettings]) -> Result<bool, ClientError> {
    // An admin client keeps the errors of its connections to itself, so another one goes first.
    let scout: BaseProducer<Context> = client.make(&[], &[])?;
    let look = |patience| {
        let found = scout.client().fetch_metadata(None, patience);
        if found.is_err() {
            scout.poll(HEARING);
        }
        found
    };
    let there = match client.ask(TIMEOUT, look)? {
        Ok(metadata) => metadata,
        Err(error) => return not_yet(client, &error),
    };
    let is_there = |topic: &TopicSettings| {
        there.topics().iter().any(|there| there.name() == topic.name && there.error().is_none())
    };
    let missing: Vec<&TopicSettings> = topics.iter().filter(|topic| !is_there(topic)).collect();
    if missing.is_empty() {
        return Ok(true);
    }
    let admin: AdminClient<Context> = client.make(&[], &[])?;
    let requests: Vec<NewTopic<'_>> = missing
        .iter()
        .map(|topic| {
            let policy = if topic.compact { "compact" } else { "delete" };
            let new = NewTopic::new(
                &topic.name,
                topic.partitions,
                TopicReplication::Fixed(topic.replicas),
            )
            .set("cleanup.policy", policy);
            topic.properties.iter().fold(new, |new, (name, value)| new.set(name, value))
        })
        .collect();
    let options =
        AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers needs nothing");
    match runtime.block_on(admin.create_topics(&requests, &options)) {
        Ok(results) => {
            let mut all = true;
            for result in results {
                match result {
                    Ok(name) => info!("created topic {name}"),
                    Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                    Err((name, code)) => {
                        all = false;
                        if client.tells("topics cannot be created") {
                            warn!("topic {name} cannot be created: {code}; trying again");
                        }
                    }
                }
            }
            Ok(all)
        }
        Err(error) => not_yet(client, &error),
    }
}

/// What a topic takes for a record, in bytes, if the broker tells.
pub fn limit_of(client: &Client, topic: &str) -> Result<Option<usize>, ClientError> {
    let admin: AdminClient<Context> = client.make(&[], &[])?;
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers needs nothing");
    let asked = [ResourceSpecifier::Topic(topic)];
    let told = runtime.block_on(admin.describe_configs(&asked, &options));
    let settings = told.ok().and_then(|mut told| told.pop()).and_then(Result::ok);
    let limit = settings.and_then(|settings| settings.get("max.message.bytes")?.value.clone());
    Ok(limit.and_then(|limit| limit.parse().ok()))
}

fn not_yet(client: &Client, error: &KafkaError) -> Result<bool, ClientError> {
    if let Some(refused) = client.refused() {
        return Err(refused);
    }
    if client.tells("topics cannot be created") {
        warn!("topics cannot be created: {error}; trying again");
    }
    Ok(false)
}
