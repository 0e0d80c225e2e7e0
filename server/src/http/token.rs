//! `GET` and `POST /token` on the wire: parameters or a form in, JSON out.

use super::bridge::Timed;
use super::connections;
use super::origin::origin;
use super::state::State;
use crate::auth::{Credentials, TokenReply, TokenRequest};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt as _;
use granary_storage::{Error, ErrorKind, Result, What};
use serde_json::json;

/// Bytes in a token request's form, at most.
const FORM_MAX: usize = 64 * 1024;

/// `GET /token?service=…&scope=…&offline_token=true`, with Basic credentials or none.
pub(super) async fn get(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    let query = request.uri().query().unwrap_or("");
    let fields = Fields::parse(query);
    let answer = async {
        connections::admit(&request)?;
        let token_request = TokenRequest {
            scopes: fields.all("scope"),
            service: fields.first("service"),
            offline: fields.first("offline_token") == "true",
            credentials: basic(&request)?,
        };
        state.tokens.grant(token_request).await
    };
    match answer.await {
        Ok(reply) => granted(&reply, false),
        Err(error) => refused(&state, &request, &error),
    }
}

/// `POST /token` with a form (OAuth2): `grant_type=password|refresh_token`.
pub(super) async fn post(state: web::Data<State>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let answer = async {
        connections::admit(&request)?;
        let form = read_form(Timed::new(payload, state.patience)).await?;
        let fields = Fields::parse(&form);
        let credentials = match fields.first("grant_type").as_str() {
            "password" => Credentials::Password(fields.first("username"), fields.first("password")),
            "refresh_token" => Credentials::Refresh(fields.first("refresh_token")),
            _ => return Err(Error::invalid(What::Request, "grant_type must be password or refresh_token")),
        };
        let token_request = TokenRequest {
            scopes: fields.all("scope"),
            service: fields.first("service"),
            offline: fields.first("access_type") == "offline",
            credentials,
        };
        state.tokens.grant(token_request).await
    };
    match answer.await {
        Ok(reply) => granted(&reply, true),
        Err(error) => refused(&state, &request, &error),
    }
}

fn basic(request: &HttpRequest) -> Result<Credentials> {
    let Some(header) = request.headers().get("authorization") else {
        return Ok(Credentials::None);
    };
    let text = header.to_str().unwrap_or("");
    match text.split_once(' ') {
        Some((scheme, basic)) if scheme.eq_ignore_ascii_case("basic") => Ok(Credentials::Basic(basic.trim().to_owned())),
        _ => Err(Error::new(
            ErrorKind::Unauthenticated,
            What::Credentials,
            "the token endpoint takes Basic credentials",
        )),
    }
}

async fn read_form(mut body: Timed) -> Result<String> {
    let mut form = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if form.len() + chunk.len() > FORM_MAX {
            return Err(Error::new(ErrorKind::TooLarge, What::Request, "the form is larger than 64 KiB"));
        }
        form.extend_from_slice(&chunk);
    }
    String::from_utf8(form).map_err(|cause| Error::invalid(What::Request, "the form is not UTF-8").because(cause))
}

/// Decoded pairs of a query or a form (`application/x-www-form-urlencoded`).
struct Fields(Vec<(String, String)>);

impl Fields {
    fn parse(text: &str) -> Self {
        let decode = |part: &str| {
            percent_encoding::percent_decode_str(&part.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(key, value)| (decode(key), decode(value)))
                .collect(),
        )
    }

    fn all(&self, name: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
            .collect()
    }

    fn first(&self, name: &str) -> String {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    }
}

fn granted(reply: &TokenReply, oauth: bool) -> HttpResponse {
    let mut body = json!({
        "token": reply.issued.token,
        "access_token": reply.issued.token,
        "expires_in": reply.issued.expires_in,
        "issued_at": super::rfc3339(reply.issued.issued_at),
    });
    if oauth {
        body["scope"] = json!(reply.scope);
        body["token_type"] = json!("Bearer");
    }
    if let Some(refresh) = &reply.refresh {
        body["refresh_token"] = json!(refresh);
    }
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(body)
}

/// Never 403 and, faults of ours apart, never 5xx: clients fall back from POST to GET only on 400, 401 and 404.
fn refused(state: &State, request: &HttpRequest, error: &Error) -> HttpResponse {
    let (status, code) = match error.kind() {
        ErrorKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
        ErrorKind::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
        ErrorKind::Internal => {
            tracing::error!(
                cause = std::error::Error::source(error).map(ToString::to_string),
                "token request failed: {error}"
            );
            (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN")
        }
        ErrorKind::StorageFull | ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
        ErrorKind::Timeout => (StatusCode::REQUEST_TIMEOUT, "UNSUPPORTED"),
        _ => (StatusCode::BAD_REQUEST, "UNSUPPORTED"),
    };
    let mut response = HttpResponse::build(status);
    match status {
        StatusCode::UNAUTHORIZED => {
            let realm = origin(request, &state.origins);
            response.insert_header((WWW_AUTHENTICATE, format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")));
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            response.insert_header((RETRY_AFTER, "1"));
        }
        _ => {}
    }
    response.json(json!({"errors": [{"code": code, "message": error.message(), "detail": null}]}))
}
