//! Finds the origin that serves an account.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::request::Origin;

/// The origins of the accounts.
#[derive(Debug)]
pub struct Directory {
    /// The origin of each account that the config names.
    pub accounts: BTreeMap<String, Arc<Origin>>,
}

impl Directory {
    /// The origin of the account, if the config names one.
    pub fn origin(&self, account: &str) -> Option<&Arc<Origin>> {
        self.accounts.get(account)
    }

    /// The number of different origins.
    pub fn origin_count(&self) -> usize {
        self.accounts.values().collect::<BTreeSet<_>>().len()
    }
}
