use super::Definition;

pub(super) const FUNCTIONS: &[Definition] = &[];
