//! Accounts, and what they prove themselves by.

use super::{AccountId, ProjectId};
use crate::access::Role;
use crate::clock::Millis;
use std::collections::HashMap;
use std::sync::Arc;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Its name.
    pub name: Arc<str>,
    /// The password's hash in PHC form.
    pub password_hash: Arc<str>,
    /// Whether it administers the whole system.
    pub admin: bool,
    /// Whether it is switched off.
    pub disabled: bool,
    /// Grows with every change of password or state; a token of an older generation is dead.
    pub generation: i64,
    /// When it was made.
    pub created_at: Millis,
}

/// What the gate needs to know of an account: read on every request, so kept in memory on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFacts {
    /// The account's number.
    pub id: AccountId,
    /// Its name.
    pub name: Arc<str>,
    /// Whether it administers the whole system.
    pub admin: bool,
    /// Whether it is switched off.
    pub disabled: bool,
    /// Its generation.
    pub generation: i64,
    /// Its role in each project.
    pub roles: HashMap<ProjectId, Role>,
}

/// A key that signs tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its id, the `kid` of a token's header.
    pub id: String,
    /// The private key, PKCS #8 (RFC 5958).
    pub pkcs8: Vec<u8>,
    /// When it was made.
    pub created_at: Millis,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A refresh token, known by its hash only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// SHA-256 of the token, hexadecimal.
    pub hash: String,
    /// Whose it is.
    pub account: AccountId,
    /// The account's generation when it was issued; an older one is dead.
    pub generation: i64,
    /// When it ends.
    pub expires_at: Millis,
}
