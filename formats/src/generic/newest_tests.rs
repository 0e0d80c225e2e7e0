//! The newest release, as clients ask for it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::specimen_tests::put;
use crate::contract::gate::FakeGate;
use crate::contract::request::Request;
use crate::contract::stories;
use crate::contract::world::World;
use granary_storage::limits::Limits;

stories! {
    a_range_leads_to_the_newest_release_that_it_asks_for
    names_that_only_look_like_ranges_are_files
    who_has_too_many_releases_names_one
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

async fn who_has_too_many_releases_names_one(world: World) {
    release(&world, "1.2").await;
    release(&world, "1.3").await;
    let most = |release_folders| Limits {
        release_folders,
        ..Limits::default()
    };
    let latest = Request::get(format!("{BASE}/@latest/fw.bin"));
    world.limited(FakeGate::open(), most(2)).ask(&latest).await.expect(302);
    let answer = world.limited(FakeGate::open(), most(1)).ask(&latest).await.expect(409);
    assert!(answer.json()["error"].as_str().unwrap().contains("more than 1 names"), "{answer:?}");
}
