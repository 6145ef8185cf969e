//! Requests that are sent twice: a client repeats one whose response was lost (docs/adr/0029-a-lost-confirmation.md).

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;
use zeroize::Zeroizing;

use super::{
    otp::{OtpCode, Purpose},
    password::PasswordHash,
    phone::Phone,
    proof::Proof,
};
use crate::base::id::{SessionId, TokenId, UserId};

/// A keyed hash by which a repeated request is recognized: HMAC-SHA-256 under the key of one-time codes, in base64url.
/// Each kind has a name of its own in the hashed message, so that none is taken for another, or for the hash of a code.
#[derive(Clone, PartialEq, Eq)]
pub struct RepeatMac(String);

impl RepeatMac {
    /// Hashes a code that was typed. Two requests with one code for one phone and purpose have the same hash.
    pub fn of_code(key: &hmac::Key, purpose: Purpose, phone: &Phone, typed: &OtpCode) -> Self {
        Self::of(key, "tried v1", &[purpose.as_str(), phone.as_e164(), typed.reveal()])
    }

    /// Hashes what a used code has made of its account: user, epoch and, if the code set one, the password hash.
    pub fn of_effect(key: &hmac::Key, user: UserId, epoch: u64, password: Option<&PasswordHash>) -> Self {
        let password = password.map_or("", PasswordHash::as_str);
        Self::of(key, "effect v1", &[&user.to_string(), &epoch.to_string(), password])
    }

    /// Hashes the request of a session that ends with it.
    pub fn of_session(key: &hmac::Key, session: SessionId, purpose: &str, typed: &OtpCode) -> Self {
        Self::of(key, "session v1", &[&session.to_string(), purpose, typed.reveal()])
    }

    /// Hashes the request of a session that ends with it and shows a code by SMS, a second factor, or both.
    pub fn of_proofs(
        key: &hmac::Key,
        session: SessionId,
        purpose: &str,
        (otp, proof): (Option<&OtpCode>, Option<&Proof>),
    ) -> Self {
        let (kind, proof) = parts_of(proof);
        Self::of(key, "proofs v1", &[&session.to_string(), purpose, otp.map_or("", OtpCode::reveal), kind, &proof])
    }

    /// Hashes the use of a second factor at this place: a session, a reset with its code, or a recovery.
    pub fn of_factor(key: &hmac::Key, user: UserId, place: &str, otp: Option<&OtpCode>, proof: &Proof) -> Self {
        let (kind, proof) = parts_of(Some(proof));
        Self::of(key, "factor v1", &[&user.to_string(), place, otp.map_or("", OtpCode::reveal), kind, &proof])
    }

    /// Hashes the second step of a login.
    pub fn of_second_step(key: &hmac::Key, token: TokenId, proof: &Proof) -> Self {
        let token = token.to_string();
        match proof {
            Proof::Totp(code) => Self::of(key, "second step v1", &[&token, "totp", code.reveal()]),
            Proof::Recovery(code) => Self::of(key, "second step v1", &[&token, "recovery", &code.reveal()]),
        }
    }

    /// Hashes the start of a new account in place of the one that a sign-in would have opened. The sign-in's token is all
    /// that the request shows.
    pub fn of_start_anew(key: &hmac::Key, token: TokenId) -> Self {
        Self::of(key, "start anew v1", &[&token.to_string()])
    }

    /// Takes a hash from the table.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Returns the hash's text, for the table.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Each part ends with a zero byte, which no part contains, so that different parts never give the same message.
    fn of(key: &hmac::Key, kind: &str, parts: &[&str]) -> Self {
        let mut message = Zeroizing::new(Vec::with_capacity(256));
        for part in std::iter::once(&kind).chain(parts) {
            message.extend_from_slice(part.as_bytes());
            message.push(0);
        }
        Self(BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(key, &message)))
    }
}

/// Returns the kind and the text of a second factor, if there is one.
fn parts_of(proof: Option<&Proof>) -> (&'static str, Zeroizing<String>) {
    match proof {
        Some(Proof::Totp(code)) => ("totp", Zeroizing::new(code.reveal().to_owned())),
        Some(Proof::Recovery(code)) => ("recovery", code.reveal()),
        None => ("", Zeroizing::new(String::new())),
    }
}

impl fmt::Display for RepeatMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepeatMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RepeatMac")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::phone::PhoneRules;

    #[test]
    fn every_part_and_every_kind_gives_another_hash() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
        let other_key = hmac::Key::new(hmac::HMAC_SHA256, &[2; 32]);
        let phone = |typed: &str| PhoneRules::new("EG".parse().unwrap(), None).parse(typed).unwrap();
        let (phone, other) = (phone("01012345678"), phone("01112345678"));
        let (code, another): (OtpCode, OtpCode) = ("042424".parse().unwrap(), "042425".parse().unwrap());
        let (user, session, token) =
            (UserId::from_bytes([1; 16]), SessionId::from_bytes([1; 16]), TokenId::from_bytes([1; 16]));
        let hash = PasswordHash::from_stored("$argon2id$…".to_owned());
        let hashes = [
            RepeatMac::of_code(&key, Purpose::Reset, &phone, &code),
            RepeatMac::of_code(&other_key, Purpose::Reset, &phone, &code),
            RepeatMac::of_code(&key, Purpose::VerifyPhone, &phone, &code),
            RepeatMac::of_code(&key, Purpose::Reset, &other, &code),
            RepeatMac::of_code(&key, Purpose::Reset, &phone, &another),
            RepeatMac::of_effect(&key, user, 1, None),
            RepeatMac::of_effect(&key, user, 2, None),
            RepeatMac::of_effect(&key, user, 1, Some(&hash)),
            RepeatMac::of_session(&key, session, "mfa-confirm", &code),
            RepeatMac::of_session(&key, session, "change-phone", &code),
            RepeatMac::of_second_step(&key, token, &Proof::Totp(code.clone())),
            RepeatMac::of_second_step(&key, token, &Proof::Totp(another.clone())),
            RepeatMac::of_factor(&key, user, "session", None, &Proof::Totp(code.clone())),
            RepeatMac::of_factor(&key, user, "session", None, &Proof::Totp(another.clone())),
            RepeatMac::of_factor(&key, user, "session", Some(&code), &Proof::Totp(code.clone())),
            RepeatMac::of_factor(&key, user, "recover", None, &Proof::Totp(code.clone())),
            RepeatMac::of_start_anew(&key, token),
        ];
        for (at, hash) in hashes.iter().enumerate() {
            assert!(hashes.iter().skip(at + 1).all(|other| other != hash), "{at}");
        }
        assert_eq!(hashes[0], RepeatMac::of_code(&key, Purpose::Reset, &phone, &code));
        assert_eq!(format!("{:?}", hashes[0]), "RepeatMac");
    }
}
