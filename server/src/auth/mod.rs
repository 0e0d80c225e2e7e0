//! Who is calling, and may they: credentials to [`Principal`](granary_storage::access::Principal),
//! tokens, and the gate that formats and management ask.

mod authenticate;
mod endpoint;
mod gate;
mod names;
mod password;
mod scope;
mod token;

pub(crate) use authenticate::Authenticator;
pub(crate) use endpoint::{Credentials, TokenEndpoint, TokenReply, TokenRequest};
pub(crate) use gate::AccessGate;
pub(crate) use names::{check_account_name, check_password, random_password};
pub(crate) use password::Passwords;
pub(crate) use token::Tokens;
