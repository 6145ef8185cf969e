//! The proofs by which users show who they are.

use serde::Serialize;

use super::{otp::OtpCode, recovery_code::RecoveryCode};
use crate::base::time::Timestamp;

/// A kind of proof, by its name in audit events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Factor {
    /// The account's password.
    Password,
    /// A one-time code that was sent to the phone.
    Otp,
    /// A TOTP code.
    Totp,
    /// A recovery code.
    RecoveryCode,
    /// A refresh token of a session.
    RefreshToken,
}

/// A way to sign in: the first factor of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInMethod {
    /// The account's password.
    Password,
    /// A one-time code that is sent to the phone.
    Code,
    /// The second factor of a parked account without a password, whose first one, the phone, is gone. It signs in nowhere
    /// else.
    Factor,
}

impl SignInMethod {
    /// Every method that sessions begin by.
    pub const OF_SESSIONS: [Self; 3] = [Self::Password, Self::Code, Self::Factor];

    /// Every method that can be switched on and off.
    pub const ALL: [Self; 2] = [Self::Password, Self::Code];

    /// Returns the method's name in settings and metadata.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Code => "code",
            Self::Factor => "factor",
        }
    }

    /// Returns the method's name in `amr` and in the table (RFC 8176 section 2).
    pub const fn amr(self) -> &'static str {
        match self {
            Self::Password => "pwd",
            Self::Code => "sms",
            Self::Factor => "otp",
        }
    }
}

/// How and when the user of a session proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// The first factor that was proved last.
    pub method: SignInMethod,
    /// Whether a second factor was proved in this session.
    pub second_factor: bool,
    /// The time of the last proof, of whatever kind: `auth_time`.
    pub at: Timestamp,
    /// The time of the last proof of the first factor. An account without a password is changed on the strength of it.
    pub first_factor_at: Timestamp,
}

impl Authentication {
    /// Returns a sign-in by this method, with the second factor or without one.
    pub const fn new(method: SignInMethod, second_factor: bool, at: Timestamp) -> Self {
        Self { method, second_factor, at, first_factor_at: at }
    }

    /// Returns the methods as `amr` names them (RFC 8176 section 2): the first factor, and what a second one adds.
    pub fn amr(self) -> impl Iterator<Item = &'static str> {
        let second: &[&str] = if self.second_factor { &["otp", "mfa"] } else { &[] };
        std::iter::once(self.method.amr()).chain(second.iter().copied())
    }

    /// Returns the same session's authentication after these proofs: that of a first factor, if one was shown, which
    /// renews the time, and whether a second one was.
    #[must_use]
    pub fn stepped_up(self, first: Option<SignInMethod>, second: bool, now: Timestamp) -> Self {
        Self {
            method: first.unwrap_or(self.method),
            second_factor: self.second_factor || second,
            at: if first.is_some() { now } else { self.at },
            first_factor_at: if first.is_some() { now } else { self.first_factor_at },
        }
    }
}

/// A second factor in a request, not verified yet.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A TOTP code.
    Totp(OtpCode),
    /// A recovery code.
    Recovery(RecoveryCode),
}

impl Proof {
    /// Returns the kind of the proof.
    pub const fn factor(&self) -> Factor {
        match self {
            Self::Totp(_) => Factor::Totp,
            Self::Recovery(_) => Factor::RecoveryCode,
        }
    }
}
