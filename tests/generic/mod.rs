//! Files over plain HTTP, as curl, wget and browsers ask for them. What each header does alone is told beside the code
//! (`formats/src/generic/`); here a server lives through it.

mod conditions;
mod durable;
mod folders;
mod labels;
mod names;
mod refusals;
mod transfers;
mod tus;
mod tus_resets;

use crate::support::{Client, TestServer};

/// A server with a project, and a developer of it.
fn with_developer() -> (TestServer, Client) {
    let server = TestServer::start();
    server.project("acme");
    let dev = server.member("dev", "acme", "developer");
    (server, dev)
}

/// The names in a folder, in all pages.
#[track_caller]
fn names(client: &Client, folder: &str) -> Vec<String> {
    let (mut names, mut next) = (Vec::new(), Some(folder.to_owned()));
    while let Some(page) = next {
        let answer = client.get(&page).expect(200);
        let json = answer.json();
        let entries = json["entries"].as_array().unwrap();
        names.extend(entries.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()));
        next = answer.find("link").map(|link| link.split(['<', '>']).nth(1).unwrap().to_owned());
    }
    names
}

/// The sentence of a refusal, which must have this status.
#[track_caller]
fn refused(answer: &crate::support::Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer}");
    assert_eq!(answer.header("content-type"), "application/json", "{answer}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{answer}");
    let json = answer.json();
    assert_eq!(json.as_object().unwrap().len(), 1, "{answer}");
    json["error"].as_str().unwrap().to_owned()
}
