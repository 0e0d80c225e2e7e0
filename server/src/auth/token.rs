//! Short-lived tokens: EdDSA-signed JWTs (RFC 7519, RFC 8037) that narrow a principal
//! to some scopes. They carry the account's generation, so that disabling an account
//! or changing its password ends its tokens with the next request.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use granary_storage::access::{Access, Actions, Scopes};
use granary_storage::catalog::{AccountId, Catalog, SigningKey};
use granary_storage::{Error, ErrorKind, Result, What, clock};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Verified tokens remembered, at most.
const REMEMBERED: usize = 16_384;
/// A token longer than this is not looked at.
const TOKEN_MAX: usize = 32 * 1024;

/// Issues and verifies tokens.
pub(crate) struct Tokens {
    service: String,
    lifetime: Duration,
    key_id: String,
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    verified: Cache<[u8; 32], Arc<Verified>>,
}

/// What a token says, once its signature, times and audience have been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// Whose it is; nobody's for anonymous.
    pub(crate) account: Option<AccountId>,
    /// The account's generation when it was issued.
    pub(crate) generation: i64,
    /// What it reaches.
    pub(crate) scopes: Arc<Scopes>,
    /// When it ends.
    expires_at: clock::Millis,
}

/// A token and what a client is told about it.
pub(crate) struct Issued {
    /// The token.
    pub(crate) token: String,
    /// Seconds it lives.
    pub(crate) expires_in: u64,
    /// When it was issued.
    pub(crate) issued_at: clock::Millis,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    nbf: u64,
    iat: u64,
    jti: String,
    access: Vec<ClaimedAccess>,
    /// The account's number; absent for anonymous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<i64>,
    /// The account's generation.
    #[serde(default)]
    generation: i64,
}

#[derive(Serialize, Deserialize)]
struct ClaimedAccess {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: Vec<String>,
}

impl Tokens {
    /// Opens the instance's signing key, making one on first use.
    ///
    /// # Errors
    /// `Internal` when the stored key is unusable, and whatever the catalog reports.
    pub(crate) async fn open(catalog: &Catalog, service: &str, lifetime: Duration) -> Result<Self> {
        let candidate = new_key()?;
        let key = catalog.ensure_signing_key(candidate).await?;
        let pair = Ed25519KeyPair::from_pkcs8(&key.pkcs8).map_err(|cause| Error::internal(cause.to_string()))?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[service]);
        validation.set_issuer(&[service]);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = 0;
        Ok(Self {
            service: service.to_owned(),
            lifetime,
            verifying: DecodingKey::from_ed_der(pair.public_key().as_ref()),
            signing: EncodingKey::from_ed_der(&key.pkcs8),
            key_id: key.id,
            validation,
            verified: Cache::new(REMEMBERED),
        })
    }

    /// A token for an account (or anonymous) that reaches `scopes`.
    ///
    /// # Errors
    /// `Internal` when signing fails.
    pub(crate) fn issue(&self, subject: &str, account: Option<(AccountId, i64)>, scopes: &Scopes) -> Result<Issued> {
        let issued_at = clock::now();
        let seconds = u64::try_from(issued_at / 1000).unwrap_or(0);
        let claims = Claims {
            iss: self.service.clone(),
            sub: subject.to_owned(),
            aud: self.service.clone(),
            exp: seconds + self.lifetime.as_secs(),
            nbf: seconds,
            iat: seconds,
            jti: random_hex()?,
            access: claimed(scopes),
            uid: account.map(|(id, _)| id.0),
            generation: account.map_or(0, |(_, generation)| generation),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.key_id.clone());
        let token = jsonwebtoken::encode(&header, &claims, &self.signing).map_err(Error::internal)?;
        Ok(Issued {
            token,
            expires_in: self.lifetime.as_secs(),
            issued_at,
        })
    }

    /// Reads a token. Whether its account still stands is the caller's question.
    ///
    /// # Errors
    /// `Unauthenticated`/`Token` for anything that this instance did not issue for itself, and for an expired one.
    pub(crate) fn verify(&self, token: &str) -> Result<Arc<Verified>> {
        if token.len() > TOKEN_MAX {
            return Err(invalid());
        }
        let mut key = [0; 32];
        key.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        let verified = match self.verified.get(&key) {
            Some(known) => known,
            None => {
                let fresh = Arc::new(self.verify_now(token)?);
                self.verified.insert(key, fresh.clone());
                fresh
            }
        };
        if verified.expires_at <= clock::now() {
            self.verified.remove(&key);
            return Err(invalid());
        }
        Ok(verified)
    }

    fn verify_now(&self, token: &str) -> Result<Verified> {
        // The key is ours whatever the header proposes: `kid` only has to agree, `jwk`, `jku` and `x5c` are not read (CVE-2025-24976).
        let header = jsonwebtoken::decode_header(token).map_err(|cause| invalid().because(cause))?;
        if header.kid.as_deref() != Some(self.key_id.as_str()) {
            return Err(invalid().because("the token was signed with another key"));
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.verifying, &self.validation)
            .map_err(|cause| invalid().because(cause))?
            .claims;
        Ok(Verified {
            account: claims.uid.map(AccountId),
            generation: claims.generation,
            scopes: Arc::new(scopes(&claims.access)),
            expires_at: i64::try_from(claims.exp.saturating_mul(1000)).unwrap_or(i64::MAX),
        })
    }
}

fn claimed(scopes: &Scopes) -> Vec<ClaimedAccess> {
    let catalog = scopes.catalog.then(|| ClaimedAccess {
        kind: "registry".into(),
        name: "catalog".into(),
        actions: vec!["*".into()],
    });
    let repositories = scopes.repositories.iter().map(|access| ClaimedAccess {
        kind: "repository".into(),
        name: access.repository.as_str().into(),
        actions: access.actions.scope_words().map(str::to_owned).collect(),
    });
    repositories.chain(catalog).collect()
}

fn scopes(access: &[ClaimedAccess]) -> Scopes {
    let lines: Vec<String> = access
        .iter()
        .map(|entry| format!("{}:{}:{}", entry.kind, entry.name, entry.actions.join(",")))
        .collect();
    super::scope::parse(lines.iter().map(String::as_str))
}

fn new_key() -> Result<SigningKey> {
    let pair = Ed25519KeyPair::generate().map_err(|cause| Error::internal(cause.to_string()))?;
    let pkcs8 = pair.to_pkcs8().map_err(|cause| Error::internal(cause.to_string()))?;
    Ok(SigningKey {
        id: random_hex()?,
        pkcs8: pkcs8.as_ref().to_vec(),
        created_at: clock::now(),
    })
}

/// 128 random bits in hexadecimal.
pub(crate) fn random_hex() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|cause| Error::internal(cause.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn invalid() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        What::Token,
        "the token is not valid here, or has expired",
    )
}

/// What of `wanted` an account may have: the token endpoint grants the intersection.
pub(crate) fn narrow(wanted: &Scopes, catalog: bool, mut allowed: impl FnMut(&Access) -> Actions) -> Scopes {
    let repositories = wanted.repositories.iter().filter_map(|access| {
        let actions = access.actions & allowed(access);
        (!actions.is_empty()).then(|| Access {
            repository: access.repository.clone(),
            actions,
        })
    });
    Scopes {
        repositories: repositories.collect(),
        catalog: wanted.catalog && catalog,
    }
}
