//! First folders whose names begin as a version does.

use super::super::super::fault::Outcome;
use super::super::super::model::RepositoryId;
use super::super::super::schema::version;
use super::Conn;
use super::files::behind;
use super::rows::LIVE;
use diesel::prelude::*;

/// Where names are that begin with a digit, or with the `v` before one: from here, and before there.
const VERSIONS: [(&str, &str); 2] = [("0", ":"), ("v0", "v:")];

pub(crate) fn release_folders(c: &mut Conn, repository: &RepositoryId, most: &usize) -> Outcome<Option<Vec<String>>> {
    let (mut folders, mut steps) = (Vec::new(), 0);
    for (start, end) in VERSIONS {
        // A folder is passed over as a whole, a file by itself.
        let (mut from, mut passed) = (start.to_owned(), None);
        loop {
            let mut query = version::table
                .filter(version::repository.eq(repository.0))
                .filter(version::state.eq(LIVE))
                .filter(version::name.ge(&from))
                .filter(version::name.lt(end))
                .order(version::name)
                .select(version::name)
                .into_boxed();
            if let Some(passed) = &passed {
                query = query.filter(version::name.gt(passed));
            }
            let Some(name) = query.first::<String>(c).optional()? else { break };
            steps += 1;
            if steps > *most {
                return Ok(None);
            }
            match name.split_once('/') {
                Some((folder, _)) => {
                    from = behind(folder);
                    passed = None;
                    folders.push(folder.to_owned());
                }
                None => {
                    from.clone_from(&name);
                    passed = Some(name);
                }
            }
        }
    }
    Ok(Some(folders))
}
