//! Which origin serves an account.

use std::collections::BTreeMap;

use crate::request::Origin;

/// What is known of accounts by the config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Fixed: account to origin.
    pub accounts: BTreeMap<String, Origin>,
}
