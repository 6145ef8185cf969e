//! The table, by use case. Each method makes one DynamoDB call or one transaction, under the condition that makes it
//! atomic.
//!
//! Keys, items and the reasons behind them: `docs/ARCHITECTURE.md#the-table`.

mod accounts;
mod activations;
mod codes;
mod deletion;
mod devices;
mod imports;
mod key_set;
mod limits;
mod open_codes;
mod operators;
mod outcome;
mod owed_notices;
mod parked;
mod profile;
mod repeatable;
mod repeats;
mod second_factors;
mod sessions;
mod sign_ins;
mod table;
mod throttle;
mod verified;
mod versions;

use aws_sdk_dynamodb::Client;

pub use accounts::{CodeAccount, Credential, LoginCompletion, Registration};
pub use activations::{Activation, ActivationIssue};
pub use codes::{
    Charges, CodeIssue, CodeTarget, CodeTry, CodeUse, Failure, PendingCode, PendingCodes, PhoneChange, SpentCode,
    UsedCode, codes_of_phone, tries_of_phone, tries_subject,
};
pub use deletion::{AccountDeletion, Guesses, StoredAccount, StoredCode, StoredDevice, StoredFactor};
pub use devices::DeviceTry;
pub use imports::{Import, ImportedAccount, OldPassword};
pub use key_set::Publication;
pub use limits::{Bucket, Counters, Limit, LimitReached, Limits, REQUESTS_PER_MESSAGE};
pub use open_codes::NewCode;
pub use operators::Stats;
pub use outcome::{Attempt, Change};
pub use owed_notices::{DueNotice, NewOwedNotice, OwedNotice};
pub use parked::{NewLife, Parked, StartAnew, Unparked};
pub use profile::{Home, Profile};
pub use repeatable::Repeatable;
pub use repeats::{Ended, RepeatedSession};
pub use second_factors::{
    AskedAt, Enrollment, FactorUse, NewFactor, RightCode, SealedAnew, SecondFactor, SecondStep, UsedUp, WaitingSignIn,
};
pub use sessions::{
    MAX_SESSIONS, NewSession, PasswordTries, Renewal, Repetition, Reuse, Rotation, Session, SessionOfToken,
    SessionState, SessionSummary, StoredSession, TokenSession, TokenUser,
};
pub use table::keys::{PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE};
pub use table::{error::StoreError, wire::Receipt};
pub use versions::{UsesByVersion, VersionUses};

use crate::aws::OnFirstUse;

/// The DynamoDB table, and the client that calls it.
#[derive(Clone, Debug)]
pub struct Store {
    client: OnFirstUse<Client>,
    table: String,
}

impl Store {
    /// Returns a store that calls the table of this name through this client.
    pub fn new(client: OnFirstUse<Client>, table: String) -> Self {
        Self { client, table }
    }

    /// Makes the client now, so that no request waits for that.
    pub fn prepare(&self) {
        self.client.make();
    }
}
