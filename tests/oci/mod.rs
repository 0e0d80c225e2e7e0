//! The OCI distribution API: what distribution-spec says, and what Granary promises beyond it.

mod blobs;
mod catalog;
mod chunks;
mod conditions;
mod deletion;
mod hostile_text;
mod manifest_limits;
mod manifest_references;
mod manifests;
mod mounts;
mod names;
mod paths;
mod referrers;
mod resume;
mod tag_parameters;
mod tags;
mod upload_limits;
mod uploads;
