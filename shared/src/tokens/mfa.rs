//! What a right password gets where a second factor is on: a token that opens `POST /auth/login/mfa`, once, and nothing
//! else.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    base::{
        id::{TokenId, UserId},
        time::Timestamp,
    },
    tokens::{
        keys::SigningKey,
        signed::{self, Envelope, IssueError, SignedClaims},
    },
};

/// How long the second step may take (docs/threats.md#t8).
pub const LIFETIME: Duration = Duration::from_mins(5);

/// The claims of such a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MfaClaims {
    /// Who issued it.
    pub iss: String,
    /// Whom it is for: [`audience`].
    pub aud: String,
    /// Whose password was right.
    pub sub: UserId,
    /// When it was issued, in Unix seconds.
    pub iat: u64,
    /// When it ends, in Unix seconds.
    pub exp: u64,
    /// Which login it continues.
    pub jti: TokenId,
}

impl SignedClaims for MfaClaims {
    const TYPE: &'static str = "mfa+jwt";

    fn envelope(&self) -> Envelope<'_> {
        let Self { iss, aud, iat, exp, .. } = self;
        Envelope { issuer: iss, audience: aud, issued_at: *iat, ends_at: *exp, not_before: None }
    }
}

/// `aud`: this system's second step, never the audience of access tokens.
pub fn audience(of_access_tokens: &str) -> String {
    format!("{of_access_tokens}:mfa")
}

/// A signed token, ready to be handed out. Its text is a secret of its bearer.
#[derive(Clone, PartialEq, Eq)]
pub struct MfaToken(String);

impl MfaToken {
    /// Signs one.
    pub fn issue(
        key: &SigningKey,
        issuer: &str,
        audience_of_access_tokens: &str,
        user: UserId,
        id: TokenId,
        now: Timestamp,
    ) -> Result<Self, IssueError> {
        let claims = MfaClaims {
            iss: issuer.to_owned(),
            aud: audience(audience_of_access_tokens),
            sub: user,
            iat: now.unix_seconds(),
            exp: now.plus(LIFETIME).unix_seconds(),
            jti: id,
        };
        signed::sign(key, &claims).map(Self)
    }

    /// The token's text, to be handed to its bearer and nowhere else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MfaToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MfaToken")
    }
}
