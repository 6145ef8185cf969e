//! Randomness. `rand` reads it from the operating system, without a generator in our own process.

use std::convert::Infallible;

use rand::{
    RngExt, TryRng,
    rngs::{SysError, SysRng},
};

/// The error for an operating system that returned no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random generator failed")]
pub struct RandomError;

impl From<SysError> for RandomError {
    fn from(_: SysError) -> Self {
        Self
    }
}

/// Returns `N` random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(bytes)
}

/// Returns a number below `bound`, each equally likely (`rand`'s feature `unbiased`). `bound` must not be 0.
pub fn below(bound: u32) -> Result<u32, RandomError> {
    let mut draw = Draw { failed: false };
    let number = draw.random_range(0..bound);
    if draw.failed { Err(RandomError) } else { Ok(number) }
}

/// The operating system's generator for `rand`'s ranges, which require a generator that cannot fail. It remembers
/// whether it failed.
struct Draw {
    failed: bool,
}

impl Draw {
    fn or_remember<T: Default>(&mut self, drawn: Result<T, SysError>) -> T {
        drawn.unwrap_or_else(|_| {
            self.failed = true;
            T::default()
        })
    }
}

impl TryRng for Draw {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.or_remember(SysRng.try_next_u32()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.or_remember(SysRng.try_next_u64()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.or_remember(SysRng.try_fill_bytes(bytes));
        Ok(())
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
        // Each digit is expected 2,000 times. The standard deviation is 42, and a difference of seven of them does not
        // happen by chance.
        assert!(counts.iter().all(|count| (1_700..2_300).contains(count)), "{counts:?}");
    }

    #[test]
    fn no_two_draws_are_the_same_bytes() {
        assert_ne!(bytes::<32>().unwrap(), bytes::<32>().unwrap());
    }
}
