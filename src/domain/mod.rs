//! Which origin serves an account.

use std::collections::BTreeMap;

use crate::request::Origin;

/// The configured accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The fixed origin of each account.
    pub accounts: BTreeMap<String, Origin>,
}

/// Finds the origin of an account.
#[derive(Clone, Debug)]
pub struct Directory {
    accounts: BTreeMap<String, std::sync::Arc<Origin>>,
}

impl Directory {
    /// Creates the directory from the settings.
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

    /// The origin of the account, if the config names one.
    #[must_use]
    pub fn origin(&self, account: &str) -> Option<&std::sync::Arc<Origin>> {
        self.accounts.get(account)
    }

    /// The number of different origins.
    #[must_use]
    pub fn origin_count(&self) -> usize {
        let origins: std::collections::BTreeSet<_> = self.accounts.values().collect();
        origins.len()
    }
}
