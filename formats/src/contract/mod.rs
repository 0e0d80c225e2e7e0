//! What every format must do, written once and run for each of them on each database,
//! without a server: dispatch with a gate of the test's choosing, real stores behind it.
//!
//! A format joins with a [`Specimen`] in its own folder and a line at the end of this
//! file. What only one protocol knows (mounts, chunks, ranges) is tested beside its code.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod bad_input;
mod database;
mod errors;
pub(crate) mod gate;
mod nasty;
mod reading;
pub(crate) mod request;
mod spelling;
pub(crate) mod world;

use crate::gate::Needs;
use crate::handler::FormatHandler;
pub(crate) use database::Backend;
use granary_storage::access::{Access, Action, Actions};
use request::{Answer, Request};
use world::World;

/// The project whose content most samples are about.
const PROJECT: &str = "acme";

/// A format, as the contract sees it.
pub(crate) trait Specimen {
    /// The format.
    type Format: FormatHandler;
    /// An instance of it.
    const FORMAT: Self::Format;
    /// The name of every operation that [`Specimen::operation`] can give.
    const OPERATIONS: &'static [&'static str];

    /// The operation's name. An exhaustive `match`, so that a new operation asks for its sample.
    fn operation(op: &<Self::Format as FormatHandler>::Op) -> &'static str;

    /// Fills repositories of `project` with content made of `flavour`, and gives at least one valid request
    /// for every operation on it. May be called again; each call opens new sessions.
    async fn samples(world: &World, project: &str, flavour: &str) -> Vec<Sample>;

    /// The sentence in an error, when it has the format's own shape.
    fn message(answer: &Answer) -> Option<String>;
}

/// One valid request, and what may be expected of it.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// What it does, in words.
    pub(crate) what: &'static str,
    pub(crate) request: Request,
    pub(crate) asks: Asks,
    /// The status that it is answered with.
    pub(crate) status: u16,
}

/// The access that a sample asks for. Repositories by their canonical names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// Credentials of any kind.
    Login,
    /// What of a list may be seen.
    Listing,
    /// To read.
    Read(String),
    /// To read what policies decide about: a manifest, a chart, a file.
    Content(String),
    /// To look at an upload of one's own.
    Session(String),
    /// To go on with an upload of one's own that does not say where it goes: credentials at first, and once dispatch has
    /// found it what its repository asks for.
    GoOn,
    /// To add.
    Write(String),
    /// To change what is there, and be told of all of it.
    Change(String),
    /// To remove.
    Delete(String),
    /// To do anything: what only who manages a project may.
    Manage(String),
    /// To see what is listed under a prefix.
    List(String),
    /// To read what policies decide about, found under a prefix: the prefix, and the repository that it is in.
    ContentUnder(String, String),
    /// To add under a prefix.
    WriteUnder(String),
}

impl Asks {
    /// Whether this is what `needs` says. What is optional is the format's own business, except that
    /// who asks to read never asks for more.
    fn is(&self, needs: &Needs) -> bool {
        let (repository, actions) = match self {
            Self::List(prefix) | Self::ContentUnder(prefix, _) => return *needs == under(prefix, Actions::PULL),
            Self::WriteUnder(prefix) => return *needs == under(prefix, Action::Create.into()),
            Self::Login | Self::GoOn => return *needs == Needs::Login,
            Self::Listing => return *needs == Needs::Listing,
            Self::Read(repository) | Self::Content(repository) => (repository, Actions::PULL),
            Self::Session(repository) | Self::Write(repository) => (repository, Action::Create.into()),
            Self::Change(repository) => (repository, Actions::PUSH | Actions::PULL),
            Self::Delete(repository) => (repository, Actions::DELETE),
            Self::Manage(repository) => (repository, Actions::ALL),
        };
        let access = Access {
            repository: repository.parse().unwrap(),
            actions,
        };
        match needs {
            Needs::Access { required, optional, .. } => *required == [access] && (!self.is_read() || optional.is_empty()),
            Needs::Login | Needs::Listing | Needs::Under { .. } => false,
        }
    }

    /// Whether something is sent to be kept.
    fn is_write(&self) -> bool {
        matches!(self, Self::Write(_) | Self::WriteUnder(_) | Self::GoOn)
    }

    /// The repository of content that policies decide about.
    fn content(&self) -> Option<&String> {
        match self {
            Self::Content(repository) | Self::ContentUnder(_, repository) => Some(repository),
            _ => None,
        }
    }

    fn is_read(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Content(_))
    }
}

fn under(prefix: &str, actions: Actions) -> Needs {
    Needs::Under {
        prefix: prefix.parse().unwrap(),
        actions,
    }
}

/// Runs each of these stories (`async fn name(world: World)`) on each database, in a world of its own.
macro_rules! stories {
    ($($story:ident)*) => {
        stories!(@on sqlite, Sqlite, $($story)*);
        stories!(@on postgres, Postgres, $($story)*);
    };
    (@on $name:ident, $backend:ident, $($story:ident)*) => {
        mod $name {$(
            #[tokio::test]
            async fn $story() {
                let backend = crate::contract::Backend::$backend;
                if backend.is_here() {
                    super::$story(crate::contract::world::World::new(backend)).await;
                }
            }
        )*}
    };
}
pub(crate) use stories;

/// `name: its specimen` for every format; each runs through the whole contract on each database, but that those which
/// only take in leave out what is about reading.
macro_rules! contract {
    (both ways: $($format:ident: $specimen:ty,)* ; only in: $($taker:ident: $taken:ty,)*) => {
        /// The mounts of every format that has a specimen.
        const MOUNTS: &[&str] = &[
            $(<<$specimen as Specimen>::Format as FormatHandler>::MOUNT,)*
            $(<<$taken as Specimen>::Format as FormatHandler>::MOUNT,)*
        ];
        $(mod $format {
            contract!(@on sqlite, super::super::Backend::Sqlite, $specimen, out);
            contract!(@on postgres, super::super::Backend::Postgres, $specimen, out);
        })*
        $(mod $taker {
            contract!(@on sqlite, super::super::Backend::Sqlite, $taken,);
            contract!(@on postgres, super::super::Backend::Postgres, $taken,);
        })*
    };
    (@on $name:ident, $backend:expr, $specimen:ty, $($out:ident)?) => {
        mod $name {
            $(contract!(@$out $backend, $specimen);)?
            contract!(@tests $backend, $specimen,
                access: every_operation_has_a_sample_and_every_sample_succeeds
                    every_operation_states_what_it_needs
                    a_refusal_comes_before_the_body_is_read_and_leaves_nothing,
                spelling: another_spelling_of_a_path_asks_for_the_same_access_or_is_refused,
                errors: every_error_has_the_shape_of_the_format
                    a_method_that_a_path_does_not_know_is_refused_with_those_it_knows,
                bad_input: bad_input_is_refused_and_leaves_nothing
                    bad_input_for_a_new_repository_leaves_no_content,
                nasty: no_text_makes_the_parser_panic,
            );
        }
    };
    (@out $backend:expr, $specimen:ty) => {
        contract!(@tests $backend, $specimen,
            reading: a_read_changes_nothing
                head_is_answered_as_get_is
                a_read_may_depend_on_what_is_there
                a_warning_of_the_policy_reaches_the_client
                blocked_content_shows_its_headers_and_nothing_else
                what_is_only_elsewhere_is_nowhere,
        );
    };
    (@tests $backend:expr, $specimen:ty, $($module:ident: $($test:ident)*,)*) => {$($(
        #[tokio::test]
        async fn $test() {
            if $backend.is_here() {
                super::super::$module::$test::<$specimen>($backend).await;
            }
        }
    )*)*};
}

contract! {
    both ways:
    oci: crate::oci::specimen_tests::Specimen,
    generic: crate::generic::specimen_tests::Specimen,
    helm_api: crate::helm::specimen_tests::ApiSpecimen,
    helm: crate::helm::specimen_tests::Specimen,
    ; only in:
    uploads: crate::generic::tus_specimen_tests::Specimen,
}

#[test]
fn every_format_of_this_build_has_a_specimen() {
    let mounts = crate::formats().mounts();
    assert_eq!(mounts.len(), MOUNTS.len());
    assert!(mounts.iter().all(|mount| MOUNTS.contains(mount)), "{mounts:?}");
}
