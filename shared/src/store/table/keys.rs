//! Keys and attribute names of the table: the one place where they are spelled.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{
    base::{
        id::{OperationId, SessionId, TokenId, UserId},
        time::Timestamp,
    },
    domain::{otp::Purpose, phone::Phone},
};

/// The name of the partition key.
pub const PARTITION_KEY: &str = "pk";
/// The name of the sort key.
pub const SORT_KEY: &str = "sk";
/// The attribute that DynamoDB's TTL looks at, in Unix seconds: garbage collection, never a rule. Deletion may come days
/// late, so every rule compares another attribute with now.
pub const TTL_ATTRIBUTE: &str = "expires_at";

/// What a credential that stays holds instead of a TTL: DynamoDB collects items whose TTL attribute is a number only.
/// So one expression, `if_not_exists`, can give a ghost its end without giving a user one.
pub(in crate::store) const NEVER: &str = "never";

/// What partition keys of phones begin with.
pub(in crate::store) const PHONE_PREFIX: &str = "PHONE#";

/// What partition keys of users begin with.
pub(in crate::store) const USER_PREFIX: &str = "USER#";

/// The sort key of a credential.
pub(in crate::store) const CREDENTIAL_SORT: &str = "CREDENTIAL";

/// The sort key of a user's profile. Sessions come after it, and nothing else does: what a user can make many of, such as codes
/// to new phones, is not read with them.
pub(in crate::store) const PROFILE_SORT: &str = "PROFILE";

/// The sort key of a user's second factor.
pub(in crate::store) const SECOND_FACTOR_SORT: &str = "MFA";

/// The sort key of a second factor that is not on yet.
pub(in crate::store) const ENROLMENT_SORT: &str = "MFA#ENROLMENT";

/// What sort keys of codes that were sent to a new phone begin with; the phone follows.
pub(in crate::store) const NEW_PHONE_PREFIX: &str = "OTP#change-phone#";

/// What the sort keys begin with of logins that wait for their second step.
pub(in crate::store) const SECOND_STEP_PREFIX: &str = "MFA#LOGIN#";

/// What the sort keys of a user's sessions begin with.
pub(in crate::store) const SESSION_PREFIX: &str = "SESSION#";

/// A key of the table.
#[derive(Clone, Debug)]
pub(in crate::store) struct Key {
    partition: String,
    sort: String,
}

impl Key {
    /// All that a login must know: password hash, epoch, throttle. A phone without an account has a ghost here.
    pub(in crate::store) fn credential(phone: &Phone) -> Self {
        Self { partition: phone_partition(phone), sort: CREDENTIAL_SORT.to_owned() }
    }

    /// The open code of a phone for a purpose, and the failures of its window. One for a new phone is kept with the user who
    /// wants it, so that it goes with the account: no key of the account leads to the phone.
    pub(in crate::store) fn code(phone: &Phone, purpose: Purpose) -> Self {
        let name = purpose.as_str();
        let sort = match purpose {
            Purpose::Activation(registration) => format!("OTP#{name}#{registration}"),
            Purpose::Reset | Purpose::VerifyPhone => format!("OTP#{name}"),
            Purpose::ChangePhone(user) => return Self::of_user(user, format!("{NEW_PHONE_PREFIX}{}", phone.as_e164())),
        };
        Self { partition: phone_partition(phone), sort }
    }

    /// When the next code for a registration of this phone may be sent, whichever registration it is.
    pub(in crate::store) fn activation_cooldown(phone: &Phone) -> Self {
        Self { partition: phone_partition(phone), sort: "OTP#activation".to_owned() }
    }

    /// All that others may know of a user.
    pub(in crate::store) fn profile(user: UserId) -> Self {
        Self::of_user(user, PROFILE_SORT)
    }

    /// A session of a user.
    pub(in crate::store) fn session(user: UserId, session: SessionId) -> Self {
        Self::of_user(user, format!("{SESSION_PREFIX}{session}"))
    }

    /// A user's second factor: the sealed secret, the last step, recovery codes, and the throttle of guesses.
    pub(in crate::store) fn second_factor(user: UserId) -> Self {
        Self::of_user(user, SECOND_FACTOR_SORT)
    }

    /// A second factor that is not on yet.
    pub(in crate::store) fn enrolment(user: UserId) -> Self {
        Self::of_user(user, ENROLMENT_SORT)
    }

    /// A login that waits for its second step.
    pub(in crate::store) fn second_step(user: UserId, token: TokenId) -> Self {
        Self::of_user(user, format!("{SECOND_STEP_PREFIX}{token}"))
    }

    /// An item of a user, by its sort key.
    pub(in crate::store) fn of_user(user: UserId, sort: impl Into<String>) -> Self {
        Self { partition: user_partition(user), sort: sort.into() }
    }

    /// The public keys of access tokens.
    pub(in crate::store) fn key_set() -> Self {
        Self { partition: "KEYS".to_owned(), sort: "JWKS".to_owned() }
    }

    /// That an account of another system was imported: by its identifier there and a digest of the account.
    pub(in crate::store) fn import(legacy_id: i64, digest: String) -> Self {
        Self { partition: format!("IMPORT#{legacy_id}"), sort: digest }
    }

    /// What an operator did, by month and moment.
    pub(in crate::store) fn audit(at: Timestamp, operation: OperationId) -> Self {
        let moment = at.to_rfc3339();
        let month = moment.get(..7).unwrap_or_default();
        Self { partition: format!("AUDIT#{month}"), sort: format!("{moment}#{operation}") }
    }

    /// A counter of one window.
    pub(in crate::store) fn limit(bucket: &str, subject: &str, window: u64) -> Self {
        Self { partition: format!("LIMIT#{bucket}#{subject}"), sort: window.to_string() }
    }

    pub(in crate::store) fn into_attributes(self) -> HashMap<String, AttributeValue> {
        [
            (PARTITION_KEY.to_owned(), AttributeValue::S(self.partition)),
            (SORT_KEY.to_owned(), AttributeValue::S(self.sort)),
        ]
        .into()
    }

    /// Whether an item has this key.
    pub(in crate::store) fn is_of(&self, item: &HashMap<String, AttributeValue>) -> bool {
        let is = |name: &str, value: &str| item.get(name).and_then(|v| v.as_s().ok()).is_some_and(|text| text == value);
        is(PARTITION_KEY, &self.partition) && is(SORT_KEY, &self.sort)
    }
}

fn phone_partition(phone: &Phone) -> String {
    format!("{PHONE_PREFIX}{}", phone.as_e164())
}

pub(in crate::store) fn user_partition(user: UserId) -> String {
    format!("{USER_PREFIX}{user}")
}

macro_rules! attributes {
    ($($(#[$doc:meta])* $constant:ident = $name:literal;)+) => {
        $($(#[$doc])* pub(in crate::store) const $constant: &str = $name;)+

        /// Every attribute, so that a misspelt one in an expression is caught.
        pub(in crate::store) const ALL: &[&str] = &[PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE, $($constant),+];
    };
}

attributes! {
    /// The operation that wrote the item last.
    OPERATION = "op";
    /// A user's identifier.
    USER_ID = "user_id";
    /// A PHC string.
    PASSWORD_HASH = "password_hash";
    /// The session epoch: the same number in credential and profile.
    EPOCH = "epoch";
    /// Attempts to sign in since the last success: of a credential with passwords, of a second factor with codes.
    LOGIN_FAILURES = "login_failures";
    /// When the last of them was, in Unix milliseconds.
    LOGIN_ATTEMPTED_AT = "login_attempted_at";
    /// E.164.
    PHONE = "phone";
    /// When the phone was verified, in Unix milliseconds.
    PHONE_VERIFIED_AT = "phone_verified_at";
    /// The identifier that the account had in the system that it comes from.
    LEGACY_ID = "legacy_id";
    /// When an operator disabled the account, in Unix milliseconds.
    DISABLED_AT = "disabled_at";
    /// An audit event, as the log would have it.
    AUDIT_LINE = "audit_line";
    /// When the account was deleted, in Unix milliseconds: what holds it is a tombstone.
    DELETED_AT = "deleted_at";
    /// Whether a second factor is on.
    MFA_ENABLED = "mfa_enabled";
    /// The secret of a second factor, encrypted.
    TOTP_SECRET = "totp_secret";
    /// The step whose code was accepted last.
    TOTP_STEP = "totp_step";
    /// The hashes of the recovery codes that are left; missing when none is.
    RECOVERY_CODES = "recovery_codes";
    /// Whether a session began with a second factor.
    SECOND_FACTOR = "second_factor";
    /// In Unix milliseconds.
    CREATED_AT = "created_at";
    /// The HMAC of an open code; none when it was used.
    CODE_MAC = "code_mac";
    /// Which sending the code is of.
    CHALLENGE_ID = "challenge_id";
    /// Tries of this code.
    ATTEMPTS = "attempts";
    /// Wrong codes in the phone's window; a new code does not reset them.
    FAILURES = "failures";
    /// When that window began, in Unix milliseconds.
    FAILURES_SINCE = "failures_since";
    /// When the code dies, in Unix milliseconds.
    CODE_ENDS_AT = "code_ends_at";
    /// When the next code may be sent, in Unix milliseconds.
    RESEND_AT = "resend_at";
    /// Which refresh token of the session is next; which edition of the key set this is.
    GENERATION = "generation";
    /// 32 random bytes, in no token.
    SALT = "salt";
    /// When the refresh token was last exchanged, in Unix milliseconds.
    ROTATED_AT = "rotated_at";
    /// The client, from its User-Agent.
    DEVICE = "device";
    /// The network address of the login.
    ADDRESS = "address";
    /// In Unix milliseconds.
    LAST_USED_AT = "last_used_at";
    /// The absolute end of a session, or of something that waits, in Unix milliseconds.
    ENDS_AT = "ends_at";
    /// The end of a session that is not used, in Unix milliseconds.
    IDLE_ENDS_AT = "idle_ends_at";
    /// JSON: JWKs with the times from which on they sign and verify no more.
    PUBLIC_KEYS = "public_keys";
    /// How often, in a limit's window.
    USES = "uses";
}
