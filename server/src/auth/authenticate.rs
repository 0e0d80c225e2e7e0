//! From an `Authorization` header to a principal. Nothing else in a request says who calls.

use super::password::Passwords;
use super::token::Tokens;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granary_storage::access::Principal;
use granary_storage::catalog::{AccountFacts, AccountId, Catalog};
use granary_storage::{Error, ErrorKind, Result, What};
use std::sync::Arc;

/// Turns credentials into principals.
pub(crate) struct Authenticator {
    catalog: Catalog,
    passwords: Arc<Passwords>,
    tokens: Arc<Tokens>,
}

impl Authenticator {
    /// An authenticator over the parts it asks.
    pub(crate) fn new(catalog: Catalog, passwords: Arc<Passwords>, tokens: Arc<Tokens>) -> Self {
        Self {
            catalog,
            passwords,
            tokens,
        }
    }

    /// The principal of a request: anonymous without a header.
    ///
    /// # Errors
    /// `Unauthenticated`/`Credentials` or `/Token` when the header is there and does not hold. Never falls back to anonymous.
    pub(crate) async fn principal(&self, authorization: Option<&str>) -> Result<Principal> {
        let Some(header) = authorization else {
            return Ok(Principal::anonymous());
        };
        let (scheme, credentials) = header.split_once(' ').ok_or_else(unreadable)?;
        let credentials = credentials.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            self.bearer(credentials).await
        } else if scheme.eq_ignore_ascii_case("basic") {
            let facts = self.basic(credentials).await?;
            Ok(Principal {
                account: Some(facts.id),
                name: facts.name.clone(),
                scopes: None,
            })
        } else {
            Err(unreadable())
        }
    }

    /// The account of Basic credentials (RFC 7617).
    ///
    /// # Errors
    /// `Unauthenticated`/`Credentials` when they do not hold.
    pub(crate) async fn basic(&self, credentials: &str) -> Result<Arc<AccountFacts>> {
        let decoded = STANDARD.decode(credentials).map_err(|cause| unreadable().because(cause))?;
        let text = String::from_utf8(decoded).map_err(|cause| unreadable().because(cause))?;
        let (name, password) = text.split_once(':').ok_or_else(unreadable)?;
        // RFC 7617 §2: neither may hold a control character.
        if text.contains(char::is_control) {
            return Err(unreadable());
        }
        self.password(name, password).await
    }

    /// The account of a name and a password.
    ///
    /// # Errors
    /// `Unauthenticated`/`Credentials` when they do not hold.
    pub(crate) async fn password(&self, name: &str, password: &str) -> Result<Arc<AccountFacts>> {
        let verified = self.passwords.verify(name, password).await?;
        self.standing(verified.account, verified.generation).await?.ok_or_else(|| {
            Error::new(
                ErrorKind::Unauthenticated,
                What::Credentials,
                "the account was changed while its password was checked; try again",
            )
        })
    }

    async fn bearer(&self, token: &str) -> Result<Principal> {
        let verified = self.tokens.verify(token)?;
        let scopes = Some(verified.scopes.clone());
        let Some(account) = verified.account else {
            return Ok(Principal {
                scopes,
                ..Principal::anonymous()
            });
        };
        match self.standing(account, verified.generation).await? {
            Some(facts) => Ok(Principal {
                account: Some(account),
                name: facts.name.clone(),
                scopes,
            }),
            None => Err(Error::new(ErrorKind::Unauthenticated, What::Token, "the token has been revoked")),
        }
    }

    /// The account's facts while it is enabled and still of `generation`.
    pub(crate) async fn standing(&self, account: AccountId, generation: i64) -> Result<Option<Arc<AccountFacts>>> {
        let facts = self.catalog.account_facts(account).await?;
        Ok(facts.filter(|facts| !facts.disabled && facts.generation == generation))
    }
}

fn unreadable() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        What::Credentials,
        "the Authorization header is neither readable Basic nor Bearer",
    )
}
