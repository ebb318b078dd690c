//! What a node computes, as a number that is the same in every run of the same statements.

use std::fmt::Write as _;

use super::optimize::with_inputs;
use super::{NodeId, Plan};

impl Plan {
    /// For each node a hash of what it computes: its operator and the identities of its inputs. Columns have no names in it but those of a format and of headers that are read, and other nodes of the plan play no part, so a query keeps its identities when others are added.
    ///
    /// Rests on how operators print, so it may change with a new version of helkflow: the store has the version of its writer.
    pub fn identities(&self) -> Vec<u64> {
        let mut identities: Vec<u64> = Vec::with_capacity(self.nodes.len());
        for (_, node) in self.nodes() {
            let mut text = format!("{:?}", with_inputs(&node.operator, &|_| NodeId(0)));
            for input in node.operator.inputs() {
                let _ = write!(text, " {:016x}", identities[input.0]);
            }
            identities.push(hash(&text));
        }
        identities
    }
}

/// A number for what a text says, the same in every run.
pub(super) fn hash(text: &str) -> u64 {
    let hash = blake3::hash(text.as_bytes());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight bytes"))
}
