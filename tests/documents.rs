//! The pages that describe the project name only what is there.

use std::collections::HashSet;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What stands between backquotes and looks like a path of the repository.
fn paths_in(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(ROOT).join(page)).unwrap();
    let quoted = text.split('`').skip(1).step_by(2);
    let is_path = |word: &&str| {
        let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
        let first = word.split('/').next().unwrap_or_default();
        let ours = ["storage", "formats", "server", "migrations", "tests", "benches", "docs", ".ci"];
        plain && word.contains('/') && ours.contains(&first)
    };
    quoted.filter(is_path).map(str::to_owned).collect()
}

#[test]
fn every_path_that_a_page_names_exists() {
    for (page, fewest) in [("ARCHITECTURE.md", 30), ("CONTRIBUTING.md", 5), ("README.md", 1)] {
        let paths = paths_in(page);
        assert!(
            paths.len() >= fewest,
            "{page} names only {} paths; does the test still find them?",
            paths.len()
        );
        for path in paths {
            assert!(
                Path::new(ROOT).join(&path).try_exists().unwrap(),
                "{page} names {path}, which is not there"
            );
        }
    }
}

/// Every function of the sources, tests included.
fn functions(folder: &Path, found: &mut HashSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn every_test_that_the_page_of_threats_names_exists() {
    let mut known = HashSet::new();
    for folder in ["storage/src", "formats/src", "server/src", "tests"] {
        functions(&Path::new(ROOT).join(folder), &mut known);
    }
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/threats.md")).unwrap();
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|word| word.contains('_')).collect();
    assert!(named.len() > 20, "the page names only {} tests", named.len());
    for test in named {
        assert!(known.contains(test), "docs/threats.md names {test}, which is no test");
    }
}
