//! Secrets of a user in the form that is stored: encrypted under a key that is not in the table.

use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use zeroize::Zeroizing;

use crate::base::{
    id::UserId,
    kid::{Kid, Versioned},
    random::{self, RandomError},
};

/// The version of the sealed form, its first byte. Version 1 did not name its key.
const VERSION: u8 = 2;

/// The reason why a secret could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The operating system returned no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The encryption failed.
    #[error("the secret of the second factor could not be encrypted")]
    Cipher,
}

/// The error for a stored secret that was sealed under another key or for another user, or was altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret of the second factor cannot be decrypted: was the secret of SECRET_KEY_ARN changed?")]
pub struct UnreadableSecret;

/// Encrypts a secret with AES-256-GCM. The result is bound to its use, to the user and to the version of the key, so that
/// it cannot be decrypted as another secret or in another user's item.
pub(super) fn seal(
    secret: &[u8],
    usage: &[u8],
    key: &Versioned<LessSafeKey>,
    user: UserId,
) -> Result<Vec<u8>, SealError> {
    let nonce = random::bytes::<NONCE_LEN>()?;
    let mut text = secret.to_vec();
    let bound = Aad::from(associated(usage, key.kid, user));
    key.key
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut text)
        .map_err(|_| SealError::Cipher)?;
    Ok([&[VERSION, key.kid.as_byte()][..], &nonce, &text].concat())
}

/// Returns the version of the key that a secret is sealed with.
pub(super) fn kid_of(sealed: &[u8]) -> Result<Kid, UnreadableSecret> {
    match sealed {
        [VERSION, kid, ..] => Kid::from_byte(*kid).ok_or(UnreadableSecret),
        _ => Err(UnreadableSecret),
    }
}

/// Decrypts a secret.
pub(super) fn open<const N: usize>(
    sealed: &[u8],
    usage: &[u8],
    key: &Versioned<LessSafeKey>,
    user: UserId,
) -> Result<Zeroizing<[u8; N]>, UnreadableSecret> {
    let kid = kid_of(sealed)?;
    let (_, rest) = sealed.split_first_chunk::<2>().ok_or(UnreadableSecret)?;
    let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(UnreadableSecret)?;
    let mut text = Zeroizing::new(text.to_vec());
    let (nonce, bound) = (Nonce::assume_unique_for_key(*nonce), Aad::from(associated(usage, kid, user)));
    let secret = key.key.open_in_place(nonce, bound, &mut text).map_err(|_| UnreadableSecret)?;
    <[u8; N]>::try_from(&*secret).map(Zeroizing::new).map_err(|_| UnreadableSecret)
}

/// Returns the associated data that binds a sealed secret to its use, the version of its key, and its user.
fn associated(usage: &[u8], kid: Kid, user: UserId) -> Vec<u8> {
    [usage, &[kid.as_byte()], user.as_bytes()].concat()
}
