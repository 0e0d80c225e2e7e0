//! Floods of logins, of token requests and of upload sessions.

use super::memory;
use crate::support::{Client, TestServer, password_of};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Runs `flood` on so many threads while `work` goes on, which must be done at least once while it lasts.
fn beside<T: Send>(threads: usize, flood: impl Fn(usize) -> T + Sync, work: impl Fn() + Sync) -> Vec<T> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let mut times = 0;
            while times == 0 || !over.load(Ordering::Relaxed) {
                work();
                times += 1;
            }
        });
        let threads: Vec<_> = (0..threads)
            .map(|number| {
                scope.spawn({
                    let flood = &flood;
                    move || flood(number)
                })
            })
            .collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        over.store(true, Ordering::Relaxed);
        worker.join().unwrap();
        results
    })
}

#[test]
fn a_flood_of_wrong_logins_is_turned_away_while_who_has_a_token_works_on() {
    let server = TestServer::with(&[("auth.hash_queue", "2"), ("auth.hash_concurrency", "1")]);
    let admin = server.admin();
    admin.push("acme/app", "1.0", "an image");
    let token = admin.with_token("repository:acme/app:pull,push");
    let before = memory(&server);

    let guess = |number: usize| {
        let mut seen = Vec::new();
        for attempt in 0..10 {
            let thief = server.anonymous().basic("admin", &format!("guess {attempt} of {number}"));
            let answer = if attempt % 2 == 0 {
                thief.get("/v2/")
            } else {
                thief.ask_token("service=granary")
            };
            if answer.status == 429 {
                let seconds: u32 = answer.header("retry-after").parse().unwrap();
                assert!(seconds >= 1);
                assert_eq!(answer.json()["errors"][0]["code"], "TOOMANYREQUESTS");
            }
            seen.push(answer.status);
        }
        seen
    };
    let seen = beside(24, guess, || {
        token.get("/v2/acme/app/manifests/1.0").expect(200);
        token.push("acme/app", "2.0", "in the flood");
        // The password that was just good is remembered, and waits for nobody.
        admin.get("/v2/").expect(200);
    });

    let seen: Vec<u16> = seen.into_iter().flatten().collect();
    assert!(seen.iter().all(|status| matches!(status, 401 | 429)), "{seen:?}");
    assert!(seen.contains(&429), "all of them were let in to wait");
    assert!(seen.contains(&401), "none of them was checked");
    let grown = memory(&server).saturating_sub(before);
    assert!(grown < 96 << 20, "{grown} bytes");
    server.account("after").get("/v2/").expect(200);
}

#[test]
fn a_flood_of_token_requests_is_answered_and_harms_nobody() {
    let server = TestServer::start();
    let admin = server.admin();
    admin.push("acme/app", "1.0", "an image");
    let dev = server.member("dev", "acme", "developer");
    dev.get("/v2/").expect(200);
    let before = memory(&server);
    let ask = |number: usize| {
        let client: Client = if number.is_multiple_of(2) {
            server.anonymous()
        } else {
            dev.clone()
        };
        // As many scopes as a request can name, and most of them nonsense.
        let scopes: String = (0..100)
            .map(|n| format!("&scope=repository:acme/app{n}:pull,push,delete,fly"))
            .collect();
        for _ in 0..60 {
            let answer = client.ask_token(&format!("service=granary{scopes}"));
            assert!(matches!(answer.status, 200 | 401 | 429), "{answer}");
            client.ask_token("service=another").expect(400);
        }
    };
    beside(16, ask, || {
        admin.get("/v2/acme/app/manifests/1.0").expect(200);
    });
    let grown = memory(&server).saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
    dev.with_token("repository:acme/app:pull")
        .get("/v2/acme/app/manifests/1.0")
        .expect(200);
}

#[test]
fn a_flood_of_tokens_that_hold_nothing_is_refused_without_being_remembered() {
    let server = TestServer::start();
    let admin = server.admin();
    let token = admin.with_token("repository:acme/app:pull,push");
    token.push("acme/app", "1.0", "an image");
    let before = memory(&server);
    let forge = |number: usize| {
        for attempt in 0..200 {
            let forged = format!("e30.{}.{number}{attempt}", "A".repeat(7000));
            server.anonymous().bearer(&forged).get("/v2/").refused(401, "UNAUTHORIZED");
        }
    };
    beside(8, forge, || {
        token.get("/v2/acme/app/manifests/1.0").expect(200);
    });
    let grown = memory(&server).saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes");
}

#[test]
fn one_caller_gets_only_so_many_sessions_and_others_get_theirs() {
    let server = TestServer::start();
    server.project("acme");
    let (greedy, modest) = (
        server.member("greedy", "acme", "developer"),
        server.member("modest", "acme", "developer"),
    );
    let token = server
        .anonymous()
        .basic("greedy", &password_of("greedy"))
        .with_token("repository:acme/app:pull,push");
    let before = memory(&server);
    let open = |_| {
        let mut opened = Vec::new();
        for _ in 0..400 {
            let answer = token.post("/v2/acme/app/blobs/uploads/");
            match answer.status {
                202 => opened.push(answer.header("location").to_owned()),
                _ => {
                    answer.refused(429, "TOOMANYREQUESTS");
                    let _: u32 = answer.header("retry-after").parse().unwrap();
                }
            }
        }
        opened
    };
    let opened = beside(4, open, || {
        let session = modest.open_session("acme/app");
        modest.delete(&session.location).expect(204);
    });
    let opened: Vec<String> = opened.into_iter().flatten().collect();
    assert_eq!(opened.len(), 1000, "the limit, no matter how many ask at once");
    let grown = memory(&server).saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes");

    // With a password instead of a token, it is the same caller.
    greedy.post("/v2/acme/other/blobs/uploads/").refused(429, "TOOMANYREQUESTS");
    modest.push("acme/app", "1.0", "an image");
    greedy.delete(&opened[0]).expect(204);
    greedy.open_session("acme/app");
}
