//! Puzzles: proof of work that a client does before it is sent a message, while strangers flood us with requests
//! (docs/adr/0055-proofs-before-messages.md). A puzzle is bound to one phone, so each number costs the work anew, and nothing is
//! stored for it.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{digest, hmac};

use crate::{
    base::{
        kid::{Kid, Versioned},
        time::Timestamp,
    },
    domain::phone::Phone,
};

/// The time that a client has for a puzzle, and to repeat its request.
pub const LIFETIME: Duration = Duration::from_mins(5);

/// The greatest length of a solution, in bytes: a puzzle, a dot, and a counter with room to spare.
const MAX_LENGTH: usize = 128;

/// The version of the format, a puzzle's first byte.
const VERSION: u8 = 1;
/// The length of what the code authenticates, in bytes: version, key, bits and end.
const HEAD: usize = 3 + 8;

/// A puzzle's text, as clients get it. It is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Puzzle(String);

impl Puzzle {
    /// Makes the puzzle of this phone, of 2^bits hashes on average.
    pub fn new(key: &Versioned<hmac::Key>, phone: &Phone, bits: u8, now: Timestamp) -> Self {
        let ends_at = now.plus(LIFETIME).unix_seconds().to_be_bytes();
        let head = [&[VERSION, key.kid.as_byte(), bits][..], &ends_at].concat();
        let tag = hmac::sign(&key.key, &message(&head, phone));
        Self(BASE64_URL_SAFE_NO_PAD.encode([&head[..], tag.as_ref()].concat()))
    }

    /// Returns a puzzle as the description of the API shows it.
    pub fn example() -> Self {
        Self("AQEQAAAAAGtJ0gCW9nPvNqgkHhmS3oJUIqvVdyqGgJe7jn1Lw0ZkP3yq".to_owned())
    }

    /// Returns the puzzle's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A solution, as a client sends it: the puzzle, a dot, and any text that makes the hash of the whole small.
#[derive(Clone, Copy, Debug)]
pub struct Solution<'a> {
    text: &'a str,
    kid: Kid,
    bits: u8,
}

impl<'a> Solution<'a> {
    /// Reads a solution, and checks the work that was done. It is not verified that we made the puzzle.
    pub fn read(text: &'a str) -> Option<Self> {
        let (puzzle, _) = text.split_once('.').filter(|_| text.len() <= MAX_LENGTH)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(puzzle).ok()?;
        let [VERSION, kid, bits, ..] = *bytes.as_slice() else { return None };
        let solution = Self { text, kid: Kid::from_byte(kid)?, bits };
        (leading_zeros(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()) >= u32::from(bits))
            .then_some(solution)
    }

    /// Returns the version of the key that the puzzle names.
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// Returns whether the puzzle is one that we made for this phone, has not ended, and was not easier than `bits`.
    pub fn solves(&self, key: &Versioned<hmac::Key>, phone: &Phone, bits: u8, now: Timestamp) -> bool {
        let puzzle = self.text.split_once('.').and_then(|(puzzle, _)| BASE64_URL_SAFE_NO_PAD.decode(puzzle).ok());
        let Some(bytes) = puzzle else { return false };
        let Some((head, tag)) = bytes.split_first_chunk::<HEAD>() else { return false };
        let [_, _, _, ends_at @ ..] = *head;
        hmac::verify(&key.key, &message(head, phone), tag).is_ok()
            && key.kid == self.kid
            && self.bits >= bits
            && now.unix_seconds() < u64::from_be_bytes(ends_at)
    }
}

/// Returns the message that a puzzle's code authenticates. Its length tells where the phone begins.
fn message(head: &[u8], phone: &Phone) -> Vec<u8> {
    [b"puzzle v1\0", head, phone.as_e164().as_bytes()].concat()
}

/// Returns the number of zero bits before the first other one.
fn leading_zeros(hash: &[u8]) -> u32 {
    let whole = hash.iter().take_while(|byte| **byte == 0).count();
    let rest = hash.get(whole).map_or(0, |byte| byte.leading_zeros());
    u32::try_from(whole).unwrap_or(u32::MAX).saturating_mul(8).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn key(version: u8) -> Versioned<hmac::Key> {
        Versioned { kid: Kid::from_byte(version).unwrap(), key: hmac::Key::new(hmac::HMAC_SHA256, &[version % 2; 32]) }
    }

    fn phone(e164: &str) -> Phone {
        Phone::from_stored(e164).unwrap()
    }

    fn solved(puzzle: &Puzzle) -> String {
        (0..u32::MAX).map(|at| format!("{}.{at}", puzzle.as_str())).find(|text| Solution::read(text).is_some()).unwrap()
    }

    #[test]
    fn a_puzzle_is_solved_for_its_phone_its_key_and_its_time() {
        let (own, other) = (phone("+201012345678"), phone("+201112345678"));
        let text = solved(&Puzzle::new(&key(1), &own, 8, NOW));
        let solution = Solution::read(&text).unwrap();
        assert_eq!(solution.kid(), key(1).kid);
        assert!(solution.solves(&key(1), &own, 8, NOW));
        assert!(solution.solves(&key(1), &own, 7, NOW), "a harder one than is asked for by now");
        assert!(!solution.solves(&key(1), &own, 9, NOW));
        assert!(!solution.solves(&key(1), &other, 8, NOW));
        assert!(!solution.solves(&key(2), &own, 8, NOW));
        assert!(!solution.solves(&key(3), &own, 8, NOW), "the same key under another version");
        assert!(solution.solves(&key(1), &own, 8, NOW.plus(Duration::from_secs(299))));
        assert!(!solution.solves(&key(1), &own, 8, NOW.plus(LIFETIME)));
    }

    #[test]
    fn a_puzzle_that_was_made_easier_is_none_of_ours() {
        let own = phone("+201012345678");
        let text = solved(&Puzzle::new(&key(1), &own, 0, NOW));
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text.split_once('.').unwrap().0).unwrap();
        bytes[2] = 1;
        let forged = solved(&Puzzle(BASE64_URL_SAFE_NO_PAD.encode(bytes)));
        assert!(!Solution::read(&forged).unwrap().solves(&key(1), &own, 1, NOW));
    }

    #[test]
    fn the_work_is_counted_in_bits() {
        for (hash, bits) in [(&[0xff_u8, 0][..], 0), (&[0x7f, 0], 1), (&[0, 0xff], 8), (&[0, 0x10], 11), (&[0, 0], 16)]
        {
            assert_eq!(leading_zeros(hash), bits);
        }
        let puzzle = Puzzle::new(&key(1), &phone("+201012345678"), 10, NOW);
        let wrong = (0..64).filter(|at| Solution::read(&format!("{}.{at}", puzzle.as_str())).is_some()).count();
        assert!(wrong < 8, "one of 1,024 is right");
        assert!(Solution::read(puzzle.as_str()).is_none(), "no dot");
    }

    proptest! {
        #[test]
        fn any_text_is_refused_and_never_panics(text in any::<String>()) {
            if let Some(solution) = Solution::read(&text) {
                prop_assert!(!solution.solves(&key(1), &phone("+201012345678"), 0, NOW));
            }
        }
    }
}
