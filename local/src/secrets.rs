//! Emulates Secrets Manager in this process: secrets with versions and labels, kept in a file that only its owner can
//! read, or in memory. It covers the operations that rotation needs, as the API reference describes them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use latchkey::base::{
    random::{self, RandomError},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::template::{GeneratedSecret, Template};

// Secrets Manager's labels.
const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";
const PREVIOUS: &str = "AWSPREVIOUS";

/// The template's secrets.
#[derive(Clone)]
pub struct Secrets {
    secrets: Arc<Mutex<BTreeMap<String, Secret>>>,
    file: Option<PathBuf>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Secret {
    versions: BTreeMap<String, Version>,
    /// The time when the last rotation was finished, in Unix seconds.
    #[serde(default)]
    rotated_at: Option<u64>,
    /// A value that is read instead while the process runs, and that is never stored.
    #[serde(skip)]
    lent: Option<String>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Version {
    /// The value; `None` while a rotation has only announced the version.
    value: Option<String>,
    labels: BTreeSet<String>,
}

/// A reason for which the secrets cannot be created, read or stored.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file is not in our format. The message does not repeat its contents.
    #[error("it is not in the dev server's format (line {0}); remove it to get new keys")]
    Malformed(usize),
    /// The system provided no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// An error of Secrets Manager: its code and its message.
type Refusal = (&'static str, String);

impl Secrets {
    /// Creates new secrets, which are lost when the process ends.
    pub fn in_memory(template: &Template) -> Result<Self, SecretsError> {
        Self::with(BTreeMap::new(), None, template)
    }

    /// Reads the secrets from the file. If it does not exist, creates new secrets and stores them there.
    pub fn in_file(path: &Path, template: &Template) -> Result<Self, SecretsError> {
        let secrets = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| SecretsError::Malformed(error.line()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error.into()),
        };
        Self::with(secrets, Some(path.to_owned()), template)
    }

    fn with(
        mut secrets: BTreeMap<String, Secret>,
        file: Option<PathBuf>,
        template: &Template,
    ) -> Result<Self, SecretsError> {
        for secret in &template.secrets {
            if !secrets.contains_key(&secret.name) {
                let version = Version { value: Some(generate(secret)?), labels: [CURRENT.to_owned()].into() };
                let versions = [(Uuid::new_v4().to_string(), version)].into();
                secrets.insert(secret.name.clone(), Secret { versions, rotated_at: None, lent: None });
            }
        }
        let secrets = Self { secrets: Arc::new(Mutex::new(secrets)), file };
        secrets.keep(&secrets.lock())?;
        Ok(secrets)
    }

    /// Returns the same secrets in memory, which change by themselves from now on.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { secrets: Arc::new(Mutex::new(self.lock().clone())), file: None }
    }

    /// Makes functions read this value of a secret while the process runs.
    pub fn lend(&self, name: &str, value: String) {
        if let Some(secret) = self.lock().get_mut(name) {
            secret.lent = Some(value);
        }
    }

    /// Returns the current value that is stored, without a lent one.
    pub fn current_value(&self, name: &str) -> Option<String> {
        let secrets = self.lock();
        let versions = secrets.get(name)?.versions.values();
        versions.into_iter().find(|version| version.labels.contains(CURRENT))?.value.clone()
    }

    /// Returns the time when the last rotation was finished.
    pub fn rotated_at(&self, name: &str) -> Option<Timestamp> {
        self.lock().get(name)?.rotated_at.map(Timestamp::from_unix_seconds)
    }

    /// Announces a rotation, as `RotateSecret` does, and returns its token. An unfinished rotation continues instead.
    pub fn begin_rotation(&self, name: &str) -> Result<String, SecretsError> {
        let mut secrets = self.lock();
        let Some(secret) = secrets.get_mut(name) else { return Ok(String::new()) };
        if let Some(token) = secret.pending() {
            return Ok(token);
        }
        // The last rotation left its label on its version.
        if let Some(done) = secret.holder(PENDING).and_then(|id| secret.versions.get_mut(&id)) {
            done.labels.remove(PENDING);
        }
        let token = Uuid::new_v4().to_string();
        secret.versions.insert(token.clone(), Version { value: None, labels: [PENDING.to_owned()].into() });
        self.keep(&secrets)?;
        Ok(token)
    }

    /// Stores the time when a rotation was finished.
    pub fn end_rotation(&self, name: &str, now: Timestamp) -> Result<(), SecretsError> {
        let mut secrets = self.lock();
        if let Some(secret) = secrets.get_mut(name) {
            secret.rotated_at = Some(now.unix_seconds());
        }
        self.keep(&secrets)
    }

    /// Runs one operation of Secrets Manager's JSON protocol. Returns the status and the body.
    pub fn answer(&self, operation: &str, body: &str) -> (u16, String) {
        let request: Value = serde_json::from_str(body).unwrap_or_default();
        match self.call(operation, &request) {
            Ok(answer) => (200, answer.to_string()),
            Err((code, message)) => (400, json!({"__type": code, "Message": message}).to_string()),
        }
    }

    fn call(&self, operation: &str, request: &Value) -> Result<Value, Refusal> {
        let text = |member: &str| request.get(member).and_then(Value::as_str);
        let name = text("SecretId").unwrap_or_default();
        let mut secrets = self.lock();
        let secret = secrets.get_mut(name);
        let secret = secret.ok_or_else(|| ("ResourceNotFoundException", format!("there is no secret {name}")))?;
        let answer = match operation {
            "GetSecretValue" => secret.get(name, text("VersionId"), text("VersionStage")),
            "DescribeSecret" => Ok(secret.describe(name)),
            "PutSecretValue" => {
                let labels = request.get("VersionStages").and_then(Value::as_array);
                let labels = labels.map(|labels| labels.iter().filter_map(Value::as_str).map(str::to_owned).collect());
                let token = text("ClientRequestToken").unwrap_or_default();
                let labels = labels.unwrap_or([CURRENT.to_owned()].into());
                secret.put(token, text("SecretString"), &labels)?;
                Ok(json!({"ARN": name, "Name": name, "VersionId": token, "VersionStages": labels}))
            }
            "UpdateSecretVersionStage" => {
                let label = text("VersionStage").unwrap_or_default();
                secret.move_label(label, text("RemoveFromVersionId"), text("MoveToVersionId"))?;
                Ok(json!({"ARN": name, "Name": name}))
            }
            other => Err(("InvalidRequestException", format!("{other} is not emulated"))),
        }?;
        self.keep(&secrets).map_err(|error| ("InternalServiceError", error.to_string()))?;
        Ok(answer)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Secret>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, secrets: &BTreeMap<String, Secret>) -> Result<(), SecretsError> {
        let Some(path) = &self.file else { return Ok(()) };
        let text = serde_json::to_vec_pretty(secrets).map_err(io::Error::from)?;
        Ok(write_private(path, &text)?)
    }
}

impl Secret {
    fn pending(&self) -> Option<String> {
        let is_pending = |version: &Version| version.labels.contains(PENDING) && !version.labels.contains(CURRENT);
        self.versions.iter().find(|(_, version)| is_pending(version)).map(|(token, _)| token.clone())
    }

    fn get(&self, name: &str, version: Option<&str>, label: Option<&str>) -> Result<Value, Refusal> {
        let label = label.or(if version.is_some() { None } else { Some(CURRENT) });
        let found = self.versions.iter().find(|(id, found)| {
            version.is_none_or(|wanted| wanted == id.as_str()) && label.is_none_or(|label| found.labels.contains(label))
        });
        let found = found.and_then(|(id, version)| Some((id, version.value.as_ref()?, &version.labels)));
        let found = found.map(|(id, value, labels)| (id, self.lent.as_ref().unwrap_or(value), labels));
        let (id, value, labels) = found.ok_or_else(|| {
            ("ResourceNotFoundException", format!("{name} has no value of that version and that label"))
        })?;
        Ok(json!({"ARN": name, "Name": name, "VersionId": id, "SecretString": value, "VersionStages": labels}))
    }

    fn describe(&self, name: &str) -> Value {
        let labels: BTreeMap<_, _> = self.versions.iter().map(|(id, version)| (id, &version.labels)).collect();
        json!({"ARN": name, "Name": name, "RotationEnabled": true, "VersionIdsToStages": labels})
    }

    fn put(&mut self, token: &str, value: Option<&str>, labels: &BTreeSet<String>) -> Result<(), Refusal> {
        let value = value.ok_or_else(|| ("InvalidParameterException", "there is no SecretString".to_owned()))?;
        let version = self.versions.entry(token.to_owned()).or_default();
        match &version.value {
            Some(known) if known == value => Ok(()),
            Some(_) => Err(("ResourceExistsException", format!("{token} has another value already"))),
            None => {
                version.value = Some(value.to_owned());
                labels.iter().try_for_each(|label| {
                    let holder = self.holder(label);
                    self.move_label(label, holder.as_deref(), Some(token))
                })
            }
        }
    }

    fn holder(&self, label: &str) -> Option<String> {
        self.versions.iter().find(|(_, version)| version.labels.contains(label)).map(|(id, _)| id.clone())
    }

    fn move_label(&mut self, label: &str, from: Option<&str>, to: Option<&str>) -> Result<(), Refusal> {
        let holder = self.holder(label);
        if holder.as_deref() != from && holder.as_deref() != to {
            return Err(("InvalidParameterException", format!("{label} is on another version")));
        }
        if let Some(to) = to.filter(|to| !self.versions.contains_key(*to)) {
            return Err(("ResourceNotFoundException", format!("there is no version {to}")));
        }
        if let Some(holder) = holder.as_ref().and_then(|holder| self.versions.get_mut(holder)) {
            holder.labels.remove(label);
        }
        if let Some(version) = to.and_then(|to| self.versions.get_mut(to)) {
            version.labels.insert(label.to_owned());
        }
        if label == CURRENT && holder.as_deref() != to {
            for version in self.versions.values_mut() {
                version.labels.remove(PREVIOUS);
            }
            if let Some(version) = holder.and_then(|holder| self.versions.get_mut(&holder)) {
                version.labels.insert(PREVIOUS.to_owned());
            }
        }
        // A version without a label counts as deleted.
        self.versions.retain(|_, version| !version.labels.is_empty());
        Ok(())
    }
}

/// Generates a secret as `GenerateSecretString` does: letters and digits, alone or as a member of a JSON object.
fn generate(secret: &GeneratedSecret) -> Result<String, RandomError> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(secret.length);
    for _ in 0..secret.length {
        let drawn = random::below(u32::try_from(ALPHABET.len()).unwrap_or(1))?;
        text.extend(ALPHABET.get(drawn as usize).map(|letter| char::from(*letter)));
    }
    Ok(match &secret.key {
        Some(key) => json!({ key: text }).to_string(),
        None => text,
    })
}

/// Writes a file that only its owner can read, completely or not at all.
pub fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Template {
        Template::load(&Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("template.yaml")).unwrap()
    }

    /// Returns the response of the operation, or the code of its error.
    fn call(secrets: &Secrets, operation: &str, request: &Value) -> Result<Value, String> {
        let (status, answer) = secrets.answer(operation, &request.to_string());
        let answer: Value = serde_json::from_str(&answer).unwrap();
        if status == 200 { Ok(answer) } else { Err(answer["__type"].as_str().unwrap().to_owned()) }
    }

    #[test]
    fn secrets_are_kept_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        let value = || Secrets::in_file(&path, &template()).unwrap().current_value("SecretKey").unwrap();
        assert!(value() == value(), "made once");
        assert_eq!(value().len(), 64);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_broken_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        fs::write(&path, "{").unwrap();
        assert!(matches!(Secrets::in_file(&path, &template()), Err(SecretsError::Malformed(1))));
        assert_eq!(fs::read(&path).unwrap(), b"{");
    }

    #[test]
    fn versions_and_labels_move_as_a_rotation_moves_them() {
        let secrets = Secrets::in_memory(&template()).unwrap();
        let id = json!("SigningKeys");
        let before = secrets.current_value("SigningKeys").unwrap();
        let token = secrets.begin_rotation("SigningKeys").unwrap();
        assert_eq!(secrets.begin_rotation("SigningKeys").unwrap(), token, "one at a time");
        let pending = json!({"SecretId": id, "VersionId": token, "VersionStage": PENDING});
        assert_eq!(call(&secrets, "GetSecretValue", &pending).unwrap_err(), "ResourceNotFoundException");

        let put = |value: &str| json!({"SecretId": id, "ClientRequestToken": token, "SecretString": value, "VersionStages": [PENDING]});
        call(&secrets, "PutSecretValue", &put("new")).unwrap();
        call(&secrets, "PutSecretValue", &put("new")).unwrap();
        assert_eq!(call(&secrets, "PutSecretValue", &put("other")).unwrap_err(), "ResourceExistsException");
        assert_eq!(call(&secrets, "GetSecretValue", &pending).unwrap()["SecretString"], "new");
        assert!(secrets.current_value("SigningKeys").unwrap() == before);

        let promote = |from: &str| json!({"SecretId": id, "VersionStage": CURRENT, "MoveToVersionId": token, "RemoveFromVersionId": from});
        let refused = call(&secrets, "UpdateSecretVersionStage", &promote("another")).unwrap_err();
        assert_eq!(refused, "InvalidParameterException");
        let described = call(&secrets, "DescribeSecret", &json!({ "SecretId": id })).unwrap();
        let labels = described["VersionIdsToStages"].as_object().unwrap();
        let current = labels.iter().find(|(_, labels)| labels[0] == CURRENT).unwrap().0;
        call(&secrets, "UpdateSecretVersionStage", &promote(current)).unwrap();
        assert_eq!(secrets.current_value("SigningKeys").unwrap(), "new");
        let previous = json!({"SecretId": id, "VersionStage": PREVIOUS});
        assert!(call(&secrets, "GetSecretValue", &previous).unwrap()["SecretString"] == before.as_str());
        assert!(secrets.begin_rotation("SigningKeys").unwrap() != token, "the next one");
        assert!(call(&secrets, "DeleteSecret", &json!({ "SecretId": id })).is_err());
    }
}
