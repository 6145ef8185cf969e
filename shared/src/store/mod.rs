//! The table, by use case: each method is one DynamoDB call or one transaction, with the condition that makes it atomic.
//!
//! Keys, items and the reasons behind them: DESIGN section 5, `docs/ARCHITECTURE.md`.

mod accounts;
mod activations;
mod codes;
mod deletion;
mod expression;
mod imports;
mod item;
mod key_set;
mod keys;
mod limits;
mod operators;
mod second_factors;
mod sessions;
mod throttle;
mod wire;

use aws_sdk_dynamodb::Client;

pub use accounts::{
    CodeAccount, Credential, EpochRaise, LoginAttempt, LoginCompletion, PasswordChange, Profile, Registration,
};
pub use activations::{Activation, ActivationIssue};
pub use codes::{CodeAttempt, CodeIssue, CodeTarget, NewCode, PendingCode, PhoneChange};
pub use deletion::{AccountDeletion, Guesses, StoredAccount, StoredCode, StoredFactor};
pub use imports::{Import, ImportedAccount};
pub use key_set::Publication;
pub use keys::{PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE};
pub use limits::{Limit, LimitReached};
pub use operators::Stats;
pub use second_factors::{
    EnrolmentAttempt, FactorAttempt, FactorChange, FactorKind, NewFactor, RightCode, SecondFactor, SecondStep,
};
pub use sessions::{NewSession, Rotation, Session, SessionState, SessionSummary, StoredSession};
pub use wire::{Receipt, StoreError};

/// The table.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
}

impl Store {
    /// The table of this name, behind this client.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }
}
