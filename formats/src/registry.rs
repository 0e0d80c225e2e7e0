//! The mount table: which format owns which first path segment.

use crate::dispatch::{Caller, Dispatch, Mounted};
use crate::handler::{Body, FormatHandler, Head, Reply};

/// The formats of this server.
#[derive(Default)]
pub struct Registry {
    mounted: Vec<Box<dyn Mounted>>,
}

/// A format that owns a path.
#[derive(Clone, Copy)]
pub struct Route<'r>(&'r dyn Mounted);

impl Registry {
    /// The same with one more format.
    #[must_use]
    pub fn with(mut self, format: impl FormatHandler) -> Self {
        self.mounted.push(Box::new(format));
        self
    }

    /// The format that owns `path`, and the rest of the path behind its mount.
    pub fn route<'p>(&self, path: &'p str) -> Option<(Route<'_>, &'p str)> {
        self.mounted.iter().find_map(|format| {
            let rest = path.strip_prefix(format.mount())?;
            (rest.is_empty() || rest.starts_with('/')).then_some((Route(format.as_ref()), rest))
        })
    }

    /// The mounts, in their order.
    #[cfg(test)]
    pub(crate) fn mounts(&self) -> Vec<&'static str> {
        self.mounted.iter().map(|format| format.mount()).collect()
    }
}

impl Route<'_> {
    /// The format's name.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Takes a request through the dispatch of its format.
    pub async fn dispatch(&self, cx: &Dispatch, caller: Caller, head: Head<'_>, body: Body) -> Reply {
        self.0.dispatch(cx, caller, head, body).await
    }
}
