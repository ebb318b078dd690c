//! Settings of Kafka clients, and what they say about the broker.
//!
//! *OAUTHBEARER.* Each client fetches its tokens by itself, in a thread of librdkafka's, and asks for the next one before the last has expired. Without a token it connects to nobody, and asks again every ten seconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;
use tracing::{debug, error, info, warn};

/// Properties of librdkafka by their names.
pub type Properties = BTreeMap<String, String>;

/// How often the same trouble is told again.
const REPEAT: Duration = Duration::from_mins(1);
/// How long after a token could not be had the broker may be refusing us for the old one. librdkafka tells of a failure only after five tries, with up to 20 s for each and 50 s between them.
const TOKEN_REPEAT: Duration = Duration::from_mins(3);
/// What librdkafka says when it has no token.
const NO_TOKEN: &str = "Failed to acquire SASL OAUTHBEARER token";
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
    /// Who gives tokens gives us none.
    #[error("the token endpoint refuses the credentials: {0}")]
    Token(String),
    /// One of the two does not trust the other.
    #[error("no secure connection to the broker: {0}")]
    Trust(String),
}

/// Where tokens come from.
const ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";

/// Whether the value of a property is nobody's business.
pub fn is_secret(name: &str) -> bool {
    ["password", "secret", "token", "jaas", "key.pem", "private", "oauthbearer.config"]
        .iter()
        .any(|word| name.contains(word))
}

/// Whether an address names a user, and perhaps a password.
fn has_user(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
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
    /// When a token could not be had the last time.
    tokenless: Mutex<Option<Instant>>,
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
        // a broker that was away is back for us soon after it is back: librdkafka would take up to 10 s
        config.set("reconnect.backoff.max.ms", "1000");
        for (name, value) in own {
            config.set(*name, *value);
        }
        for (name, value) in &*self.properties {
            config.set(name, value);
        }
        for (name, value) in fixed {
            config.set(*name, *value);
        }
        // it would wait for a token, which nobody makes
        let is_oauth = ["sasl.mechanism", "sasl.mechanisms"]
            .iter()
            .any(|name| config.get(name) == Some("OAUTHBEARER"));
        if is_oauth
            && config
                .get("sasl.oauthbearer.method")
                .is_none_or(|method| !method.eq_ignore_ascii_case("oidc"))
        {
            let needs = "sasl.mechanism=OAUTHBEARER: needs sasl.oauthbearer.method=oidc, and with it sasl.oauthbearer.token.endpoint.url, sasl.oauthbearer.client.id and sasl.oauthbearer.client.secret";
            return Err(ClientError::Property(needs.into()));
        }
        // librdkafka tells the address wherever it is of no use, and a secret in it as well
        if config.get(ENDPOINT).is_some_and(has_user) {
            let needs = format!(
                "{ENDPOINT}: it must not have a user or a password in it; these are sasl.oauthbearer.client.id and sasl.oauthbearer.client.secret"
            );
            return Err(ClientError::Property(needs));
        }
        config.create_with_context(Context(Arc::clone(&self.trouble))).map_err(|error| {
            ClientError::Property(match error {
                KafkaError::ClientConfig(_, problem, name, _) if is_secret(&name) => {
                    format!("{name}: {}", problem.trim_end())
                }
                KafkaError::ClientConfig(_, problem, name, value) => {
                    format!("{name}={value}: {problem}")
                }
                other => other.to_string(),
            })
        })
    }

    /// Why the broker will have none of us, if it has said so.
    pub fn refused(&self) -> Option<ClientError> {
        self.trouble.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the broker for something, with more and more patience up to a limit: a call that waits for a broker does not end when the broker refuses us, and that is to be told at once.
    pub(super) fn ask<T>(
        &self,
        limit: Duration,
        ask: impl Fn(Duration) -> KafkaResult<T>,
    ) -> Result<KafkaResult<T>, ClientError> {
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
        if self.refused.lock().unwrap_or_else(PoisonError::into_inner).is_none()
            && self.tells("broker cannot be reached")
        {
            warn!("the broker cannot be reached: {reason}; trying again");
        }
    }

    /// A token could not be had; `message` is librdkafka's, which has the status of HTTP at its end.
    fn tokenless(&self, message: &str) {
        // it begins with the thread's name
        let message = message
            .strip_prefix("[thrd:")
            .and_then(|rest| rest.split_once("]: "))
            .map_or(message, |(_, message)| message);
        *self.tokenless.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        // by RFC 6749, 5.2, these say that it is us; whatever else there is may pass
        if message.ends_with("(400)") || message.ends_with("(401)") {
            self.refuse(ClientError::Token(message.to_owned()));
        } else if self.refused.lock().unwrap_or_else(PoisonError::into_inner).is_none()
            && self.tells("no token for the broker")
        {
            warn!("no token for the broker: {message}; trying again");
        }
    }

    /// Whether a token may be older than it should be, so that it says nothing of the credentials when the broker refuses it.
    fn has_old_token(&self) -> bool {
        self.tokenless
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|since| since.elapsed() < TOKEN_REPEAT)
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
            // this comes to `error` without the status, and not again while it stays the same
            RDKafkaLogLevel::Error if facility == "OIDC" => self.0.tokenless(message),
            // what matters of these comes to `error` as well, with a code
            _ => debug!(target: "librdkafka", "{facility}: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::PartitionEOF) => {}
            // a broker that is lost before it has said what it takes is told of as one that refuses
            Some(RDKafkaErrorCode::Authentication)
                if reason.contains("supported mechanisms: (n/a)") =>
            {
                self.0.unreachable(reason)
            }
            // so is a session that is renewed within a second, which ends it
            Some(RDKafkaErrorCode::Authentication)
                if reason.contains("not valid in current SASL state") =>
            {
                self.0.unreachable(reason)
            }
            Some(RDKafkaErrorCode::Authentication) if reason.starts_with(NO_TOKEN) => {
                self.0.tokenless(reason)
            }
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed)
                if self.0.has_old_token() =>
            {
                self.0.unreachable(reason)
            }
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
                self.0.refuse(ClientError::Credentials(reason.to_owned()))
            }
            Some(RDKafkaErrorCode::SSL) => self.0.refuse(distrust(reason)),
            // with TLS 1.3 the broker's verdict comes when the connection stands
            Some(RDKafkaErrorCode::BrokerTransportFailure) if is_distrust(reason) => {
                self.0.refuse(distrust(reason))
            }
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
        if let Err((error, message)) = result {
            let mut known = failures.0.lock().unwrap_or_else(PoisonError::into_inner);
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                    known.too_large.get_or_insert_with(|| message.topic().into());
                }
                // what was not sent since another failed; the other says why
                Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) => {
                    known.purged.get_or_insert_with(|| error.clone());
                }
                _ => {
                    known.first.get_or_insert_with(|| error.clone());
                }
            }
        }
    }
}

/// Why records could not be delivered.
#[derive(Default)]
pub struct Failures(Mutex<Known>);

#[derive(Default)]
struct Known {
    too_large: Option<Arc<str>>,
    first: Option<KafkaError>,
    purged: Option<KafkaError>,
}

impl Failures {
    /// The first reason that says something, if there is one.
    pub fn first(&self) -> Option<KafkaError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.first.clone().or_else(|| known.purged.clone())
    }

    /// A topic that has refused a record for its size.
    pub fn too_large(&self) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).too_large.clone()
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
        let lost = format!(
            "{handshake} Local: Broker transport failure: broker's supported mechanisms: (n/a) (after 0ms in state DOWN)"
        );
        assert!(!refused(RDKafkaErrorCode::Authentication, &lost));
        let other = format!(
            "{handshake} Broker: Unsupported SASL mechanism: broker's supported mechanisms: SCRAM-SHA-512"
        );
        assert!(refused(RDKafkaErrorCode::Authentication, &other));
        let early = "SASL OAUTHBEARER mechanism handshake failed: Broker: Request not valid in current SASL state: broker's supported mechanisms:";
        assert!(!refused(RDKafkaErrorCode::Authentication, early));
        assert!(!refused(
            RDKafkaErrorCode::BrokerTransportFailure,
            "ssl://a:1/1: Disconnected: connection closed by peer"
        ));
        assert!(refused(
            RDKafkaErrorCode::BrokerTransportFailure,
            "ssl://a:1/1: Receive failed: bad certificate: SSL alert number 42"
        ));
    }

    #[test]
    fn a_token_endpoint_that_refuses_is_told_from_one_that_is_ill() {
        use rdkafka::ClientContext;
        let context = Context(Arc::default());
        let refused = || context.0.refused.lock().unwrap().as_ref().map(ToString::to_string);
        let says = |reason| {
            context.log(
                RDKafkaLogLevel::Error,
                "OIDC",
                &format!("[thrd:background]: no token from \"a\": {reason}"),
            )
        };
        says("Could not connect to server (-1)");
        says("<html> (404)");
        says("Server did not provide an error string (503)");
        context.error(
            KafkaError::Global(RDKafkaErrorCode::Authentication),
            &format!("{NO_TOKEN}: <html>"),
        );
        // for want of a new token the old one was shown
        context.error(
            KafkaError::Global(RDKafkaErrorCode::SaslAuthenticationFailed),
            "{\"status\":\"invalid_token\"}",
        );
        assert_eq!(refused(), None);
        says("{\"error\":\"invalid_client\"} (401)");
        assert_eq!(
            refused().unwrap(),
            "the token endpoint refuses the credentials: no token from \"a\": {\"error\":\"invalid_client\"} (401)"
        );
    }

    #[test]
    fn users_in_addresses() {
        for url in ["https://id:secret@idp/token", "https://id@idp:8443?x=1", "id:secret@idp"] {
            assert!(has_user(url), "{url}");
        }
        for url in ["https://idp/token?of=a@b", "http://127.0.0.1:1/a@b", ""] {
            assert!(!has_user(url), "{url}");
        }
    }

    #[test]
    fn secrets() {
        for name in [
            ENDPOINT,
            "sasl.password",
            "ssl.key.password",
            "ssl.key.pem",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.config",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["bootstrap.servers", "ssl.ca.location", "sasl.username"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
