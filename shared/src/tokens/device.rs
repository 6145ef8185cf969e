//! Device tokens: what a device keeps of a sign-in, so that strangers do not keep it waiting
//! (docs/adr/0052-known-devices.md). One opens nothing: it only chooses the count that a wrong password is charged to.

use std::{fmt, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};

use crate::base::{
    id::{SessionId, UserId},
    kid::{Kid, Versioned},
    random::{self, RandomError},
    time::Timestamp,
};

/// The time for which a token counts.
pub const LIFETIME: Duration = Duration::from_hours(180 * 24);

/// The version of the format, a token's first byte.
const VERSION: u8 = 1;
/// The label that tells a token from other texts that the same key seals.
const LABEL: &[u8] = b"device";
/// The length of a token, in bytes: version, key, nonce, user, device, epoch, time and tag.
const LENGTH: usize = 2 + NONCE_LEN + 16 + 16 + 8 + 8 + 16;

/// A device that a user has signed in on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeviceToken {
    /// The user.
    pub user: UserId,
    /// The device's identifier: that of the session that the sign-in started.
    pub device: SessionId,
    /// The account's epoch. Whatever ends every session raises it, and so ends the token.
    pub epoch: u64,
    /// The time of issue.
    pub issued_at: Timestamp,
}

impl DeviceToken {
    /// Returns the end of the token.
    pub fn ends_at(&self) -> Timestamp {
        self.issued_at.plus(LIFETIME)
    }

    /// Returns the token as clients keep it: encrypted with AES-256-GCM, in base64url.
    pub fn seal(&self, key: &Versioned<LessSafeKey>) -> Result<String, SealError> {
        let nonce = random::bytes::<NONCE_LEN>()?;
        let (epoch, issued_at) = (self.epoch.to_be_bytes(), self.issued_at.unix_millis().to_be_bytes());
        let mut text = [&self.user.as_bytes()[..], self.device.as_bytes(), &epoch, &issued_at].concat();
        let version = [VERSION, key.kid.as_byte()];
        key.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound(version)), &mut text)
            .map_err(|_| SealError::Cipher)?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode([&version[..], &nonce, &text].concat()))
    }

    /// Returns the version of the key that a text names, if it has the form of a token.
    pub fn kid_of(text: &str) -> Result<Kid, NotADeviceToken> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NotADeviceToken)?;
        match bytes.as_slice() {
            [VERSION, kid, ..] if bytes.len() == LENGTH => Kid::from_byte(*kid).ok_or(NotADeviceToken),
            _ => Err(NotADeviceToken),
        }
    }

    /// Reads a token that we sealed and that has not expired. Each has exactly one spelling.
    pub fn open(key: &Versioned<LessSafeKey>, text: &str, now: Timestamp) -> Result<Self, NotADeviceToken> {
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NotADeviceToken)?;
        let (version, rest) = bytes.split_first_chunk_mut::<2>().ok_or(NotADeviceToken)?;
        let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE_LEN>().ok_or(NotADeviceToken)?;
        let (nonce, bound) = (Nonce::assume_unique_for_key(*nonce), Aad::from(bound(*version)));
        let plain = key.key.open_in_place(nonce, bound, sealed).map_err(|_| NotADeviceToken)?;

        let (user, rest) = plain.split_first_chunk::<16>().ok_or(NotADeviceToken)?;
        let (device, rest) = rest.split_first_chunk::<16>().ok_or(NotADeviceToken)?;
        let (epoch, issued_at) = rest.split_first_chunk::<8>().ok_or(NotADeviceToken)?;
        let issued_at: &[u8; 8] = issued_at.try_into().map_err(|_| NotADeviceToken)?;
        let token = Self {
            user: UserId::from_bytes(*user),
            device: SessionId::from_bytes(*device),
            epoch: u64::from_be_bytes(*epoch),
            issued_at: Timestamp::from_unix_millis(u64::from_be_bytes(*issued_at)),
        };
        let is_ours = *version == [VERSION, key.kid.as_byte()];
        if is_ours && now < token.ends_at() { Ok(token) } else { Err(NotADeviceToken) }
    }
}

/// Returns what a token is bound to.
fn bound(version: [u8; 2]) -> Vec<u8> {
    [&version[..], LABEL].concat()
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceToken({})", self.device)
    }
}

/// A device token cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The operating system returned no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The cipher refused.
    #[error("a device token cannot be encrypted")]
    Cipher,
}

/// The text is not a device token that we made, or it has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a `device_token` of this service")]
pub struct NotADeviceToken;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::aead::{AES_256_GCM, UnboundKey};

    use super::*;

    const ISSUED_AT: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn key(version: u8) -> Versioned<LessSafeKey> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[version % 2; 32]).unwrap());
        Versioned { kid: Kid::from_byte(version).unwrap(), key }
    }

    fn token() -> DeviceToken {
        DeviceToken {
            user: UserId::from_bytes([1; 16]),
            device: SessionId::from_bytes([2; 16]),
            epoch: 3,
            issued_at: ISSUED_AT,
        }
    }

    #[test]
    fn a_token_reads_back_with_its_key_alone_until_it_expires() {
        let text = token().seal(&key(1)).unwrap();
        assert_eq!(DeviceToken::open(&key(1), &text, ISSUED_AT), Ok(token()));
        assert_eq!(DeviceToken::kid_of(&text), Ok(key(1).kid));
        assert_eq!(DeviceToken::open(&key(2), &text, ISSUED_AT), Err(NotADeviceToken));
        assert_eq!(DeviceToken::open(&key(3), &text, ISSUED_AT), Err(NotADeviceToken), "the same key, another version");
        let end = ISSUED_AT.plus(LIFETIME);
        assert_eq!(DeviceToken::open(&key(1), &text, end.minus(Duration::from_millis(1))), Ok(token()));
        assert_eq!(DeviceToken::open(&key(1), &text, end), Err(NotADeviceToken));
        for other in [format!("{text}="), format!("{text}A"), text.to_lowercase(), format!(" {text}"), String::new()] {
            assert_eq!(DeviceToken::open(&key(1), &other, ISSUED_AT), Err(NotADeviceToken));
        }
        assert!(token().seal(&key(1)).unwrap() != text, "two tokens of one device look alike to nobody");
    }

    #[test]
    fn nothing_prints_the_user() {
        assert_eq!(format!("{:?}", token()), "DeviceToken(02020202-0202-0202-0202-020202020202)");
    }

    proptest! {
        #[test]
        fn a_token_with_any_byte_changed_is_none(at in 0_usize..LENGTH, with in 1_u8..) {
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(token().seal(&key(1)).unwrap()).unwrap();
            prop_assert_eq!(bytes.len(), LENGTH);
            bytes[at] ^= with;
            prop_assert!(DeviceToken::open(&key(1), &BASE64_URL_SAFE_NO_PAD.encode(bytes), ISSUED_AT).is_err());
        }

        #[test]
        fn any_text_is_refused_and_never_panics(text in any::<String>()) {
            prop_assert!(DeviceToken::open(&key(1), &text, ISSUED_AT).is_err());
            prop_assert!(DeviceToken::kid_of(&text).is_err());
        }
    }
}
