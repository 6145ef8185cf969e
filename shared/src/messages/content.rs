//! The content of messages, independent of the channel that carries them.

use crate::domain::otp::{OtpCode, Purpose};

/// The content of a message.
#[derive(Clone)]
pub enum Content {
    /// A one-time code.
    Code {
        /// The purpose of the code.
        purpose: Purpose,
        /// The code itself.
        code: OtpCode,
    },
    /// A notice about the owner's account.
    Notice(Notice),
    /// A message that an operator sends to a phone of the team, to see whether messages arrive.
    Test,
}

impl Content {
    /// Returns the name of the content, for logs and webhooks: the purpose of the code, or the notice.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Code { purpose, .. } => purpose.as_str(),
            Self::Notice(notice) => notice.as_str(),
            Self::Test => "test",
        }
    }
}

/// A message that the owner of an account did not ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Somebody tried to register the phone, which already has an account.
    AlreadyRegistered,
    /// A new account was started with the phone of another one, which is parked.
    StartedAnew,
    /// The phone of the account was changed; sent to the old phone.
    PhoneChanged,
    /// The password was changed by a signed-in user.
    PasswordChanged,
    /// The password was reset by a code.
    PasswordReset,
    /// The account was deleted.
    AccountDeleted,
    /// A second factor was switched on, or replaced.
    SecondFactorOn,
    /// The second factor was switched off.
    SecondFactorOff,
    /// The recovery codes were replaced, and the old ones are void.
    RecoveryCodesReplaced,
    /// A recovery code was used.
    RecoveryCodeUsed,
}

impl Notice {
    /// Every notice.
    pub const ALL: [Self; 10] = [
        Self::AlreadyRegistered,
        Self::StartedAnew,
        Self::PhoneChanged,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::AccountDeleted,
        Self::SecondFactorOn,
        Self::SecondFactorOff,
        Self::RecoveryCodesReplaced,
        Self::RecoveryCodeUsed,
    ];

    /// Returns the name of the notice, for logs and webhooks.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyRegistered => "already-registered",
            Self::StartedAnew => "started-anew",
            Self::PhoneChanged => "phone-changed",
            Self::PasswordChanged => "password-changed",
            Self::PasswordReset => "password-reset",
            Self::AccountDeleted => "account-deleted",
            Self::SecondFactorOn => "second-factor-on",
            Self::SecondFactorOff => "second-factor-off",
            Self::RecoveryCodesReplaced => "recovery-codes-replaced",
            Self::RecoveryCodeUsed => "recovery-code-used",
        }
    }
}
