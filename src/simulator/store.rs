//! The users of each account. Every change to a user increments the account's one revision.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::server::lock;

/// The id of the first user; later ids count up from it.
pub(crate) const FIRST_ID: u64 = 700_100_001;
/// The first revision of an account.
pub(crate) const FIRST_REVISION: u64 = 41;
/// The most users that an account holds.
pub(crate) const MAX_USERS: usize = 100_000;

/// All accounts.
#[derive(Debug)]
pub struct Store {
    accounts: Mutex<BTreeMap<String, Collection>>,
}

/// One account's users.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Collection {
    /// Each change increments it.
    pub(super) revision: u64,
    /// The users' entities by id.
    pub(super) users: BTreeMap<u64, Value>,
    next_id: u64,
}

impl Store {
    /// Creates the accounts, each with its number of users.
    #[must_use]
    pub fn new(accounts: &[(String, u64)]) -> Self {
        let accounts = accounts
            .iter()
            .map(|(account, count)| (account.clone(), Collection::with(*count)))
            .collect();
        Self {
            accounts: Mutex::new(accounts),
        }
    }

    /// The account's revision; `None` for an unknown account.
    #[must_use]
    pub fn revision(&self, account: &str) -> Option<u64> {
        self.on(account, |collection| collection.revision)
    }

    /// The ids of the account's users in ascending order; empty for an unknown account.
    #[must_use]
    pub fn ids(&self, account: &str) -> Vec<u64> {
        self.on(account, |one| one.users.keys().copied().collect())
            .unwrap_or_default()
    }

    /// Runs `action` on one account's users under the lock.
    pub(super) fn on<T>(
        &self,
        account: &str,
        action: impl FnOnce(&mut Collection) -> T,
    ) -> Option<T> {
        lock(&self.accounts).get_mut(account).map(action)
    }
}

impl Collection {
    fn with(count: u64) -> Self {
        let mut collection = Self {
            revision: FIRST_REVISION,
            users: BTreeMap::new(),
            next_id: FIRST_ID,
        };
        for number in 0..count.min(MAX_USERS as u64) {
            let user = json!({
                "loginName": format!("river{number}@example.test"),
                "fullName": format!("River Example {number}"),
                "isEnabled": true,
                "deleted": false,
            });
            collection.insert(user);
        }
        collection
    }

    /// Adds a user under a new id and returns the entity with the id. The caller increments the
    /// revision. `None` if the account is full or the entity is not an object.
    pub(super) fn insert(&mut self, mut user: Value) -> Option<Value> {
        if self.users.len() >= MAX_USERS {
            return None;
        }
        let id = self.next_id;
        user.as_object_mut()?.insert("id".to_owned(), id.into());
        self.next_id += 1;
        self.users.insert(id, user.clone());
        Some(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_starts_with_its_users_and_revision() {
        let store = Store::new(&[("1".to_owned(), 2), ("2".to_owned(), 0)]);
        assert_eq!(store.ids("1"), [FIRST_ID, FIRST_ID + 1]);
        assert_eq!(store.revision("2"), Some(FIRST_REVISION));
        assert_eq!(store.revision("3"), None);
        assert!(store.ids("3").is_empty());
    }

    #[test]
    fn an_id_is_never_given_twice() {
        let mut collection = Collection::with(1);
        collection.users.clear();
        let user = collection.insert(json!({})).unwrap();
        assert_eq!(user["id"], FIRST_ID + 1);
        assert_eq!(collection.insert(json!([])), None);
    }
}
