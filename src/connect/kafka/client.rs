//! Settings of Kafka clients, and what they say about the broker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use tracing::{debug, error, info, warn};

/// Properties of librdkafka by their names.
pub type Properties = BTreeMap<String, String>;

/// How often the same trouble is told again.
const REPEAT: Duration = Duration::from_mins(1);
/// How long the first try of a question may take.
const FIRST_PATIENCE: Duration = Duration::from_millis(250);

/// Why clients cannot work, and never will as they are.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// A property is unknown or has a wrong value.
    #[error("Kafka property {0}")]
    Property(String),
    /// The broker does not let us in.
    #[error("the broker refuses the credentials: {0}")]
    Credentials(String),
    /// One of the two does not trust the other.
    #[error("no secure connection to the broker: {0}")]
    Trust(String),
}

/// Whether the value of a property is nobody's business.
pub fn is_secret(name: &str) -> bool {
    ["password", "secret", "token", "jaas", "key.pem", "private", "oauthbearer.config"].iter().any(|word| name.contains(word))
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
        // it would wait for a token, which nobody makes: librdkafka fetches tokens only where it has libcurl
        if ["sasl.mechanism", "sasl.mechanisms"].iter().any(|name| config.get(name) == Some("OAUTHBEARER")) {
            return Err(ClientError::Property("sasl.mechanism=OAUTHBEARER: this build has PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512".into()));
        }
        config.create_with_context(Context(Arc::clone(&self.trouble))).map_err(|error| {
            ClientError::Property(match error {
                KafkaError::ClientConfig(_, problem, name, _) if is_secret(&name) => format!("{name}: {}", problem.trim_end()),
                KafkaError::ClientConfig(_, problem, name, value) => format!("{name}={value}: {problem}"),
                other => other.to_string(),
            })
        })
    }

    /// Why the broker will have none of us, if it has said so.
    pub fn refused(&self) -> Option<ClientError> {
        self.trouble.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the broker for something, with more and more patience up to a limit: a call that waits for a broker does not end when the broker refuses us, and that is to be told at once.
    pub(super) fn ask<T>(&self, limit: Duration, ask: impl Fn(Duration) -> KafkaResult<T>) -> Result<KafkaResult<T>, ClientError> {
        let mut patience = FIRST_PATIENCE;
        loop {
            match (ask(patience), self.refused()) {
                (Err(_), Some(refused)) => return Err(refused),
                (Err(_), None) if patience < limit => patience = limit.min(2 * patience),
                (answer, _) => return Ok(answer),
            }
        }
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
    fn refuse(&self, why: ClientError) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }

    fn unreachable(&self, reason: &str) {
        // one that refuses us is soon counted as one that is down
        if self.refused.lock().unwrap_or_else(PoisonError::into_inner).is_none() && self.tells("broker cannot be reached") {
            warn!("the broker cannot be reached: {reason}; trying again");
        }
    }

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
            // a broker that is lost before it has said what it takes is told of as one that refuses
            Some(RDKafkaErrorCode::Authentication) if reason.contains("supported mechanisms: (n/a)") => self.0.unreachable(reason),
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
                self.0.refuse(ClientError::Credentials(reason.to_owned()))
            }
            Some(RDKafkaErrorCode::SSL) => self.0.refuse(distrust(reason)),
            // with TLS 1.3 the broker's verdict comes when the connection stands
            Some(RDKafkaErrorCode::BrokerTransportFailure) if is_distrust(reason) => self.0.refuse(distrust(reason)),
            Some(
                RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut,
            ) => self.0.unreachable(reason),
            _ => warn!("Kafka: {error}: {reason}"),
        }
    }
}

/// Whether a connection was lost because one of the two would not have the other, as OpenSSL says it.
fn is_distrust(reason: &str) -> bool {
    reason.contains("SSL alert number") || reason.contains("certificate verify failed")
}

fn distrust(reason: &str) -> ClientError {
    let hint = if reason.contains("certificate verify failed") {
        "; ssl.ca.location must have who signed its certificate, which must be for the host name that is asked for"
    } else {
        ""
    };
    ClientError::Trust(format!("{reason}{hint}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_a_broker_that_is_lost() {
        use rdkafka::ClientContext;
        let refused = |code, reason: &str| {
            let context = Context(Arc::default());
            context.error(KafkaError::Global(code), reason);
            let refused = context.0.refused.lock().unwrap();
            refused.is_some()
        };
        let handshake = "GroupCoordinator: SASL PLAIN mechanism handshake failed:";
        let lost = format!("{handshake} Local: Broker transport failure: broker's supported mechanisms: (n/a) (after 0ms in state DOWN)");
        assert!(!refused(RDKafkaErrorCode::Authentication, &lost));
        let other = format!("{handshake} Broker: Unsupported SASL mechanism: broker's supported mechanisms: SCRAM-SHA-512");
        assert!(refused(RDKafkaErrorCode::Authentication, &other));
        assert!(!refused(RDKafkaErrorCode::BrokerTransportFailure, "ssl://a:1/1: Disconnected: connection closed by peer"));
        assert!(refused(RDKafkaErrorCode::BrokerTransportFailure, "ssl://a:1/1: Receive failed: bad certificate: SSL alert number 42"));
    }

    #[test]
    fn secrets() {
        for name in ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret", "sasl.oauthbearer.config"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["bootstrap.servers", "ssl.ca.location", "sasl.username"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
