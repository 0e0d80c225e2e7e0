//! Tokens: bytes that nobody signed hold nothing, and claims with the true signature hold only what they may.
#![no_main]
#![allow(dead_code, reason = "only reading is fuzzed")]

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use granary_storage::catalog::{Catalog, Database, SigningKey};
use granary_storage::clock;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use std::time::Duration;

#[path = "../../server/src/auth/scope.rs"]
mod scope;
#[path = "../../server/src/auth/token.rs"]
mod token;

const KEY_ID: &str = "the-key";

struct World {
    pair: Ed25519KeyPair,
    tokens: token::Tokens,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&Database::Sqlite(folder.path().join("granary.db")), 1).unwrap();
    let pair = Ed25519KeyPair::generate().unwrap();
    let key = SigningKey {
        id: KEY_ID.into(),
        pkcs8: pair.to_pkcs8().unwrap().as_ref().to_vec(),
        created_at: clock::now(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tokens = runtime.block_on(async {
        catalog.ensure_signing_key(key).await.unwrap();
        token::Tokens::open(&catalog, "granary", Duration::from_secs(300)).await.unwrap()
    });
    World { pair, tokens }
});

fuzz_target!(|text: &str| {
    let World { pair, tokens } = &*WORLD;
    // Nobody guesses a signature.
    assert!(tokens.verify(text).is_err());

    // The first line is the header where it is one, the rest the claims: signed truly, as only a fault of ours would.
    let (header, claims) = text.split_once('\n').unwrap_or(("", text));
    let usual = format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{KEY_ID}"}}"#);
    for header in [header, &usual] {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()).as_ref());
        let Ok(verified) = tokens.verify(&format!("{signed}.{signature}")) else {
            continue;
        };
        assert!(claims.contains("granary"), "for another service");
        assert!(verified.scopes.repositories.len() <= 64);
        for access in &verified.scopes.repositories {
            let name = access.repository.as_str();
            assert!(name.split('/').all(|part| !matches!(part, "" | "." | "..")));
        }
    }
});
