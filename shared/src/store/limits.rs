//! Counters of how often something was done in a fixed window. The window is in the key, so nothing ever has to be reset
//! and no race can roll a window over.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Store,
    table::{
        error::StoreError,
        expression::{ItemCheck, ItemUpdate, Write},
        item::{number, ttl},
        keys::{Key, USES},
        wire::{Outcome, Part, Transacted},
    },
};
use crate::base::{time::Timestamp, variables::Variables};

/// How long a counter outlives its window before it is collected.
const KEPT: Duration = Duration::from_hours(1);

/// The condition under which there may be one more.
const ALLOWED: &str = "attribute_not_exists(#uses) OR #uses < :allowed";

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// Wrong passwords for one phone.
    LoginPhone,
    /// Logins and code tries from one address.
    LoginAddress,
    /// Registrations from one address.
    RegisterAddress,
    /// One code at a time: the resend cooldown.
    MessagesCooldown,
    /// Messages to one phone.
    MessagesPhone,
    /// Messages asked for from one address.
    MessagesAddress,
    /// Messages to the numbers of one country.
    MessagesCountry,
    /// Messages of all.
    MessagesTotal,
    /// Wrong codes for one phone.
    OtpPhone,
    /// Wrong codes of the second factor of one account.
    Mfa,
}

impl Bucket {
    /// Whether it counts what everybody does, and not one phone or one address.
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::MessagesCountry | Self::MessagesTotal)
    }

    /// Its name in answers and in keys of the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoginPhone => "login-phone",
            Self::LoginAddress => "login-address",
            Self::RegisterAddress => "register-address",
            Self::MessagesCooldown => "messages-cooldown",
            Self::MessagesPhone => "messages-phone",
            Self::MessagesAddress => "messages-address",
            Self::MessagesCountry => "messages-country",
            Self::MessagesTotal => "messages-total",
            Self::OtpPhone => "otp-phone",
            Self::Mfa => "mfa",
        }
    }
}

/// How often something may be done. Per phone they are strict; per address generous, for phones share addresses behind
/// carriers' NAT.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `LIMIT_LOGIN_PER_ADDRESS` per 5 minutes: logins, code tries.
    pub login_per_address: u64,
    /// `LIMIT_REGISTER_PER_ADDRESS` per hour.
    pub register_per_address: u64,
    /// `LIMIT_MESSAGES_PER_ADDRESS` per hour.
    pub messages_per_address: u64,
    /// `LIMIT_MESSAGES_PER_PHONE` per day.
    pub messages_per_phone: u64,
    /// `LIMIT_MESSAGES_PER_COUNTRY` per hour.
    pub messages_per_country: u64,
    /// `LIMIT_MESSAGES_TOTAL` per hour.
    pub messages_total: u64,
}

/// The least and the greatest number that a limit can be.
const LIMIT_RANGE: RangeInclusive<u64> = 1..=1_000_000;

impl Limits {
    /// Reads `LIMIT_*`.
    pub fn read(read: &mut Variables<'_>) -> Self {
        Self {
            login_per_address: read.number("LIMIT_LOGIN_PER_ADDRESS", 300, LIMIT_RANGE),
            register_per_address: read.number("LIMIT_REGISTER_PER_ADDRESS", 100, LIMIT_RANGE),
            messages_per_address: read.number("LIMIT_MESSAGES_PER_ADDRESS", 60, LIMIT_RANGE),
            messages_per_phone: read.number("LIMIT_MESSAGES_PER_PHONE", 10, LIMIT_RANGE),
            messages_per_country: read.number("LIMIT_MESSAGES_PER_COUNTRY", 500, LIMIT_RANGE),
            messages_total: read.number("LIMIT_MESSAGES_TOTAL", 1000, LIMIT_RANGE),
        }
    }
}

/// So many uses per window.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'a> {
    /// What is counted.
    pub bucket: Bucket,
    /// Whose uses are counted.
    pub subject: &'a str,
    /// How many are allowed.
    pub allowed: u64,
    /// In which time.
    pub window: Duration,
}

/// A limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached {
    /// Which.
    pub bucket: Bucket,
    /// When its window ends.
    pub retry_after: Duration,
}

impl Limit<'_> {
    fn key(&self, now: Timestamp) -> Key {
        Key::limit(self.bucket.as_str(), self.subject, now.window_start(self.window).unix_seconds())
    }

    /// The one conditional `ADD` that is strict however many run at once.
    pub(super) fn charge(&self, now: Timestamp) -> ItemUpdate {
        let start = now.window_start(self.window);
        ItemUpdate::new(self.key(now))
            .add("#uses :one")
            .set("#expires_at = :expires_at")
            .when(ALLOWED)
            .value(":one", number(1))
            .value(":allowed", number(self.allowed))
            .value(":expires_at", ttl(start.plus(self.window).plus(KEPT)))
    }

    /// Whether one more would be allowed, and nothing is counted: of what costs nothing.
    fn check(&self, now: Timestamp) -> ItemCheck {
        ItemCheck::new(self.key(now), ALLOWED).value(":allowed", number(self.allowed))
    }

    /// Its part of the transaction that stores a code. Where no message is sent, the budgets that all share are not used up
    /// by it, and the answer is as if they were: else a stranger could close them for everybody, at no cost.
    pub(super) fn of_code(&self, is_sent: bool, now: Timestamp) -> Write {
        if is_sent || !self.bucket.is_shared() {
            Write::Update(self.charge(now))
        } else {
            Write::Check(self.check(now))
        }
    }

    pub(super) fn reached(&self, now: Timestamp) -> LimitReached {
        let end = now.window_start(self.window).plus(self.window);
        LimitReached { bucket: self.bucket, retry_after: end.since(now) }
    }
}

impl Store {
    /// How many uses were counted in the window that is.
    pub async fn uses(&self, limit: Limit<'_>, now: Timestamp) -> Result<u64, StoreError> {
        let counter = self.read(limit.key(now)).await?;
        counter.map_or(Ok(0), |counter| counter.count(USES))
    }

    /// Counts one use of each, all or nothing; or says which allows no more.
    pub async fn charge_all(
        &self,
        limits: &[Limit<'_>],
        now: Timestamp,
    ) -> Result<Result<(), LimitReached>, StoreError> {
        let writes = limits.iter().map(|limit| Write::Update(limit.charge(now))).collect();
        Ok(match self.transact(writes).await? {
            Transacted::Committed => Ok(()),
            Transacted::Refused(parts) => {
                let refused = parts.iter().zip(limits).find(|(part, _)| matches!(part, Part::Failed(_)));
                refused.map_or(Ok(()), |(_, limit)| Err(limit.reached(now)))
            }
        })
    }

    /// Counts one use, or says that no more is allowed.
    pub async fn charge(&self, limit: Limit<'_>, now: Timestamp) -> Result<Result<(), LimitReached>, StoreError> {
        Ok(match self.update(limit.charge(now)).await? {
            Outcome::Applied(_) => Ok(()),
            Outcome::Refused(_) => Err(limit.reached(now)),
        })
    }
}
