//! Probes and metrics: `/livez`, `/readyz`, `/metrics`.

use super::state::State;
use actix_web::{HttpResponse, web};

/// The process runs and answers.
pub(super) async fn livez() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// The process can serve: it is not draining, and its catalog answers.
pub(super) async fn readyz(state: web::Data<State>) -> HttpResponse {
    let unready = |why: &'static str| HttpResponse::ServiceUnavailable().content_type("text/plain").body(why);
    if state.is_draining() {
        return unready("draining\n");
    }
    match state.dispatch.stores.catalog.cursor("readyz".to_owned()).await {
        Ok(_) => HttpResponse::Ok().content_type("text/plain").body("ready\n"),
        Err(error) => {
            tracing::warn!(
                cause = std::error::Error::source(&error).map(ToString::to_string),
                "not ready: the catalog does not answer"
            );
            unready("the catalog does not answer\n")
        }
    }
}

/// Metrics in the text format of OpenMetrics.
pub(super) async fn metrics(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(state.metrics.encode())
}
