//! Passwords: argon2id to make and check them, off the async workers, at most a few
//! at once, and a short memory of what was just verified, so that a client that sends
//! Basic credentials on every request does not pay for the hash on every request.

use super::names::PASSWORD_MAX;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use aws_lc_rs::{hmac, rand};
use granary_storage::catalog::{Account, AccountId, Catalog};
use granary_storage::{Error, ErrorKind, Result, What};
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Verified credentials remembered, at most.
const REMEMBERED: usize = 4096;
/// Verified when the account does not exist, so that its absence takes as long as a wrong password. The hash of
/// something random; a test sees to it that its parameters stay those of every other hash.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$KrzzhxeFhqy+ZbP5R5+wMQ$Pj2LtsJWukFGloLb165GzJH2DCTVSiZpkK7wMvWj2Wg";

/// Makes and checks passwords.
pub(crate) struct Passwords {
    catalog: Catalog,
    /// Bounds the hashes that run at once: each takes 19 MiB and tens of milliseconds.
    running: Arc<Semaphore>,
    /// Bounds those that run or wait: a flood of logins is turned away rather than collected.
    queue: Semaphore,
    /// Keyed with a secret of this process, so that the memory holds nothing to guess against.
    secret: hmac::Key,
    remembered: Cache<[u8; 32], Remembered>,
    remember_for: Duration,
}

#[derive(Clone)]
struct Remembered {
    account: AccountId,
    generation: i64,
    at: Instant,
}

/// Proof that somebody knew an account's password just now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verified {
    pub(crate) account: AccountId,
    pub(crate) generation: i64,
}

impl Passwords {
    /// A checker that remembers for `remember_for`, runs `concurrency` hashes at once and lets `queue` more wait.
    ///
    /// # Errors
    /// `Internal` when the system has no randomness.
    pub(crate) fn new(catalog: Catalog, remember_for: Duration, concurrency: usize, queue: usize) -> Result<Self> {
        let secret = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()).map_err(|_| Error::internal("no randomness"))?;
        Ok(Self {
            catalog,
            running: Arc::new(Semaphore::new(concurrency.max(1))),
            queue: Semaphore::new(concurrency.max(1) + queue),
            secret,
            remembered: Cache::new(REMEMBERED),
            remember_for,
        })
    }

    /// The hash of a new password, in PHC form.
    ///
    /// # Errors
    /// `Internal` when hashing itself fails.
    pub(crate) async fn hash(&self, password: String) -> Result<String> {
        self.run(move || hash_now(&password)).await
    }

    /// Checks a name and a password.
    ///
    /// # Errors
    /// `Unauthenticated`/`Credentials`, the same for an unknown account, a wrong password and a disabled account;
    /// `TooManyRequests`/`Credentials` when too many wait already.
    pub(crate) async fn verify(&self, name: &str, password: &str) -> Result<Verified> {
        let key = self.key(name, password);
        // Those who wait for the same answer wait too: without a place only what is known already is answered.
        let _place = match self.remembered.peek(&key) {
            Some(_) => None,
            None => Some(self.queue.try_acquire().map_err(|_| too_many())?),
        };
        loop {
            match self.remembered.get_value_or_guard_async(&key).await {
                Ok(known) => {
                    let verified = Verified {
                        account: known.account,
                        generation: known.generation,
                    };
                    if known.at.elapsed() < self.remember_for && self.still_holds(verified).await? {
                        return Ok(verified);
                    }
                    self.remembered.remove(&key);
                }
                // Others with the same credentials wait here for this one answer.
                Err(guard) => {
                    let account = self.verify_now(name, password).await?;
                    let verified = Verified {
                        account: account.id,
                        generation: account.generation,
                    };
                    let known = Remembered {
                        account: account.id,
                        generation: account.generation,
                        at: Instant::now(),
                    };
                    // The entry may have been evicted meanwhile; then nothing is remembered.
                    let _ = guard.insert(known);
                    return Ok(verified);
                }
            }
        }
    }

    async fn still_holds(&self, verified: Verified) -> Result<bool> {
        let facts = self.catalog.account_facts(verified.account).await?;
        Ok(facts.is_some_and(|facts| !facts.disabled && facts.generation == verified.generation))
    }

    async fn verify_now(&self, name: &str, password: &str) -> Result<Account> {
        let account = if password.len() > PASSWORD_MAX || name.contains('\0') {
            None
        } else {
            self.catalog.account(name.to_owned()).await?
        };
        let hash = account
            .as_ref()
            .map_or_else(|| DECOY.into(), |account| account.password_hash.clone());
        let password: String = password.chars().take(PASSWORD_MAX).collect();
        let matches = self
            .run(move || {
                let parsed = PasswordHash::new(&hash).map_err(|cause| Error::internal(cause.to_string()))?;
                Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
            })
            .await?;
        account.filter(|account| matches && !account.disabled).ok_or_else(wrong)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let permit = self.running.clone().acquire_owned().await.map_err(Error::internal)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            // The 19 MiB that the hash took would otherwise stay with the allocator for as long as nothing else happens.
            crate::memory::give_back();
            drop(permit);
            done
        });
        done.await.map_err(Error::internal)?
    }

    fn key(&self, name: &str, password: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.secret);
        // The length in front keeps ("ab", "c") apart from ("a", "bc").
        context.update(&(name.len() as u64).to_le_bytes());
        context.update(name.as_bytes());
        context.update(password.as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        key
    }
}

fn hash_now(password: &str) -> Result<String> {
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|cause| Error::internal(cause.to_string()))?;
    Ok(hash.to_string())
}

fn too_many() -> Error {
    Error::new(
        ErrorKind::TooManyRequests,
        What::Credentials,
        "too many logins are being checked; try again shortly",
    )
}

fn wrong() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        What::Credentials,
        "the user name or the password is wrong",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_decoy_takes_as_long_as_a_real_hash() {
        let made = hash_now("a password").unwrap();
        let parameters = |hash: &str| hash.rsplitn(3, '$').nth(2).unwrap().to_owned();
        assert_eq!(parameters(DECOY), parameters(&made));
        PasswordHash::new(DECOY).unwrap();
    }
}
