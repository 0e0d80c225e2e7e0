//! What the server counts, for Prometheus.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::time::Duration;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    format: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FormatLabel {
    format: &'static str,
}

/// The counters and the registry that prints them.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<FormatLabel, Histogram>,
}

impl Metrics {
    /// All counters at zero.
    pub(crate) fn new() -> Self {
        let requests = Family::default();
        let seconds = Family::<FormatLabel, Histogram>::new_with_constructor(|| Histogram::new(exponential_buckets(0.0005, 4.0, 10)));
        let mut registry = Registry::with_prefix("granary");
        registry.register("http_requests", "Requests answered, by format, method and status", requests.clone());
        registry.register(
            "http_request_seconds",
            "Time until the answer's headers, by format",
            seconds.clone(),
        );
        Self {
            registry,
            requests,
            seconds,
        }
    }

    /// Counts one answered request.
    pub(crate) fn request(&self, format: &'static str, method: &str, status: u16, elapsed: Duration) {
        self.requests
            .get_or_create(&RequestLabels {
                format,
                method: known(method),
                status,
            })
            .inc();
        self.seconds.get_or_create(&FormatLabel { format }).observe(elapsed.as_secs_f64());
    }

    /// Everything, in the text format of OpenMetrics.
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

/// The method as a label; what a client makes up must not make up labels.
fn known(method: &str) -> &'static str {
    ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}
