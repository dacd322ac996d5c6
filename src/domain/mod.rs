//! Which origin serves an account.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::request::Origin;

/// Finds the origin of an account.
#[derive(Debug)]
pub struct Directory {
    /// The fixed origin of each configured account.
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
