//! What a run is to be, from all places that say something about it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

use super::args::{LogFormat, Options, RunArgs};
use super::{default_guarantee, guarantee_of, properties, start_of};
use crate::cli::Failure;
use crate::connect::kafka::{Guarantee, Properties, Start, is_secret};
use crate::dataflow::Cluster;
use crate::engine::Bounds;
use crate::engine::live::Settings;
use crate::sql::Script;
use crate::sql::binder::Purpose;

/// The configuration file.
#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    files: Vec<String>,
    kafka: Properties,
    #[serde(flatten)]
    options: toml::Table,
}

/// The result of flags, environment and file.
pub struct Config {
    /// Dataflows and files of SQL.
    pub files: Vec<String>,
    /// Worker threads.
    pub workers: Option<usize>,
    /// Where HTTP is served.
    pub http: Option<String>,
    /// How the log is written.
    pub log_format: LogFormat,
    options: Options,
    properties: Properties,
}

impl Config {
    /// Reads the file and the environment.
    pub fn resolve(args: &RunArgs) -> Result<Config, Failure> {
        let file = args.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let name = || args.config.as_deref().unwrap_or(Path::new("")).display();
        let from_file: Options = file
            .options
            .try_into()
            .with_context(|| format!("in {}", name()))
            .map_err(Failure::Usage)?;
        let environment = properties::from_environment(std::env::vars());
        let options = merge(args.options.clone(), merge(environment.options, from_file));
        let mut properties = file.kafka;
        properties.extend(environment.kafka);
        if let Some(path) = &args.properties {
            properties.extend(properties::read(path)?);
        }
        properties.extend(args.property.iter().cloned());
        properties::translate_jaas(&mut properties)?;
        if let Some(servers) = &options.bootstrap_servers {
            properties.insert("bootstrap.servers".into(), servers.clone());
        }
        properties.entry("bootstrap.servers".into()).or_insert_with(|| "localhost:9092".into());
        let files = if args.files.is_empty() { file.files } else { args.files.clone() };
        if files.is_empty() {
            return Err(Failure::misuse(
                "name a dataflow to run: a shipped one, as process_network, or a file of SQL",
            ));
        }
        Ok(Config {
            files,
            workers: options.workers,
            http: options.http.clone(),
            log_format: options.log_format.unwrap_or_default(),
            options,
            properties,
        })
    }

    /// How much one process may add to each row.
    pub fn bounds(&self) -> Bounds {
        Bounds::of(self.options.max_command_line, self.options.max_ancestor)
    }

    /// What the engine is to do. SET in the statements says what nothing else says.
    pub fn settings(&self, mut script: Script, cluster: Cluster) -> Result<Settings, Failure> {
        let options = &self.options;
        let set = |name: &str| {
            script
                .settings
                .get(name)
                .or_else(|| script.settings.get(&format!("ksql.streams.{name}")))
                .cloned()
        };
        let start = match (
            options.from,
            options.auto_offset_reset.clone().or_else(|| set("auto.offset.reset")),
        ) {
            (Some(time), _) => Start::Timestamp(time.0),
            (None, Some(reset)) => start_of(&reset).map_err(Failure::misuse)?,
            (None, None) => Start::Earliest,
        };
        let guarantee =
            match options.processing_guarantee.clone().or_else(|| set("processing.guarantee")) {
                Some(name) => guarantee_of(&name).map_err(Failure::misuse)?,
                None => default_guarantee(options.state_dir.is_some()),
            };
        let read = ["auto.offset.reset", "processing.guarantee"];
        for name in script
            .settings
            .keys()
            .filter(|name| !read.contains(&name.trim_start_matches("ksql.streams.")))
        {
            tracing::warn!("SET '{name}' means nothing to helkflow");
        }
        if let Some(views) = &options.view {
            publish_only(&mut script, views)?;
        }
        let commit = if guarantee == Guarantee::ExactlyOnce { 50 } else { 5 };
        Ok(Settings {
            script,
            cluster,
            properties: self.properties.clone(),
            service_id: options.service_id.clone().unwrap_or_else(|| "helkflow".into()),
            state_dir: options.state_dir.clone(),
            reset: options.reset.unwrap_or(false),
            guarantee,
            start,
            allowed_lateness: options.allowed_lateness.unwrap_or(Duration::from_hours(1)),
            require_topics: options.require_topics.unwrap_or(false),
            rendering: options.rendering,
            max_event_age: options.max_event_age.unwrap_or(Duration::from_hours(365 * 24)),
            straggler_timeout: options.straggler_timeout.unwrap_or(Duration::from_mins(15)),
            commit_interval: options.commit_interval.unwrap_or(Duration::from_millis(commit)),
            checkpoint_interval: options.checkpoint_interval.unwrap_or(Duration::from_secs(1)),
            watchdog: options.watchdog.unwrap_or(Duration::from_mins(5)),
            memory_limit: options.memory_limit,
        })
    }

    /// What came of it all, for people; secrets are masked.
    pub fn describe(&self, settings: &Settings) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(text, "  {name:<22} {value}");
        };
        line("files", &self.files.join(", "));
        line("service-id", &settings.service_id);
        line("workers", &settings.cluster.threads);
        line(
            "state-dir",
            &settings.state_dir.as_ref().map_or("none".into(), |dir| dir.display().to_string()),
        );
        line(
            "processing-guarantee",
            &if settings.guarantee == Guarantee::ExactlyOnce {
                "exactly_once_v2"
            } else {
                "at_least_once"
            },
        );
        line(
            "auto-offset-reset",
            &match settings.start {
                Start::Earliest => "earliest".to_owned(),
                Start::Latest => "latest".to_owned(),
                Start::Timestamp(ms) => format!("from {}", crate::model::Timestamp(ms)),
            },
        );
        line("as", &settings.rendering.map_or("columns".into(), |kind| kind.to_string()));
        line("allowed-lateness", &format!("{:?}", settings.allowed_lateness));
        line("max-event-age", &format!("{:?}", settings.max_event_age));
        line("straggler-timeout", &format!("{:?}", settings.straggler_timeout));
        line("max-command-line", &self.bounds().command_line);
        line("max-ancestor", &self.bounds().ancestor);
        line("commit-interval", &format!("{:?}", settings.commit_interval));
        line("checkpoint-interval", &format!("{:?}", settings.checkpoint_interval));
        line("watchdog", &format!("{:?}", settings.watchdog));
        line(
            "memory-limit",
            &settings.memory_limit.map_or("none".into(), |bytes| format!("{} MiB", bytes >> 20)),
        );
        line("http", &self.http.as_deref().unwrap_or("none"));
        for (name, value) in &settings.properties {
            line(name, &if is_secret(name) { "********" } else { value });
        }
        format!("helkflow {}\n{text}", env!("CARGO_PKG_VERSION"))
    }
}

fn read(path: &Path) -> Result<File, Failure> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .map_err(Failure::Usage)?;
    toml::from_str(&text).with_context(|| format!("in {}", path.display())).map_err(Failure::Usage)
}

/// What `first` says, and else what `second` says.
fn merge(first: Options, second: Options) -> Options {
    Options {
        bootstrap_servers: first.bootstrap_servers.or(second.bootstrap_servers),
        service_id: first.service_id.or(second.service_id),
        auto_offset_reset: first.auto_offset_reset.or(second.auto_offset_reset),
        from: first.from.or(second.from),
        require_topics: first.require_topics.or(second.require_topics),
        processing_guarantee: first.processing_guarantee.or(second.processing_guarantee),
        commit_interval: first.commit_interval.or(second.commit_interval),
        view: first.view.or(second.view),
        rendering: first.rendering.or(second.rendering),
        workers: first.workers.or(second.workers),
        allowed_lateness: first.allowed_lateness.or(second.allowed_lateness),
        max_event_age: first.max_event_age.or(second.max_event_age),
        straggler_timeout: first.straggler_timeout.or(second.straggler_timeout),
        max_command_line: first.max_command_line.or(second.max_command_line),
        max_ancestor: first.max_ancestor.or(second.max_ancestor),
        state_dir: first.state_dir.or(second.state_dir),
        reset: first.reset.or(second.reset),
        checkpoint_interval: first.checkpoint_interval.or(second.checkpoint_interval),
        http: first.http.or(second.http),
        log_format: first.log_format.or(second.log_format),
        watchdog: first.watchdog.or(second.watchdog),
        memory_limit: first.memory_limit.or(second.memory_limit),
    }
}

/// Keeps only some views from being published. Names count as SQL's: unquoted ones in any case.
fn publish_only(script: &mut Script, names: &[String]) -> Result<(), Failure> {
    let published = |script: &Script, i: usize| script.views[i].purpose == Purpose::Publish;
    let mut kept = Vec::new();
    for name in names {
        let find = |name: &str| {
            (0..script.views.len())
                .find(|&i| published(script, i) && script.plan.views[i].name == name)
        };
        let Some(found) = find(name).or_else(|| find(&name.to_uppercase())) else {
            let known: Vec<&str> = (0..script.views.len())
                .filter(|&i| published(script, i))
                .map(|i| &script.plan.views[i].name[..])
                .collect();
            return Err(Failure::misuse(format!(
                "there is no view {name}; there are {}",
                known.join(", ")
            )));
        };
        kept.push(found);
    }
    for i in 0..script.views.len() {
        if !kept.contains(&i) && published(script, i) {
            script.views[i].purpose = Purpose::Show;
        }
    }
    Ok(())
}
