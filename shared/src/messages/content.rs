//! What a message is about, whichever channel carries it.

use crate::domain::otp::{OtpCode, Purpose};

/// The content of a message.
#[derive(Clone)]
pub enum Content {
    /// A one-time code.
    Code {
        /// What the code is for.
        purpose: Purpose,
        /// The code itself.
        code: OtpCode,
    },
    /// Something that happened to the owner's account.
    Notice(Notice),
}

impl Content {
    /// Returns the name of the content, for logs and webhooks: the purpose of the code, or the notice.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Code { purpose, .. } => purpose.as_str(),
            Self::Notice(notice) => notice.as_str(),
        }
    }
}

/// What an account's owner is told of, without having asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Somebody wanted to register the phone, which has an account; told to its owner.
    AlreadyRegistered,
    /// The account has another phone now; told to the one that it had.
    PhoneChanged,
    /// The password was changed, by somebody who was signed in.
    PasswordChanged,
    /// A second factor was switched on, or replaced.
    SecondFactorOn,
    /// The second factor was switched off.
    SecondFactorOff,
    /// There are new recovery codes, and the old ones are worth nothing.
    RecoveryCodesReplaced,
    /// A recovery code was used.
    RecoveryCodeUsed,
}

impl Notice {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::AlreadyRegistered,
        Self::PhoneChanged,
        Self::PasswordChanged,
        Self::SecondFactorOn,
        Self::SecondFactorOff,
        Self::RecoveryCodesReplaced,
        Self::RecoveryCodeUsed,
    ];

    /// Its name, for logs and webhooks.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyRegistered => "already-registered",
            Self::PhoneChanged => "phone-changed",
            Self::PasswordChanged => "password-changed",
            Self::SecondFactorOn => "second-factor-on",
            Self::SecondFactorOff => "second-factor-off",
            Self::RecoveryCodesReplaced => "recovery-codes-replaced",
            Self::RecoveryCodeUsed => "recovery-code-used",
        }
    }
}
