//! Passwords: the rules for new ones, their stored form, and the comparison.

use std::{
    borrow::Cow,
    fmt,
    ops::RangeInclusive,
    sync::{
        Mutex, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{self, ParamsString, Salt},
};
use precis_profiles::{OpaqueString, precis_core::profile::PrecisFastInvocation};
use zeroize::Zeroizing;

use crate::{
    base::{
        random::{self, RandomError},
        variables::Variables,
    },
    domain::phone::Phone,
};

/// The greatest length of a password, in characters; NIST SP 800-63B section 3.1.1.2 asks for at least 64. Longer
/// passwords are refused, never cut.
pub const MAX_LENGTH: usize = 128;

/// The most common passwords in lower case, one per line. Lines that start with `#` name the source.
const COMMON_PASSWORDS: &str = include_str!("../../data/common-passwords.txt");

/// The service's name in lower case, which is refused as a password in any case.
const SERVICE_NAME: &str = "latchkey";

/// A typed password, prepared as RFC 8265 `OpaqueString`: other spaces become the ASCII space and the text is in NFC,
/// so that the same password typed on two keyboards is equal. It is wiped from memory when dropped.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Prepares a typed password. Checks only the length and the characters, because an existing password may have been
    /// chosen under other rules.
    pub fn parse(typed: &str) -> Result<Self, InvalidPassword> {
        if typed.is_empty() {
            return Err(InvalidPassword::Empty);
        }
        // The length is checked before the preparation, which takes linear time, because a body may hold kilobytes.
        if typed.chars().count() > MAX_LENGTH {
            return Err(InvalidPassword::TooLong);
        }
        let prepare = |text: &str| OpaqueString::enforce(text).map(Cow::into_owned).map(Zeroizing::new);
        let prepared = prepare(typed).map_err(|_| InvalidPassword::ForbiddenCharacter)?;
        // The preparation turns a few characters, such as U+0387 (the middle dot), into others that it refuses. One
        // spelling of a password would be accepted and another refused (RFC 8264 section 7: reject what is not stable).
        if prepare(&prepared).ok().as_ref() != Some(&prepared) {
            return Err(InvalidPassword::ForbiddenCharacter);
        }
        Ok(Self(prepared))
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// A password that meets the [`PasswordRules`], so that an account may be given it.
#[derive(Debug)]
pub struct NewPassword(Password);

impl NewPassword {
    /// Refuses the user's own phone number in its full or its national form, with or without separators and the zeros
    /// that people dial in front of it.
    pub fn not_the_phone(self, phone: &Phone) -> Result<Self, InvalidPassword> {
        let typed = Zeroizing::new(self.0.0.replace([' ', '-', '(', ')', '+'], ""));
        let is = |number: &str| typed.trim_start_matches('0') == number.trim_start_matches('0');
        if is(&phone.national()) || is(phone.as_e164().trim_start_matches('+')) {
            return Err(InvalidPassword::IsThePhone);
        }
        Ok(self)
    }
}

/// The reason why a text is refused as a password. The client reads these sentences; they never repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text is shorter than `PASSWORD_MIN_LENGTH`.
    #[error("must have at least {minimum} characters")]
    TooShort {
        /// The least number of Unicode characters.
        minimum: usize,
    },
    /// The text is longer than [`MAX_LENGTH`].
    #[error("must have at most {MAX_LENGTH} characters")]
    TooLong,
    /// The text contains a character that `OpaqueString` refuses or does not keep stable, such as a control character.
    #[error("contains a character that cannot be typed the same way everywhere")]
    ForbiddenCharacter,
    /// The text is on the list of the most common passwords, or is the service's name.
    #[error("is one of the most common passwords; choose another")]
    TooCommon,
    /// The text is the user's own phone number.
    #[error("must not be the phone number")]
    IsThePhone,
}

/// The rules for a new password: `PASSWORD_MIN_LENGTH` and `PASSWORD_BLOCKLIST`. There are no composition rules
/// (NIST SP 800-63B section 3.1.1.2).
#[derive(Clone, Copy, Debug)]
pub struct PasswordRules {
    /// The least number of Unicode characters.
    pub min_length: usize,
    /// Whether the passwords on the bundled list of the most common ones are refused.
    pub refuse_common: bool,
}

impl PasswordRules {
    /// Reads `PASSWORD_MIN_LENGTH` and `PASSWORD_BLOCKLIST`.
    pub fn read(read: &mut Variables<'_>) -> Self {
        let min_length = read.number("PASSWORD_MIN_LENGTH", 8, 8..=64);
        let refuse_common = read.one_of("PASSWORD_BLOCKLIST", &[("common", true), ("off", false)]);
        Self {
            min_length: usize::try_from(min_length).unwrap_or(MAX_LENGTH),
            refuse_common: refuse_common.unwrap_or(true),
        }
    }

    /// Prepares a new password and refuses it if it does not meet the rules.
    pub fn parse(&self, typed: &str) -> Result<NewPassword, InvalidPassword> {
        let password = Password::parse(typed)?;
        if password.0.chars().count() < self.min_length {
            return Err(InvalidPassword::TooShort { minimum: self.min_length });
        }
        let lower = Zeroizing::new(password.0.to_lowercase());
        if *lower == SERVICE_NAME || (self.refuse_common && is_common(&lower)) {
            return Err(InvalidPassword::TooCommon);
        }
        Ok(NewPassword(password))
    }
}

fn is_common(lower: &str) -> bool {
    !lower.starts_with('#') && COMMON_PASSWORDS.lines().any(|common| common == lower)
}

/// A password in the form that is stored: a PHC string, `$argon2id$v=19$m=19456,t=2,p=1$…`, or, until its owner signs
/// in, the bcrypt hash that another system made. No other form of a password is written to the table.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a hash from the table.
    pub fn from_stored(phc: String) -> Self {
        Self(phc)
    }

    /// Takes a bcrypt hash that another system made, and refuses it if a login could not compare it.
    pub fn from_bcrypt(hash: &str) -> Result<Self, NotABcryptHash> {
        let parts: bcrypt::HashParts = hash.parse().map_err(|_| NotABcryptHash)?;
        // `$2x$` marks hashes of an implementation that handled bytes above 127 wrongly.
        if hash.starts_with("$2x$") || !BCRYPT_COSTS.contains(&parts.get_cost()) {
            return Err(NotABcryptHash);
        }
        Ok(Self(hash.to_owned()))
    }

    fn is_bcrypt(&self) -> bool {
        self.0.starts_with("$2")
    }

    /// Returns the text, for the table.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The bcrypt costs that are accepted. With a cost above 15, one comparison takes seconds.
const BCRYPT_COSTS: RangeInclusive<u32> = 4..=15;

/// The bcrypt cost of the hashes that are imported from the origin.
const LEGACY_COST: u32 = 12;

/// The error for a text that is not a bcrypt hash a login could compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a bcrypt hash ($2a$, $2b$, $2y$) with a cost from {} to {}", BCRYPT_COSTS.start(), BCRYPT_COSTS.end())]
pub struct NotABcryptHash;

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// The result of comparing a password with a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right, and its hash has today's parameters.
    Right,
    /// The password is right, but its hash has other parameters. The caller hashes the password again while it is
    /// known.
    RightButOutdated,
    /// The password is wrong.
    Wrong,
}

/// The reason why hashing or comparing failed: too little memory, a broken stored hash, or no randomness.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The stored text is not a PHC string.
    #[error("the stored password hash cannot be read: {0}")]
    Unreadable(#[from] phc::Error),
    /// The stored hash has an algorithm or parameters that are not argon2's.
    #[error("the stored password hash is not an argon2 hash: {0}")]
    NotArgon2(#[from] argon2::password_hash::Error),
    /// The stored hash starts like a bcrypt hash but is malformed.
    #[error("the stored password hash is not a bcrypt hash: {0}")]
    Bcrypt(#[from] bcrypt::BcryptError),
    /// argon2 refused the parameters, the lengths or the memory.
    #[error("argon2 failed: {0}")]
    Argon2(#[from] argon2::Error),
    /// The operating system returned no random bytes for a salt.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// An argon2id hasher with the parameters of the OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
///
/// It keeps its 19 MiB between calls, because faulting the pages in costs as much as a fifth of a hash.
pub struct Hasher {
    argon2: Argon2<'static>,
    memory: Mutex<Vec<Block>>,
    computed: AtomicUsize,
}

impl Hasher {
    /// The memory of one hash, in KiB.
    const MEMORY: u32 = 19_456;
    const PASSES: u32 = 2;
    const LANES: u32 = 1;

    /// Makes a hasher. It allocates its memory with the first hash or in [`Self::warmed`].
    pub fn new() -> Result<Self, HashError> {
        let params = Params::new(Self::MEMORY, Self::PASSES, Self::LANES, None)?;
        Ok(Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            memory: Mutex::default(),
            computed: AtomicUsize::new(0),
        })
    }

    /// Allocates the memory and touches every page, so that the first hash is as fast as the next.
    #[must_use]
    pub fn warmed(self) -> Self {
        let blocks = self.argon2.params().block_count();
        Self { memory: Mutex::new(vec![Block::default(); blocks]), ..self }
    }

    /// Returns the number of hashes computed so far. Tests use it to show that known and unknown phones cost the same
    /// work.
    pub fn computed(&self) -> usize {
        self.computed.load(Ordering::Relaxed)
    }

    /// Hashes a new password with a new salt of 16 bytes.
    pub fn hash(&self, password: &NewPassword) -> Result<PasswordHash, HashError> {
        self.hash_any(&password.0)
    }

    /// Hashes, with today's parameters, a password that a comparison has just found right.
    pub fn rehash(&self, password: &Password) -> Result<PasswordHash, HashError> {
        self.hash_any(password)
    }

    /// Compares a password with a stored hash in constant time. A bcrypt hash covers only the first 72 bytes of a
    /// password, as in the system that it was imported from.
    pub fn verify(&self, password: &Password, stored: &PasswordHash) -> Result<Verdict, HashError> {
        if stored.is_bcrypt() {
            let is_right = bcrypt::verify(password.as_bytes(), stored.as_str())?;
            self.computed.fetch_add(1, Ordering::Relaxed);
            return Ok(if is_right { Verdict::RightButOutdated } else { Verdict::Wrong });
        }
        let stored = phc::PasswordHash::new(stored.as_str())?;
        let params = Params::try_from(&stored)?;
        let algorithm = Algorithm::new(stored.algorithm)?;
        let version = stored.version.map_or(Ok(Version::V0x13), Version::try_from)?;
        let salt = stored.salt.ok_or(argon2::Error::SaltTooShort)?;
        let expected = stored.hash.ok_or(argon2::Error::OutputTooShort)?;

        let current = algorithm == Algorithm::Argon2id && version == Version::V0x13 && self.has_params(&params);
        let argon2 = Argon2::new(algorithm, version, params);
        let actual = self.compute(&argon2, password, &salt, expected.len())?;
        Ok(match (actual == expected, current) {
            (true, true) => Verdict::Right,
            (true, false) => Verdict::RightButOutdated,
            (false, _) => Verdict::Wrong,
        })
    }

    /// Compares a password like [`Self::verify`], and does the same work whether or not the phone has a hash. While any
    /// account may have a bcrypt hash of another system (`legacy`), every call computes a hash of both kinds.
    pub fn verify_alike(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
        legacy: bool,
    ) -> Result<Verdict, HashError> {
        let verdict = stored.map_or(Ok(Verdict::Wrong), |stored| self.verify(password, stored))?;
        let is_bcrypt = stored.map(PasswordHash::is_bcrypt);
        // The results from here on are discarded; only the work counts.
        if is_bcrypt.is_none() || (legacy && is_bcrypt == Some(true)) {
            let salt = Salt::new(b"nobody's own salt")?;
            self.compute(&self.argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN)?;
        }
        if legacy && is_bcrypt != Some(true) {
            bcrypt::hash_with_salt(password.as_bytes(), LEGACY_COST, *b"nobody's salt...")?;
            self.computed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(verdict)
    }

    fn has_params(&self, params: &Params) -> bool {
        let ours = self.argon2.params();
        (params.m_cost(), params.t_cost(), params.p_cost()) == (ours.m_cost(), ours.t_cost(), ours.p_cost())
    }

    fn hash_any(&self, password: &Password) -> Result<PasswordHash, HashError> {
        let salt = Salt::new(&random::bytes::<16>()?)?;
        let output = self.compute(&self.argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN)?;
        let phc = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(self.argon2.params())?,
            salt: Some(salt),
            hash: Some(output),
        };
        Ok(PasswordHash(phc.to_string()))
    }

    fn compute(
        &self,
        argon2: &Argon2<'_>,
        password: &Password,
        salt: &Salt,
        length: usize,
    ) -> Result<phc::Output, HashError> {
        let mut output = Zeroizing::new(vec![0; length]);
        let needed = argon2.params().block_count();
        let hash_with = |memory: &mut Vec<Block>, output: &mut [u8]| {
            if memory.len() < needed {
                memory.resize(needed, Block::default());
            }
            argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, memory)
        };
        // On Lambda one request runs at a time, so that the kept memory is always free. The dev server's parallel
        // requests allocate their own memory and do not wait.
        match self.memory.try_lock() {
            Ok(mut memory) => hash_with(&mut memory, &mut output)?,
            Err(TryLockError::Poisoned(poisoned)) => {
                hash_with(&mut poisoned.into_inner(), &mut output)?;
            }
            Err(TryLockError::WouldBlock) => hash_with(&mut Vec::new(), &mut output)?,
        }
        self.computed.fetch_add(1, Ordering::Relaxed);
        Ok(phc::Output::new(&output)?)
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::phone::PhoneRules;

    const RULES: PasswordRules = PasswordRules { min_length: 8, refuse_common: true };

    fn check(typed: &str, expected: Result<(), InvalidPassword>) {
        assert_eq!(RULES.parse(typed).map(|_| ()), expected);
    }

    #[test]
    fn the_origins_passwords_are_accepted() {
        for typed in ["mypassword", "newPass123", "newPass456"] {
            check(typed, Ok(()));
        }
    }

    #[test]
    fn length_is_counted_in_characters_and_nothing_is_cut() {
        check("", Err(InvalidPassword::Empty));
        check("sevench", Err(InvalidPassword::TooShort { minimum: 8 }));
        check("eightch!", Ok(()));
        check("🔑🔑🔑🔑🔑🔑🔑", Err(InvalidPassword::TooShort { minimum: 8 }));
        check("🔑🔑🔑🔑🔑🔑🔑🔑", Ok(()));
        check(&"🔑".repeat(64), Ok(()));
        check(&"x".repeat(128), Ok(()));
        check(&"x".repeat(129), Err(InvalidPassword::TooLong));
    }

    #[test]
    fn no_composition_is_asked_for() {
        for typed in ["qqqq wwww eeee rrrr", "كلمة السر الطويلة", "пароль подлиннее", "trailing space "]
        {
            check(typed, Ok(()));
        }
    }

    #[test]
    fn every_password_on_the_list_is_refused_in_any_case() {
        let common: Vec<_> = COMMON_PASSWORDS.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(common.len(), 3000);
        for typed in common {
            check(typed, Err(InvalidPassword::TooCommon));
        }
        check("PassWord", Err(InvalidPassword::TooCommon));
        check("Latchkey", Err(InvalidPassword::TooCommon));
        let lenient = PasswordRules { refuse_common: false, ..RULES };
        assert!(lenient.parse("password").is_ok());
        assert!(lenient.parse("latchkey").is_err());
    }

    #[test]
    fn the_own_phone_is_refused_in_every_form() {
        let phone = PhoneRules::new("EG".parse().unwrap(), None).parse("01012345678").unwrap();
        for typed in
            ["01012345678", "1012345678", "+201012345678", "00201012345678", "010-1234-5678", "+20 10 1234 5678"]
        {
            let refused = RULES.parse(typed).unwrap().not_the_phone(&phone).map(|_| ());
            assert_eq!(refused, Err(InvalidPassword::IsThePhone), "{typed}");
        }
        assert!(RULES.parse("01112345678").unwrap().not_the_phone(&phone).is_ok());
        // In Côte d'Ivoire, national significant numbers begin with a zero.
        let phone = PhoneRules::new("CI".parse().unwrap(), None).parse("0707070707").unwrap();
        for typed in ["0707070707", "+2250707070707"] {
            assert!(RULES.parse(typed).unwrap().not_the_phone(&phone).is_err(), "{typed}");
        }
    }

    #[test]
    fn control_characters_are_refused() {
        check("with\u{0}nulls", Err(InvalidPassword::ForbiddenCharacter));
        check("with\nnewline", Err(InvalidPassword::ForbiddenCharacter));
        // The middle dot has two spellings, of which the preparation turns one into the other.
        check("with a \u{b7} dot", Err(InvalidPassword::ForbiddenCharacter));
        check("with a \u{387} dot", Err(InvalidPassword::ForbiddenCharacter));
    }

    #[test]
    fn a_hash_is_a_phc_string_of_owasp_parameters_and_verifies_only_its_password() {
        let hasher = Hasher::new().unwrap();
        let hash = hasher.hash(&RULES.parse("newPass123").unwrap()).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let verdict = |typed: &str| hasher.verify(&Password::parse(typed).unwrap(), &hash).unwrap();
        assert_eq!(verdict("newPass123"), Verdict::Right);
        for wrong in ["newpass123", "newPass123 ", "newPass12", "NewPass123"] {
            assert_eq!(verdict(wrong), Verdict::Wrong);
        }
    }

    #[test]
    fn the_end_of_a_long_password_counts() {
        let hasher = Hasher::new().unwrap();
        let hash = hasher.hash(&RULES.parse(&format!("{}a", "x".repeat(80))).unwrap()).unwrap();
        let other = Password::parse(&format!("{}b", "x".repeat(80))).unwrap();
        assert_eq!(hasher.verify(&other, &hash).unwrap(), Verdict::Wrong);
    }

    #[test]
    fn composed_and_decomposed_forms_are_one_password() {
        let hasher = Hasher::new().unwrap();
        let hash = hasher.hash(&RULES.parse("\u{e9}clair au chocolat").unwrap()).unwrap();
        for typed in ["e\u{301}clair au chocolat", "\u{e9}clair\u{a0}au chocolat"] {
            assert_eq!(hasher.verify(&Password::parse(typed).unwrap(), &hash).unwrap(), Verdict::Right);
        }
    }

    #[test]
    fn a_hash_of_older_parameters_verifies_and_says_so() {
        let older = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let salt = Salt::new(&[7; 16]).unwrap();
        let mut output = [0; 32];
        older.hash_password_into(b"newPass123", &salt, &mut output).unwrap();
        let phc = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(19),
            params: ParamsString::try_from(older.params()).unwrap(),
            salt: Some(salt),
            hash: Some(phc::Output::new(&output).unwrap()),
        };
        let stored = PasswordHash::from_stored(phc.to_string());
        let hasher = Hasher::new().unwrap();
        let verdict = |typed: &str| hasher.verify(&Password::parse(typed).unwrap(), &stored).unwrap();
        assert_eq!(verdict("newPass123"), Verdict::RightButOutdated);
        assert_eq!(verdict("newPass124"), Verdict::Wrong);
    }

    /// The hashes of "newPass123" and of 80 times `x`, by Python's bcrypt with cost 4.
    const BCRYPT: &str = "$2b$04$eFgsmBJ1cJFp2NiJRGXvquBKZGc.qVEEe7xX0Qos5A8fPB/t3gk5.";
    const BCRYPT_OF_A_LONG_ONE: &str = "$2b$04$v1A9yubuzIkRLqAJCKEXjuUxBNvffFeyGrKDEKbF.w1UUfa4lFyhS";

    #[test]
    fn a_bcrypt_hash_of_another_system_verifies_and_says_that_it_is_outdated() {
        let hasher = Hasher::new().unwrap();
        let verdict = |typed: &str, stored: &str| {
            let stored = PasswordHash::from_bcrypt(stored).unwrap();
            hasher.verify(&Password::parse(typed).unwrap(), &stored).unwrap()
        };
        assert_eq!(verdict("newPass123", BCRYPT), Verdict::RightButOutdated);
        assert_eq!(verdict("newPass124", BCRYPT), Verdict::Wrong);
        // bcrypt compares only the first 72 bytes, until the login that replaces the hash.
        assert_eq!(verdict(&"x".repeat(100), BCRYPT_OF_A_LONG_ONE), Verdict::RightButOutdated);
        for wrong in [&BCRYPT[1..], &BCRYPT.replace("$2b$04$", "$2b$16$"), &BCRYPT.replace("$2b", "$2x"), "", "secret"]
        {
            assert_eq!(PasswordHash::from_bcrypt(wrong), Err(NotABcryptHash));
        }
    }

    #[test]
    fn whatever_hash_a_phone_has_or_none_the_work_is_the_same() {
        let hasher = Hasher::new().unwrap();
        let (password, bcrypt) = (Password::parse("newPass123").unwrap(), PasswordHash::from_bcrypt(BCRYPT).unwrap());
        let argon2 = hasher.rehash(&password).unwrap();
        let work = |stored: Option<&PasswordHash>, legacy| {
            let before = hasher.computed();
            let verdict = hasher.verify_alike(&password, stored, legacy).unwrap();
            (verdict, hasher.computed() - before)
        };
        assert_eq!(work(Some(&argon2), false), (Verdict::Right, 1));
        assert_eq!(work(None, false), (Verdict::Wrong, 1));
        assert_eq!(work(Some(&argon2), true), (Verdict::Right, 2));
        assert_eq!(work(Some(&bcrypt), true), (Verdict::RightButOutdated, 2));
        assert_eq!(work(None, true), (Verdict::Wrong, 2));
    }

    #[test]
    fn a_broken_stored_hash_is_an_error_and_not_a_wrong_password() {
        let hasher = Hasher::new().unwrap();
        for broken in ["", "plain", "$argon2id$v=19$m=19456,t=2,p=1$", "$md5$abc", "$2b$12$short"] {
            let stored = PasswordHash::from_stored(broken.to_owned());
            assert!(hasher.verify(&Password::parse("newPass123").unwrap(), &stored).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn nothing_prints_a_password_or_a_hash() {
        let hasher = Hasher::new().unwrap();
        let password = RULES.parse("newPass123").unwrap();
        let hash = hasher.hash(&password).unwrap();
        let printed = format!("{password:?} {hash:?} {hasher:?}");
        assert_eq!(printed, "NewPassword(Password) PasswordHash Hasher");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused_but_never_panics(typed in any::<String>()) {
            let _ = RULES.parse(&typed);
        }

        #[test]
        fn preparing_a_prepared_password_changes_nothing(typed in "\\PC{1,40}") {
            if let Ok(once) = Password::parse(&typed) {
                let twice = Password::parse(&once.0).unwrap();
                prop_assert_eq!(once.as_bytes(), twice.as_bytes());
            }
        }
    }
}
