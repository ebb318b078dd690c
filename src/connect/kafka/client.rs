//! Settings of Kafka clients, and what they say about the broker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use tracing::{debug, error, info, warn};

/// Properties of librdkafka by their names.
pub type Properties = BTreeMap<String, String>;

/// How often the same trouble is told again.
const REPEAT: Duration = Duration::from_mins(1);

/// Why clients cannot work, and never will as they are.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// A property is unknown or has a wrong value.
    #[error("Kafka property {0}")]
    Property(String),
    /// The broker does not let us in.
    #[error("the broker refuses the credentials: {0}")]
    Credentials(String),
}

/// Makes clients with the same settings, and hears what all of them say.
#[derive(Clone)]
pub struct Client {
    properties: Arc<Properties>,
    trouble: Arc<Trouble>,
}

#[derive(Default)]
struct Trouble {
    refused: Mutex<Option<ClientError>>,
    told: Mutex<BTreeMap<&'static str, Instant>>,
}

impl Client {
    /// Clients with these properties, `bootstrap.servers` among them. Nothing is connected yet.
    pub fn new(properties: Properties) -> Client {
        Client { properties: Arc::new(properties), trouble: Arc::default() }
    }

    /// A consumer, a producer or an admin client. `own` are defaults, which given properties override, and `fixed` are what we rely on.
    pub(super) fn make<C: FromClientConfigAndContext<Context>>(
        &self,
        own: &[(&str, &str)],
        fixed: &[(&str, &str)],
    ) -> Result<C, ClientError> {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        for (name, value) in own {
            config.set(*name, *value);
        }
        for (name, value) in &*self.properties {
            config.set(name, value);
        }
        for (name, value) in fixed {
            config.set(*name, *value);
        }
        config.create_with_context(Context(Arc::clone(&self.trouble))).map_err(|error| {
            ClientError::Property(match error {
                KafkaError::ClientConfig(_, problem, name, value) => format!("{name}={value}: {problem}"),
                other => other.to_string(),
            })
        })
    }

    /// Why the broker will have none of us, if it has said so.
    pub fn refused(&self) -> Option<ClientError> {
        self.trouble.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True when it is time to say this again: at first, and then once a minute.
    pub fn tells(&self, what: &'static str) -> bool {
        self.trouble.tells(what)
    }

    /// It is well again; the next trouble is told at once.
    pub fn well(&self, what: &'static str) {
        if self.trouble.told.lock().unwrap_or_else(PoisonError::into_inner).remove(what).is_some() {
            info!("{what}: well again");
        }
    }
}

impl Trouble {
    fn tells(&self, what: &'static str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let due = told.get(what).is_none_or(|last| now.duration_since(*last) >= REPEAT);
        if due {
            told.insert(what, now);
        }
        due
    }
}

/// Hears what clients say.
#[derive(Clone)]
pub struct Context(Arc<Trouble>);

impl rdkafka::ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                error!(target: "librdkafka", "{facility}: {message}")
            }
            // what matters of these comes to `error` as well, with a code
            _ => debug!(target: "librdkafka", "{facility}: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::PartitionEOF) => {}
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed | RDKafkaErrorCode::SSL) => {
                let mut refused = self.0.refused.lock().unwrap_or_else(PoisonError::into_inner);
                refused.get_or_insert_with(|| ClientError::Credentials(reason.to_owned()));
            }
            Some(
                RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut,
            ) => {
                if self.0.tells("broker cannot be reached") {
                    warn!("the broker cannot be reached: {reason}; trying again");
                }
            }
            _ => warn!("Kafka: {error}: {reason}"),
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Arc<Failures>;

    fn delivery(&self, result: &DeliveryResult<'_>, failures: Self::DeliveryOpaque) {
        if let Err((error, _)) = result {
            failures.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
    }
}

/// The first record of a batch that could not be delivered.
#[derive(Default)]
pub struct Failures(Mutex<Option<KafkaError>>);

impl Failures {
    /// Why, if there is one.
    pub fn first(&self) -> Option<KafkaError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
