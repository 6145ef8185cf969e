//! The dev server's own secret and signing key: made at the first start, kept beside the data, so that tokens and codes
//! outlive a restart as the accounts do. On AWS they come from Secrets Manager, where `new-keys` puts them.

use std::{fs, io, io::Write, path::Path};

use serde::{Deserialize, Serialize};
use shared::{
    keys::{Secret, SigningKey},
    random::RandomError,
};

/// `SECRET_KEY` and `SIGNING_KEY`; the members are named as in the secret on AWS.
#[derive(Serialize, Deserialize)]
pub struct DevKeys {
    /// `SECRET_KEY`.
    pub secret_key: String,
    /// `SIGNING_KEY`.
    pub signing_key: String,
}

/// The keys cannot be made, read or kept.
#[derive(Debug, thiserror::Error)]
pub enum DevKeysError {
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file is not as we write it.
    #[error("it is not as the dev server writes it ({0}); remove it to get new keys")]
    Malformed(#[from] serde_json::Error),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl DevKeys {
    /// New ones.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self {
            secret_key: Secret::generate_base64()?.to_string(),
            signing_key: SigningKey::generate_base64()?.to_string(),
        })
    }

    /// Those in the file; new ones, kept there, when there is none.
    pub fn load_or_create(path: &Path) -> Result<Self, DevKeysError> {
        match fs::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let keys = Self::generate()?;
                write_private(path, &serde_json::to_vec_pretty(&keys)?)?;
                Ok(keys)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let first = DevKeys::load_or_create(&path).unwrap();
        let second = DevKeys::load_or_create(&path).unwrap();
        assert!(first.secret_key == second.secret_key && first.signing_key == second.signing_key);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_broken_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        fs::write(&path, "{").unwrap();
        assert!(matches!(DevKeys::load_or_create(&path), Err(DevKeysError::Malformed(_))));
        assert_eq!(fs::read(&path).unwrap(), b"{");
    }
}
