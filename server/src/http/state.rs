//! What every request handler shares.

use super::bridge::Patience;
use super::origin::Origins;
use crate::auth::{Authenticator, TokenEndpoint};
use crate::metrics::Metrics;
use granary_formats::{Dispatch, Registry};
use std::sync::Arc;
use tokio::sync::watch;

/// Shared by all workers.
pub(crate) struct State {
    /// The formats by path.
    pub(crate) formats: Registry,
    /// The gate and the stores, for the formats.
    pub(crate) dispatch: Dispatch,
    /// Credentials to principals.
    pub(crate) authenticator: Arc<Authenticator>,
    /// The token endpoint.
    pub(crate) tokens: TokenEndpoint,
    /// How clients know this server.
    pub(crate) origins: Origins,
    /// How slow a client may be with a request's body.
    pub(crate) patience: Patience,
    /// Counters.
    pub(crate) metrics: Metrics,
    /// Whether the server is on its way down.
    pub(crate) draining: watch::Receiver<bool>,
}

impl State {
    /// Whether the server is on its way down.
    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }
}
