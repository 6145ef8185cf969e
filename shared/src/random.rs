//! Randomness, always the operating system's.

use ring::rand::{SecureRandom, SystemRandom};

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random generator failed")]
pub struct RandomError;

/// `N` random bytes from the operating system.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

/// A number below `bound`, each equally likely.
///
/// Draws that fall into the incomplete last multiple of `bound` are thrown away: a plain remainder would favour small
/// numbers.
pub fn below(bound: u32) -> Result<u32, RandomError> {
    let complete = u32::MAX - u32::MAX % bound;
    loop {
        let drawn = u32::from_be_bytes(bytes()?);
        if drawn < complete {
            return Ok(drawn % bound);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_is_drawn_about_as_often() {
        let mut counts = [0_u32; 10];
        for _ in 0..20_000 {
            counts[below(10).unwrap() as usize] += 1;
        }
        // 2,000 expected; the standard deviation is 42, so seven of them never happen by chance.
        assert!(counts.iter().all(|count| (1_700..2_300).contains(count)), "{counts:?}");
    }
}
