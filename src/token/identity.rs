//! The caller that a validated token names.

/// The accounts that a caller may access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accounts {
    /// Every account, because the claim contains `"*"`.
    All,
    /// These accounts, sorted.
    These(Vec<String>),
    /// No account, because the token lacks the claim with this name.
    Missing(String),
}

/// The scopes that a caller holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scopes {
    /// These scopes, sorted.
    These(Vec<String>),
    /// No scope, because the token lacks the claim with this name.
    Missing(String),
}

/// A caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The issuer (`iss`).
    pub issuer: String,
    /// The subject (`sub`).
    pub subject: String,
    /// The client, from the client claim or else from `azp`.
    pub client: Option<String>,
    /// The accounts that the caller may access.
    pub accounts: Accounts,
    /// The scopes that the caller holds.
    pub scopes: Scopes,
    /// The token's id: `jti`, or else the SHA-256 of `header.payload` in lower-case hexadecimal.
    pub token_id: String,
}

impl Identity {
    /// Whether the caller may access this account.
    #[must_use]
    pub fn covers(&self, account: &str) -> bool {
        match &self.accounts {
            Accounts::All => true,
            Accounts::These(these) => these.iter().any(|one| one == account),
            Accounts::Missing(_) => false,
        }
    }

    /// Whether the caller holds this scope.
    #[must_use]
    pub fn holds(&self, scope: &str) -> bool {
        match &self.scopes {
            Scopes::These(these) => these.iter().any(|one| one == scope),
            Scopes::Missing(_) => false,
        }
    }
}
