//! Tokens that this server did not issue, or not for this, or not any more (CVE-2025-24976 and its kin).

use crate::support::{Client, StolenKey, TestServer};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};

/// A true token of the administrator, taken apart.
struct Parts {
    server: TestServer,
    header: Value,
    claims: Value,
    signature: String,
}

impl Parts {
    fn of_a_true_token() -> Self {
        let server = TestServer::start();
        server.admin().push("acme/app", "1.0", "an image");
        let body = server.admin().ask_token("scope=repository:acme/app:pull").expect(200).json();
        let token = body["token"].as_str().unwrap().to_owned();
        server.anonymous().bearer(&token).get("/v2/acme/app/tags/list").expect(200);
        let parts: Vec<&str> = token.split('.').collect();
        let decode = |part: &str| serde_json::from_slice(&BASE64.decode(part).unwrap()).unwrap();
        Self {
            header: decode(parts[0]),
            claims: decode(parts[1]),
            signature: parts[2].to_owned(),
            server,
        }
    }

    fn kid(&self) -> &str {
        self.header["kid"].as_str().unwrap()
    }

    fn changed(value: &Value, change: impl FnOnce(&mut Value)) -> Value {
        let mut value = value.clone();
        change(&mut value);
        value
    }

    /// The token must not be taken for anything: not for its scope, not as a login, not for anonymous.
    #[track_caller]
    fn refuse(&self, token: &str) {
        let forger: Client = self.server.anonymous().bearer(token);
        for path in ["/v2/acme/app/tags/list", "/v2/", "/v2/_catalog"] {
            let answer = forger.get(path);
            answer.refused(401, "UNAUTHORIZED");
            let challenge = answer.header("www-authenticate");
            assert!(challenge.ends_with(",error=\"invalid_token\""), "{answer}");
        }
    }
}

fn encode(value: &Value) -> String {
    BASE64.encode(value.to_string())
}

#[test]
fn a_token_that_claims_to_need_no_signature_is_refused() {
    let parts = Parts::of_a_true_token();
    for algorithm in ["none", "None", "NONE", ""] {
        let header = encode(&Parts::changed(&parts.header, |header| header["alg"] = json!(algorithm)));
        let claims = encode(&parts.claims);
        parts.refuse(&format!("{header}.{claims}."));
        parts.refuse(&format!("{header}.{claims}.{}", parts.signature));
        parts.refuse(&format!("{header}.{claims}"));
    }
}

#[test]
fn a_token_signed_with_a_secret_that_everybody_knows_is_refused() {
    let parts = Parts::of_a_true_token();
    let stolen = StolenKey::of(&parts.server);
    // A verifier that lets the header choose takes the public key for the secret of an HMAC.
    let public = stolen.public();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(public)
    );
    for secret in [public, pem.as_bytes(), parts.kid().as_bytes(), b"granary", b""] {
        for (name, algorithm) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
        ] {
            let header = encode(&Parts::changed(&parts.header, |header| header["alg"] = json!(name)));
            let signed = format!("{header}.{}", encode(&parts.claims));
            let signature = hmac::sign(&hmac::Key::new(algorithm, secret), signed.as_bytes());
            parts.refuse(&format!("{signed}.{}", BASE64.encode(signature.as_ref())));
        }
    }
}

#[test]
fn a_key_that_the_token_itself_brings_along_is_not_used() {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    let parts = Parts::of_a_true_token();
    let own = Ed25519KeyPair::generate().unwrap();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(own.public_key().as_ref())});
    for change in [
        json!({"jwk": jwk}),
        json!({"jku": "http://127.0.0.1:1/keys.json"}),
        json!({"x5c": [STANDARD.encode(own.public_key().as_ref())]}),
        json!({"kid": "another", "jwk": jwk}),
        json!({"kid": null, "jwk": jwk}),
        json!({"kid": "../../../../dev/null"}),
    ] {
        let mut header = parts.header.clone();
        for (name, value) in change.as_object().unwrap() {
            header[name] = value.clone();
        }
        let signed = format!("{}.{}", encode(&header), encode(&parts.claims));
        let signature = BASE64.encode(own.sign(signed.as_bytes()).as_ref());
        parts.refuse(&format!("{signed}.{signature}"));
    }
}

#[test]
fn a_token_with_anything_changed_after_it_was_signed_is_refused() {
    let parts = Parts::of_a_true_token();
    let header = encode(&parts.header);
    for (field, value) in [
        (
            "access",
            json!([{"type": "repository", "name": "acme/app", "actions": ["pull", "push", "delete"]}]),
        ),
        ("sub", json!("root")),
        ("uid", json!(2)),
        ("generation", json!(2)),
        ("exp", json!(u64::MAX / 2000)),
    ] {
        let claims = encode(&Parts::changed(&parts.claims, |claims| claims[field] = value));
        parts.refuse(&format!("{header}.{claims}.{}", parts.signature));
    }
    let claims = encode(&parts.claims);
    parts.refuse(&format!("{header}.{claims}.{}", BASE64.encode([0; 64])));
    parts.refuse(&format!("{header}.{claims}.{}A", parts.signature));
    parts.refuse(&format!("{header}.{claims}.{}.extra", parts.signature));
    parts.refuse(&"a.".repeat(20_000));
}

#[test]
fn the_true_key_signs_nothing_for_another_service_or_another_time() {
    let parts = Parts::of_a_true_token();
    let key = StolenKey::of(&parts.server);
    let now = parts.claims["iat"].as_u64().unwrap();
    let sign = |change: Value| {
        let mut claims = parts.claims.clone();
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        key.sign(parts.kid(), &claims)
    };
    // The harness signs as the server does: unchanged, and with another mark, the token is good.
    let forger = parts.server.anonymous().bearer(&sign(json!({"jti": "of the thief"})));
    forger.get("/v2/acme/app/tags/list").expect(200);

    for change in [
        json!({"aud": "another-service"}),
        json!({"aud": []}),
        json!({"iss": "another-issuer"}),
        json!({"exp": now - 1}),
        json!({"exp": now - 400, "nbf": now - 700, "iat": now - 700}),
        json!({"exp": 0}),
        json!({"exp": -1}),
        json!({"exp": null}),
        json!({"nbf": now + 3600, "exp": now + 7200}),
        json!({"uid": 4711}),
        json!({"generation": 0}),
        json!({"generation": 2}),
    ] {
        parts.refuse(&sign(change));
    }
    let mut without_audience = parts.claims.clone();
    without_audience.as_object_mut().unwrap().remove("aud");
    parts.refuse(&key.sign(parts.kid(), &without_audience));
    parts.refuse(&key.sign("another-key", &parts.claims));
}

#[test]
fn a_token_of_another_instance_is_refused_here() {
    let (here, there) = (TestServer::start(), TestServer::start());
    let foreign = there.admin().with_token("repository:acme/app:pull");
    foreign.get("/v2/").expect(200);

    let answer = here.anonymous().authorized(foreign.authorization().unwrap()).get("/v2/");

    answer.refused(401, "UNAUTHORIZED");
    assert!(answer.header("www-authenticate").contains("invalid_token"), "{answer}");
}

#[test]
fn a_token_is_good_across_a_restart_since_its_key_is_kept() {
    let server = TestServer::start();
    let token = server.admin().with_token("repository:acme/app:pull,push");
    server.restart();
    token.push("acme/app", "1.0", "an image");
}
