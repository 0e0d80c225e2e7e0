//! What an account may be called and what its password must be.

use granary_storage::access::ANONYMOUS;
use granary_storage::{Error, Result, What};

/// Bytes in an account's name, at most.
const NAME_MAX: usize = 128;
/// Characters in a password, at least. NIST SP 800-63B §5.1.1.2 asks for 8 and forbids rules on their kind.
const PASSWORD_MIN: usize = 8;
/// Bytes in a password, at most: what argon2 reads is bounded before it starts.
pub(crate) const PASSWORD_MAX: usize = 1024;

/// Whether `name` can be an account's name.
///
/// # Errors
/// `Invalid`/`Credentials` with the rule.
pub(crate) fn check_account_name(name: &str) -> Result<()> {
    let bad = |why: &'static str| Err(Error::invalid(What::Credentials, why));
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-' | b'@');
    if name == ANONYMOUS {
        return bad("'anonymous' stands for nobody and cannot be an account");
    }
    let starts_well = name
        .as_bytes()
        .first()
        .is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !starts_well || name.len() > NAME_MAX || !name.bytes().all(legal) {
        return bad(
            "an account name is at most 128 lower-case letters, digits, '.', '_', '-' and '@', and begins with a letter or a digit",
        );
    }
    Ok(())
}

/// Whether `password` is good enough to be set.
///
/// # Errors
/// `Invalid`/`Credentials` with the rule.
pub(crate) fn check_password(password: &str) -> Result<()> {
    if password.chars().count() < PASSWORD_MIN {
        return Err(Error::invalid(What::Credentials, "a password has at least 8 characters"));
    }
    if password.len() > PASSWORD_MAX {
        return Err(Error::invalid(What::Credentials, "a password has at most 1024 bytes"));
    }
    Ok(())
}

/// A password nobody can guess: 24 characters of 5 bits, without those that look alike.
///
/// # Errors
/// `Internal` when the system has no randomness.
pub(crate) fn random_password() -> Result<String> {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|cause| Error::internal(cause.to_string()))?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["admin", "ci-bot", "jo.doe@example.com", "7"] {
            check_account_name(good).unwrap();
        }
        for bad in ["", "Admin", "a b", "a:b", "-a", "anonymous", "ä", "a\n", &"a".repeat(129)] {
            assert!(check_account_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn made_up_passwords_are_good_enough_and_differ() {
        let (one, other) = (random_password().unwrap(), random_password().unwrap());
        check_password(&one).unwrap();
        assert_ne!(one, other);
    }
}
