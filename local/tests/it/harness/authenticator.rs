//! An authenticator app, as RFC 6238 describes it and independent of our own implementation.

use local::clock::Clock;
use ring::hmac;

/// One entry of the app. Its time is that of the world.
#[derive(Clone)]
pub(crate) struct Authenticator {
    key: hmac::Key,
    clock: Clock,
}

impl Authenticator {
    /// One that was told this secret.
    pub(super) fn new(secret: &str, clock: Clock) -> Self {
        let secret = base32::decode(base32::Alphabet::Rfc4648 { padding: false }, secret).unwrap();
        assert_eq!(secret.len(), 20, "160 bits");
        Self { key: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret), clock }
    }

    /// The same entry in an app that goes by another clock.
    pub(super) fn by(&self, clock: Clock) -> Self {
        Self { clock, ..self.clone() }
    }

    /// The code that it shows now.
    pub(crate) fn code(&self) -> String {
        self.code_when_off_by(0)
    }

    /// The code that it shows now on a phone whose clock is so many seconds ahead of ours, or behind if negative.
    pub(crate) fn code_when_off_by(&self, seconds: i64) -> String {
        let step = self.clock.now().unix_seconds().checked_add_signed(seconds).unwrap() / 30;
        let tag = hmac::sign(&self.key, &step.to_be_bytes());
        let offset = usize::from(tag.as_ref()[19] & 0xf);
        let number = u32::from_be_bytes(tag.as_ref()[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

/// A code that is not this one.
pub(crate) fn another_code(code: &str) -> String {
    let number: u32 = code.parse().unwrap();
    format!("{:06}", (number + 1) % 1_000_000)
}
