//! One-time codes: six digits sent by SMS and stored only as a keyed hash.

use std::{fmt, str::FromStr, time::Duration};

use ring::hmac;
use zeroize::Zeroizing;

use crate::{
    base::{
        id::{ChallengeId, RegistrationId, UserId},
        kid::{Kid, Versioned},
        random::{self, RandomError},
        variables::Variables,
    },
    domain::{phone::Phone, spelling},
};

/// The number of digits of a code. Six digits are 20 bits, which are enough with five tries (RFC 4226 section 7.3,
/// NIST SP 800-63B section 3.1.3.2).
pub const DIGITS: usize = 6;

/// A code in the form that is sent and typed. It is never stored or printed, and is wiped from memory when dropped.
#[derive(Clone)]
pub struct OtpCode(Zeroizing<String>);

impl OtpCode {
    /// Makes a new code. All million codes are equally likely, those with leading zeros included.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self(Zeroizing::new(format!("{:0DIGITS$}", random::below(1_000_000)?))))
    }

    /// Returns the digits, which may go only to the phone that they are for.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for OtpCode {
    type Err = InvalidOtpCode;

    /// Reads six digits as people type and paste them ([`spelling::digits`]), or a message whose only number they are
    /// ([`spelling::only_number`]). All spellings give the same code, so that another spelling is no new guess.
    fn from_str(typed: &str) -> Result<Self, InvalidOtpCode> {
        let is_code = |digits: &Zeroizing<String>| digits.len() == DIGITS;
        let digits = spelling::digits(typed).filter(is_code);
        digits.or_else(|| spelling::only_number(typed).filter(is_code)).map(Self).ok_or(InvalidOtpCode)
    }
}

impl fmt::Debug for OtpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OtpCode")
    }
}

/// The error for a text that is not six digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the six digits of the code")]
pub struct InvalidOtpCode;

/// The purpose of a code. A code for one purpose is never accepted for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Creating the account of this registration. Each registration has its own code and its own password, so that the
    /// code of one never creates an account with the password of another (docs/threats.md#r3).
    Activation(RegistrationId),
    /// Signing in by this challenge, which creates the account if the phone has none. Each challenge has its own code, so
    /// that a code which its owner reads to somebody opens nothing that was not asked for by the same client.
    SignIn(RegistrationId),
    /// Setting a new password without the old one, for a caller who names the phone.
    Reset,
    /// The same for the caller who asked for this code. The one code of a request is stored twice: under its phone, with
    /// tries that all callers share, and under its challenge, with tries that are the asker's alone.
    ResetBy(ChallengeId),
    /// Proving that the account's owner has its phone.
    VerifyPhone,
    /// Changing this account's phone. Each account has its own code, so that two accounts that ask for the same number
    /// do not disturb each other.
    ChangePhone(UserId),
}

impl Purpose {
    /// Returns whether all codes of the purpose's item share one number of tries, which no new code adds to.
    pub const fn shares_tries(self) -> bool {
        matches!(self, Self::SignIn(_))
    }

    /// Returns whether a response must be the same whatever becomes of the message, since it would reveal who has an
    /// account.
    pub const fn is_hidden(self) -> bool {
        matches!(self, Self::Reset | Self::ResetBy(_) | Self::SignIn(_))
    }

    /// The names of all purposes.
    pub const NAMES: [&'static str; 5] = ["activation", "sign-in", "reset", "verify-phone", "change-phone"];

    /// The names of those whose responses hide what became of the message.
    pub const HIDDEN_NAMES: [&'static str; 2] = ["sign-in", "reset"];

    /// Returns the purpose's name in keys of the table and in the hashed message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Activation(_) => "activation",
            Self::SignIn(_) => "sign-in",
            Self::Reset | Self::ResetBy(_) => "reset",
            Self::VerifyPhone => "verify-phone",
            Self::ChangePhone(_) => "change-phone",
        }
    }

    /// Returns whether tries are counted for the phone apart from the code, since the item that counts the failures of
    /// a code ends with a registration or an account: with another one, the guesses at one phone would begin anew.
    ///
    /// Where codes have challenges, the number of codes is limited instead of the tries at them, because strangers could use
    /// up tries by challenges of their own.
    pub const fn is_counted_apart(self) -> bool {
        match self {
            Self::Activation(_) | Self::VerifyPhone | Self::ChangePhone(_) => true,
            Self::SignIn(_) | Self::Reset | Self::ResetBy(_) => false,
        }
    }
}

/// The values that a code is bound to. It is right only if all of them match.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The purpose of the code.
    pub purpose: Purpose,
    /// The phone that the code was sent to.
    pub phone: &'a Phone,
    /// The user whose code it is, or `None` if the phone was unknown; then no code is right.
    pub user: Option<UserId>,
    /// The identifier of the message that carried the code.
    pub challenge: ChallengeId,
}

/// The length of an [`OtpMac`] in the table: the version of the key, and an HMAC-SHA-256.
const MAC_LENGTH: usize = 1 + 32;

/// A code in the form that is stored: the version of a key that is not in the table, and HMAC-SHA-256 over the code and
/// its [`Binding`] under that key. The table alone does not reveal the code, even to an attacker who tries all million
/// codes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OtpMac {
    kid: Kid,
    bytes: [u8; MAC_LENGTH],
}

impl OtpMac {
    /// Hashes a code together with its binding.
    pub fn new(key: &Versioned<hmac::Key>, binding: Binding<'_>, code: &OtpCode) -> Self {
        let tag = hmac::sign(&key.key, &message(binding, code));
        let mut bytes = [key.kid.as_byte(); MAC_LENGTH];
        let [_, mac @ ..] = &mut bytes;
        mac.copy_from_slice(tag.as_ref());
        Self { kid: key.kid, bytes }
    }

    /// Returns the version of the key that the code was hashed with.
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// Returns whether this is the hash of `code` under this key; compares in constant time.
    pub fn matches(&self, key: &Versioned<hmac::Key>, binding: Binding<'_>, code: &OtpCode) -> bool {
        let [_, mac @ ..] = &self.bytes;
        key.kid == self.kid && hmac::verify(&key.key, &message(binding, code), mac).is_ok()
    }

    /// Takes a hash from the table; none if it names no version, or has another length.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        let bytes @ [kid, ..] = <[u8; MAC_LENGTH]>::try_from(bytes).ok()?;
        Some(Self { kid: Kid::from_byte(kid)?, bytes })
    }

    /// Returns the hash's bytes, for the table.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for OtpMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OtpMac")
    }
}

/// Returns the message that is hashed. Each part ends with a zero byte, which no part contains, so that two different
/// bindings never give the same message.
fn message(binding: Binding<'_>, code: &OtpCode) -> Zeroizing<Vec<u8>> {
    let user = binding.user.map(|id| id.to_string()).unwrap_or_default();
    let challenge = binding.challenge.to_string();
    let mut message = Zeroizing::new(Vec::with_capacity(160));
    for part in ["v1", binding.purpose.as_str(), binding.phone.as_e164(), &user, &challenge, code.reveal()] {
        message.extend_from_slice(part.as_bytes());
        message.push(0);
    }
    message
}

/// The settings of one-time codes.
#[derive(Clone, Copy, Debug)]
pub struct OtpSettings {
    /// `OTP_TTL_SECONDS`: the lifetime of a code, at most 600 s (NIST SP 800-63B section 3.1.3.2).
    pub ttl: Duration,
    /// `OTP_RESEND_COOLDOWN`: the least time between two requests for a code, in seconds.
    pub resend_cooldown: Duration,
    /// `OTP_MAX_ATTEMPTS`: the number of tries for a code, at most 10 (ASVS 6.6.3).
    pub max_attempts: u64,
    /// `OTP_EXPOSE`: whether responses contain the codes, for development.
    pub expose: bool,
}

impl OtpSettings {
    /// Reads `OTP_*`.
    pub fn read(read: &mut Variables<'_>) -> Self {
        Self {
            ttl: Duration::from_secs(read.number("OTP_TTL_SECONDS", 300, 30..=600)),
            resend_cooldown: Duration::from_secs(read.number("OTP_RESEND_COOLDOWN", 1, 1..=600)),
            max_attempts: read.number("OTP_MAX_ATTEMPTS", 5, 1..=10),
            expose: read.one_of("OTP_EXPOSE", &[("false", false), ("true", true)]).unwrap_or(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::phone::PhoneRules;

    /// The key of this version, with the same bytes for every version that is even or odd.
    fn key(version: u8) -> Versioned<hmac::Key> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[version % 2; 32]);
        Versioned { kid: Kid::from_byte(version).unwrap(), key }
    }

    fn phone(typed: &str) -> Phone {
        PhoneRules::new("EG".parse().unwrap(), None).parse(typed).unwrap()
    }

    #[test]
    fn every_purpose_is_among_the_names() {
        let (id, user) = (RegistrationId::from_bytes([1; 16]), UserId::generate().unwrap());
        let all = [
            Purpose::Activation(id),
            Purpose::SignIn(id),
            Purpose::Reset,
            Purpose::VerifyPhone,
            Purpose::ChangePhone(user),
        ];
        assert_eq!(all.map(Purpose::as_str), Purpose::NAMES);
        let hidden: Vec<_> = all.into_iter().filter(|purpose| purpose.is_hidden()).map(Purpose::as_str).collect();
        assert_eq!(hidden, Purpose::HIDDEN_NAMES);
        let by_challenge = Purpose::ResetBy(ChallengeId::generate().unwrap());
        assert_eq!(by_challenge.as_str(), Purpose::Reset.as_str(), "one code, stored twice");
    }

    #[test]
    fn a_code_is_six_digits() {
        for _ in 0..1000 {
            let code = OtpCode::generate().unwrap();
            assert!(code.reveal().parse::<OtpCode>().is_ok());
        }
    }

    #[test]
    fn six_digits_are_read_in_every_spelling_and_nothing_else_is() {
        for typed in [
            "012345",
            " 012345",
            "012 345\n",
            "012-345",
            "０１２３４５",
            "٠١٢٣٤٥",
            "\u{2068}012345\u{2069}",
            "\"012345\",",
            "012345#",
            "G-012345",
            "Code: 012 345.",
            "012345 is your code\n\n@example.com #012345",
        ] {
            assert_eq!(typed.parse::<OtpCode>().unwrap().reveal(), "012345", "{typed:?}");
        }
        for typed in ["", "12345", "1234567", "+12345", "+123456", "12345a", "0x1234", "123,456", "①23456", "123456a"]
        {
            assert!(typed.parse::<OtpCode>().is_err(), "{typed:?}");
        }
    }

    #[test]
    fn a_code_is_right_only_with_its_key_phone_user_and_sending() {
        let (phone, other_phone) = (phone("01012345678"), phone("01112345678"));
        let (user, challenge) = (UserId::generate().unwrap(), ChallengeId::generate().unwrap());
        let binding = Binding { purpose: Purpose::Reset, phone: &phone, user: Some(user), challenge };
        let code: OtpCode = "042424".parse().unwrap();
        let mac = OtpMac::new(&key(1), binding, &code);

        assert!(mac.matches(&key(1), binding, &code));
        assert!(!mac.matches(&key(2), binding, &code));
        assert!(!mac.matches(&key(3), binding, &code), "the same key under another version");
        assert!(OtpMac::from_stored(mac.as_bytes()).unwrap().matches(&key(1), binding, &code));
        assert!(OtpMac::from_stored(&mac.as_bytes()[1..]).is_none(), "no version");
        assert!(OtpMac::from_stored(&[0; 33]).is_none(), "no version has number 0");
        assert!(!mac.matches(&key(1), binding, &"042425".parse().unwrap()));
        assert!(!mac.matches(&key(1), Binding { phone: &other_phone, ..binding }, &code));
        assert!(!mac.matches(&key(1), Binding { user: None, ..binding }, &code));
        assert!(!mac.matches(&key(1), Binding { challenge: ChallengeId::generate().unwrap(), ..binding }, &code));
    }

    #[test]
    fn nothing_prints_a_code() {
        let code = OtpCode::generate().unwrap();
        assert_eq!(format!("{code:?}"), "OtpCode");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_but_never_panics(typed in any::<String>()) {
            if let Ok(code) = typed.parse::<OtpCode>() {
                prop_assert!(code.reveal().len() == DIGITS && code.reveal().bytes().all(|b| b.is_ascii_digit()));
            }
        }
    }
}
