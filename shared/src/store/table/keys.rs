//! Keys and attribute names of the table. Only this module spells them.

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
/// The attribute that DynamoDB's TTL reads, in Unix seconds. It collects garbage and is never a rule: DynamoDB may
/// delete an item days late, so every rule compares another attribute with now.
pub const TTL_ATTRIBUTE: &str = "expires_at";

/// The value that an account's credential holds instead of a TTL. DynamoDB deletes only items whose TTL attribute is a
/// number. So one expression, `if_not_exists`, can give a ghost its end without giving one to an account.
pub(in crate::store) const NEVER: &str = "never";

/// The prefix of partition keys of phones.
pub(in crate::store) const PHONE_PREFIX: &str = "PHONE#";

/// The prefix of partition keys of users.
pub(in crate::store) const USER_PREFIX: &str = "USER#";

/// The sort key of a credential.
pub(in crate::store) const CREDENTIAL_SORT: &str = "CREDENTIAL";

/// The sort key of the credential of a parked account, under the phone that it had.
pub(in crate::store) const PARKED_SORT: &str = "PARKED";

/// The sort key of a user's profile. Only sessions sort after it. So items that a user can create in large numbers,
/// such as codes to new phones, are not read with the sessions.
pub(in crate::store) const PROFILE_SORT: &str = "PROFILE";

/// The sort key of a user's second factor.
pub(in crate::store) const SECOND_FACTOR_SORT: &str = "MFA";

/// The sort key of an enrollment: a second factor that is not on yet.
pub(in crate::store) const ENROLLMENT_SORT: &str = "MFA#ENROLLMENT";

/// The prefix of sort keys of codes that were sent to a new phone. The phone follows.
pub(in crate::store) const NEW_PHONE_PREFIX: &str = "OTP#change-phone#";

/// The prefix of sort keys of logins that wait for their second step.
pub(in crate::store) const SECOND_STEP_PREFIX: &str = "MFA#LOGIN#";

/// The partition of notices that could not be sent yet.
pub(in crate::store) const OWED_NOTICES: &str = "NOTICES";

/// The prefix of sort keys of a user's sessions.
pub(in crate::store) const SESSION_PREFIX: &str = "SESSION#";

/// The prefix of sort keys of a user's known devices. The identifier of the session that each was known by first follows.
pub(in crate::store) const DEVICE_PREFIX: &str = "DEVICE#";

/// The attributes of counters of days, by the day's place in its period. A period is as long as the days that a budget
/// looks back: today and 14 before (docs/adr/0038-three-pots-of-messages.md).
pub(in crate::store) const DAYS: [&str; 15] = [
    "day_0", "day_1", "day_2", "day_3", "day_4", "day_5", "day_6", "day_7", "day_8", "day_9", "day_10", "day_11",
    "day_12", "day_13", "day_14",
];

/// A key of the table.
#[derive(Clone, Debug)]
pub(in crate::store) struct Key {
    partition: String,
    sort: String,
}

impl Key {
    /// Returns the key of a credential: password hash, epoch and throttle, which a login reads. A phone without an
    /// account has a ghost there.
    pub(in crate::store) fn credential(phone: &Phone) -> Self {
        Self { partition: phone_partition(phone), sort: CREDENTIAL_SORT.to_owned() }
    }

    /// Returns the key of the credential of the account that this phone had before its present one, while that account is
    /// parked. A phone that nobody has left has a ghost there.
    pub(in crate::store) fn parked(former: &Phone) -> Self {
        Self { partition: phone_partition(former), sort: PARKED_SORT.to_owned() }
    }

    /// Returns the key of a phone's open code for a purpose, which also holds the failures of its window. A code for a
    /// new phone is stored under the user who wants the phone, so that it is deleted with the account: no key of the
    /// account leads to the new phone.
    pub(in crate::store) fn code(phone: &Phone, purpose: Purpose) -> Self {
        let name = purpose.as_str();
        let sort = match purpose {
            Purpose::Activation(id) | Purpose::SignIn(id) => format!("OTP#{name}#{id}"),
            Purpose::ResetBy(id) => format!("OTP#{name}#{id}"),
            Purpose::Reset | Purpose::VerifyPhone => format!("OTP#{name}"),
            Purpose::ChangePhone(user) => return Self::of_user(user, format!("{NEW_PHONE_PREFIX}{}", phone.as_e164())),
        };
        Self { partition: phone_partition(phone), sort }
    }

    /// Returns the key of the cooldown that all registrations of a phone share, or all challenges of sign-ins.
    pub(in crate::store) fn cooldown(phone: &Phone, purpose: Purpose) -> Self {
        Self { partition: phone_partition(phone), sort: format!("OTP#{}", purpose.as_str()) }
    }

    /// Returns the key of a user's profile.
    pub(in crate::store) fn profile(user: UserId) -> Self {
        Self::of_user(user, PROFILE_SORT)
    }

    /// Returns the key of a user's session.
    pub(in crate::store) fn session(user: UserId, session: SessionId) -> Self {
        Self::of_user(user, format!("{SESSION_PREFIX}{session}"))
    }

    /// Returns the key of a device that a user has signed in on: its count of wrong passwords.
    pub(in crate::store) fn device(user: UserId, device: SessionId) -> Self {
        Self::of_user(user, format!("{DEVICE_PREFIX}{device}"))
    }

    /// Returns the key of a user's second factor: the sealed secret, the last step, recovery codes, and the throttle of
    /// guesses.
    pub(in crate::store) fn second_factor(user: UserId) -> Self {
        Self::of_user(user, SECOND_FACTOR_SORT)
    }

    /// Returns the key of a user's enrollment.
    pub(in crate::store) fn enrollment(user: UserId) -> Self {
        Self::of_user(user, ENROLLMENT_SORT)
    }

    /// Returns the key of a login that waits for its second step.
    pub(in crate::store) fn second_step(user: UserId, token: TokenId) -> Self {
        Self::of_user(user, format!("{SECOND_STEP_PREFIX}{token}"))
    }

    /// Returns the key of a user's item, by its sort key.
    pub(in crate::store) fn of_user(user: UserId, sort: impl Into<String>) -> Self {
        Self { partition: user_partition(user), sort: sort.into() }
    }

    /// Returns the key of a phone's item, by its sort key.
    pub(in crate::store) fn of_phone(phone: &Phone, sort: impl Into<String>) -> Self {
        Self { partition: phone_partition(phone), sort: sort.into() }
    }

    /// Returns the key of a notice that could not be sent yet.
    pub(in crate::store) fn owed_notice(sort: &str) -> Self {
        Self { partition: OWED_NOTICES.to_owned(), sort: sort.to_owned() }
    }

    /// Returns the key of the public keys of access tokens.
    pub(in crate::store) fn key_set() -> Self {
        Self { partition: "KEYS".to_owned(), sort: "JWKS".to_owned() }
    }

    /// Returns the key of the mark that an account of another system was imported, by a digest of the account there.
    pub(in crate::store) fn import(digest: &str) -> Self {
        Self { partition: format!("IMPORT#{digest}"), sort: "MARK".to_owned() }
    }

    /// Returns the key of an audit line of an operator's action, by month and moment.
    pub(in crate::store) fn audit(at: Timestamp, operation: OperationId) -> Self {
        let moment = at.to_rfc3339();
        let month = moment.get(..7).unwrap_or_default();
        Self { partition: format!("AUDIT#{month}"), sort: format!("{moment}#{operation}") }
    }

    /// Returns the key of the counter of one window.
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

    /// Returns whether an item has this key.
    pub(in crate::store) fn is_of(&self, item: &HashMap<String, AttributeValue>) -> bool {
        let is = |name: &str, value: &str| item.get(name).and_then(|v| v.as_s().ok()).is_some_and(|text| text == value);
        is(PARTITION_KEY, &self.partition) && is(SORT_KEY, &self.sort)
    }
}

/// Returns whether a sort key is of something that waits for its code under an identifier of its own: a registration, a
/// sign-in or a reset. Its form is `OTP#<purpose>#<id>`.
pub(in crate::store) fn is_of_challenge(sort: &str) -> bool {
    sort.strip_prefix("OTP#").is_some_and(|rest| rest.contains('#'))
}

/// Returns whether a sort key is of a cooldown that all registrations of a phone share, or all challenges of sign-ins.
pub(in crate::store) fn is_cooldown(sort: &str) -> bool {
    ["OTP#activation", "OTP#sign-in"].contains(&sort)
}

pub(in crate::store) fn phone_partition(phone: &Phone) -> String {
    format!("{PHONE_PREFIX}{}", phone.as_e164())
}

pub(in crate::store) fn user_partition(user: UserId) -> String {
    format!("{USER_PREFIX}{user}")
}

macro_rules! attributes {
    ($($(#[$doc:meta])* $constant:ident = $name:literal;)+) => {
        $($(#[$doc])* pub(in crate::store) const $constant: &str = $name;)+

        /// Every attribute name, so that a debug assertion catches a misspelled one in an expression.
        pub(in crate::store) const ALL: &[&str] = &[PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE, $($constant),+];
    };
}

attributes! {
    /// The identifier of the operation that wrote the item last.
    OPERATION = "op";
    /// A user's identifier.
    USER_ID = "user_id";
    /// The password hash, as a PHC string; missing if the account has no password.
    PASSWORD_HASH = "password_hash";
    /// In a profile, whether the account has no password.
    PASSWORDLESS = "passwordless";
    /// The epoch: the same number in credential and profile.
    EPOCH = "epoch";
    /// The number of attempts with passwords since the last success.
    LOGIN_FAILURES = "login_failures";
    /// The time of the last of these attempts, in Unix milliseconds.
    LOGIN_ATTEMPTED_AT = "login_attempted_at";
    /// The time at which a known device was forgotten, in Unix milliseconds.
    FORGOTTEN_AT = "forgotten_at";
    /// The largest number of sessions that the user can have: those at the last count, and every login since.
    SESSIONS_AT_MOST = "sessions_at_most";
    /// The number of TOTP codes in the second step of logins since the last success.
    TOTP_LOGIN_FAILURES = "totp_login_failures";
    /// The time of the last of these, in Unix milliseconds.
    TOTP_LOGIN_ATTEMPTED_AT = "totp_login_attempted_at";
    /// The number of TOTP codes in sessions since the last success.
    TOTP_SESSION_FAILURES = "totp_session_failures";
    /// The time of the last of these, in Unix milliseconds.
    TOTP_SESSION_ATTEMPTED_AT = "totp_session_attempted_at";
    /// The number of TOTP codes in resets since the last success.
    TOTP_RESET_FAILURES = "totp_reset_failures";
    /// The time of the last of these, in Unix milliseconds.
    TOTP_RESET_ATTEMPTED_AT = "totp_reset_attempted_at";
    /// The phone, in E.164.
    PHONE = "phone";
    /// The time at which the phone was verified, in Unix milliseconds.
    PHONE_VERIFIED_AT = "phone_verified_at";
    /// The time at which a code last proved who has the phone, or at which the phone was given to its account, in Unix
    /// milliseconds. In a sign-in that waits, the time of the code that began it; missing if none did.
    PHONE_PROVED_AT = "phone_proved_at";
    /// The time at which an account was parked, in Unix milliseconds.
    PARKED_AT = "parked_at";
    /// The account's identifier in the system that it was imported from.
    LEGACY_ID = "legacy_id";
    /// The time at which an operator disabled the account, in Unix milliseconds.
    DISABLED_AT = "disabled_at";
    /// An audit event, in the format of the log.
    AUDIT_LINE = "audit_line";
    /// The time at which the account was deleted, in Unix milliseconds. An item that has it is a tombstone.
    DELETED_AT = "deleted_at";
    /// Whether a second factor is on.
    MFA_ENABLED = "mfa_enabled";
    /// The secret of a second factor, encrypted.
    TOTP_SECRET = "totp_secret";
    /// In an enrollment, the secret of the one before it, encrypted.
    TOTP_SECRET_BEFORE = "totp_secret_before";
    /// The end of that one, in Unix milliseconds.
    ENDS_AT_BEFORE = "ends_at_before";
    /// The epoch of that one.
    EPOCH_BEFORE = "epoch_before";
    /// The step whose code was accepted last.
    TOTP_STEP = "totp_step";
    /// The key of the hashes of the recovery codes, encrypted.
    RECOVERY_KEY = "recovery_key";
    /// The hashes of the unused recovery codes; missing if none is left.
    RECOVERY_CODES = "recovery_codes";
    /// The first factor of a session, or of a login that waits for its second step, by its name in `amr`; missing for a
    /// password.
    METHOD = "method";
    /// Whether the user of a session has proved a second factor.
    SECOND_FACTOR = "second_factor";
    /// The time at which the user of a session last proved the first factor, in Unix milliseconds.
    PROVED_AT = "proved_at";
    /// The time at which the user of a session last proved who they are, in Unix milliseconds.
    AUTHENTICATED_AT = "authenticated_at";
    /// The time of creation, in Unix milliseconds.
    CREATED_AT = "created_at";
    /// The open codes, newest first; missing if one of them was used.
    CODES = "codes";
    /// In an open code, the version of its key and its HMAC.
    CODE_MAC = "code_mac";
    /// The identifier of a sending: in an open code its own, in the item that of the newest.
    CHALLENGE_ID = "challenge_id";
    /// The sendings of the open codes.
    OPEN_CHALLENGES = "open_challenges";
    /// Those of them whose message was certainly not sent.
    NOT_SENT = "not_sent";
    /// Those of them whose message may have been sent: the provider said that it was not, or said nothing.
    DOUBTFUL = "doubtful";
    /// The number of tries of all codes; in an open code, that number when it was issued.
    ATTEMPTS = "attempts";
    /// The number of tries at which the newest code has none left.
    ATTEMPTS_END = "attempts_end";
    /// The keyed hashes of the codes that were tried since the newest was issued.
    TRIED = "tried";
    /// The keyed hash of the code that was used.
    USED = "used";
    /// The keyed hash of what it has made of the account.
    USED_EFFECT = "used_effect";
    /// The end of the used code, in Unix milliseconds: until then, a request that repeats its use is recognized.
    USED_ENDS_AT = "used_ends_at";
    /// The number of wrong codes in the phone's window. A new code does not reset it.
    FAILURES = "failures";
    /// The start of that window, in Unix milliseconds.
    FAILURES_SINCE = "failures_since";
    /// The time at which a code expires, in Unix milliseconds: in an open code its own, in the item that of the newest.
    CODE_ENDS_AT = "code_ends_at";
    /// The time from which the next code may be sent, in Unix milliseconds.
    RESEND_AT = "resend_at";
    /// The same in a known device's item, for the codes of resets.
    RESET_RESEND_AT = "reset_resend_at";
    /// The identifier of the sending that began the cooldown of a known device's codes of resets.
    RESET_CHALLENGE_ID = "reset_challenge_id";
    /// In a session, the number of its next refresh token; in the key set, the number of its edition.
    GENERATION = "generation";
    /// In a session, the version of the key that made its newest refresh token.
    KID = "kid";
    /// The salt of a session: 32 random bytes, which no token contains.
    SALT = "salt";
    /// The time at which the refresh token was last exchanged, in Unix milliseconds.
    ROTATED_AT = "rotated_at";
    /// The keyed hash of the client that exchanged it.
    ROTATED_BY = "rotated_by";
    /// The keyed hash of that client's `attempt`; missing if it sent none.
    ATTEMPT = "attempt";
    /// Whether a change of the account replaced the session by another one.
    RENEWED = "renewed";
    /// The keyed hash of the request that ended the item and started a session in its place.
    REQUEST = "request";
    /// The end of the time in which that request may be repeated, in Unix milliseconds.
    REQUEST_ENDS_AT = "request_ends_at";
    /// The session that the request, or the use of a code, started.
    SUCCESSOR = "successor";
    /// The identifier of the second step that the use of a code began.
    SECOND_STEP = "second_step";
    /// The random bytes that the recovery codes of its response are derived from.
    RECOVERY_SEED = "recovery_seed";
    /// The generation of the last spent refresh token that another client used as well, within the grace.
    OTHER_GENERATION = "other_generation";
    /// The keyed hash of that other client.
    OTHER_CLIENT = "other_client";
    /// The client's description of itself, from its User-Agent.
    DEVICE = "device";
    /// The address of the login.
    ADDRESS = "address";
    /// The time at which the session was last used, in Unix milliseconds.
    LAST_USED_AT = "last_used_at";
    /// The absolute end of a session, of an item that waits, or of a parked account, in Unix milliseconds.
    ENDS_AT = "ends_at";
    /// The end of a session if it is not used before, in Unix milliseconds.
    IDLE_ENDS_AT = "idle_ends_at";
    /// The public keys, as JSON: JWKs, each with the times at which it stops signing and verifying.
    PUBLIC_KEYS = "public_keys";
    /// The deny list of keys: the identifier of every key that was ever removed.
    REMOVED_KEYS = "removed_keys";
    /// The identifiers of keys that are removed as soon as another key can be stored.
    LEAVING_KEYS = "leaving_keys";
    /// The number of uses in a limit's window.
    USES = "uses";
    /// The different members of which a limit counts each once in its window.
    MEMBERS = "members";
    /// In a notice that is owed, the phone, encrypted.
    SEALED_PHONE = "sealed_phone";
    /// The language that the client asked for.
    LANGUAGE = "language";
    /// The time from which a notice may be tried, in Unix milliseconds.
    DUE_AT = "due_at";
}
