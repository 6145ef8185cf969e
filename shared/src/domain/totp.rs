//! The second factor: time-based one-time passwords (RFC 6238) with the parameters that every authenticator app
//! supports: a secret of 160 bits, SHA-1, six digits, 30 seconds.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ring::aead::LessSafeKey;
use totp_rs::{Algorithm, Builder, Secret, Totp};
use zeroize::Zeroizing;

use crate::{
    base::{
        id::UserId,
        kid::{Kid, Versioned},
        random::{self, RandomError},
        time::Timestamp,
    },
    domain::{
        otp::{DIGITS, OtpCode},
        phone::Phone,
        sealed::{self, SealError, UnreadableSecret},
    },
};

/// The length of a time step, in seconds (RFC 6238 section 5.2).
const STEP: u64 = 30;

/// The length of a secret, in bytes: that of a SHA-1 hash (RFC 4226 section 4, R6).
const SECRET_LENGTH: usize = 20;

/// The use that a sealed secret is bound to.
const USAGE: &[u8] = b"latchkey totp v2";

/// The secret that the authenticator and the account share. It is never printed, and is stored only sealed.
pub struct TotpSecret(Zeroizing<[u8; SECRET_LENGTH]>);

impl TotpSecret {
    /// Makes a new secret.
    pub fn generate() -> Result<Self, RandomError> {
        random::bytes().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// Returns the step that a code belongs to, or `None` if the code is not accepted. Accepts the step of `now`, the
    /// one before it, for people who are slow and clocks that are late, and the one after it, for clocks that are ahead
    /// (RFC 6238 section 6), but only steps after `last`, the step that was accepted last.
    ///
    /// A code that belongs to several of them is of the latest, so that it is not accepted again as another's.
    pub fn step_of(&self, code: &OtpCode, last: Option<u64>, now: Timestamp) -> Option<u64> {
        let totp = self.totp();
        let current = now.unix_seconds() / STEP;
        let steps = [current + 1, current, current.saturating_sub(1)];
        // All steps are always computed and compared, so that the response time does not reveal which of them matched.
        let matching = steps.map(|step| totp.check(code.reveal(), step * STEP));
        matching.into_iter().flatten().find(|step| last.is_none_or(|last| *step > last))
    }

    /// Returns the secret in the form that people type into an authenticator: base 32 (RFC 4648 section 6), without
    /// padding.
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(Secret::new_stack(*self.0).to_base32())
    }

    /// Returns the `otpauth` URI that authenticators read from a QR code. It contains the secret.
    pub fn to_uri(&self, service: &str, phone: &Phone) -> Zeroizing<String> {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let (issuer, account, secret) = (encoded(service), encoded(phone.as_e164()), self.to_base32());
        Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP}",
            *secret
        ))
    }

    /// Encrypts the secret for the table with AES-256-GCM. The result is bound to the user, so that it cannot be
    /// decrypted in another user's item, and to the version of the key.
    pub fn seal(&self, key: &Versioned<LessSafeKey>, user: UserId) -> Result<SealedTotpSecret, SealError> {
        sealed::seal(&*self.0, USAGE, key, user).map(SealedTotpSecret)
    }

    fn totp(&self) -> Totp {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_step_duration(STEP)
            .with_skew(0)
            .with_secret(Secret::new_stack(*self.0))
            .build_noncompliant()
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret")
    }
}

/// A secret in the form that is stored: encrypted under a key that is not in the table.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedTotpSecret(Vec<u8>);

impl SealedTotpSecret {
    /// Takes a sealed secret from the table.
    pub fn from_stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the sealed bytes, for the table.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the version of the key that the secret is sealed with.
    pub fn kid(&self) -> Result<Kid, UnreadableSecret> {
        sealed::kid_of(&self.0)
    }

    /// Decrypts the secret.
    pub fn open(&self, key: &Versioned<LessSafeKey>, user: UserId) -> Result<TotpSecret, UnreadableSecret> {
        sealed::open(&self.0, USAGE, key, user).map(TotpSecret)
    }
}

impl fmt::Debug for SealedTotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedTotpSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::aead::{AES_256_GCM, UnboundKey};

    use crate::domain::phone::PhoneRules;

    /// The secret of the RFCs' test vectors.
    fn vectors() -> TotpSecret {
        TotpSecret(Zeroizing::new(*b"12345678901234567890"))
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn the_vectors_of_rfc_6238_appendix_b_hold() {
        // The codes of the RFC have eight digits; ours are their last six.
        for (seconds, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let code = code[2..].parse().unwrap();
            assert_eq!(vectors().step_of(&code, None, at(seconds)), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn the_vectors_of_rfc_4226_appendix_d_hold() {
        let codes =
            ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
        for (counter, code) in (0..).zip(codes) {
            assert_eq!(vectors().step_of(&code.parse().unwrap(), None, at(counter * 30)), Some(counter), "{counter}");
        }
    }

    #[test]
    fn a_code_is_taken_one_step_early_to_one_step_late_and_never_again() {
        // The code of counter 5 in RFC 4226. Its step is from 150 s to 179 s.
        let code = "254676".parse().unwrap();
        for (seconds, last, expected) in [
            (119, None, None),
            (120, None, Some(5)),
            (149, None, Some(5)),
            (149, Some(4), Some(5)),
            (149, Some(5), None),
            (150, None, Some(5)),
            (179, None, Some(5)),
            (209, None, Some(5)),
            (210, None, None),
            (150, Some(4), Some(5)),
            (150, Some(5), None),
            (180, Some(5), None),
            (180, Some(6), None),
        ] {
            assert_eq!(vectors().step_of(&code, last, at(seconds)), expected, "{seconds} after {last:?}");
        }
    }

    #[test]
    fn a_sealed_secret_opens_with_its_key_for_its_user_and_unaltered() {
        let key = |version: u8, byte| {
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[byte; 32]).unwrap());
            Versioned { kid: Kid::from_byte(version).unwrap(), key }
        };
        let (own, user) = (key(7, 1), UserId::generate().unwrap());
        let sealed = vectors().seal(&own, user).unwrap();
        assert_eq!(sealed.kid().unwrap(), own.kid);
        assert!(*sealed.open(&own, user).unwrap().0 == *vectors().0);
        assert!(sealed != vectors().seal(&own, user).unwrap(), "each time with another nonce");
        assert!(!sealed.as_bytes().windows(8).any(|part| part == b"12345678"));

        assert!(sealed.open(&key(7, 2), user).is_err());
        assert!(sealed.open(&own, UserId::generate().unwrap()).is_err());
        for at in 0..sealed.as_bytes().len() {
            // Among them the version of the key, which the seal covers.
            let mut altered = sealed.as_bytes().to_vec();
            altered[at] ^= 1;
            assert!(SealedTotpSecret::from_stored(altered).open(&own, user).is_err(), "{at}");
            let cut = SealedTotpSecret::from_stored(sealed.as_bytes()[..at].to_vec());
            assert!(cut.open(&own, user).is_err(), "{at}");
        }
        assert!(SealedTotpSecret::from_stored(vec![2, 0, 1, 1]).kid().is_err(), "no version has number 0");
    }

    #[test]
    fn authenticators_are_told_whose_secret_it_is() {
        let phone = PhoneRules::new("EG".parse().unwrap(), None).parse("01012345678").unwrap();
        assert_eq!(vectors().to_base32().as_str(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let uri = "otpauth://totp/My%20Shop%3F:%2B201012345678?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
                   &issuer=My%20Shop%3F&algorithm=SHA1&digits=6&period=30";
        assert_eq!(vectors().to_uri("My Shop?", &phone).as_str(), uri);
    }

    #[test]
    fn nothing_prints_a_secret() {
        assert_eq!(format!("{:?}", vectors()), "TotpSecret");
    }
}
