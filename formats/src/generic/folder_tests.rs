//! Folders as browsers and scripts see them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::put;
use crate::contract::request::{Answer, Request};
use crate::contract::stories;
use crate::contract::world::World;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granary_storage::Digest;
use granary_storage::sums::Sum;

stories! {
    a_browser_sees_a_folder_as_a_page_and_a_script_as_json
    a_page_leads_to_the_next_one_in_the_same_form
    a_name_in_a_page_is_nothing_but_a_name
    the_one_style_of_a_page_is_allowed_and_nothing_else
    all_files_below_a_folder_are_listed_by_their_paths
    the_checksums_of_a_folder_come_in_one_file
    the_checksums_of_all_folders_below_come_when_asked
    a_checksum_that_a_client_holds_is_not_sent_again
    a_stored_file_of_checksums_wins
    a_checksum_that_is_sent_after_its_file_is_held_against_it
}

const BASE: &str = "/generic/acme/firmware";

async fn stored(world: &World, path: &str) {
    let answer = world.open().ask(&put(format!("{BASE}/{path}"), "abc")).await;
    answer.expect(201);
}

async fn get(world: &World, target: &str) -> Answer {
    world.open().ask(&Request::get(target)).await
}

async fn accepting(world: &World, accept: &str) -> Answer {
    let request = Request::get(format!("{BASE}/")).header("accept", accept);
    world.open().ask(&request).await.expect(200)
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

async fn a_browser_sees_a_folder_as_a_page_and_a_script_as_json(world: World) {
    stored(&world, "1.2/fw.bin").await;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (accept, content_type) in [
        (browser, "text/html; charset=utf-8"),
        ("application/json;q=0.5, TEXT/HTML", "text/html; charset=utf-8"),
        ("*/*", "application/json"),
        ("text/html;q=0", "application/json"),
        ("application/json, text/html;q=0.5", "application/json"),
        ("", "application/json"),
    ] {
        let answer = accepting(&world, accept).await;
        assert_eq!(answer.header("content-type"), Some(content_type), "{accept}");
        assert_eq!(answer.header("vary"), Some("Accept"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    let page = get(&world, &format!("{BASE}/1.2/?format=html")).await.expect(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    let page = text(&page);
    for part in [
        "<a href=\"/generic/acme/firmware/?format=html\">../</a>",
        "<a href=\"/generic/acme/firmware/1.2/fw.bin\">fw.bin</a></td><td class=\"s\" title=\"3 bytes\">3 B</td>",
        "<button name=\"archive\" value=\"tar.gz\">",
    ] {
        assert!(page.contains(part), "{page}");
    }
    let json = Request::get(format!("{BASE}/?format=json")).header("accept", browser);
    assert_eq!(world.open().ask(&json).await.expect(200).json()["entries"][0]["name"], "1.2/");
    get(&world, &format!("{BASE}/?format=xml")).await.expect(400);
    get(&world, &format!("{BASE}/none/?format=html")).await.expect(404);
}

async fn a_page_leads_to_the_next_one_in_the_same_form(world: World) {
    for name in ["a", "b", "c&d"] {
        stored(&world, name).await;
    }
    let mut next = Some(format!("{BASE}/?n=1&format=html"));
    let mut seen = 0;
    while let Some(target) = next {
        let answer = get(&world, &target).await.expect(200);
        seen += text(&answer).matches("<tr><td>").count();
        next = answer.header("link").map(|link| link.split(['<', '>']).nth(1).unwrap().to_owned());
        if let Some(next) = &next {
            let shown = format!("<a rel=\"next\" href=\"{}\">", next.replace('&', "&amp;"));
            assert!(text(&answer).contains(&shown), "{}", text(&answer));
        }
    }
    assert_eq!(seen, 3);
}

async fn a_name_in_a_page_is_nothing_but_a_name(world: World) {
    stored(&world, "%3Cscript%3E%22'&amp/x").await;
    let root = text(&get(&world, &format!("{BASE}/?format=html")).await.expect(200));
    assert!(root.contains("\">&lt;script&gt;&quot;&#39;&amp;amp/</a>"), "{root}");
    assert!(
        root.contains("href=\"/generic/acme/firmware/%3Cscript%3E%22%27%26amp/?format=html\""),
        "{root}"
    );
    let folder = format!("{BASE}/%3Cscript%3E%22'&amp/?format=html");
    let inside = text(&get(&world, &folder).await.expect(200));
    assert!(inside.contains("<title>Index of /generic/acme/firmware/&lt;script&gt;"), "{inside}");
    assert!(!inside.contains("<script"), "{inside}");
}

async fn the_checksums_of_a_folder_come_in_one_file(world: World) {
    for name in ["1.2/a", "1.2/b", "1.2/deeper/c", "odd/-", "top"] {
        stored(&world, name).await;
    }
    let hex = Digest::sha256(b"abc").hex();
    let sums = get(&world, &format!("{BASE}/1.2/SHA256SUMS")).await.expect(200);
    assert_eq!(text(&sums), format!("{hex}  a\n{hex}  b\n"));
    assert_eq!(sums.header("content-type"), Some("text/plain; charset=utf-8"));
    // `sha256sum -c` would read what is typed for a file called so.
    let odd = get(&world, &format!("{BASE}/odd/SHA256SUMS")).await.expect(200);
    assert_eq!(text(&odd), format!("{hex}  ./-\n"));
    let all = get(&world, &format!("{BASE}/SHA256SUMS")).await.expect(200);
    assert_eq!(text(&all), format!("{hex}  top\n"));
    for nothing in ["none/SHA256SUMS", "top/SHA256SUMS", "1.2/sha256sums", "1.2/SHA256SUMS/"] {
        get(&world, &format!("{BASE}/{nothing}")).await.expect(404);
    }
    // What is made in passing has no tag: of conditions, only that it is there may hold.
    let door = world.open();
    for target in ["1.2/SHA256SUMS", "top?labels"] {
        let at = Request::get(format!("{BASE}/{target}"));
        door.ask(&at.clone().header("if-match", "\"zz\"")).await.expect(412);
        door.ask(&at.header("if-match", "*")).await.expect(200);
    }
    get(&world, "/generic/acme/none/SHA256SUMS").await.expect(404);
}

async fn the_one_style_of_a_page_is_allowed_and_nothing_else(world: World) {
    stored(&world, "1.2/fw.bin").await;
    let page = get(&world, &format!("{BASE}/?format=html")).await.expect(200);
    let body = text(&page);
    let style = body.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let digest = STANDARD.encode(Sum::from(Digest::sha256(style.as_bytes())).as_bytes());
    let policy = format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
    assert_eq!(page.header("content-security-policy"), Some(policy.as_str()));
}

async fn all_files_below_a_folder_are_listed_by_their_paths(world: World) {
    for name in ["1.2/a", "1.2/deeper/c", "1.2/deeper/still/d", "1.20/x", "top"] {
        stored(&world, name).await;
    }
    let (mut next, mut seen) = (Some(format!("{BASE}/1.2/?recursive&n=2")), Vec::new());
    while let Some(target) = next {
        let answer = get(&world, &target).await.expect(200);
        let json = answer.json();
        seen.extend(
            json["entries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["name"].as_str().unwrap().to_owned()),
        );
        next = answer.header("link").map(|link| link.split(['<', '>']).nth(1).unwrap().to_owned());
    }
    assert_eq!(seen, ["a", "deeper/c", "deeper/still/d"]);
    let page = text(&get(&world, &format!("{BASE}/?recursive&format=html")).await.expect(200));
    assert!(
        page.contains("<a href=\"/generic/acme/firmware/1.2/deeper/c\">1.2/deeper/c</a>"),
        "{page}"
    );
    get(&world, &format!("{BASE}/none/?recursive")).await.expect(404);
}

async fn the_checksums_of_all_folders_below_come_when_asked(world: World) {
    for name in ["1.2/a", "1.2/deeper/c", "top"] {
        stored(&world, name).await;
    }
    let hex = Digest::sha256(b"abc").hex();
    let sums = get(&world, &format!("{BASE}/1.2/SHA256SUMS?recursive")).await.expect(200);
    assert_eq!(text(&sums), format!("{hex}  a\n{hex}  deeper/c\n"));
    let all = get(&world, &format!("{BASE}/SHA256SUMS?recursive")).await.expect(200);
    assert_eq!(text(&all), format!("{hex}  1.2/a\n{hex}  1.2/deeper/c\n{hex}  top\n"));
    get(&world, &format!("{BASE}/none/SHA256SUMS?recursive")).await.expect(404);
}

async fn a_checksum_that_a_client_holds_is_not_sent_again(world: World) {
    stored(&world, "1.2/a").await;
    let path = format!("{BASE}/1.2/a.sha512");
    let first = get(&world, &path).await.expect(200);
    let tag = first.header("etag").unwrap();
    let again = Request::get(path).header("if-none-match", tag);
    let unchanged = world.open().ask(&again).await.expect(304);
    assert_eq!((unchanged.header("etag"), unchanged.len), (Some(tag), 0));
    world.open().ask(&again.at(format!("{BASE}/1.2/a.sha1"))).await.expect(200);
}

async fn a_stored_file_of_checksums_wins(world: World) {
    stored(&world, "1.2/a").await;
    stored(&world, "1.2/SHA256SUMS").await;
    let sums = get(&world, &format!("{BASE}/1.2/SHA256SUMS")).await.expect(200);
    assert_eq!(text(&sums), "abc");
}

async fn a_checksum_that_is_sent_after_its_file_is_held_against_it(world: World) {
    stored(&world, "1.2/a.bin").await;
    let before = world.snapshot().await;
    let hex = Digest::sha256(b"abc").hex();
    let other = Digest::sha256(b"other").hex();
    let md5 = "900150983cd24fb0d6963f7d28e17f72";
    let long = "a".repeat(9000);
    for (kind, sent, status) in [
        ("sha256", hex.clone(), 200),
        ("sha256", format!("{}\n", hex.to_uppercase()), 200),
        ("sha256", format!("{hex}  a.bin\n"), 200),
        ("sha256", format!("{hex} *dist/a.bin\r\n"), 200),
        ("md5", md5.to_owned(), 200),
        ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d  a.bin".to_owned(), 200),
        ("sha256", other.clone(), 422),
        ("sha256", format!("{hex}  b.bin\n"), 422),
        ("sha256", format!("{hex} a.bin\n"), 422),
        ("sha256", format!("{hex}  a.bin\n{other}  b.bin\n"), 422),
        ("sha256", md5.to_owned(), 422),
        ("sha512", "signed elsewhere".to_owned(), 422),
        ("sha512", String::new(), 422),
        ("sha512", long, 413),
    ] {
        let answer = world.open().ask(&put(format!("{BASE}/1.2/a.bin.{kind}"), sent.clone())).await;
        assert_eq!(answer.status, status, "{kind} {sent}: {answer:?}");
        if status == 200 {
            assert_eq!(answer.json()["verified"], kind);
        }
    }
    assert_eq!(world.snapshot().await, before);
}
