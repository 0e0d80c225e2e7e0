//! The scope grammar of the token endpoint: `repository:<name>:<actions>` and
//! `registry:catalog:*`. Source: distribution's token scope documentation.

use granary_storage::access::{Access, Actions, Scopes};

/// Scopes read from one request, at most; the rest is dropped as unknown ones are.
const SCOPES_MAX: usize = 64;

/// Reads scopes out of parameter values, each of which may hold several, space-separated.
/// What is not understood is dropped: the client gets a smaller token, not an error.
pub(crate) fn parse<'v>(values: impl IntoIterator<Item = &'v str>) -> Scopes {
    let mut scopes = Scopes::default();
    for scope in values.into_iter().flat_map(str::split_whitespace).take(SCOPES_MAX) {
        // The name may hold a colon (host:port), so the type is split off the left and the actions off the right.
        let Some((kind, rest)) = scope.split_once(':') else { continue };
        let Some((name, words)) = rest.rsplit_once(':') else { continue };
        match kind {
            "registry" if name == "catalog" && words.split(',').any(|word| word == "*") => scopes.catalog = true,
            // Docker writes the class of a plugin's repository in brackets.
            _ if kind == "repository" || (kind.starts_with("repository(") && kind.ends_with(')')) => {
                let (Ok(repository), actions) = (name.parse(), actions(words)) else {
                    continue;
                };
                match scopes.repositories.iter_mut().find(|access| access.repository == repository) {
                    Some(access) => access.actions = access.actions | actions,
                    None => scopes.repositories.push(Access { repository, actions }),
                }
            }
            _ => {}
        }
    }
    scopes
}

fn actions(words: &str) -> Actions {
    words.split(',').fold(Actions::NONE, |all, word| {
        all | match word {
            "pull" => Actions::PULL,
            "push" => Actions::PUSH,
            "delete" => Actions::DELETE,
            "*" => Actions::ALL,
            _ => Actions::NONE,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_is_understood() {
        let scopes = parse([
            "repository:acme/api:pull,push repository:hello:*",
            "registry:catalog:*",
            "repository(plugin):a/b:pull",
        ]);
        let seen: Vec<_> = scopes
            .repositories
            .iter()
            .map(|access| (access.repository.as_str(), access.actions))
            .collect();
        assert_eq!(
            seen,
            [
                ("acme/api", Actions::PULL | Actions::PUSH),
                ("library/hello", Actions::ALL),
                ("a/b", Actions::PULL)
            ]
        );
        assert!(scopes.catalog);
    }

    #[test]
    fn one_repository_named_twice_is_one_scope() {
        let scopes = parse(["repository:a/b:pull", "repository:a/b:delete"]);
        assert_eq!(scopes.repositories.len(), 1);
        assert_eq!(scopes.on(&scopes.repositories[0].repository), Actions::PULL | Actions::DELETE);
    }

    #[test]
    fn what_is_not_understood_is_dropped() {
        let scopes = parse([
            "",
            "nonsense",
            "repository:a/b",
            "repository:A/B:pull",
            "registry:catalog:pull",
            "repository:a/b:fly",
            ":::",
            "repository:::pull",
        ]);
        assert!(!scopes.catalog);
        assert!(scopes.repositories.iter().all(|access| access.actions.is_empty()), "{scopes:?}");
    }
}
