//! Compare-and-swap on tags: `If-Match` and `If-None-Match` on a push.

use crate::support::{Answer, Client, Image, TestServer, sha256};

/// Pushes to the tag `1.0` on a condition.
fn put(admin: &Client, image: &Image, condition: &str, value: &str) -> Answer {
    admin.push_parts("acme/app", image);
    admin
        .call("PUT", "/v2/acme/app/manifests/1.0")
        .header("Content-Type", &image.manifest.media_type)
        .header(condition, value)
        .body(&image.manifest.bytes)
}

fn quoted(image: &Image) -> String {
    format!("\"{}\"", image.digest())
}

#[test]
fn a_tag_is_made_only_where_there_is_none() {
    let server = TestServer::start();
    let admin = server.admin();
    let (first, second) = (Image::new("first"), Image::new("second"));

    put(&admin, &first, "If-None-Match", "*").expect(201);
    put(&admin, &second, "If-None-Match", "*").refused(412, "PRECONDITION_FAILED");
    put(&admin, &first, "If-None-Match", "*").refused(412, "PRECONDITION_FAILED");

    assert_eq!(admin.tag_digest("acme/app", "1.0"), Some(first.digest()));
    admin
        .get(&format!("/v2/acme/app/manifests/{}", second.digest()))
        .refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn a_tag_moves_only_from_where_the_client_saw_it() {
    let server = TestServer::start();
    let admin = server.admin();
    let (first, second, third) = (Image::new("first"), Image::new("second"), Image::new("third"));
    admin.push_image("acme/app", "1.0", &first);
    let seen = admin.head("/v2/acme/app/manifests/1.0").header("etag").to_owned();

    put(&admin, &second, "If-Match", &seen).expect(201);
    put(&admin, &third, "If-Match", &seen).refused(412, "PRECONDITION_FAILED");
    assert_eq!(admin.tag_digest("acme/app", "1.0"), Some(second.digest()));

    put(&admin, &third, "If-Match", &format!("{seen}, {}", quoted(&second))).expect(201);
    assert_eq!(admin.tag_digest("acme/app", "1.0"), Some(third.digest()));
}

#[test]
fn a_condition_on_what_is_there_fails_where_nothing_is() {
    let server = TestServer::start();
    let admin = server.admin();
    let image = Image::new("an image");
    for condition in ["*", &quoted(&image), "\"nonsense\"", ""] {
        put(&admin, &image, "If-Match", condition).refused(412, "PRECONDITION_FAILED");
    }
    assert_eq!(admin.tag_digest("acme/app", "1.0"), None);
    admin.push_image("acme/app", "1.0", &Image::new("older"));
    put(&admin, &image, "If-Match", "*").expect(201);
    put(&admin, &Image::new("newer"), "If-None-Match", &quoted(&image)).refused(412, "PRECONDITION_FAILED");
    put(&admin, &Image::new("newer"), "If-None-Match", &format!("\"{}\"", sha256(b"x"))).expect(201);
}

#[test]
fn of_many_who_swap_at_once_exactly_one_wins() {
    let server = TestServer::start();
    let admin = server.admin();
    admin.push("acme/app", "1.0", "the start");
    let images: Vec<Image> = (0..8).map(|number| Image::new(&format!("contender {number}"))).collect();
    for image in &images {
        admin.push_parts("acme/app", image);
    }
    let seen = admin.head("/v2/acme/app/manifests/1.0").header("etag").to_owned();

    let statuses: Vec<(u16, String)> = std::thread::scope(|scope| {
        let swap = |image: &Image| {
            let call = admin.call("PUT", "/v2/acme/app/manifests/1.0");
            let call = call.header("Content-Type", &image.manifest.media_type).header("If-Match", &seen);
            (call.body(&image.manifest.bytes).status, image.digest())
        };
        let threads: Vec<_> = images.iter().map(|image| scope.spawn(move || swap(image))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    let winners: Vec<_> = statuses.iter().filter(|(status, _)| *status == 201).collect();
    assert_eq!(winners.len(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|(status, _)| matches!(status, 201 | 412)), "{statuses:?}");
    assert_eq!(admin.tag_digest("acme/app", "1.0").as_ref(), Some(&winners[0].1));
}
