//! The token endpoint, `GET` and `POST /token`: credentials in, a token with the
//! intersection of what was asked and what is held out. Source: distribution's token
//! and OAuth2 documentation. HTTP itself is not here; `http::token` reads and writes it.

use super::authenticate::Authenticator;
use super::gate::AccessGate;
use super::scope;
use super::token::{Issued, Tokens, narrow, random_hex};
use aws_lc_rs::digest;
use granary_storage::access::{ANONYMOUS, Access, Actions, Scopes};
use granary_storage::catalog::{AccountFacts, Catalog, RefreshToken};
use granary_storage::{Error, ErrorKind, Result, What, clock};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What a client asks the endpoint for.
#[derive(Default)]
pub(crate) struct TokenRequest {
    /// The scopes, as given; each value may hold several.
    pub(crate) scopes: Vec<String>,
    /// The service the token shall be for; empty when the client does not say.
    pub(crate) service: String,
    /// Whether a refresh token is wanted.
    pub(crate) offline: bool,
    /// Who asks.
    pub(crate) credentials: Credentials,
}

/// Who asks for a token.
#[derive(Default)]
pub(crate) enum Credentials {
    /// Nobody in particular.
    #[default]
    None,
    /// The credentials of a Basic header.
    Basic(String),
    /// A name and a password from a form.
    Password(String, String),
    /// A refresh token.
    Refresh(String),
}

/// What the client gets.
pub(crate) struct TokenReply {
    /// The token.
    pub(crate) issued: Issued,
    /// A refresh token, when one was asked for or used.
    pub(crate) refresh: Option<String>,
    /// What was granted, in the scope grammar.
    pub(crate) scope: String,
}

/// The endpoint.
pub(crate) struct TokenEndpoint {
    /// Checks credentials.
    pub(crate) authenticator: Arc<Authenticator>,
    /// Signs.
    pub(crate) tokens: Arc<Tokens>,
    /// Knows what is held.
    pub(crate) gate: Arc<AccessGate>,
    /// Keeps refresh tokens.
    pub(crate) catalog: Catalog,
    /// The name of this service.
    pub(crate) service: String,
    /// How long a refresh token lives.
    pub(crate) refresh_lifetime: Duration,
    /// Refresh tokens of one account, at most; the oldest makes room for the next.
    pub(crate) refresh_tokens: u64,
}

impl TokenEndpoint {
    /// Grants a token. Less than was asked for is not an error.
    ///
    /// # Errors
    /// `Unauthenticated` for credentials that do not hold; `Invalid`/`Request` for another service's name.
    pub(crate) async fn grant(&self, request: TokenRequest) -> Result<TokenReply> {
        if !request.service.is_empty() && request.service != self.service {
            return Err(Error::invalid(
                What::Request,
                "this endpoint does not issue tokens for that service",
            ));
        }
        let (facts, used_refresh) = self.who(request.credentials).await?;
        let wanted = scope::parse(request.scopes.iter().map(String::as_str));
        let scopes = self.allowed(facts.as_deref(), &wanted).await?;
        let account = facts.as_ref().map(|facts| (facts.id, facts.generation));
        let subject = facts.as_ref().map_or(ANONYMOUS, |facts| &facts.name);
        let issued = self.tokens.issue(subject, account, &scopes)?;
        let refresh = match (&facts, used_refresh) {
            (_, Some(same)) => Some(same),
            (Some(facts), None) if request.offline => Some(self.refresh_token(facts).await?),
            _ => None,
        };
        Ok(TokenReply {
            issued,
            refresh,
            scope: spell(&scopes),
        })
    }

    async fn who(&self, credentials: Credentials) -> Result<(Option<Arc<AccountFacts>>, Option<String>)> {
        Ok(match credentials {
            Credentials::None => (None, None),
            Credentials::Basic(basic) => (Some(self.authenticator.basic(&basic).await?), None),
            Credentials::Password(name, password) => (Some(self.authenticator.password(&name, &password).await?), None),
            Credentials::Refresh(token) => {
                let dead = || {
                    Error::new(
                        ErrorKind::Unauthenticated,
                        What::Token,
                        "the refresh token is not valid here, or has expired",
                    )
                };
                let (known, account) = self.catalog.refresh_token(hash(&token), clock::now()).await?.ok_or_else(dead)?;
                let facts = self.authenticator.standing(account.id, known.generation).await?.ok_or_else(dead)?;
                (Some(facts), Some(token))
            }
        })
    }

    async fn allowed(&self, facts: Option<&AccountFacts>, wanted: &Scopes) -> Result<Scopes> {
        let mut held: HashMap<&Access, Actions> = HashMap::new();
        for access in &wanted.repositories {
            held.insert(access, self.gate.held(facts, access).await?);
        }
        // What the catalog shows is filtered to what may be read, so anybody may have the scope.
        Ok(narrow(wanted, true, |access| held.get(access).copied().unwrap_or(Actions::NONE)))
    }

    async fn refresh_token(&self, facts: &AccountFacts) -> Result<String> {
        let token = format!("granary_rt_{}{}", random_hex()?, random_hex()?);
        let expires_at = clock::now() + clock::millis(self.refresh_lifetime);
        let row = RefreshToken {
            hash: hash(&token),
            account: facts.id,
            generation: facts.generation,
            expires_at,
        };
        self.catalog.add_refresh_token(row, self.refresh_tokens).await?;
        Ok(token)
    }
}

fn hash(token: &str) -> String {
    digest::digest(&digest::SHA256, token.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn spell(scopes: &Scopes) -> String {
    let repositories = scopes.repositories.iter().map(|access| {
        let words: Vec<_> = access.actions.scope_words().collect();
        format!("repository:{}:{}", access.repository, words.join(","))
    });
    let catalog = scopes.catalog.then(|| "registry:catalog:*".to_owned());
    repositories.chain(catalog).collect::<Vec<_>>().join(" ")
}
