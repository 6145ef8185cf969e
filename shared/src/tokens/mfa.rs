//! MFA tokens. If the account has a second factor, a right password gets this token, which is accepted once, by
//! `POST /auth/login/mfa` only.

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

/// The lifetime of an MFA token: the time that the second step of a login may take (docs/threats.md#t8).
pub const LIFETIME: Duration = Duration::from_mins(5);

/// The claims of an MFA token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MfaClaims {
    /// The issuer.
    pub iss: String,
    /// The audience, as [`audience`] returns it.
    pub aud: String,
    /// The user whose password was right.
    pub sub: UserId,
    /// The time of issue, in Unix seconds.
    pub iat: u64,
    /// The time of expiry, in Unix seconds.
    pub exp: u64,
    /// The identifier of the login that the token continues.
    pub jti: TokenId,
}

impl SignedClaims for MfaClaims {
    const TYPE: &'static str = "mfa+jwt";

    fn envelope(&self) -> Envelope<'_> {
        let Self { iss, aud, iat, exp, .. } = self;
        Envelope { issuer: iss, audience: aud, issued_at: *iat, ends_at: *exp, not_before: None }
    }
}

/// Returns the audience (`aud`) of MFA tokens, which always differs from that of access tokens.
pub fn audience(of_access_tokens: &str) -> String {
    format!("{of_access_tokens}:mfa")
}

/// A signed MFA token. Its text is a secret of the bearer.
#[derive(Clone, PartialEq, Eq)]
pub struct MfaToken(String);

impl MfaToken {
    /// Returns a text of the shape of a token, for the description of the API. It is none.
    pub fn example() -> Self {
        Self(
            "eyJ0eXAiOiJtZmErand0IiwiYWxnIjoiRVMyNTYiLCJraWQiOiJleGFtcGxlIn0.eyJleGFtcGxlIjp0cnVlfQ.\
             bm90LWEtcmVhbC1zaWduYXR1cmU"
                .to_owned(),
        )
    }

    /// Issues a token: sets its times and signs it.
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

    /// Returns the token's text, which may go only to the bearer.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MfaToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MfaToken")
    }
}
