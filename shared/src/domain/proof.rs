//! The proofs by which users show who they are.

use serde::Serialize;

use super::{otp::OtpCode, recovery_code::RecoveryCode};

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
