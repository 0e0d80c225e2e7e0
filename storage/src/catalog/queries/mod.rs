//! The queries, one file a table family. This text is mounted once for each database:
//! it names only `Conn` and `dialect`, which the mounting module provides.
//!
//! Every function is one unit of work and runs inside one transaction when it writes.

mod accounts;
mod blobs;
mod chart_images;
mod chart_rules;
mod charts;
mod events;
mod file_place;
mod files;
mod folders;
mod fsck;
mod holders;
mod labels;
mod manifests;
mod projects;
mod publishers;
mod put_manifest;
mod releases;
mod repositories;
mod rows;
mod tags;
mod tokens;
mod tus;
mod unlisted;
mod uploads;
mod versions;

pub(crate) use accounts::*;
pub(crate) use blobs::*;
pub(crate) use chart_images::*;
pub(crate) use charts::*;
pub(crate) use events::*;
pub(crate) use file_place::*;
pub(crate) use files::*;
pub(crate) use folders::*;
pub(crate) use fsck::*;
pub(crate) use holders::*;
pub(crate) use labels::*;
pub(crate) use manifests::*;
pub(crate) use projects::*;
pub(crate) use publishers::*;
pub(crate) use put_manifest::*;
pub(crate) use releases::*;
pub(crate) use repositories::*;
pub(crate) use tags::*;
pub(crate) use tokens::*;
pub(crate) use tus::*;
pub(crate) use unlisted::*;
pub(crate) use uploads::*;
pub(crate) use versions::*;

use super::{Conn, dialect};
