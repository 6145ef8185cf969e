//! Conversions between attributes and our types.

use std::{collections::HashMap, fmt, str::FromStr};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};

use super::error::StoreError;
use crate::{
    base::{kid::Kid, time::Timestamp},
    domain::{
        legacy_id::LegacyId,
        otp::OtpMac,
        password::PasswordHash,
        phone::Phone,
        recovery_code::{RecoveryCodeMac, RecoverySeed, SealedRecoveryKey},
        repeat::RepeatMac,
        totp::SealedTotpSecret,
    },
    tokens::refresh::{SessionSalt, UseMac},
};

pub(in crate::store) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(in crate::store) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Converts a number that may be negative.
pub(in crate::store) fn integer(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Converts the identifier of an imported account: to a number or a text, as the other system has it.
pub(in crate::store) fn legacy_id(id: &LegacyId) -> AttributeValue {
    match id {
        LegacyId::Number(number) => integer(*number),
        LegacyId::Text(text) => AttributeValue::S(text.clone()),
    }
}

/// Converts a time that rules compare with now, to Unix milliseconds.
pub(in crate::store) fn moment(value: Timestamp) -> AttributeValue {
    number(value.unix_millis())
}

/// Converts a time for DynamoDB's TTL, to Unix seconds.
pub(in crate::store) fn ttl(value: Timestamp) -> AttributeValue {
    number(value.unix_seconds())
}

/// Converts hashes to a set. `macs` must not be empty, because DynamoDB has no empty sets.
pub(in crate::store) fn set(macs: &[RecoveryCodeMac]) -> AttributeValue {
    AttributeValue::Ss(macs.iter().map(|mac| mac.as_str().to_owned()).collect())
}

/// Builds a list of maps.
pub(in crate::store) fn list(maps: impl IntoIterator<Item = HashMap<String, AttributeValue>>) -> AttributeValue {
    AttributeValue::L(maps.into_iter().map(AttributeValue::M).collect())
}

/// Builds a set of texts. `values` must not be empty, because DynamoDB has no empty sets.
pub(in crate::store) fn texts(values: impl IntoIterator<Item: ToString>) -> AttributeValue {
    AttributeValue::Ss(values.into_iter().map(|value| value.to_string()).collect())
}

// Of each secret and its protected twin, only the twin converts to an attribute. `Password`, `OtpCode`, `RefreshToken`,
// `TotpSecret` and `RecoveryCode` have no conversion.

impl From<&SealedTotpSecret> for AttributeValue {
    fn from(secret: &SealedTotpSecret) -> Self {
        Self::B(Blob::new(secret.as_bytes()))
    }
}

impl From<&SealedRecoveryKey> for AttributeValue {
    fn from(key: &SealedRecoveryKey) -> Self {
        Self::B(Blob::new(key.as_bytes()))
    }
}

impl From<&PasswordHash> for AttributeValue {
    fn from(hash: &PasswordHash) -> Self {
        text(hash.as_str())
    }
}

impl From<&OtpMac> for AttributeValue {
    fn from(mac: &OtpMac) -> Self {
        Self::B(Blob::new(mac.as_bytes()))
    }
}

impl From<&SessionSalt> for AttributeValue {
    fn from(salt: &SessionSalt) -> Self {
        Self::B(Blob::new(salt.as_bytes().as_slice()))
    }
}

impl From<&RepeatMac> for AttributeValue {
    fn from(mac: &RepeatMac) -> Self {
        text(mac.as_str())
    }
}

impl From<&RecoverySeed> for AttributeValue {
    fn from(seed: &RecoverySeed) -> Self {
        Self::B(Blob::new(seed.as_bytes().as_slice()))
    }
}

impl From<UseMac> for AttributeValue {
    fn from(mac: UseMac) -> Self {
        Self::B(Blob::new(mac.as_bytes().as_slice()))
    }
}

/// An item, as DynamoDB returned it. Its `Debug` shows names only, because values are hashes, salts and phone numbers.
#[derive(Clone, Default)]
pub(in crate::store) struct Item(HashMap<String, AttributeValue>);

impl From<HashMap<String, AttributeValue>> for Item {
    fn from(attributes: HashMap<String, AttributeValue>) -> Self {
        Self(attributes)
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Item {
    pub(in crate::store) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(in crate::store) fn text(&self, name: &'static str) -> Result<&str, StoreError> {
        self.0.get(name).and_then(|value| value.as_s().ok()).map(String::as_str).ok_or(corrupt(name))
    }

    pub(in crate::store) fn parsed<T: FromStr>(&self, name: &'static str) -> Result<T, StoreError> {
        self.text(name)?.parse().map_err(|_| corrupt(name))
    }

    pub(in crate::store) fn number(&self, name: &'static str) -> Result<u64, StoreError> {
        let number = self.0.get(name).and_then(|value| value.as_n().ok());
        number.and_then(|digits| digits.parse().ok()).ok_or(corrupt(name))
    }

    pub(in crate::store) fn optional_legacy_id(&self, name: &'static str) -> Result<Option<LegacyId>, StoreError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(AttributeValue::N(digits)) => {
                digits.parse().map(|number| Some(LegacyId::Number(number))).map_err(|_| corrupt(name))
            }
            Some(AttributeValue::S(text)) => Ok(Some(LegacyId::Text(text.clone()))),
            Some(_) => Err(corrupt(name)),
        }
    }

    /// Returns a counter, which is zero if it is missing.
    pub(in crate::store) fn count(&self, name: &'static str) -> Result<u64, StoreError> {
        if self.has(name) { self.number(name) } else { Ok(0) }
    }

    pub(in crate::store) fn moment(&self, name: &'static str) -> Result<Timestamp, StoreError> {
        self.number(name).map(Timestamp::from_unix_millis)
    }

    pub(in crate::store) fn optional_moment(&self, name: &'static str) -> Result<Option<Timestamp>, StoreError> {
        self.has(name).then(|| self.moment(name)).transpose()
    }

    pub(in crate::store) fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(|value| value.as_bool().ok()).copied().unwrap_or(false)
    }

    pub(in crate::store) fn blob(&self, name: &'static str) -> Result<&[u8], StoreError> {
        self.0.get(name).and_then(|value| value.as_b().ok()).map(AsRef::as_ref).ok_or(corrupt(name))
    }

    pub(in crate::store) fn bytes(&self, name: &'static str) -> Result<[u8; 32], StoreError> {
        self.blob(name)?.try_into().map_err(|_| corrupt(name))
    }

    pub(in crate::store) fn otp_mac(&self, name: &'static str) -> Result<OtpMac, StoreError> {
        OtpMac::from_stored(self.blob(name)?).ok_or(corrupt(name))
    }

    /// Returns the version of a key of the master secret.
    pub(in crate::store) fn kid(&self, name: &'static str) -> Result<Kid, StoreError> {
        u8::try_from(self.number(name)?).ok().and_then(Kid::from_byte).ok_or(corrupt(name))
    }

    /// Returns the texts of a set, which is empty if it is missing.
    pub(in crate::store) fn set(&self, name: &str) -> &[String] {
        self.0.get(name).and_then(|value| value.as_ss().ok()).map_or(&[], Vec::as_slice)
    }

    /// Parses the texts of a set, which is empty if it is missing.
    pub(in crate::store) fn parsed_set<T: FromStr>(&self, name: &'static str) -> Result<Vec<T>, StoreError> {
        self.set(name).iter().map(|text| text.parse().map_err(|_| corrupt(name))).collect()
    }

    /// Returns the maps of a list, which is empty if it is missing.
    pub(in crate::store) fn list(&self, name: &str) -> Vec<Self> {
        let values = self.0.get(name).and_then(|value| value.as_l().ok()).map_or(&[][..], Vec::as_slice);
        values.iter().filter_map(|value| value.as_m().ok()).cloned().map(Self).collect()
    }

    pub(in crate::store) fn phone(&self, name: &'static str) -> Result<Phone, StoreError> {
        Phone::from_stored(self.text(name)?).map_err(|_| corrupt(name))
    }
}

fn corrupt(attribute: &'static str) -> StoreError {
    StoreError::Corrupt { attribute }
}
