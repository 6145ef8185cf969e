//! The options and connections that the operators' commands share: which table they work on, and how they reach it.

use std::{
    collections::HashMap,
    fs, io,
    net::{TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

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
    #[arg(long, global = true, value_name = "NAME")]
    pub table: Option<String>,
    /// Folder of the dev server's data.
    #[arg(long, global = true, value_name = "DIR", default_value = ".latchkey", conflicts_with = "table")]
    pub data: PathBuf,
}

/// A reason for which a place cannot be reached. Each message is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The folder holds no dev server's environment.
    #[error(
        "no dev server keeps its data in {0}: start one with `cargo run`, name its folder with --data as its start page does, \
         or name a table on AWS with --table"
    )]
    NoDevServer(String),
    /// A dev server has kept its data in the folder but does not run.
    #[error(
        "no dev server runs on {url}, where the one of {folder} ran last: start it with `cargo run`, or name a table \
         on AWS with --table"
    )]
    NotRunning {
        /// The URL of the server.
        url: String,
        /// The folder of its data.
        folder: String,
    },
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
        let endpoint = variables.get("AWS_ENDPOINT_URL_DYNAMODB").map(String::as_str).unwrap_or_default();
        check_that_it_runs(endpoint, &self.data)?;
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
    let (of_table, of_secrets, of_sns) = (settings.clone(), settings.clone(), settings);
    let clients = Clients {
        dynamodb: OnFirstUse::new(move || aws_sdk_dynamodb::Client::new(&of_table)),
        secrets: OnFirstUse::new(move || aws_sdk_secretsmanager::Client::new(&of_secrets)),
        sns: OnFirstUse::new(move || aws_sdk_sns::Client::new(&of_sns)),
    };
    #[expect(clippy::disallowed_methods, reason = "a command's edge: where its configuration is read")]
    let mut variables: HashMap<String, String> = std::env::vars().collect();
    variables.insert("TABLE_NAME".to_owned(), table.to_owned());
    Ok((variables, clients, format!("aws:{}", credentials.access_key_id())))
}

/// The time in which a server on this machine accepts a connection.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(2);

/// Checks that the dev server of this endpoint accepts connections, so that a command does not report its absence as
/// many faults.
fn check_that_it_runs(endpoint: &str, folder: &Path) -> Result<(), PlaceError> {
    let authority = endpoint.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let not_running = |_: io::Error| PlaceError::NotRunning {
        url: format!("http://{authority}"),
        folder: folder.display().to_string(),
    };
    let mut addresses = authority.to_socket_addrs().map_err(not_running)?;
    let address = addresses.next().ok_or_else(|| not_running(io::ErrorKind::AddrNotAvailable.into()))?;
    TcpStream::connect_timeout(&address, ACCEPTED_WITHIN).map(|_| ()).map_err(not_running)
}

/// Returns the operator's name in audit events of a dev server: the user of this machine, or the user's number.
fn user_of_this_machine() -> String {
    #[expect(clippy::disallowed_methods, reason = "a command's edge: where its configuration is read")]
    let user =
        ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    format!("local:{}", user.unwrap_or_else(user_number))
}

#[cfg(unix)]
fn user_number() -> String {
    // A process's folder belongs to the user who runs it.
    let user = fs::metadata("/proc/self").map(|folder| std::os::unix::fs::MetadataExt::uid(&folder));
    user.map_or_else(|_| "unknown".to_owned(), |user| format!("uid {user}"))
}

#[cfg(not(unix))]
fn user_number() -> String {
    "unknown".to_owned()
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

    #[test]
    fn a_server_that_has_stopped_is_one_sentence_with_its_address() {
        let folder = tempfile::tempdir().unwrap();
        // A port that was free a moment ago.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let line = format!("AWS_ENDPOINT_URL_DYNAMODB=\"http://{address}/dev/dynamodb\"\n");
        fs::write(folder.path().join("lambda.env"), line).unwrap();
        let place = Place { table: None, data: folder.path().to_owned() };
        let error = place.of_dev_server().map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("no dev server runs on http://{address}")), "{error}");
    }
}
