//! Which origin serves an account.

use std::collections::BTreeMap;

use crate::request::Origin;

/// What is known of accounts by the config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Fixed: account to origin.
    pub accounts: BTreeMap<String, Origin>,
}

/// Finds the origin of an account.
#[derive(Clone, Debug)]
pub struct Directory {
    accounts: BTreeMap<String, std::sync::Arc<Origin>>,
}

impl Directory {
    /// With what the config says.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            accounts: settings
                .accounts
                .iter()
                .map(|(account, origin)| (account.clone(), std::sync::Arc::new(origin.clone())))
                .collect(),
        }
    }

    /// The origin, where one is known.
    #[must_use]
    pub fn origin(&self, account: &str) -> Option<&std::sync::Arc<Origin>> {
        self.accounts.get(account)
    }

    /// How many different origins there are.
    #[must_use]
    pub fn origin_count(&self) -> usize {
        let origins: std::collections::BTreeSet<_> = self.accounts.values().collect();
        origins.len()
    }
}
