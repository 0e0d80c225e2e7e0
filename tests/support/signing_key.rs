//! The server's signing key, as a thief of its database would have it. Only with the true key can a test
//! tell that a claim is checked, and not merely the signature.

use super::TestServer;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value;

/// What stands before the 32 bytes of an Ed25519 seed in PKCS#8 (RFC 8410, section 7).
const BEFORE_SEED: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The key that the server signs its tokens with.
pub(crate) struct StolenKey(Ed25519KeyPair);

impl StolenKey {
    /// Takes it out of the server's database.
    pub(crate) fn of(server: &TestServer) -> Self {
        let bytes = server.database_bytes("SELECT encode(pkcs8, 'hex') FROM signing_key", BEFORE_SEED);
        let at = find(&bytes, BEFORE_SEED).unwrap() + BEFORE_SEED.len();
        Self(Ed25519KeyPair::from_seed_unchecked(&bytes[at..at + 32]).unwrap())
    }

    /// The public half.
    pub(crate) fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// A token with these claims and the key's true signature.
    pub(crate) fn sign(&self, kid: &str, claims: &Value) -> String {
        let pkcs8 = self.0.to_pkcs8().unwrap();
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(kid.to_owned());
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(pkcs8.as_ref())).unwrap()
    }
}

/// Where `wanted` begins in `bytes`.
pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
