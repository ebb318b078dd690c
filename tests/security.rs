//! Runs on a broker that lets in only who proves who it is, over connections that nobody else can read: TLS, SASL, and what is said when they fail.
//!
//! The broker is one of this test's own, as `scripts/kafka` makes it, with a listener for each kind of security beside the plain one, by which the test itself looks. It is asked for as the others are: where HELKFLOW_KAFKA names no broker, nothing is tried. It is always of the release that the project is made for, since older ones have no SCRAM at their first start, and no keys in PEM.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::kafka::{Kafka, Live, broker, free_port, unique, wait_for};
use common::tokens::{Endpoint, Settings};

const USER: &str = "alice";
/// With what has to be escaped in JAAS, in properties files and in SCRAM's names.
const PASSWORD: &str = r#"open=sesame "please" \o/"#;
const WRONG: &str = "shut=sesame";
const KEY_PASSWORD: &str = "key=sesame";
/// What a client of the token endpoint knows.
const SECRET: &str = "token=sesame";

/// Environments and options are pairs of words.
type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A broker with its certificates, stopped when it is dropped.
struct Guarded {
    folder: tempfile::TempDir,
    kafka: Kafka,
    ports: [u16; LISTENERS.len()],
}

/// The listeners, the protocol of each, and the SASL mechanism of those that have one.
const LISTENERS: [(&str, &str, &str); 5] = [
    ("SASL_PLAINTEXT", "SASL_PLAINTEXT", "PLAIN,SCRAM-SHA-256"),
    ("SASL_SSL", "SASL_SSL", "SCRAM-SHA-512"),
    ("SSL", "SSL", ""),
    ("MUTUAL", "SSL", ""),
    ("TOKEN", "SASL_PLAINTEXT", "OAUTHBEARER"),
];
/// What a token must be for.
const SCOPE: &str = "telemetry";

impl Guarded {
    fn start() -> Guarded {
        let folder = tempfile::tempdir().unwrap();
        certificates(folder.path());
        let file = |name: &str| folder.path().join(name).display().to_string();
        let ports = LISTENERS.map(|_| free_port());
        let mut command = script(folder.path(), "start");
        let escaped = PASSWORD.replace('\\', r"\\").replace('"', "\\\"");
        // once more for the properties file that it stands in
        let escaped = escaped.replace('\\', r"\\");
        let mut set =
            |name: &str, value: &str| _ = command.args(["--set", &format!("{name}={value}")]);
        let protocols: Vec<String> =
            LISTENERS.iter().map(|(name, protocol, _)| format!("{name}:{protocol}")).collect();
        set(
            "listener.security.protocol.map",
            &format!("PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,{}", protocols.join(",")),
        );
        for (name, _, mechanisms) in LISTENERS {
            let listener = format!("listener.name.{}", name.to_lowercase());
            if !mechanisms.is_empty() {
                set(&format!("{listener}.sasl.enabled.mechanisms"), mechanisms);
            }
            for mechanism in mechanisms.split(',').filter(|mechanism| !mechanism.is_empty()) {
                let module = match mechanism {
                    "PLAIN" => format!("plain.PlainLoginModule required user_{USER}=\"{escaped}\""),
                    "OAUTHBEARER" => format!(
                        "oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\" unsecuredValidatorRequiredScope=\"{SCOPE}\""
                    ),
                    _ => "scram.ScramLoginModule required".to_owned(),
                };
                let module = format!("org.apache.kafka.common.security.{module};");
                set(&format!("{listener}.{}.sasl.jaas.config", mechanism.to_lowercase()), &module);
            }
        }
        set("ssl.keystore.type", "PEM");
        set("ssl.keystore.location", &file("broker.pem"));
        set("ssl.truststore.type", "PEM");
        set("ssl.truststore.location", &file("ca.pem"));
        set("listener.name.mutual.ssl.client.auth", "required");
        for ((name, ..), port) in LISTENERS.iter().zip(ports) {
            command.args(["--listen", &format!("{name}://127.0.0.1:{port}")]);
        }
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            command
                .args(["--scram", &format!("{mechanism}=[name={USER},password=\"{PASSWORD}\"]")]);
        }
        let out = command.stderr(Stdio::inherit()).output().unwrap();
        assert!(out.status.success(), "the broker does not start");
        let address = String::from_utf8(out.stdout).unwrap();
        Guarded { kafka: Kafka::new(address.trim()), folder, ports }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn address(&self, listener: &str) -> String {
        let at = LISTENERS.iter().position(|(name, ..)| *name == listener).unwrap();
        format!("127.0.0.1:{}", self.ports[at])
    }

    /// Runs a copy of a topic over a listener until all of it is there.
    fn lets_in(&self, listener: &str, options: &[&str], environment: Pairs<'_>) {
        let (input, output) = (unique("in"), unique("out"));
        self.kafka.create(&input, 1);
        let records = ["{\"ID\":1}", "{\"ID\":2}", "{\"ID\":3}"];
        self.kafka.produce(&input, records.iter().map(|record| (None, Some(record.as_bytes()))));
        let work = tempfile::tempdir().unwrap();
        let state = work.path().join("state");
        let options = [&["--state-dir", state.to_str().unwrap(), "-w", "1"], options].concat();
        let mut live = Live::start_with(
            &self.address(listener),
            work.path(),
            &copy(&input, &output),
            &unique("let-in"),
            &options,
            environment,
        );
        live.has_published(&input, records.len() as u64);
        let (status, log) = live.stop();
        assert!(status.success(), "{log}");
        // a commit is answered before its marker is in the topic, and readers wait for that
        self.has(&output, &records);
        keeps_secrets(&log);
    }

    /// Waits until a topic has these records, and sees that it has no others.
    fn has(&self, topic: &str, records: &[&str]) {
        let texts =
            || self.kafka.read(topic).iter().map(common::kafka::Record::text).collect::<Vec<_>>();
        let found =
            wait_for("all records", || Some(texts()).filter(|found| found.len() >= records.len()));
        assert_eq!(found, records);
    }

    /// Runs a copy of a topic while there is no token endpoint, while there is one, and beyond the tokens that it gave.
    fn waits_for_tokens(&self) {
        let (input, output) = (unique("in"), unique("out"));
        self.kafka.create(&input, 1);
        let produce = |record: &str| self.kafka.produce(&input, [(None, Some(record.as_bytes()))]);
        let settings = Settings {
            port: free_port(),
            client: USER,
            secret: SECRET,
            lifetime: Duration::from_secs(5),
        };
        let work = tempfile::tempdir().unwrap();
        let state = work.path().join("state");
        let options = oidc(settings.port, SECRET, SCOPE);
        let options =
            [&["--state-dir", state.to_str().unwrap(), "-w", "1"], &refs(&options)[..]].concat();
        let mut live = Live::start(
            &self.address("TOKEN"),
            work.path(),
            &copy(&input, &output),
            &unique("tokens"),
            &options,
        );
        live.says("no token for the broker: ");
        let endpoint = Endpoint::start(settings.clone());
        produce("{\"ID\":1}");
        live.has_published(&input, 1);
        let given = endpoint.given();
        // again for each client
        wait_for("new tokens", || (endpoint.given() >= given + 4).then_some(()));
        produce("{\"ID\":2}");
        live.has_published(&input, 2);
        drop(endpoint);
        // it does not take tokens that have expired, which is no refusal
        live.says("the broker cannot be reached");
        let endpoint = Endpoint::start(settings);
        produce("{\"ID\":3}");
        live.has_published(&input, 3);
        assert!(endpoint.given() > 0);
        let (status, log) = live.stop();
        assert!(status.success(), "{log}");
        self.has(&output, &["{\"ID\":1}", "{\"ID\":2}", "{\"ID\":3}"]);
        keeps_secrets(&log);
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let stopped = script(self.folder.path(), "stop").status();
        assert!(
            stopped.is_ok_and(|status| status.success()) || std::thread::panicking(),
            "the broker does not stop"
        );
    }
}

/// Runs it and sees it end at its first try, saying why.
fn is_refused(address: &str, options: &[&str], words: &str) {
    let work = tempfile::tempdir().unwrap();
    let mut live = Live::start_with(
        address,
        work.path(),
        &copy("any", "other"),
        &unique("refused"),
        options,
        &[],
    );
    let status = live.wait();
    wait_for(words, || live.log().contains(words).then_some(()));
    let log = live.log();
    assert_eq!(status.code(), Some(1), "{options:?}\n{log}");
    assert!(!log.contains("trying again"), "{options:?}\n{log}");
    keeps_secrets(&log);
}

fn script(folder: &Path, command: &str) -> Command {
    let mut script = Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka"));
    script.env_remove("KAFKA_RELEASE").arg(command).arg("--dir").arg(folder.join("broker"));
    script
}

/// A CA with certificates of the broker, by its address only, and of a client; and a CA that signed nothing.
fn certificates(folder: &Path) {
    let make = |name: &str, more: &[&str]| {
        let mut openssl = Command::new("openssl");
        openssl
            .current_dir(folder)
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 2 -subj".split(' '));
        openssl
            .arg(format!("/CN={name}"))
            .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")])
            .args(more);
        let made = openssl.output().expect("openssl is there");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    make("ca", &["-nodes"]);
    make("stranger", &["-nodes"]);
    make(
        "broker",
        &["-nodes", "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1"],
    );
    make(
        "client",
        &["-passout", &format!("pass:{KEY_PASSWORD}"), "-CA", "ca.pem", "-CAkey", "ca.key"],
    );
    // one file for Kafka, key first
    let both = ["broker.key", "broker.pem"]
        .map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
    std::fs::write(folder.join("broker.pem"), both.concat()).unwrap();
}

fn copy(input: &str, output: &str) -> String {
    format!(
        "CREATE STREAM events (id INT) WITH (KAFKA_TOPIC = '{input}', VALUE_FORMAT = 'JSON');
         CREATE STREAM copies WITH (KAFKA_TOPIC = '{output}') AS SELECT * FROM events;"
    )
}

fn keeps_secrets(log: &str) {
    for secret in [PASSWORD, &PASSWORD.replace('"', "\\\""), "sesame", common::tokens::BEGIN] {
        assert!(!log.contains(secret), "a secret is told:\n{log}");
    }
}

/// Options `-X name=value`.
fn properties(pairs: Pairs<'_>) -> Vec<String> {
    pairs.iter().flat_map(|(name, value)| ["-X".to_owned(), format!("{name}={value}")]).collect()
}

/// Options for tokens of an endpoint on this machine.
fn oidc(port: u16, secret: &str, scope: &str) -> Vec<String> {
    properties(&[
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.method", "oidc"),
        ("sasl.oauthbearer.token.endpoint.url", &format!("http://127.0.0.1:{port}/token")),
        ("sasl.oauthbearer.client.id", USER),
        ("sasl.oauthbearer.client.secret", secret),
        ("sasl.oauthbearer.scope", scope),
    ])
}

#[test]
fn who_proves_who_it_is_is_let_in_and_others_are_told_why_not() {
    if broker().is_none() {
        return;
    }
    let broker = Guarded::start();
    let (ca, stranger) = (broker.file("ca.pem"), broker.file("stranger.pem"));
    let (certificate, key) = (broker.file("client.pem"), broker.file("client.key"));
    let sasl = |protocol, mechanism, password| {
        properties(&[
            ("security.protocol", protocol),
            ("sasl.mechanism", mechanism),
            ("sasl.username", USER),
            ("sasl.password", password),
        ])
    };
    let ssl = |more: Pairs<'_>| properties(&[&[("security.protocol", "SSL")], more].concat());
    let tokens = Settings {
        port: free_port(),
        client: USER,
        secret: SECRET,
        lifetime: Duration::from_hours(1),
    };
    let token_port = tokens.port;
    let endpoint = Endpoint::start(tokens);

    // each in one of the ways in which properties are given; librdkafka's own log does not tell either
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let told = ["-X", "debug=conf,security"].map(str::to_owned);
            let options = [&sasl("SASL_PLAINTEXT", "PLAIN", PASSWORD)[..], &told].concat();
            broker.lets_in("SASL_PLAINTEXT", &refs(&options), &[("HELKFLOW_LOG", "debug")]);
        });
        scope.spawn(|| {
            let escaped = PASSWORD.replace('\\', r"\\").replace('"', "\\\"");
            let jaas =
                format!("org.apache.kafka.common.security.plain.PlainLoginModule required username=\"{USER}\" password=\"{escaped}\";");
            let environment =
                [("KSQL_SECURITY_PROTOCOL", "SASL_PLAINTEXT"), ("KSQL_SASL_MECHANISM", "PLAIN"), ("KSQL_SASL_JAAS_CONFIG", &jaas)];
            broker.lets_in("SASL_PLAINTEXT", &[], &environment);
        });
        scope.spawn(|| {
            let file = broker.file("scram-256.properties");
            let lines = "# as Java clients have it\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism = SCRAM-SHA-256\n\n";
            std::fs::write(&file, format!("{lines}sasl.username={USER}\nsasl.password={PASSWORD}\n")).unwrap();
            broker.lets_in("SASL_PLAINTEXT", &["--properties", &file], &[]);
        });
        scope.spawn(|| {
            let file = broker.file("scram-512.toml");
            let kafka = format!(
                "[kafka]\n'security.protocol' = 'SASL_SSL'\n'ssl.ca.location' = '{ca}'\n'sasl.mechanism' = 'SCRAM-SHA-512'\n'sasl.username' = '{USER}'\n'sasl.password' = '{PASSWORD}'\n"
            );
            std::fs::write(&file, kafka).unwrap();
            broker.lets_in("SASL_SSL", &["--config", &file], &[]);
        });
        scope.spawn(|| {
            broker.lets_in(
                "SSL",
                &[],
                &[
                    ("HELKFLOW_KAFKA_SECURITY_PROTOCOL", "SSL"),
                    ("HELKFLOW_KAFKA_SSL_CA_LOCATION", &ca),
                ],
            );
        });
        scope.spawn(|| {
            let own = [
                ("ssl.certificate.location", &certificate[..]),
                ("ssl.key.location", &key),
                ("ssl.key.password", KEY_PASSWORD),
            ];
            let options = ssl(&[&own[..], &[("ssl.ca.location", &ca)]].concat());
            broker.lets_in("MUTUAL", &refs(&options), &[]);
        });
        scope.spawn(|| {
            let told = ["-X", "debug=conf,security"].map(str::to_owned);
            let options = [&oidc(token_port, SECRET, SCOPE)[..], &told].concat();
            broker.lets_in("TOKEN", &refs(&options), &[("HELKFLOW_LOG", "debug")]);
            assert!(endpoint.given() > 0);
        });
        scope.spawn(|| broker.waits_for_tokens());
    });

    let (plain, both, tls, mutual, token) =
        ("SASL_PLAINTEXT", "SASL_SSL", "SSL", "MUTUAL", "TOKEN");
    let over_tls = |mechanism, password| {
        [sasl("SASL_SSL", mechanism, password), properties(&[("ssl.ca.location", &ca)])].concat()
    };
    let at = |listener| broker.address(listener);
    let by_name = at(tls).replace("127.0.0.1", "localhost");
    let refusals = [
        (at(plain), sasl("SASL_PLAINTEXT", "PLAIN", WRONG), "refuses the credentials"),
        (at(plain), sasl("SASL_PLAINTEXT", "SCRAM-SHA-256", WRONG), "refuses the credentials"),
        (at(both), over_tls("SCRAM-SHA-512", WRONG), "refuses the credentials"),
        // mechanisms that the listener does not have, and that we have not; one without what it needs
        (at(both), over_tls("PLAIN", PASSWORD), "supported mechanisms: SCRAM-SHA-512"),
        (at(plain), sasl("SASL_PLAINTEXT", "GSSAPI", PASSWORD), "GSSAPI"),
        (
            at(token),
            sasl("SASL_PLAINTEXT", "OAUTHBEARER", PASSWORD),
            "needs sasl.oauthbearer.method=oidc",
        ),
        (
            at(token),
            [
                sasl("SASL_PLAINTEXT", "OAUTHBEARER", PASSWORD),
                properties(&[("sasl.oauthbearer.method", "oidc")]),
            ]
            .concat(),
            "sasl.oauthbearer.token.endpoint.url",
        ),
        (at(token), oidc(token_port, WRONG, SCOPE), "the token endpoint refuses the credentials: "),
        (at(token), oidc(token_port, SECRET, "mail"), "refuses the credentials"),
        (at(plain), oidc(token_port, SECRET, SCOPE), "supported mechanisms: PLAIN,SCRAM-SHA-256"),
        (
            at(plain),
            properties(&[("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "PLAIN")]),
            "sasl.username",
        ),
        (at(tls), ssl(&[("ssl.ca.location", &stranger)]), "ssl.ca.location"),
        (at(tls), ssl(&[]), "ssl.ca.location"),
        (at(tls), ssl(&[("ssl.ca.location", "/nowhere")]), "ssl.ca.location"),
        (by_name, ssl(&[("ssl.ca.location", &ca)]), "must be for the host name"),
        (at(mutual), ssl(&[("ssl.ca.location", &ca)]), "alert bad certificate"),
        (
            at(mutual),
            ssl(&[
                ("ssl.ca.location", &ca),
                ("ssl.certificate.location", &certificate),
                ("ssl.key.location", &key),
                ("ssl.key.password", WRONG),
            ]),
            "ssl.key",
        ),
    ];
    std::thread::scope(|scope| {
        for (address, options, words) in &refusals {
            scope.spawn(move || is_refused(address, &refs(options), words));
        }
    });
}

fn refs(options: &[String]) -> Vec<&str> {
    options.iter().map(String::as_str).collect()
}
