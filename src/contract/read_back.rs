//! Makes the path and query for reading a user after a deletion. The operation that reads one user,
//! from the same contract as the deletion, defines both.

use super::operation::{BodyRule, Effect};
use super::{Contracts, path};

impl Contracts {
    /// The path and query of the GET that reads one user of a past deletion. `operation` is the
    /// name of the deletion's operation. Returns `None` if no contract in force has this operation,
    /// if the contract with this operation has no operation that reads a single user, or if the
    /// account or the user is invalid.
    #[must_use]
    pub fn read_back(&self, operation: &str, account: &str, user: &str) -> Option<String> {
        if !path::is_account(account) || !path::is_user_id(user) {
            return None;
        }
        self.all().iter().find_map(|contract| {
            let mut routes = contract.routes.iter();
            let deletion = routes.find(|route| *route.operation.name == *operation)?;
            let read = contract.routes.iter().find(|route| {
                let reads = &route.operation;
                route.off.is_none()
                    && (reads.effect, reads.method.as_str()) == (Effect::Read, "GET")
                    && !reads.if_match_required
                    && matches!(reads.body, BodyRule::None | BodyRule::EmptyJson)
                    && route.template.is_of_one_user(&deletion.template)
            })?;
            let filled = read.template.fill(account, user);
            Some(format!("{filled}?v={}", read.operation.version))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Contract;

    fn builtin() -> Contracts {
        Contracts::new(vec![Contract::builtin()]).unwrap()
    }

    #[test]
    fn a_user_of_either_deletion_is_read_by_the_contracts_own_read() {
        let wanted = "/api/account/12345678/configuration/le-users/users/42?v=4.0";
        for operation in ["users.delete", "users.delete_batch"] {
            let target = builtin().read_back(operation, "12345678", "42");
            assert_eq!(target.as_deref(), Some(wanted), "{operation}");
        }
    }

    #[test]
    fn an_impossible_request_is_none() {
        for (operation, account, user) in [
            ("skills.delete", "12345678", "42"),
            ("users.delete", "1234/5678", "42"),
            ("users.delete", "", "42"),
            ("users.delete", "12345678", "../42"),
            ("users.delete", "12345678", "0"),
            ("users.delete", "12345678", "42?x"),
        ] {
            let target = builtin().read_back(operation, account, user);
            assert_eq!(target, None, "{operation} {account} {user}");
        }
    }

    #[test]
    fn a_contract_that_reads_no_single_user_gives_none() {
        let text = Contract::builtin().source;
        let off = text.replace(
            "name     = \"users.get\"",
            "on = false\nreason = \"closed\"\nname     = \"users.get\"",
        );
        assert_ne!(off, text);
        let contract = Contract::parse(&off).unwrap();
        let contracts = Contracts::new(vec![contract]).unwrap();
        assert_eq!(contracts.read_back("users.delete", "1", "42"), None);
    }
}
