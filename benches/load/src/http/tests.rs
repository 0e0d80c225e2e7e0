//! Escapes, and conversations with a toy server on loopback.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use anyhow::Result;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[test]
fn a_query_value_is_escaped_as_rfc_3986_says() {
    assert_eq!(escape("repository:a/b:pull,push"), "repository%3Aa%2Fb%3Apull%2Cpush");
    assert_eq!(escape("AZaz09-._~"), "AZaz09-._~");
    assert_eq!(escape("a b&c=d+e%2F?#"), "a%20b%26c%3Dd%2Be%252F%3F%23");
    assert_eq!(escape("ä"), "%C3%A4");
    assert_eq!(escape(""), "");
}

/// What the toy server is asked: a line such as `GET /v2/`, and the `Authorization` header.
type Asked = (String, String);

/// A server that answers each request as a function says: with a status, headers and a body, or not at all.
struct Toy {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// The status line and headers without the length, and the body; `None` closes the connection.
type Answer = Option<(String, &'static str)>;

impl Toy {
    fn start(answer: impl Fn(&str, &Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let toy = Self {
            url: url.clone(),
            asked: asked.clone(),
        };
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (url, asked, answer) = (url.clone(), asked.clone(), answer.clone());
                std::thread::spawn(move || {
                    converse(stream.unwrap(), |question| {
                        asked.lock().unwrap().push(question.clone());
                        let count = asked.lock().unwrap().len();
                        answer(&url, question, count)
                    });
                });
            }
        });
        toy
    }

    fn connection(&self) -> Connection {
        let target = Target::new(&self.url).unwrap().with_credentials("admin", "secret", false);
        Connection::new(Arc::new(target.unwrap()))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(line, _)| line.clone()).collect()
    }
}

fn converse(stream: TcpStream, mut answer: impl FnMut(&Asked) -> Answer) {
    let mut writer = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(first) = lines.next() {
        let headers: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let authorization = headers.iter().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or("");
        let line = first.trim_end_matches(" HTTP/1.1").to_owned();
        let Some((head, body)) = answer(&(line, authorization.to_owned())) else {
            return;
        };
        let text = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        writer.write_all(text.as_bytes()).unwrap();
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work)
}

fn answer(head: &str, body: &'static str) -> Answer {
    Some((head.to_owned(), body))
}

#[test]
fn a_challenge_is_answered_once_and_the_token_kept_until_it_expires() {
    // The second token that is issued counts, as if the first had expired after two requests.
    let toy = Toy::start(|url, (line, authorization), count| {
        if line.starts_with("GET /token") {
            return answer(
                "200 OK",
                if count < 5 {
                    r#"{"token":"first"}"#
                } else {
                    r#"{"access_token":"second"}"#
                },
            );
        }
        let valid = if count < 5 { "Bearer first" } else { "Bearer second" };
        if authorization == valid {
            return answer("200 OK", "content");
        }
        let challenge = format!(r#"www-authenticate: Bearer realm="{url}/token",service="toy",scope="repository:a:pull""#);
        answer(&format!("401 Unauthorized\r\n{challenge}"), "")
    });
    let mut connection = toy.connection();
    for _ in 0..3 {
        let reply = run_get(&mut connection, "/v2/a/manifests/1").unwrap();
        assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, &b"content"[..]));
    }
    let token = "GET /token?service=toy&scope=repository%3Aa%3Apull";
    let get = "GET /v2/a/manifests/1";
    assert_eq!(toy.asked(), [get, token, get, get, get, token, get]);
    assert_eq!(toy.asked.lock().unwrap()[1].1, "Basic YWRtaW46c2VjcmV0");
    assert_eq!((connection.token_fetches, connection.requests), (2, 7));
}

/// Each call has a runtime of its own, so connections do not outlive it: this also shows that a lost one is replaced.
fn run_get(connection: &mut Connection, path: &str) -> Result<connection::Reply> {
    run(connection.fetch(Call::get(path)))
}

#[test]
fn a_wrong_password_is_reported() {
    let toy = Toy::start(|url, _, count| match count {
        1 => answer(&format!("401 Unauthorized\r\nwww-authenticate: Bearer realm=\"{url}/token\""), ""),
        _ => answer("401 Unauthorized", ""),
    });
    let error = run_get(&mut toy.connection(), "/v2/").err().unwrap();
    assert_eq!(error.to_string(), "token: 401");
}

#[test]
fn tokens_redirects_and_locations_elsewhere_are_refused() {
    let toy = Toy::start(|_, (line, _), _| match line.as_str() {
        "GET /v2/" => answer("401 Unauthorized\r\nwww-authenticate: Bearer realm=\"http://10.0.0.1/token\"", ""),
        "GET /blob" => answer("307 Temporary Redirect\r\nlocation: http://10.0.0.1/blob", ""),
        _ => answer("202 Accepted\r\nlocation: http://127.0.0.1:1/upload", ""),
    });
    let mut connection = toy.connection();
    for path in ["/v2/", "/blob"] {
        let error = run_get(&mut connection, path).err().unwrap();
        assert!(error.to_string().contains("not a loopback address"), "{error}");
    }
    let reply = run_get(&mut connection, "/upload").unwrap();
    assert!(connection.location(&reply.headers).is_err());
    assert_eq!(toy.asked().len(), 3);
}

#[test]
fn redirects_on_this_machine_are_followed_and_credentials_stay() {
    let store = Toy::start(|_, _, _| answer("200 OK", "content"));
    let there = store.url.clone();
    let toy = Toy::start(move |_, (line, _), _| match line.as_str() {
        "GET /away" => answer(&format!("307 Temporary Redirect\r\nlocation: {there}/blob?signed=1"), ""),
        "GET /near" => answer("307 Temporary Redirect\r\nlocation: /blob", ""),
        _ => answer("200 OK", "content"),
    });
    let target = Target::new(&toy.url).unwrap().with_credentials("admin", "secret", true).unwrap();
    let mut connection = Connection::new(Arc::new(target));
    for path in ["/away", "/near"] {
        assert_eq!(&run_get(&mut connection, path).unwrap().body[..], b"content");
    }
    assert_eq!(store.asked.lock().unwrap()[..], [("GET /blob?signed=1".to_owned(), String::new())]);
    let asked = toy.asked.lock().unwrap();
    assert!(
        asked.iter().all(|(_, authorization)| authorization == "Basic YWRtaW46c2VjcmV0"),
        "{asked:?}"
    );
}

#[test]
fn an_idle_connection_that_was_closed_is_made_anew_and_one_that_breaks_is_an_error() {
    let toy = Toy::start(|_, (line, _), count| {
        if line == "GET /break" || count == 2 {
            None
        } else {
            answer("200 OK", "x")
        }
    });
    let mut connection = toy.connection();
    run(async {
        assert!(connection.fetch(Call::get("/a")).await.is_ok());
        assert!(connection.fetch(Call::get("/b")).await.is_ok(), "the second try is answered");
        assert_eq!(connection.connects, 2);
    });
    assert_eq!(toy.asked(), ["GET /a", "GET /b", "GET /b"]);
    let mut fresh = toy.connection();
    assert!(run_get(&mut fresh, "/break").is_err());
    assert_eq!(fresh.connects, 1);
}

#[test]
fn a_probe_is_content_with_a_challenge() {
    let toy = Toy::start(|_, _, _| answer("401 Unauthorized\r\nwww-authenticate: Bearer realm=\"http://10.0.0.1/\"", ""));
    let status = run(toy.connection().probe("/v2/")).unwrap();
    assert_eq!(status.as_u16(), 401);
    assert_eq!(toy.asked(), ["GET /v2/"]);
}
