//! Names as people type them, and names that nobody should.

use super::{names, refused, with_developer};

#[test]
fn spaces_letters_of_every_script_and_leading_dots_are_fine() {
    let (server, dev) = with_developer();
    let base = "/generic/acme/files";
    for (written, name) in [
        ("a%20file%20%281%29.txt", "a file (1).txt"),
        (".config", ".config"),
        ("gr%C3%B6%C3%9Fe.txt", "größe.txt"),
        ("%E6%97%A5%E6%9C%AC", "日本"),
        ("100%25", "100%"),
        ("a+b", "a+b"),
        ("a%3Bb", "a;b"),
    ] {
        let path = format!("{base}/x/{written}");
        dev.call("PUT", &path).body(name.as_bytes()).expect(201);
        assert_eq!(dev.get(&path).expect(200).text(), name);
        assert!(names(&dev, &format!("{base}/x/?n=2")).contains(&name.to_owned()), "{name}");
        let line = dev.get(&format!("{path}.sha1")).expect(200).text();
        assert!(line.ends_with(&format!("  {name}\n")), "{line}");
    }
    let long = format!("{base}/{}", "n".repeat(1024));
    dev.call("PUT", &long).body(b"x").expect(201);
    server.admin().delete(&long).expect(204);
}

#[test]
fn a_name_typed_on_another_system_is_the_same_file() {
    let (server, dev) = with_developer();
    let (here, there) = ("/generic/acme/files/caf%C3%A9", "/generic/acme/files/cafe%CC%81");
    dev.call("PUT", there).body(b"x").expect(201);
    assert_eq!(dev.get(here).expect(200).text(), "x");
    assert_eq!(names(&dev, "/generic/acme/files/"), ["café"]);
    server.admin().delete(here).expect(204);
    dev.get(there).expect(404);
}

#[test]
fn a_name_that_would_lead_elsewhere_is_refused_and_nothing_is_stored() {
    let (_server, dev) = with_developer();
    for bad in [
        "a%2Fb",
        "a%2fb",
        "..",
        "../x",
        "x/%2E%2E/y",
        "x/./y",
        "x//y",
        "a%00",
        "a%0Ab",
        "a%5Cb",
        "%FF",
        "%",
        "a;b",
        "a;b=c/d",
    ] {
        let answer = dev.call("PUT", &format!("/generic/acme/files/{bad}")).body(b"x");
        // Some of these the client resolves by itself.
        if answer.status != 404 {
            assert!(!refused(&answer, 400).is_empty(), "{bad}");
        }
    }
    let sentence = refused(&dev.call("PUT", "/generic/acme/files/folder/").body(b"x"), 400);
    assert!(sentence.contains("ends in a slash"), "{sentence}");
    dev.get("/generic/acme/files/").expect(404);
}

#[test]
fn a_file_and_a_folder_cannot_have_one_name() {
    let (_server, dev) = with_developer();
    dev.call("PUT", "/generic/acme/files/a/b").body(b"x").expect(201);
    for taken in ["a", "a/b/c"] {
        let sentence = refused(&dev.call("PUT", &format!("/generic/acme/files/{taken}")).body(b"x"), 409);
        assert_eq!(sentence, "a/b is a file, and no path can be a file and a folder");
    }
    dev.call("PUT", "/generic/acme/files/a/c").body(b"x").expect(201);
}
