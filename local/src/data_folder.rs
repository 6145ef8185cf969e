//! Where the dev server keeps everything: the database, its keys, and the environment and the routes for the real binaries.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::{
    emulator::{Emulator, EmulatorError},
    secrets::{self, Secrets, SecretsError},
    server,
    template::{Function, Route, Template},
};

/// A folder that is ours as long as this lives.
pub struct DataFolder {
    path: PathBuf,
    // Unlocked when it is closed, however the process ends.
    _lock: File,
}

/// The folder cannot be used. Each is one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// It cannot be made or written.
    #[error("cannot keep data in {path}: {source}; choose another folder with --data, or --memory")]
    Unusable {
        /// Which folder.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Another dev server has it.
    #[error("{0} is in use by another `cargo run`; stop that, or choose another folder with --data, or --memory")]
    InUse(String),
    /// Its secrets cannot be used.
    #[error("cannot use {path}: {source}")]
    Secrets {
        /// Which file.
        path: String,
        /// Why.
        source: SecretsError,
    },
    /// Its database cannot be used. What the library says names its own features, which are not ours.
    #[error("{path} is not a database that can be read here; remove it to start with an empty one")]
    Database {
        /// Which file.
        path: String,
        /// Why.
        source: EmulatorError,
    },
}

impl DataFolder {
    /// Takes the folder, making it if need be.
    pub fn open(path: &Path) -> Result<Self, DataFolderError> {
        let name = path.display().to_string();
        let unusable = |source| DataFolderError::Unusable { path: name.clone(), source };
        create_private(path).map_err(unusable)?;
        let lock = File::create(path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataFolderError::InUse(name)),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// The table and the secrets that are kept here; an empty one and new ones the first time.
    pub fn emulator(&self, template: &Template) -> Result<Emulator, DataFolderError> {
        let path = self.path.join("secrets.json");
        let secrets = Secrets::in_file(&path, template)
            .map_err(|source| DataFolderError::Secrets { path: path.display().to_string(), source })?;
        let path = self.path.join("dynamodb.sqlite");
        let emulator = Emulator::in_file(&path, &template.table, secrets);
        emulator.map_err(|source| DataFolderError::Database { path: path.display().to_string(), source })
    }

    /// Writes the environment in which the real binaries share this data: for `cargo lambda watch --env-file`. The access
    /// key opens the secrets.
    pub fn write_function_environment(
        &self,
        template: &Template,
        overrides: &HashMap<String, String>,
        url: &str,
        access_key: &str,
    ) -> Result<(), DataFolderError> {
        let mut variables: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in template.functions.iter().flat_map(|function| &function.environment) {
            variables.insert(name, value);
        }
        variables.extend(overrides.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let dynamodb = format!("{url}{}", server::DYNAMODB_PATH);
        let secrets_manager = format!("{url}{}", server::SECRETS_MANAGER_PATH);
        variables.extend([
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.as_str()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets_manager.as_str()),
            ("AWS_REGION", "local"),
            ("AWS_DEFAULT_REGION", "local"),
            ("AWS_ACCESS_KEY_ID", access_key),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ]);
        let mut lines = String::new();
        for (name, value) in variables {
            // In quotes, for the shell and for cargo-lambda alike; no value of ours has a quote in it.
            lines.extend([name, "=\"", value, "\"\n"]);
        }
        self.write("lambda.env", &lines)
    }

    /// Writes the template's routes as cargo-lambda reads them: for `cargo lambda watch --global`.
    pub fn write_watch_routes(&self, template: &Template) -> Result<(), DataFolderError> {
        self.write("lambda.toml", &watch_routes(template))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), DataFolderError> {
        secrets::write_private(&self.path.join(name), text.as_bytes())
            .map_err(|source| DataFolderError::Unusable { path: self.path.display().to_string(), source })
    }
}

/// The template's routes, in the words of cargo-lambda's configuration: by path, the function of each method.
pub fn watch_routes(template: &Template) -> String {
    let mut paths: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Function { name, routes, .. } in &template.functions {
        for Route { method, path } in routes {
            paths.entry(path).or_default().push(format!("{{ method = {method:?}, function = {name:?} }}"));
        }
    }
    let mut text = "[watch.router]\n".to_owned();
    for (path, functions) in paths {
        let _ = writeln!(text, "{path:?} = [{}]", functions.join(", "));
    }
    text
}

/// Makes a folder that only its owner can look into; one that is there stays as it is.
fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_for_one_at_a_time_and_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let first = DataFolder::open(&path).unwrap();
        assert!(matches!(DataFolder::open(&path), Err(DataFolderError::InUse(_))));
        drop(first);
        assert!(DataFolder::open(&path).is_ok());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }
}
