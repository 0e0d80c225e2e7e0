//! The scopes that clients ask the token endpoint for.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../server/src/auth/scope.rs"]
mod scope;

fuzz_target!(|text: &str| {
    let scopes = scope::parse(text.lines());
    assert!(scopes.repositories.len() <= 64, "a token that grows with what is asked");
    for (index, access) in scopes.repositories.iter().enumerate() {
        let name = access.repository.as_str();
        let earlier = &scopes.repositories[..index];
        assert!(!earlier.iter().any(|other| other.repository == access.repository));
        // Written as the server writes it, it is read as the same.
        let words: Vec<_> = access.actions.scope_words().collect();
        let written = format!("repository:{name}:{}", words.join(","));
        let again = scope::parse([written.as_str()]);
        assert_eq!(again.on(&access.repository), access.actions, "{written}");
        assert!(text.contains(name.strip_prefix("library/").unwrap_or(name)));
    }
    assert!(!scopes.catalog || text.contains("registry:catalog:"));
});
