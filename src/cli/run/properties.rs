//! Kafka properties from files and from the environment.

use std::path::Path;

use anyhow::{Context, anyhow};

use super::args::Options;
use crate::cli::Failure;
use crate::connect::kafka::Properties;

/// What the environment of KSQL's and of our own containers says.
#[derive(Default)]
pub struct Environment {
    /// Options that KSQL has as well.
    pub options: Options,
    /// Properties of Kafka clients.
    pub kafka: Properties,
}

/// Reads `HELKFLOW_KAFKA_SSL_CA_LOCATION` as `ssl.ca.location`, and of KSQL's variables what means the same to us: `KSQL_BOOTSTRAP_SERVERS`, `KSQL_KSQL_SERVICE_ID`, `KSQL_SASL_USERNAME`, … Others of KSQL's are about its own inside.
pub fn from_environment(variables: impl Iterator<Item = (String, String)>) -> Environment {
    let mut environment = Environment::default();
    let property = |name: &str| name.to_lowercase().replace('_', ".");
    // ours win over KSQL's, whatever their order
    let (ours, theirs): (Vec<_>, Vec<_>) = variables.partition(|(name, _)| name.starts_with("HELKFLOW_KAFKA_"));
    for (name, value) in theirs {
        let Some(name) = name.strip_prefix("KSQL_") else { continue };
        let name = property(name);
        match name.trim_start_matches("ksql.streams.") {
            "bootstrap.servers" => environment.options.bootstrap_servers = Some(value),
            "ksql.service.id" => environment.options.service_id = Some(value),
            "auto.offset.reset" => environment.options.auto_offset_reset = Some(value),
            "processing.guarantee" => environment.options.processing_guarantee = Some(value),
            "security.protocol" | "sasl.mechanism" | "sasl.mechanisms" | "sasl.username" | "sasl.password" | "client.id" => {
                environment.kafka.insert(name.trim_start_matches("ksql.streams.").to_owned(), value);
            }
            _ => {}
        }
    }
    for (name, value) in ours {
        environment.kafka.insert(property(&name["HELKFLOW_KAFKA_".len()..]), value);
    }
    environment
}

/// Reads a file of lines `key=value`; empty lines and lines that begin with # or ! do not count.
pub fn read(path: &Path) -> Result<Properties, Failure> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display())).map_err(Failure::Usage)?;
    let mut properties = Properties::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(Failure::Usage(anyhow!("{}:{}: expected key=value", path.display(), number + 1)));
        };
        properties.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(properties)
}

/// Whether the value of a property is nobody's business.
pub fn is_secret(name: &str) -> bool {
    ["password", "secret", "token", "jaas", "key.pem", "private", "oauthbearer.config"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_of_containers() {
        let variables = [
            ("KSQL_BOOTSTRAP_SERVERS", "a:1"),
            ("KSQL_KSQL_SERVICE_ID", "wardog"),
            ("KSQL_KSQL_STREAMS_AUTO_OFFSET_RESET", "latest"),
            ("KSQL_SASL_PASSWORD", "theirs"),
            ("HELKFLOW_KAFKA_SASL_PASSWORD", "ours"),
            ("KSQL_HEAP_OPTS", "-Xmx1g"),
            ("PATH", "/bin"),
        ];
        let read = from_environment(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(read.options.bootstrap_servers.as_deref(), Some("a:1"));
        assert_eq!(read.options.service_id.as_deref(), Some("wardog"));
        assert_eq!(read.options.auto_offset_reset.as_deref(), Some("latest"));
        assert_eq!(read.kafka, Properties::from([("sasl.password".to_owned(), "ours".to_owned())]));
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
