//! The newest release, as clients ask for it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::put;
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;

stories! {
    a_range_leads_to_the_newest_release_that_it_asks_for
    what_was_deleted_is_no_release
    pre_releases_stand_in_nobodys_way
    the_releases_are_listed_from_the_newest_in_pages
    a_list_of_releases_is_refused_with_a_sentence
    names_that_only_look_like_ranges_are_files
}

const BASE: &str = "/generic/acme/firmware";

async fn release(world: &World, name: &str) {
    let stored = world.open().ask(&put(format!("{BASE}/{name}/fw.bin"), format!("of {name}"))).await;
    stored.expect(201);
}

async fn a_range_leads_to_the_newest_release_that_it_asks_for(world: World) {
    for name in ["1.2", "1.10.0", "v1.2.7", "2.0.0-rc.1", "notes"] {
        release(&world, name).await;
    }
    let door = world.open();
    for (asked, place) in [
        ("@latest/fw.bin", "1.10.0/fw.bin"),
        ("@^1.2/fw.bin", "1.10.0/fw.bin"),
        ("@%5E1.2/fw.bin?labels", "1.10.0/fw.bin?labels"),
        ("@~1.2/deep/a%20b", "v1.2.7/deep/a%20b"),
        ("@1.2/", "v1.2.7/"),
        ("@%3E=1,%3C1.3/deep/?n=2", "v1.2.7/deep/?n=2"),
        ("@^2.0.0-0/fw.bin", "2.0.0-rc.1/fw.bin"),
        ("@latest/fw.bin?pre", "2.0.0-rc.1/fw.bin?pre"),
    ] {
        let answer = door.ask(&Request::get(format!("{BASE}/{asked}"))).await.expect(302);
        assert_eq!(answer.header("location"), Some(&*format!("{BASE}/{place}")), "{asked}");
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    }
    let place = door.ask(&Request::get(format!("{BASE}/@latest/fw.bin"))).await;
    let file = door.ask(&Request::get(place.header("location").unwrap())).await.expect(200);
    assert_eq!(file.body, "of 1.10.0");
    // It is the newest that there is at the moment.
    release(&world, "1.11").await;
    let place = door.ask(&Request::get(format!("{BASE}/@latest/fw.bin"))).await;
    assert_eq!(place.header("location"), Some(&*format!("{BASE}/1.11/fw.bin")));
    for nothing in ["@^3/fw.bin", "@1.2.3/fw.bin", "@7/"] {
        let answer = door.ask(&Request::get(format!("{BASE}/{nothing}"))).await.expect(404);
        assert_eq!(answer.json()["error"], "there is no such release");
    }
    door.ask(&Request::get("/generic/acme/none/@latest/fw.bin")).await.expect(404);
}

async fn location(world: &World, asked: &str) -> String {
    let answer = world.open().ask(&Request::get(format!("{BASE}/{asked}"))).await.expect(302);
    answer.header("location").unwrap().to_owned()
}

async fn what_was_deleted_is_no_release(world: World) {
    let door = world.open();
    for path in ["1.2/fw.bin", "1.3/fw.bin", "1.3/notes"] {
        door.ask(&put(format!("{BASE}/{path}"), path)).await.expect(201);
    }
    assert_eq!(location(&world, "@latest/fw.bin").await, format!("{BASE}/1.3/fw.bin"));
    door.ask(&Request::delete(format!("{BASE}/1.3/notes"))).await.expect(204);
    assert_eq!(location(&world, "@latest/fw.bin").await, format!("{BASE}/1.3/fw.bin"));
    door.ask(&Request::delete(format!("{BASE}/1.3/fw.bin"))).await.expect(204);
    assert_eq!(location(&world, "@latest/fw.bin").await, format!("{BASE}/1.2/fw.bin"));
    // One of one file, as one that comes back.
    door.ask(&Request::delete(format!("{BASE}/1.2/fw.bin"))).await.expect(204);
    door.ask(&Request::get(format!("{BASE}/@latest/fw.bin"))).await.expect(404);
    door.ask(&put(format!("{BASE}/1.3/notes"), "again")).await.expect(201);
    assert_eq!(location(&world, "@latest/").await, format!("{BASE}/1.3/"));
}

async fn pre_releases_stand_in_nobodys_way(world: World) {
    release(&world, "1.0").await;
    for number in 0..20 {
        release(&world, &format!("2.0.0-nightly.{number}")).await;
    }
    for (asked, newest) in [
        ("@latest/", "1.0/"),
        ("@>=1/", "1.0/"),
        ("@latest/?pre", "2.0.0-nightly.19/?pre"),
        ("@<=2.0.0-nightly.9/", "2.0.0-nightly.9/"),
    ] {
        assert_eq!(location(&world, asked).await, format!("{BASE}/{newest}"), "{asked}");
    }
}

async fn the_releases_are_listed_from_the_newest_in_pages(world: World) {
    for name in ["1.2", "1.10.0", "v1.2.0", "2.0.0-rc.1", "1.2-beta+5", "notes"] {
        release(&world, name).await;
        world.open().ask(&put(format!("{BASE}/{name}/notes"), "notes")).await.expect(201);
    }
    world.open().ask(&put(format!("{BASE}/3.0"), "a file")).await.expect(201);
    let (mut names, mut target) = (Vec::new(), format!("{BASE}/?releases&n=2"));
    loop {
        let page = world.open().ask(&Request::get(target)).await.expect(200);
        assert_eq!(page.header("content-type"), Some("application/json"));
        assert_eq!(page.header("cache-control"), Some("private, no-cache"));
        let told = page.json();
        assert_eq!(told["repository"], "acme/firmware");
        let releases = told["releases"].as_array().unwrap();
        assert!(releases.len() <= 2);
        for release in releases {
            let name = release["name"].as_str().unwrap();
            assert_eq!(release["prerelease"], name.contains('-'), "{name}");
            names.push(name.to_owned());
        }
        let Some(link) = page.header("link") else { break };
        target = link.split(['<', '>']).nth(1).unwrap().to_owned();
    }
    assert_eq!(names, ["2.0.0-rc.1", "1.10.0", "v1.2.0", "1.2", "1.2-beta+5"]);
    // A page may begin after a release that is there no more.
    let after = world
        .open()
        .ask(&Request::get(format!("{BASE}/?releases&last=1.9")))
        .await
        .expect(200);
    assert_eq!(after.json()["releases"][0]["name"], "v1.2.0");
    let none = world.open().ask(&Request::get(format!("{BASE}/?releases&n=0"))).await.expect(200);
    assert_eq!(none.json()["releases"].as_array().unwrap().len(), 0);
}

async fn a_list_of_releases_is_refused_with_a_sentence(world: World) {
    release(&world, "1.2").await;
    for (rest, status, sentence) in [
        ("1.2/?releases", 400, "a whole repository"),
        ("?releases&last=notes", 400, "last is the name of a release"),
        ("?releases&n=x", 400, "a number of entries"),
    ] {
        let answer = world.open().ask(&Request::get(format!("{BASE}/{rest}"))).await.expect(status);
        assert!(answer.json()["error"].as_str().unwrap().contains(sentence), "{answer:?}");
    }
    let answer = world.open().ask(&Request::get("/generic/acme/none/?releases")).await.expect(404);
    assert_eq!(answer.json()["error"], "there is no such repository");
}

async fn names_that_only_look_like_ranges_are_files(world: World) {
    release(&world, "1.2").await;
    let door = world.open();
    for name in ["@scope/pkg.tgz", "@latest", "@", "@/x", "a/@latest/x"] {
        let target = format!("{BASE}/{name}");
        door.ask(&put(target.as_str(), name)).await.expect(201);
        assert_eq!(door.ask(&Request::get(target)).await.expect(200).body, name);
        world.open().ask(&Request::delete(format!("{BASE}/{name}"))).await.expect(204);
    }
    for name in ["@latest/x", "@1.2/x", "@%5E1/x"] {
        let answer = door.ask(&put(format!("{BASE}/{name}"), "x")).await.expect(400);
        assert!(answer.json()["error"].as_str().unwrap().contains("own folder"), "{answer:?}");
    }
}
