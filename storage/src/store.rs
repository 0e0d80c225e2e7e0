//! The store as the formats see it: bytes, catalog, uploads and limits in one hand.

use crate::blob::BlobStore;
use crate::catalog::Catalog;
use crate::limits::Limits;
use crate::upload::Uploads;
use std::sync::Arc;

/// Everything that outlives a request. Cheap to clone.
#[derive(Clone)]
pub struct Stores {
    /// Bytes by storage key.
    pub blobs: Arc<dyn BlobStore>,
    /// What the bytes mean.
    pub catalog: Catalog,
    /// The upload engine over both.
    pub uploads: Uploads,
    /// The limits in force.
    pub limits: Arc<Limits>,
}

impl Stores {
    /// Joins a blob store and a catalog.
    pub fn new(blobs: Arc<dyn BlobStore>, catalog: Catalog, limits: Limits) -> Self {
        let limits = Arc::new(limits);
        let uploads = Uploads::new(blobs.clone(), catalog.clone(), limits.clone());
        Self {
            blobs,
            catalog,
            uploads,
            limits,
        }
    }
}
