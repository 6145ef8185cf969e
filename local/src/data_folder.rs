//! The folder of the dev server's data: the database, its keys, and the environment and routes for the real binaries.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use serde_json::json;
use uuid::Uuid;

use crate::{
    emulator::{Emulator, EmulatorError},
    secrets::{self, Secrets, SecretsError},
    server,
    template::{Function, Route, Template},
};

/// A folder that this process has locked, until this value is dropped.
pub struct DataFolder {
    path: PathBuf,
    /// Whether the folder is deleted with this value.
    is_temporary: bool,
    // Closing the file unlocks it, however the process ends.
    _lock: File,
}

/// A reason for which the folder cannot be used. Each message is one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// The folder cannot be created or written.
    #[error("cannot keep data in {path}: {source}; choose another folder with --data, or --memory")]
    Unusable {
        /// The folder.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// Another dev server uses the folder.
    #[error("{0} is in use by another `cargo run`; stop it, or choose another folder with --data, or --memory")]
    InUse(String),
    /// The secrets in the folder cannot be used.
    #[error("cannot use {path}: {source}")]
    Secrets {
        /// The file.
        path: String,
        /// The cause.
        source: SecretsError,
    },
    /// The database in the folder cannot be used. The message leaves the cause out, because the library's text names
    /// features of its own that we do not have.
    #[error("{path} is not a database that can be read here; remove it to start with an empty one")]
    Database {
        /// The file.
        path: String,
        /// The cause.
        source: EmulatorError,
    },
}

impl DataFolder {
    /// Locks the folder, and creates it if needed.
    pub fn open(path: &Path) -> Result<Self, DataFolderError> {
        let name = path.display().to_string();
        let unusable = |source| DataFolderError::Unusable { path: name.clone(), source };
        create_private(path).map_err(unusable)?;
        let lock = open_private(&path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), is_temporary: false, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataFolderError::InUse(name)),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// Creates a folder for the environment of a server that keeps nothing. It is deleted with this value.
    pub fn temporary() -> Result<Self, DataFolderError> {
        // A name that nobody can have taken before, because other users of the machine write here.
        let path = std::env::temp_dir().join(format!("latchkey-{}", Uuid::new_v4().simple()));
        let mut folder = Self::open(&path)?;
        folder.is_temporary = true;
        Ok(folder)
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the table and the secrets of this folder. The first time, creates an empty table and new secrets.
    pub fn emulator(&self, template: &Template) -> Result<Emulator, DataFolderError> {
        let path = self.path.join("secrets.json");
        let secrets = Secrets::in_file(&path, template)
            .map_err(|source| DataFolderError::Secrets { path: path.display().to_string(), source })?;
        let path = self.path.join(DATABASE);
        // SQLite gives its other files the mode of this one, and takes an empty file for a new database.
        open_private(&path)
            .map_err(|source| DataFolderError::Unusable { path: self.path.display().to_string(), source })?;
        let emulator = Emulator::in_file(&path, &template.table, secrets);
        emulator.map_err(|source| DataFolderError::Database { path: path.display().to_string(), source })
    }

    /// Writes the environment in which the real binaries share this data, for `cargo lambda watch --env-file` and, as it
    /// is seen in a container, for `sam local --env-vars`. The access key gives access to the table and the secrets.
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
        // Their events name a host without its port, which would be another issuer.
        variables.insert("JWT_ISSUER", url);
        variables.extend(overrides.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let dynamodb = format!("{url}{}", server::DYNAMODB_PATH);
        let secrets_manager = format!("{url}{}", server::SECRETS_MANAGER_PATH);
        variables.extend([
            (ENDPOINTS[0], dynamodb.as_str()),
            (ENDPOINTS[1], secrets_manager.as_str()),
            ("AWS_REGION", "local"),
            ("AWS_DEFAULT_REGION", "local"),
            ("AWS_ACCESS_KEY_ID", access_key),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ]);
        // SAM passes on the variables that the template declares, to every function that declares them, and takes the
        // credentials and the region from its own environment.
        let port = url.rsplit(':').next().unwrap_or_default();
        let from_container = |path: &str| format!("http://host.docker.internal:{port}{path}");
        let endpoints = [from_container(server::DYNAMODB_PATH), from_container(server::SECRETS_MANAGER_PATH)];
        let mut declared = variables.clone();
        declared.retain(|name, _| template.functions.iter().any(|function| function.environment.contains_key(*name)));
        declared.extend(ENDPOINTS.into_iter().zip(endpoints.iter().map(String::as_str)));
        self.write("lambda.json", &format!("{:#}\n", json!({"Parameters": declared})))?;
        let mut lines = String::new();
        for (name, value) in variables {
            lines.extend([name, "=\"", &in_quotes(value), "\"\n"]);
        }
        self.write("lambda.env", &lines)
    }

    /// Writes the template's routes as cargo-lambda reads them, for `cargo lambda watch --global`.
    pub fn write_watch_routes(&self, template: &Template) -> Result<(), DataFolderError> {
        self.write("lambda.toml", &watch_routes(template))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), DataFolderError> {
        secrets::write_private(&self.path.join(name), text.as_bytes())
            .map_err(|source| DataFolderError::Unusable { path: self.path.display().to_string(), source })
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        if self.is_temporary {
            // If this fails, what is left is the access key of a server that is gone.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Returns a value as it stands between double quotes, for the shell as well as for cargo-lambda.
fn in_quotes(value: &str) -> String {
    let special = |character| matches!(character, '"' | '\\' | '$' | '`');
    value.chars().flat_map(|one| special(one).then_some('\\').into_iter().chain([one])).collect()
}

/// Returns the template's routes as cargo-lambda's configuration: for each path, the function of each method.
pub fn watch_routes(template: &Template) -> String {
    let mut paths: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for function in &template.functions {
        let Function { name, routes, .. } = &**function;
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

/// The database's file. The table holds password hashes, and the codes' phones.
const DATABASE: &str = "dynamodb.sqlite";

/// The variables with the addresses of the table and the secrets.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER"];

/// Every file that this module and SQLite keep in the folder.
const FILES: [&str; 8] = [
    "lock",
    DATABASE,
    "dynamodb.sqlite-wal",
    "dynamodb.sqlite-shm",
    "secrets.json",
    "lambda.env",
    "lambda.json",
    "lambda.toml",
];

/// Creates a folder that only its owner can open. An existing folder of ours, or an empty one, becomes such a folder. One
/// that has other files in it keeps its mode, because others may need them; then each of our files is its owner's alone.
fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    let mut is_ours = true;
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        is_ours &= name.to_str().is_some_and(|name| FILES.contains(&name));
    }
    if is_ours {
        restrict(path, 0o700)?;
    }
    for file in FILES.map(|name| path.join(name)) {
        if file.is_file() {
            restrict(&file, 0o600)?;
        }
    }
    Ok(())
}

/// Opens a file for writing, without changing what it holds. Creates it for its owner alone.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Sets the mode of a file or a folder, where there are modes.
fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    #[cfg(not(unix))]
    let _ = (path, mode);
    Ok(())
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
