//! The caller, as the validated token names it.

/// The accounts that a caller may access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accounts {
    /// Every account: the claim holds `"*"`.
    All,
    /// These accounts, sorted.
    These(Vec<String>),
    /// None: the token lacks this claim.
    Missing(String),
}

/// The scopes that a caller holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scopes {
    /// These scopes, sorted.
    These(Vec<String>),
    /// None: the token lacks this claim.
    Missing(String),
}

/// A caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The client claim, or `azp`.
    pub client: Option<String>,
    /// The accounts claim.
    pub accounts: Accounts,
    /// The scopes claim.
    pub scopes: Scopes,
    /// `jti`; without one, the SHA-256 of `header.payload` in lower-case hexadecimal.
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
