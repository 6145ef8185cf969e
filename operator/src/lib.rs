//! The options and connections that the operators' commands share: which table they work on, and how they reach it.

use std::{collections::HashMap, fs, path::PathBuf, time::SystemTime};

use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials;
use clap::Args;
use latchkey::{
    app::Clients,
    aws::{AwsEnvironment, HttpsClients, OnFirstUse},
    base::{fault::Source, time::Timestamp},
    config::{Config, ConfigErrors},
    store::Store,
};

/// The place of the accounts: a dev server's data, or a table on AWS.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Table on AWS (the stack's output `TableName`), with the credentials and the region that the AWS CLI would use
    /// [default: the data of the dev server that runs here].
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,
    /// Folder of the dev server's data.
    #[arg(long, value_name = "DIR", default_value = ".latchkey", conflicts_with = "table")]
    pub data: PathBuf,
}

/// A reason for which a place cannot be reached. Each message is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The folder holds no dev server's environment.
    #[error("no dev server keeps its data in {0}: start one with `cargo run`, or name a table on AWS with --table")]
    NoDevServer(String),
    /// No region is configured.
    #[error("no AWS region is set: set AWS_REGION, or a region in ~/.aws/config")]
    NoRegion,
    /// No AWS credentials are configured.
    #[error("there are no AWS credentials: set them up as for the AWS CLI (`aws configure`, or AWS_PROFILE)")]
    NoCredentials,
    /// The environment has wrong settings.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The dev server's environment cannot be used, or no HTTPS client can be created.
    #[error("{0}")]
    Unusable(Source),
}

/// A connection to a table and to the services behind it.
#[derive(Debug)]
pub struct Connection {
    /// The table.
    pub store: Store,
    /// The clients of the AWS services.
    pub clients: Clients,
    /// The settings: the dev server's, or those of this process's environment.
    pub config: Config,
    /// Whether the table is the dev server's.
    pub is_local: bool,
    /// The operator: on AWS the access key, which CloudTrail knows; else the user of this machine.
    pub operator: String,
}

impl Place {
    /// Creates the connection, without sending a request to the table yet.
    pub async fn connect(&self) -> Result<Connection, PlaceError> {
        let (variables, clients, operator) = match &self.table {
            None => {
                let (variables, clients) = self.of_dev_server()?;
                (variables, clients, user_of_this_machine())
            }
            Some(table) => on_aws(table).await?,
        };
        let config = Config::from_variables(&variables)?;
        let store = Store::new(clients.dynamodb.clone(), config.table_name.clone());
        Ok(Connection { store, clients, config, is_local: self.table.is_none(), operator })
    }

    fn of_dev_server(&self) -> Result<(HashMap<String, String>, Clients), PlaceError> {
        let path = self.data.join("lambda.env");
        let text = fs::read_to_string(&path).map_err(|_| PlaceError::NoDevServer(self.data.display().to_string()))?;
        let variables = read_variables(&text);
        let environment = AwsEnvironment::from_variables(&variables).map_err(PlaceError::Unusable)?;
        let http = HttpsClients::new().map_err(PlaceError::Unusable)?;
        Ok((variables, Clients::new(&environment, http)))
    }
}

/// Returns the settings, the clients and the operator for a table on AWS. Credentials come from the usual chain:
/// environment, profiles, single sign-on, instance roles.
async fn on_aws(table: &str) -> Result<(HashMap<String, String>, Clients, String), PlaceError> {
    let http = HttpsClients::new().map_err(PlaceError::Unusable)?;
    let settings = aws_config::defaults(BehaviorVersion::latest()).http_client(http.keeping).load().await;
    if settings.region().is_none() {
        return Err(PlaceError::NoRegion);
    }
    let credentials = settings.credentials_provider().ok_or(PlaceError::NoCredentials)?;
    let credentials = credentials.provide_credentials().await.map_err(|_| PlaceError::NoCredentials)?;
    let (of_secrets, of_sns) = (settings.clone(), settings.clone());
    let clients = Clients {
        dynamodb: aws_sdk_dynamodb::Client::new(&settings),
        secrets: OnFirstUse::new(move || aws_sdk_secretsmanager::Client::new(&of_secrets)),
        sns: OnFirstUse::new(move || aws_sdk_sns::Client::new(&of_sns)),
    };
    #[expect(clippy::disallowed_methods, reason = "a command's edge: where its configuration is read")]
    let mut variables: HashMap<String, String> = std::env::vars().collect();
    variables.insert("TABLE_NAME".to_owned(), table.to_owned());
    Ok((variables, clients, format!("aws:{}", credentials.access_key_id())))
}

fn user_of_this_machine() -> String {
    #[expect(clippy::disallowed_methods, reason = "a command's edge: where its configuration is read")]
    let user = std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned());
    format!("local:{user}")
}

/// Reads lines of `NAME="value"`, as the dev server writes them.
fn read_variables(text: &str) -> HashMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}

/// Returns the current time.
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "a command's edge: where the wall clock is read, once")]
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dev_server_wrote_is_read() {
        let variables = read_variables("A=\"one\"\nB=\"\"\nC=\"a=b\"\n");
        assert_eq!((variables["A"].as_str(), variables["B"].as_str(), variables["C"].as_str()), ("one", "", "a=b"));
    }

    #[test]
    fn without_a_dev_server_it_is_said_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { table: None, data: folder.path().to_owned() };
        let error = place.of_dev_server().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("cargo run") && error.contains("--table"), "{error}");
    }
}
