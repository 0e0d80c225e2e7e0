//! The formats that Granary speaks, and the dispatch that decides access before any of them runs.
//!
//! A new format is one folder here, its `mod` line, and one `.with(…)` in [`formats`].

mod body;
mod conditions;
#[cfg(test)]
mod contract;
mod dispatch;
#[cfg(fuzzing)]
mod fuzzing;
mod gate;
pub mod generic;
mod handler;
pub mod helm;
mod json_error;
pub mod oci;
mod paging;
mod produced;
mod range;
mod registry;

pub use dispatch::{Caller, Dispatch, Granted};
pub use gate::{Gate, Held, Needs, Rights};
pub use handler::{Body, Challenge, FormatHandler, Head, Headers, Operation, Reply, ReplyBody};
pub use registry::{Registry, Route};

/// Every format of this build.
pub fn formats() -> Registry {
    let helm = helm::Helm::new();
    Registry::default()
        .with(oci::Oci)
        .with(generic::Generic)
        .with(generic::Sessions)
        .with(helm.api())
        .with(helm)
}
