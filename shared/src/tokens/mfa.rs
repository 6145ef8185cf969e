//! MFA tokens. If the account has a second factor, a right password gets this token, which is accepted once, by
//! `POST /auth/login/mfa` only.

use std::{fmt, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use serde::{Deserialize, Serialize};

use crate::{
    base::{
        id::{TokenId, UserId},
        kid::{Kid, Versioned},
        random,
        time::Timestamp,
    },
    tokens::{
        keys::SigningKey,
        signed::{self, Envelope, InvalidSignedToken, IssueError, SignedClaims},
    },
};

/// The lifetime of an MFA token: the time that the second step of a login may take (docs/threats.md#t8).
pub const LIFETIME: Duration = Duration::from_mins(5);

/// A user, encrypted. Who holds an MFA token has shown one proof and may be a stranger, such as the next owner of a number,
/// who learns nothing of the account, nor whether it is one that they have met elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedUser(String);

impl SealedUser {
    /// Encrypts the user of the sign-in with this identifier with AES-256-GCM.
    fn seal(user: UserId, id: TokenId, key: &Versioned<LessSafeKey>) -> Result<Self, IssueError> {
        let nonce = random::bytes::<NONCE_LEN>()?;
        let mut text = user.as_bytes().to_vec();
        key.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), associated(key.kid, id), &mut text)
            .map_err(|_| IssueError::Cipher)?;
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode([&[key.kid.as_byte()][..], &nonce, &text].concat())))
    }

    /// Returns the version of the key that encrypts it.
    pub fn kid(&self) -> Result<Kid, InvalidSignedToken> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&self.0).ok();
        let kid = bytes.and_then(|bytes| Kid::from_byte(*bytes.first()?));
        kid.ok_or(InvalidSignedToken::WrongSignatureOrClaims)
    }

    /// Decrypts the user of the sign-in with this identifier.
    pub fn open(&self, id: TokenId, key: &Versioned<LessSafeKey>) -> Result<UserId, InvalidSignedToken> {
        let opened = || {
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&self.0).ok()?;
            let (_, rest) = bytes.split_first_mut()?;
            let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE_LEN>()?;
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let user = key.key.open_in_place(nonce, associated(key.kid, id), sealed).ok()?;
            <[u8; 16]>::try_from(&*user).ok().map(UserId::from_bytes)
        };
        opened().ok_or(InvalidSignedToken::WrongSignatureOrClaims)
    }
}

/// Returns what binds an encrypted user to its use, the version of its key, and the sign-in.
fn associated(kid: Kid, id: TokenId) -> Aad<Vec<u8>> {
    Aad::from([b"mfa-token", &[kid.as_byte()][..], id.as_bytes()].concat())
}

/// The claims of an MFA token: signed with a user that is encrypted, and used with one that is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MfaClaims<U = UserId> {
    /// The issuer.
    pub iss: String,
    /// The audience, as [`audience`] returns it.
    pub aud: String,
    /// The user whose password or code was right.
    pub sub: U,
    /// The time of issue, in Unix seconds.
    pub iat: u64,
    /// The time of expiry, in Unix seconds.
    pub exp: u64,
    /// The identifier of the login that the token continues.
    pub jti: TokenId,
}

impl MfaClaims<SealedUser> {
    /// Returns the claims with their user decrypted.
    pub fn open(self, key: &Versioned<LessSafeKey>) -> Result<MfaClaims, InvalidSignedToken> {
        let Self { iss, aud, sub, iat, exp, jti } = self;
        Ok(MfaClaims { iss, aud, sub: sub.open(jti, key)?, iat, exp, jti })
    }
}

impl SignedClaims for MfaClaims<SealedUser> {
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

    /// Issues a token: encrypts its user, sets its times and signs it.
    pub fn issue(
        (key, sealing): (&SigningKey, &Versioned<LessSafeKey>),
        issuer: &str,
        audience_of_access_tokens: &str,
        user: UserId,
        id: TokenId,
        now: Timestamp,
    ) -> Result<Self, IssueError> {
        let claims = MfaClaims {
            iss: issuer.to_owned(),
            aud: audience(audience_of_access_tokens),
            sub: SealedUser::seal(user, id, sealing)?,
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
