//! Notices another run of the same name.
//!
//! With exactly once the broker fences the earlier of two runs. Without it both write, and a reader sees every result twice. So each process of such a run is a member of the group `NAME_runs`, and looks how many there are. A
//! member that died stays one for its session, so more than there should be are told of only when they stay for longer.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use tracing::{debug, warn};

use super::client::{Client, ClientError, Context};

/// How long a member is one that says nothing.
const SESSION: Duration = Duration::from_secs(10);
/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The membership of one process.
pub struct Presence {
    client: Client,
    consumer: BaseConsumer<Context>,
    group: String,
    processes: usize,
    /// Since when there are more members than processes.
    crowded: Option<Instant>,
}

impl Presence {
    /// Joins the runs of a name, of which one should have so many processes. A group needs a topic: `topic` is one that is there.
    pub fn join(
        client: &Client,
        name: &str,
        processes: usize,
        topic: &str,
    ) -> Result<Presence, ClientError> {
        let group = format!("{name}_runs");
        let session = SESSION.as_millis().to_string();
        let consumer: BaseConsumer<Context> = client.make(
            &[],
            &[
                ("group.id", &group),
                ("session.timeout.ms", &session),
                ("enable.auto.commit", "false"),
                ("auto.offset.reset", "latest"),
                ("allow.auto.create.topics", "false"),
                // nothing is read: the least that is fetched
                ("queued.min.messages", "1"),
                ("queued.max.messages.kbytes", "1"),
            ],
        )?;
        if let Err(error) = consumer.subscribe(&[topic]) {
            debug!("{group} cannot be joined: {error}");
        }
        Ok(Presence { client: client.clone(), consumer, group, processes, crowded: None })
    }

    /// Stays a member. To be called often.
    pub fn stay(&self) {
        // what comes is nobody's business; errors are those of a group that is not ours to join, or of a broker that others tell of
        let _ = self.consumer.poll(Duration::ZERO);
    }

    /// Counts the members of the group, and warns when there are too many.
    pub fn look(&mut self) {
        if let Ok(assigned) = self.consumer.assignment() {
            let _ = self.consumer.pause(&assigned);
        }
        let groups = match self.consumer.fetch_group_list(Some(&self.group), PATIENCE) {
            Ok(groups) => groups,
            Err(error) => return debug!("{} cannot be looked at: {error}", self.group),
        };
        let members = groups.groups().iter().flat_map(rdkafka::groups::GroupInfo::members);
        let hosts: Vec<&str> = members.map(rdkafka::groups::GroupMemberInfo::client_host).collect();
        if hosts.len() <= self.processes {
            self.crowded = None;
            return self.client.well("another run has the same name");
        }
        let since = *self.crowded.get_or_insert_with(Instant::now);
        if since.elapsed() > SESSION && self.client.tells("another run has the same name") {
            warn!(
                "another run has the same --service-id, and what both write is there twice: {} processes in {}, of {}; each run needs a name of its own",
                hosts.len(),
                self.group,
                hosts.join(", ")
            );
        }
    }
}
