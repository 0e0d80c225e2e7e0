//! Who may do what: credentials, tokens, roles, and what nobody may find out.

mod challenge;
mod credentials;
mod forged_tokens;
mod matrix;
mod public;
mod revocation;
mod routes;
mod secrets;
mod token_endpoint;
mod visibility;
