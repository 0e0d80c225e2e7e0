//! `GET` and `POST /token`: what goes in and what comes out, as docker, containerd and oras read it.

use crate::support::{Answer, Client, TestServer, password_of};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// What a token claims, without regard to its signature.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// The accesses that a token claims.
fn access(answer: &Answer) -> Value {
    claims(answer.json()["token"].as_str().unwrap())["access"].clone()
}

/// Posts a form to the endpoint.
fn post(client: &Client, form: &str) -> Answer {
    let call = client.call("POST", "/token");
    call.header("Content-Type", "application/x-www-form-urlencoded")
        .body(form.as_bytes())
}

fn one(name: &str, actions: &[&str]) -> Value {
    json!({"type": "repository", "name": name, "actions": actions})
}

/// A server with the developer `dev` of the project `acme`.
fn with_developer() -> (TestServer, Client) {
    let server = TestServer::start();
    server.project("acme");
    let dev = server.member("dev", "acme", "developer");
    (server, dev)
}

#[test]
fn docker_login_gets_a_token_that_says_who_and_nothing_else() {
    let (_server, dev) = with_developer();

    let answer = dev.ask_token("account=dev&client_id=docker&service=granary").expect(200);

    let body = answer.json();
    let keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["access_token", "expires_in", "issued_at", "token"]);
    assert_eq!(body["token"], body["access_token"]);
    assert_eq!(body["expires_in"], 300);
    let issued = body["issued_at"].as_str().unwrap();
    assert!(issued.len() == 20 && issued.starts_with("20") && issued.ends_with('Z'), "{issued}");
    assert_eq!(answer.header("cache-control"), "no-store");

    let claims = claims(body["token"].as_str().unwrap());
    assert_eq!(
        (&claims["iss"], &claims["aud"], &claims["sub"]),
        (&json!("granary"), &json!("granary"), &json!("dev"))
    );
    assert_eq!(claims["access"], json!([]));
    let time = |name: &str| claims[name].as_u64().unwrap();
    assert_eq!(time("exp"), time("iat") + 300);
    assert_eq!(time("nbf"), time("iat"));
    assert!(!claims["jti"].as_str().unwrap().is_empty());
    dev.bearer(body["token"].as_str().unwrap()).get("/v2/").expect(200);
}

#[test]
fn several_scopes_may_come_as_parameters_or_in_one_of_them() {
    let (server, dev) = with_developer();
    server.cli(&["project", "grant", "acme", "dev", "maintainer"]).expect(0);
    let wanted = json!([one("acme/app", &["pull", "push"]), one("acme/base", &["pull"])]);

    let repeated = dev.ask_token("scope=repository:acme/app:pull,push&scope=repository:acme/base:pull");
    let spaced = dev.ask_token("scope=repository:acme/app:pull,push%20repository:acme/base:pull");
    let plus = dev.ask_token("scope=repository:acme/app:pull,push+repository:acme/base:pull");
    let encoded = dev.ask_token("scope=repository%3Aacme%2Fapp%3Apull%2Cpush&scope=repository%3Aacme%2Fbase%3Apull");

    for answer in [repeated, spaced, plus, encoded] {
        assert_eq!(access(&answer.expect(200)), wanted);
    }
}

#[test]
fn what_is_granted_is_what_was_asked_and_is_held_and_less_is_no_error() {
    let (_server, dev) = with_developer();
    let catalog = json!({"type": "registry", "name": "catalog", "actions": ["*"]});
    for (scope, granted) in [
        ("repository:acme/app:pull", json!([one("acme/app", &["pull"])])),
        ("repository:acme/app:*", json!([one("acme/app", &["pull", "push"])])),
        (
            "repository:acme/app:pull,push,delete,fly",
            json!([one("acme/app", &["pull", "push"])]),
        ),
        ("repository:acme/app:delete", json!([])),
        ("repository:other/app:pull,push", json!([])),
        ("repository:nowhere/app:pull,push", json!([])),
        ("repository:hello:pull", json!([])),
        ("repository(plugin):acme/app:pull", json!([one("acme/app", &["pull"])])),
        ("registry:catalog:*", json!([catalog])),
        ("", json!([])),
        ("nonsense", json!([])),
        ("repository:acme/app", json!([])),
        ("repository:ACME/app:pull", json!([])),
        ("repository:acme/../app:pull", json!([])),
    ] {
        let answer = dev.ask_token(&format!("service=granary&scope={scope}")).expect(200);
        assert_eq!(access(&answer), granted, "{scope}");
    }
}

#[test]
fn a_name_of_one_segment_is_scoped_as_library() {
    let server = TestServer::start();
    let admin = server.admin();
    let token = admin.with_token("repository:hello:pull,push");
    token.push("hello", "1.0", "an image");
    token.get("/v2/library/hello/tags/list").expect(200);
}

#[test]
fn anonymous_gets_a_token_for_nothing_where_nothing_is_public() {
    let (server, _) = with_developer();

    let answer = server
        .anonymous()
        .ask_token("service=granary&scope=repository:acme/app:pull&offline_token=true");

    let body = answer.expect(200).json();
    let token = body["token"].as_str().unwrap();
    assert_eq!((&claims(token)["sub"], &claims(token)["access"]), (&json!("anonymous"), &json!([])));
    assert!(body.get("refresh_token").is_none());
    let nobody = server.anonymous().bearer(token);
    nobody.get("/v2/acme/app/tags/list").refused(401, "UNAUTHORIZED");
}

#[test]
fn a_password_may_be_posted_as_containerd_does() {
    let (server, _) = with_developer();
    let password = password_of("dev");
    let form = format!("grant_type=password&service=granary&client_id=containerd&username=dev&password={password}");

    let body = post(
        &server.anonymous(),
        &format!("{form}&scope=repository%3Aacme%2Fapp%3Apull%2Cpush+registry%3Acatalog%3A*"),
    )
    .expect(200)
    .json();

    assert_eq!(body["access_token"], body["token"]);
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 300);
    assert_eq!(body["scope"], "repository:acme/app:pull,push registry:catalog:*");
    assert!(body.get("refresh_token").is_none());
    let client = server.anonymous().bearer(body["access_token"].as_str().unwrap());
    client.push("acme/app", "1.0", "an image");

    let offline = post(&server.anonymous(), &format!("{form}&access_type=offline")).expect(200).json();
    assert!(offline["refresh_token"].is_string());
}

#[test]
fn a_password_in_a_form_may_hold_anything() {
    let server = TestServer::start();
    server
        .cli_with(&["user", "create", "jo", "--password-stdin"], "a+b c&d=é%")
        .expect(0);
    let form = "grant_type=password&username=jo&password=a%2Bb+c%26d%3D%C3%A9%25";
    post(&server.anonymous(), form).expect(200);
}

#[test]
fn a_refresh_token_stands_for_the_password_and_comes_back_with_each_answer() {
    let (server, dev) = with_developer();
    let first = dev.ask_token("service=granary&offline_token=true").expect(200).json();
    let refresh = first["refresh_token"].as_str().unwrap();

    let form = format!("grant_type=refresh_token&service=granary&client_id=docker&refresh_token={refresh}&scope=repository:acme/app:pull");
    for _ in 0..2 {
        let body = post(&server.anonymous(), &form).expect(200).json();
        assert_eq!(body["refresh_token"].as_str(), Some(refresh));
        assert_eq!(body["scope"], "repository:acme/app:pull");
    }

    server.restart();
    post(&server.anonymous(), &form).expect(200);
}

#[test]
fn who_has_all_the_refresh_tokens_that_an_account_may_have_logs_in_again_at_the_price_of_the_oldest() {
    let server = TestServer::with(&[("auth.refresh_tokens_per_account", "3")]);
    let (admin, dev) = (server.admin(), server.account("dev"));
    let log_in = |who: &Client| {
        let body = who.ask_token("service=granary&offline_token=true").expect(200).json();
        // They are told apart by the time at which they end.
        std::thread::sleep(std::time::Duration::from_millis(2));
        body["refresh_token"].as_str().unwrap().to_owned()
    };
    let of_another = log_in(&admin);
    let mut refresh: Vec<String> = (0..4).map(|_| log_in(&dev)).collect();

    let go_on = |token: &str| post(&server.anonymous(), &format!("grant_type=refresh_token&refresh_token={token}"));
    go_on(&refresh.remove(0)).refused(401, "UNAUTHORIZED");
    for token in refresh.iter().chain([&of_another]) {
        go_on(token).expect(200);
    }
}

#[test]
fn what_does_not_hold_is_401_on_both_roads_and_never_403() {
    // containerd falls back from POST to GET on 400, 401 and 404 only.
    let (server, dev) = with_developer();
    let nobody = server.anonymous();
    let wrong = nobody.basic("dev", "not the password");
    for answer in [
        wrong.ask_token("service=granary&scope=repository:acme/app:pull"),
        wrong.ask_token("service=granary"),
        nobody.authorized("Basic !!!").ask_token("service=granary"),
        nobody.bearer("a.b.c").ask_token("service=granary"),
        post(&nobody, "grant_type=password&service=granary&username=dev&password=wrong"),
        post(&nobody, "grant_type=password&service=granary&username=nobody&password=wrong"),
        post(&nobody, "grant_type=password&service=granary"),
        post(&nobody, "grant_type=refresh_token&service=granary&refresh_token=granary_rt_0000"),
        post(&nobody, "grant_type=refresh_token&service=granary"),
    ] {
        answer.refused(401, "UNAUTHORIZED");
        assert!(answer.header("www-authenticate").starts_with("Basic realm="), "{answer}");
        assert!(answer.find("cache-control").is_none_or(|value| value == "no-store"), "{answer}");
    }
    dev.ask_token("service=granary").expect(200);
}

#[test]
fn a_request_that_is_not_understood_is_400() {
    let (server, dev) = with_developer();
    let nobody = server.anonymous();
    for answer in [
        dev.ask_token("service=another-registry"),
        post(&nobody, ""),
        post(&nobody, "grant_type=authorization_code&code=1"),
        post(
            &nobody,
            &format!("grant_type=password&username=dev&password={}&service=other", password_of("dev")),
        ),
    ] {
        answer.refused(400, "UNSUPPORTED");
    }
    post(&nobody, &format!("grant_type=password&x={}", "y".repeat(70_000))).refused(413, "SIZE_INVALID");
}

#[test]
fn a_token_without_a_service_named_is_for_this_one() {
    let (_server, dev) = with_developer();
    let body = dev.ask_token("scope=repository:acme/app:pull").expect(200).json();
    assert_eq!(claims(body["token"].as_str().unwrap())["aud"], "granary");
}

#[test]
fn a_request_with_thousands_of_scopes_is_answered_with_some() {
    let (_server, dev) = with_developer();
    let scopes: String = (0..500).map(|number| format!("&scope=repository:acme/app{number}:pull")).collect();
    let granted = access(&dev.ask_token(&format!("service=granary{scopes}")).expect(200));
    assert!(granted.as_array().unwrap().len() <= 64);
}
