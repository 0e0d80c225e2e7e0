//! Every route of the server, by every method, for everybody: what the table does not say fails the test, and so does
//! a route that is in the source and not in the table. Nothing here exists that could be changed, so that each cell
//! stands for itself; what success does is told in `matrix`.

use crate::support::{Client, Image, StolenKey, TestServer, password_of, sha256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"];

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Right {
    /// Nothing, and no credentials are looked at.
    Open,
    /// A password, or nobody at all; never a token.
    Token,
    Login,
    Listing,
    Pull,
    Push,
    Delete,
    /// To see what is directly under the repository's prefix.
    PullUnder,
    /// To add to it.
    PushUnder,
    /// To speak for all of it.
    Manage,
}
use Right::{Delete, Listing, Login, Manage, Open, Pull, PullUnder, Push, PushUnder, Token};

/// By method: the right, the operation behind it, and the answer to who has the right.
type Cells = Vec<(&'static str, Right, &'static str, u16)>;

/// A path and what may be done there.
struct Route {
    path: String,
    cells: Cells,
}

impl Route {
    /// As `Allow` has it.
    fn allow(&self) -> String {
        self.cells.iter().map(|cell| cell.0).collect::<Vec<_>>().join(", ")
    }
}

fn read(right: Right, act: &'static str, status: u16) -> Cells {
    vec![("GET", right, act, status), ("HEAD", right, act, status)]
}

/// The table, about the repository that is spelled `name`.
fn table(name: &str, image: &Image) -> Vec<Route> {
    let (absent, present) = (sha256(b"absent"), image.digest());
    let layer = sha256(&image.layer);
    let id = "11111111-1111-4111-8111-111111111111";
    let manifest = |status: u16| {
        let mut cells = read(Pull, "ReadManifest", status);
        // Without a body there is no manifest in it.
        cells.push(("PUT", Push, "PutManifest", 400));
        cells.push(("DELETE", Delete, "DeleteManifest", 404));
        cells
    };
    let blob = || {
        let mut cells = read(Pull, "ReadBlob", 404);
        cells.push(("DELETE", Delete, "DeleteBlob", 404));
        cells
    };
    let mut upload = read(Push, "UploadStatus", 404);
    upload.extend([
        ("PATCH", Push, "Append", 404),
        ("PUT", Push, "Finish", 404),
        ("DELETE", Push, "CancelUpload", 404),
    ]);
    // The repository holds images: there are no files in it, and none can be added.
    let full = if name.contains('/') {
        name.to_owned()
    } else {
        format!("library/{name}")
    };
    let file = || {
        let mut cells = read(Pull, "ReadFile", 404);
        cells.push(("PUT", Push, "PutFile", 409));
        cells.push(("PATCH", Push, "ChangeLabels", 409));
        cells.push(("DELETE", Delete, "DeleteFile", 404));
        cells
    };
    let labels = || {
        let mut cells = file();
        for cell in &mut cells[..2] {
            cell.2 = "ReadLabels";
        }
        cells
    };
    let newest = || {
        let mut cells = read(Pull, "NewestRelease", 404);
        // Nothing is stored there, whoever asks; the rest is about a file of that name.
        cells.push(("PUT", Open, "NewestRelease", 400));
        cells.extend_from_slice(&file()[3..]);
        cells
    };
    let folder = || {
        let mut cells = read(Pull, "ListFiles", 404);
        // Refused with a sentence of their own, whoever asks.
        cells.push(("PUT", Open, "ListFiles", 400));
        cells.push(("DELETE", Open, "ListFiles", 400));
        cells
    };
    let fetched = || {
        let mut cells = folder();
        for cell in &mut cells[..2] {
            cell.2 = "FetchFolder";
        }
        cells
    };
    let root = || {
        let mut cells = folder();
        cells.push(("POST", Push, "StartUpload", 409));
        cells.push(("OPTIONS", Push, "UploadAbilities", 409));
        cells
    };
    let releases = || {
        let mut cells = root();
        for cell in &mut cells[..2] {
            cell.2 = "ListReleases";
        }
        cells
    };
    // Without the version of the protocol nothing is done, whoever may.
    let session = vec![
        ("HEAD", Login, "UploadStatus", 412),
        ("PATCH", Login, "Append", 412),
        ("DELETE", Login, "CancelUpload", 412),
        ("OPTIONS", Login, "UploadOptions", 204),
    ];
    let start = || vec![("POST", Push, "StartUpload", 202)];
    let mut token = read(Token, "token", 200);
    // Without a form there is no grant_type in it.
    token.push(("POST", Open, "token", 400));
    let (helm, segment) = match name.rsplit_once('/') {
        Some((prefix, segment)) => (format!("/helm/{prefix}"), segment),
        None => ("/helm".to_owned(), name),
    };
    let archive = || {
        let mut cells = read(PullUnder, "ReadFile", 404);
        // Without a body there is no chart in it.
        cells.push(("PUT", PushUnder, "Upload", 400));
        cells
    };
    let signature = || {
        let mut cells = read(PullUnder, "ReadFile", 404);
        cells.push(("PUT", PushUnder, "Provenance", 400));
        cells
    };
    let charts = || {
        let mut cells = read(PullUnder, "Charts", 200);
        cells.push(("POST", PushUnder, "Upload", 400));
        cells
    };
    let version = || {
        let mut cells = read(Pull, "Version", 404);
        // Without a body nothing is said of it.
        cells.push(("PATCH", Delete, "Mark", 400));
        cells.push(("DELETE", Delete, "Delete", 404));
        cells
    };
    let publisher = || {
        let mut cells = read(PullUnder, "Publisher", 404);
        // Without a body nobody is named in it.
        cells.push(("PUT", Manage, "PutPublisher", 400));
        cells.push(("DELETE", Manage, "DeletePublisher", 404));
        cells
    };
    let of = |path: String, cells: Cells| Route { path, cells };
    vec![
        of("/livez".into(), read(Open, "livez", 200)),
        of("/readyz".into(), read(Open, "readyz", 200)),
        of("/metrics".into(), read(Open, "metrics", 200)),
        of("/token".into(), token),
        of("/v2".into(), read(Login, "Base", 200)),
        of("/v2/".into(), read(Login, "Base", 200)),
        of("/v2/_catalog".into(), read(Listing, "Catalog", 200)),
        of(format!("/v2/{name}/tags/list"), read(Pull, "Tags", 200)),
        of(format!("/v2/{name}/manifests/absent"), manifest(404)),
        of(format!("/v2/{name}/manifests/{absent}"), manifest(404)),
        of(format!("/v2/{name}/referrers/{present}"), read(Pull, "Referrers", 200)),
        of(format!("/v2/{name}/blobs/{absent}"), blob()),
        of(format!("/v2/{name}/blobs/uploads/"), start()),
        of(format!("/v2/{name}/blobs/uploads"), start()),
        of(format!("/v2/{name}/blobs/uploads/{id}?digest={absent}"), upload),
        of(format!("/generic/{full}/1.0/absent"), file()),
        of(format!("/generic/{full}/1.0/absent.sha256"), file()),
        of(format!("/generic/{full}/1.0/absent?labels"), labels()),
        of(format!("/generic/{full}/@latest/absent"), newest()),
        of(format!("/generic/{full}/1.0/absent.zip!/entry"), file()),
        of(format!("/generic/{full}/?releases"), releases()),
        of(format!("/generic/{full}/1.0/"), folder()),
        of(format!("/generic/{full}/1.0/absent.zip!/"), folder()),
        of(format!("/generic/{full}/1.0/?archive=zip"), fetched()),
        of(format!("/generic/{full}/"), root()),
        of(format!("/generic/{full}"), root()),
        of(format!("/uploads/{id}"), session),
        of(format!("{helm}/index.yaml"), read(PullUnder, "Index", 200)),
        of(format!("{helm}/index.json"), read(PullUnder, "Index", 200)),
        of(format!("{helm}/charts/{segment}-1.0.0.tgz"), archive()),
        of(format!("{helm}/{segment}-1.0.0.tgz"), archive()),
        of(format!("{helm}/charts/{segment}-1.0.0.tgz.prov"), signature()),
        of(format!("{helm}/{segment}-1.0.0.tgz.prov"), signature()),
        of(format!("{helm}/api/charts"), charts()),
        of(format!("{helm}/api/prov"), vec![("POST", PushUnder, "Provenance", 400)]),
        of(format!("{helm}/api/charts/{segment}"), read(Pull, "Versions", 404)),
        of(format!("{helm}/api/charts/{segment}/1.0"), version()),
        of(format!("{helm}/api/charts/{segment}/1.0/values"), read(Pull, "Part", 404)),
        of(format!("{helm}/api/charts/{segment}/1.0/images"), read(Pull, "Images", 404)),
        of(format!("{helm}/api/charts/{segment}/1.0/labels"), read(Pull, "Labels", 404)),
        of(format!("{helm}/api/charts/{segment}/1.0/diff/1.1"), read(Pull, "Diff", 404)),
        of(format!("{helm}/artifacthub-repo.yml"), publisher()),
        of(format!("{helm}/api/unlisted"), read(PullUnder, "Unlisted", 200)),
        of(format!("{helm}/health"), read(PullUnder, "Health", 200)),
        of(format!("{helm}/info"), read(PullUnder, "Info", 200)),
        of(format!("/api{helm}/charts"), charts()),
        of(format!("/api{helm}/prov"), vec![("POST", PushUnder, "Provenance", 400)]),
        of(format!("/api{helm}/charts/{segment}/1.0"), version()),
        of(format!("/api{helm}/charts/{segment}/1.0/diff/1.1"), read(Pull, "Diff", 404)),
        of(format!("/v2/{name}/manifests/1.0"), read(Pull, "ReadManifest", 200)),
        of(format!("/v2/{name}/manifests/{present}"), read(Pull, "ReadManifest", 200)),
        of(format!("/v2/{name}/blobs/{layer}"), read(Pull, "ReadBlob", 200)),
    ]
}

/// How many at the end of the table are there to be read, and would go if all were done to them that can be.
const PRESENT: usize = 3;

/// Where nothing is.
const NOWHERE: [&str; 13] = [
    "/",
    "/v1/",
    "/v2x",
    "/V2/",
    "/api/v2.0/users",
    "/livez/",
    "/metrics/x",
    "/token/",
    "//v2/",
    "/helm",
    "/helm/",
    "/helm/acme",
    "/helm/acme/artifacthub-repo.yaml",
];

/// A caller, and what the table has for them.
struct Somebody {
    name: &'static str,
    client: Client,
    /// The rights that are theirs.
    has: &'static [Right],
    /// What they hear otherwise.
    refusal: u16,
}

const READER: &[Right] = &[Open, Token, Login, Listing, Pull, PullUnder];
const WRITER: &[Right] = &[Open, Token, Login, Listing, Pull, Push, PullUnder, PushUnder];
const EVERYTHING: &[Right] = &[Open, Token, Login, Listing, Pull, Push, Delete, PullUnder, PushUnder, Manage];

fn everybody(server: &TestServer, project: &str, repository: &str) -> Vec<Somebody> {
    let admin = server.admin();
    let member = |role: &str| server.member(role, project, role);
    let former = server.member("former", project, "maintainer");
    let scope = format!("repository:{repository}:pull,push,delete registry:catalog:*");
    let revoked = former.with_token(&scope);
    server.cli(&["user", "disable", "former"]).expect(0);
    let somebody = |name, client, has, refusal| Somebody {
        name,
        client,
        has,
        refusal,
    };
    vec![
        somebody("anonymous", server.anonymous(), &[Open, Token], 401),
        somebody("outsider", server.account("outsider"), &[Open, Token, Login, Listing], 403),
        somebody("viewer", member("viewer"), READER, 403),
        somebody("developer", member("developer"), WRITER, 403),
        somebody("maintainer", member("maintainer"), EVERYTHING, 403),
        somebody("admin", admin.clone(), EVERYTHING, 403),
        somebody(
            "a token for pulling",
            admin.with_token(&format!("repository:{repository}:pull")),
            &[Open, Login, Pull, PullUnder],
            401,
        ),
        somebody(
            "a token for another repository",
            admin.with_token("repository:acme/other:pull,push,delete"),
            // It lies under the same prefix, so that what is listed there may be asked for, and is shown filtered.
            if project == "acme" {
                &[Open, Login, PullUnder, PushUnder]
            } else {
                &[Open, Login]
            },
            401,
        ),
        somebody(
            "a token for the catalog",
            admin.with_token("registry:catalog:*"),
            &[Open, Login, Listing],
            401,
        ),
        somebody("the token of a disabled account", revoked, &[Open], 401),
        somebody(
            "the password of a disabled account",
            server.anonymous().basic("former", &password_of("former")),
            &[Open],
            401,
        ),
        somebody(
            "a wrong password",
            server.anonymous().basic("admin", "not the password"),
            &[Open],
            401,
        ),
        somebody("an expired token", expired(server, &admin, &scope), &[Open], 401),
        somebody("an unknown scheme", server.anonymous().authorized("Negotiate abc"), &[Open], 401),
    ]
}

/// A token of the administrator with the true key's signature, whose time was over a minute ago.
fn expired(server: &TestServer, admin: &Client, scope: &str) -> Client {
    let good = admin.with_token(scope);
    let token = good.authorization().unwrap().strip_prefix("Bearer ").unwrap();
    let part = |index: usize| -> Value {
        let part = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let (header, mut claims) = (part(0), part(1));
    let now = claims["iat"].as_u64().unwrap();
    for (name, age) in [("iat", 120), ("nbf", 120), ("exp", 60)] {
        claims[name] = json!(now - age);
    }
    admin.bearer(&StolenKey::of(server).sign(header["kid"].as_str().unwrap(), &claims))
}

/// A server with an image, and the table about it as it is spelled there.
fn with_image(repository: &str) -> (TestServer, Image) {
    // Guesses at passwords must not be turned away for their number.
    let server = TestServer::with(&[("auth.hash_queue", "1000")]);
    let image = server.admin().push(repository, "1.0", "an image");
    (server, image)
}

/// Asks everything of everybody.
fn walk(repository: &str, canonical: &str) {
    let (server, image) = with_image(repository);
    let (project, _) = canonical.split_once('/').unwrap();
    let before = server.admin().get(&format!("/v2/{repository}/tags/list")).text();
    let routes = table(repository, &image);
    let complete = routes.len() - PRESENT;
    for Somebody {
        name,
        client,
        has,
        refusal,
    } in everybody(&server, project, canonical)
    {
        for (number, route) in routes.iter().enumerate() {
            for method in METHODS {
                let cell = route.cells.iter().find(|cell| cell.0 == method);
                if cell.is_none() && number >= complete {
                    continue;
                }
                let answer = client.call(method, &route.path).send();
                let Some((_, right, _, success)) = cell else {
                    // Nobody reaches anything by a method that the path does not know; who has no credentials may
                    // be asked for them first.
                    let asked_first = answer.status == 401 && !has.contains(&Login) && route.path.starts_with("/v2");
                    assert!(answer.status == 405 || asked_first, "{name}: {answer}");
                    if answer.status == 405 && ["/v2", "/helm", "/api/helm"].iter().any(|mount| route.path.starts_with(mount)) {
                        assert_eq!(answer.header("allow"), route.allow(), "{name}: {answer}");
                    }
                    continue;
                };
                let expected = if has.contains(right) {
                    *success
                } else {
                    refusal_of(*right, refusal)
                };
                assert_eq!(answer.status, expected, "{name} by {method}: {answer}");
            }
        }
        for path in NOWHERE {
            for method in METHODS {
                let status = client.call(method, path).send().status;
                assert_eq!(status, 404, "{name}: {method} {path}");
            }
        }
    }
    assert_eq!(server.admin().get(&format!("/v2/{repository}/tags/list")).text(), before);
    assert_eq!(server.admin().tag_digest(repository, "1.0"), Some(image.digest()));
}

/// Only what is about a repository can be refused for good.
fn refusal_of(right: Right, refusal: u16) -> u16 {
    if matches!(right, Pull | Push | Delete | PullUnder | PushUnder | Manage) {
        refusal
    } else {
        401
    }
}

#[test]
fn every_route_and_method_answers_everybody_as_the_table_says() {
    walk("acme/app", "acme/app");
}

#[test]
fn the_short_name_of_a_repository_decides_as_its_long_one() {
    walk("hello", "library/hello");
}

#[test]
fn no_route_of_the_source_is_missing_from_the_table() {
    let routes = table("acme/app", &Image::new("an image"));
    let tabled: BTreeSet<&str> = routes.iter().flat_map(|route| &route.cells).map(|cell| cell.2).collect();

    let sources = [
        include_str!("../../formats/src/oci/op.rs"),
        include_str!("../../formats/src/generic/op.rs"),
        include_str!("../../formats/src/generic/tus_op.rs"),
        include_str!("../../formats/src/helm/op.rs"),
    ];
    let mut acts: BTreeSet<&str> = BTreeSet::new();
    for source in sources {
        let (_, own) = source.split_once("pub enum Act {\n").unwrap();
        let (own, _) = own.split_once("\n}\n").unwrap();
        let variants = own
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .filter(|line| line.starts_with(char::is_uppercase));
        acts.extend(variants.map(|line| line.split([' ', '(', ',']).next().unwrap()));
    }
    let upper: BTreeSet<&str> = tabled.iter().copied().filter(|act| act.starts_with(char::is_uppercase)).collect();
    assert!(acts.len() > 10, "the operations were not found");
    assert_eq!(acts, upper);

    let source = include_str!("../../server/src/http/mod.rs");
    let mut paths: BTreeSet<&str> = BTreeSet::new();
    for opening in ["readable(\"", "resource(\"", ".route(\"", "scope(\""] {
        paths.extend(source.split(opening).skip(1).map(|rest| rest.split('"').next().unwrap()));
    }
    let plain: BTreeSet<&str> = routes
        .iter()
        .map(|route| route.path.as_str())
        .filter(|path| {
            !["/v2", "/generic", "/uploads", "/helm", "/api/helm"]
                .iter()
                .any(|mount| path.starts_with(mount))
        })
        .collect();
    assert_eq!(paths, plain);

    let formats = include_str!("../../formats/src/lib.rs");
    let mounted = formats.matches(".with(").count() - formats.matches(".with(…)").count();
    // Helm's API is mounted before the prefix as well.
    assert_eq!(mounted, sources.len() + 1, "a format is mounted whose routes are not in the table");
}

#[test]
fn another_spelling_of_a_route_decides_the_same_or_is_refused() {
    let (server, image) = with_image("acme/app");
    let mut understood = 0;
    // Wrong passwords take their time, and the spelling comes after them.
    let quick = |somebody: &Somebody| !somebody.name.contains("password");
    for Somebody {
        name,
        client,
        has,
        refusal,
    } in everybody(&server, "acme", "acme/app").into_iter().filter(quick)
    {
        for route in table("acme/app", &image).iter().filter(|route| route.path.starts_with("/v2/acme")) {
            for (method, right, _, success) in &route.cells {
                let expected = if has.contains(right) { *success } else { refusal };
                for (path, same) in spellings(&route.path) {
                    let status = client.call(method, &path).send().status;
                    if same {
                        assert_eq!(status, expected, "{name}: {method} {path}");
                        understood += 1;
                    } else {
                        assert!((400..500).contains(&status), "{name}: {method} {path} is answered with {status}");
                    }
                }
            }
        }
    }
    assert!(understood > 100);
    assert_eq!(server.admin().tag_digest("acme/app", "1.0"), Some(image.digest()));
}

/// Other ways to write a path, and whether each means the same.
fn spellings(path: &str) -> Vec<(String, bool)> {
    let (bare, query) = path
        .split_once('?')
        .map_or((path, String::new()), |(bare, query)| (bare, format!("?{query}")));
    let with = |bare: String, same: bool| (format!("{bare}{query}"), same);
    let mut all = vec![
        with(bare.replace("acme", "%61cme"), true),
        with(bare.replace("/app/", "/ap%70/"), true),
        with(bare.replace(':', "%3A"), true),
        with(bare.replace(':', "%3a"), true),
        with(bare.replace("acme", "ACME"), false),
        with(bare.replace("acme", "%2561cme"), false),
        with(bare.replace("acme/", "acme//"), false),
        with(bare.replace("/v2/", "/v2//"), false),
        with(bare.replace("acme/", "acme%2F"), false),
        with(bare.replace("acme/", "acme/./"), false),
        with(bare.replace("acme/", "acme/../acme/"), false),
        with(bare.replace("acme/", "acme;v=1/"), false),
        with(bare.replace("acme/", "acme%5C"), false),
        with(bare.replace("acme/", "acme%00/"), false),
        with(format!("{bare}%00"), false),
        with(format!("{bare}//"), false),
    ];
    // A slash at the end is how uploads begin, and nothing else.
    if !bare.ends_with("uploads") && !bare.ends_with("uploads/") {
        all.push(with(format!("{bare}/"), false));
    }
    all
}
