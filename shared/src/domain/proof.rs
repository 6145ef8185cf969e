//! What people prove who they are with.

use serde::Serialize;

use super::{otp::OtpCode, recovery_code::RecoveryCode};

/// A kind of proof, as audit events name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Factor {
    /// The account's password.
    Password,
    /// A code that was sent to the phone.
    Otp,
    /// A code of the authenticator.
    Totp,
    /// A recovery code.
    RecoveryCode,
    /// A refresh token of a session.
    RefreshToken,
}

/// A second factor that somebody shows.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The code of the authenticator.
    Totp(OtpCode),
    /// A recovery code.
    Recovery(RecoveryCode),
}

impl Proof {
    /// Returns its kind.
    pub const fn factor(&self) -> Factor {
        match self {
            Self::Totp(_) => Factor::Totp,
            Self::Recovery(_) => Factor::RecoveryCode,
        }
    }
}
