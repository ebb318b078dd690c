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
    let (ours, theirs): (Vec<_>, Vec<_>) =
        variables.partition(|(name, _)| name.starts_with("HELKFLOW_KAFKA_"));
    for (name, value) in theirs {
        let Some(name) = name.strip_prefix("KSQL_") else { continue };
        let name = property(name);
        match name.trim_start_matches("ksql.streams.") {
            "bootstrap.servers" => environment.options.bootstrap_servers = Some(value),
            "ksql.service.id" => environment.options.service_id = Some(value),
            "auto.offset.reset" => environment.options.auto_offset_reset = Some(value),
            "processing.guarantee" => environment.options.processing_guarantee = Some(value),
            "security.protocol" | "sasl.mechanism" | "sasl.mechanisms" | "sasl.username"
            | "sasl.password" | "sasl.jaas.config" | "client.id" => {
                environment
                    .kafka
                    .insert(name.trim_start_matches("ksql.streams.").to_owned(), value);
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
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .map_err(Failure::Usage)?;
    let mut properties = Properties::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(Failure::Usage(anyhow!(
                "{}:{}: expected key=value",
                path.display(),
                number + 1
            )));
        };
        properties.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(properties)
}

/// What Java clients say in `sasl.jaas.config`, as librdkafka wants it: a user name and a password. What is given by librdkafka's names stands.
pub fn translate_jaas(properties: &mut Properties) -> Result<(), Failure> {
    let Some(config) = properties.remove("sasl.jaas.config") else { return Ok(()) };
    for (option, name) in [("username", "sasl.username"), ("password", "sasl.password")] {
        let value = jaas_option(&config, option).ok_or_else(|| {
            let hint = "set sasl.username and sasl.password, or what else librdkafka has for the mechanism, in its place";
            Failure::misuse(format!("sasl.jaas.config has no {option}=\"…\": {hint}"))
        })?;
        properties.entry(name.to_owned()).or_insert(value);
    }
    Ok(())
}

/// The value of an option of a login module: in quotes, with a backslash before quotes and backslashes that are part of it.
fn jaas_option(config: &str, option: &str) -> Option<String> {
    let mut rest = config.chars();
    loop {
        let before: String = rest.by_ref().take_while(|char| *char != '"').collect();
        let mut value = String::new();
        loop {
            match rest.next()? {
                '"' => break,
                '\\' => value.push(rest.next()?),
                other => value.push(other),
            }
        }
        let name =
            before.trim_end().strip_suffix('=').and_then(|before| before.split_whitespace().last());
        if name == Some(option) {
            return Some(value);
        }
    }
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
        let read = from_environment(
            variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        assert_eq!(read.options.bootstrap_servers.as_deref(), Some("a:1"));
        assert_eq!(read.options.service_id.as_deref(), Some("wardog"));
        assert_eq!(read.options.auto_offset_reset.as_deref(), Some("latest"));
        assert_eq!(read.kafka, Properties::from([("sasl.password".to_owned(), "ours".to_owned())]));
    }

    #[test]
    fn the_login_of_java_clients() {
        let login = |config: &str| {
            let mut properties =
                Properties::from([("sasl.jaas.config".to_owned(), config.to_owned())]);
            let done = translate_jaas(&mut properties).map_err(|error| format!("{error:?}"));
            done.map(|()| ["sasl.username", "sasl.password"].map(|name| properties[name].clone()))
        };
        let module = "org.apache.kafka.common.security.plain.PlainLoginModule required";
        let expected = Ok(["alice".to_owned(), "a \"b\\ c=password=\"".to_owned()]);
        assert_eq!(
            login(&format!(r#"{module} username="alice" password="a \"b\\ c=password=\"";"#)),
            expected
        );
        assert_eq!(
            login(&format!(
                "{module}\n  password = \"a \\\"b\\\\ c=password=\\\"\"\n\tusername= \"alice\";"
            )),
            expected
        );
        for bad in [
            "",
            r#"username="a" password="hunter2"#,
            r#"user="a" password="hunter2";"#,
            r#"username="password=" xpassword="hunter2";"#,
        ] {
            let error = login(bad).unwrap_err();
            assert!(error.contains("sasl.jaas.config") && !error.contains("hunter2"), "{error}");
        }
    }
}
