//! Checks a deployment: table, keys, secrets, text messages and clock.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_dynamodb::types::{
    ContinuousBackupsDescription, ContinuousBackupsStatus, KeyType, PointInTimeRecoveryStatus, TableStatus,
    TimeToLiveStatus,
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeDeserializationInterceptorContextRef, dyn_dispatch_hint},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{DateTime, config_bag::ConfigBag, date_time::Format};
use latchkey::{
    base::{fault, time::Timestamp},
    keyring::Keyring,
    messages::{self, Provider},
    store::{PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE},
};
use operator::Connection;

/// The age from which a signing key should have been rotated: the template's 90 days, and a month.
const KEY_AGE: Duration = Duration::from_hours(24 * 120);

/// The largest acceptable difference between clocks: tokens of others have a leeway of 30 s (docs/threats.md#j5).
const SKEW: Duration = Duration::from_secs(15);

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is in order, and why.
    Fine(String),
    /// It works, but the operator should check it.
    Doubtful(String),
    /// It does not work, and why.
    Wrong(String),
    /// It was not checked, and why.
    Skipped(String),
}

use Finding::{Doubtful, Fine, Skipped, Wrong};

/// Runs every check. Returns the name and the finding of each.
pub async fn examine(connection: &Connection, now: Timestamp) -> Vec<(&'static str, Finding)> {
    let keyring = Keyring::new(connection.store.clone(), connection.clients.secrets.clone(), &connection.config.keys);
    let (table, clock) = table(connection, now).await;
    vec![
        ("table", table),
        ("time to live", time_to_live(connection).await),
        ("backups", backups(connection).await),
        ("clock", clock),
        ("public keys", public_keys(connection, now).await),
        ("signing key", signing_key(connection, &keyring, now).await),
        ("secret key", secret_key(connection, &keyring, now).await),
        ("legacy hashes", legacy_hashes(connection).await),
        ("text messages", text_messages(connection, &keyring, now).await),
        ("sns sandbox", sns_sandbox(connection).await),
        ("sns spend limit", sns_spend_limit(connection).await),
    ]
}

/// Checks whether the table is as the template creates it and, by the response's date, whether this machine's clock is
/// right.
async fn table(connection: &Connection, now: Timestamp) -> (Finding, Finding) {
    let date = AnswerDate::default();
    let call = connection.clients.dynamodb.describe_table().table_name(&connection.config.table_name);
    let described = match call.customize().interceptor(date.clone()).send().await {
        Ok(described) => {
            described.table.unwrap_or_else(|| aws_sdk_dynamodb::types::TableDescription::builder().build())
        }
        Err(error) => {
            return (Wrong(fault::chain(&error.into_service_error())), Skipped("the table did not respond".to_owned()));
        }
    };
    let mut keys: Vec<_> =
        described.key_schema().iter().map(|key| (key.attribute_name(), key.key_type() == &KeyType::Hash)).collect();
    keys.sort_by_key(|(_, is_partition)| !is_partition);
    let table = if keys != [(PARTITION_KEY, true), (SORT_KEY, false)] {
        Wrong(format!("its key is not {PARTITION_KEY}, {SORT_KEY}: name the stack's own table"))
    } else if described.table_status() != Some(&TableStatus::Active) {
        Wrong(format!("its status is {:?}, and not active", described.table_status()))
    } else if !connection.is_local && described.deletion_protection_enabled() != Some(true) {
        Doubtful("its deletion protection is off: switch it on".to_owned())
    } else {
        Fine(format!(
            "{}, {} items at the last count",
            connection.config.table_name,
            described.item_count().unwrap_or(0)
        ))
    };
    (table, clock(&date, now))
}

fn clock(date: &AnswerDate, now: Timestamp) -> Finding {
    let Some(theirs) = date.read() else { return Skipped("the response had no date".to_owned()) };
    // The date has whole seconds.
    let apart = theirs.since(now).max(now.since(theirs));
    if apart > SKEW {
        Wrong(format!("this machine's differs by {} s from the table's: synchronize it", apart.as_secs()))
    } else {
        Fine(format!("within {} s of the table's", SKEW.as_secs()))
    }
}

/// An interceptor that keeps the `Date` of a response.
#[derive(Clone, Debug, Default)]
struct AnswerDate(Arc<Mutex<Option<Timestamp>>>);

impl AnswerDate {
    fn read(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[dyn_dispatch_hint]
impl Intercept for AnswerDate {
    fn name(&self) -> &'static str {
        "AnswerDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        let seconds = date.and_then(|date| u64::try_from(date.secs()).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seconds.map(Timestamp::from_unix_seconds);
        Ok(())
    }
}

async fn time_to_live(connection: &Connection) -> Finding {
    let call = connection.clients.dynamodb.describe_time_to_live().table_name(&connection.config.table_name);
    match call.send().await {
        Err(error) => Wrong(fault::chain(&error.into_service_error())),
        Ok(described) => {
            let found = described.time_to_live_description();
            let is_on = found.and_then(|ttl| ttl.time_to_live_status()) == Some(&TimeToLiveStatus::Enabled);
            if is_on && found.and_then(|ttl| ttl.attribute_name()) == Some(TTL_ATTRIBUTE) {
                Fine(format!("on, for {TTL_ATTRIBUTE}"))
            } else {
                Doubtful(format!("it is not on for {TTL_ATTRIBUTE}: expired items stay, and the table grows"))
            }
        }
    }
}

async fn backups(connection: &Connection) -> Finding {
    if connection.is_local {
        return Skipped("the dev server has none".to_owned());
    }
    let call = connection.clients.dynamodb.describe_continuous_backups().table_name(&connection.config.table_name);
    match call.send().await {
        Err(error) => Skipped(fault::chain(&error.into_service_error())),
        Ok(described) => {
            let found = described.continuous_backups_description();
            let status = found.map(ContinuousBackupsDescription::continuous_backups_status);
            let are_on = status == Some(&ContinuousBackupsStatus::Enabled);
            let recovery = found.and_then(|backups| backups.point_in_time_recovery_description());
            let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status());
            if are_on && status == Some(&PointInTimeRecoveryStatus::Enabled) {
                Fine("point-in-time recovery is on".to_owned())
            } else {
                Doubtful("point-in-time recovery is off: lost data cannot be restored".to_owned())
            }
        }
    }
}

async fn public_keys(connection: &Connection, now: Timestamp) -> Finding {
    let keys = match connection.store.key_set().await {
        Err(error) => return Wrong(fault::chain(&error)),
        Ok(None) => return Wrong("there are none: rotate-keys did not run, or failed; its log says why".to_owned()),
        Ok(Some(keys)) => keys,
    };
    let signing = keys.keys.iter().filter(|key| key.verifies(now) && key.signs_from <= now.unix_seconds());
    let Some(newest) = signing.map(|key| Timestamp::from_unix_seconds(key.signs_from)).max() else {
        return Wrong("none of them signs, so that nobody can sign in: see docs/OPERATIONS.md".to_owned());
    };
    let count = keys.verifying(now).count();
    let told = format!("{count} verify, and the newest signs since {}", newest.to_rfc3339());
    if now.since(newest) > KEY_AGE { Doubtful(format!("{told}: check that keys are rotated")) } else { Fine(told) }
}

async fn signing_key(connection: &Connection, keyring: &Keyring, now: Timestamp) -> Finding {
    if connection.config.keys.signing_keys_arn.is_none() {
        return Skipped("SIGNING_KEYS_ARN is not set for this command".to_owned());
    }
    let key = match keyring.signing_key(now).await {
        Ok(key) => key,
        Err(error) => return Wrong(fault::chain(&error)),
    };
    match keyring.verifying_key(key.verifying().kid(), now).await {
        Ok(Some(_)) => Fine(format!("{} signs and is published", key.verifying().kid())),
        Ok(None) => {
            Wrong(format!("{} signs but is not published: its tokens are refused everywhere", key.verifying().kid()))
        }
        Err(error) => Wrong(fault::chain(&error)),
    }
}

async fn secret_key(connection: &Connection, keyring: &Keyring, now: Timestamp) -> Finding {
    if connection.config.keys.secret_key_arn.is_none() {
        return Skipped("SECRET_KEY_ARN is not set for this command".to_owned());
    }
    match keyring.secret(now).await {
        Ok(_) => Fine("can be read, and is well-formed".to_owned()),
        Err(error) => Wrong(fault::chain(&error)),
    }
}

/// The number of items that are searched for hashes of another system: a fraction of a cent on AWS.
const SEARCHED: usize = 20_000;

/// Checks whether logins of imported users take longer than others, which tells who was imported.
async fn legacy_hashes(connection: &Connection) -> Finding {
    match (connection.store.has_legacy_hash(SEARCHED).await, connection.config.legacy_cost) {
        (Err(error), _) => Skipped(fault::chain(&error)),
        (Ok(Some(true)), None) => Doubtful(
            "there are bcrypt hashes, but LEGACY_HASHES is off: the duration of a login reveals who was imported. \
             Deploy with LegacyHashes=bcrypt (docs/configuration.md)"
                .to_owned(),
        ),
        (Ok(Some(true)), Some(_)) => Fine("there are some, and every login costs their work".to_owned()),
        (Ok(Some(false)), None) => Fine("there are none".to_owned()),
        (Ok(Some(false)), Some(_)) => Fine("there are none left: LEGACY_HASHES may be switched off".to_owned()),
        (Ok(None), _) => Skipped(format!("there are none among {SEARCHED} items; `admin stats` counts all")),
    }
}

async fn text_messages(connection: &Connection, keyring: &Keyring, now: Timestamp) -> Finding {
    let provider = connection.config.sms.provider;
    let name = format!("{provider:?}").to_lowercase();
    match provider {
        Provider::Log if connection.is_local => Fine("log: shown at /dev/messages and not sent".to_owned()),
        Provider::Log => Doubtful("SMS_PROVIDER is log for this command: check it for the functions".to_owned()),
        Provider::Sns => Fine(name),
        Provider::Twilio | Provider::Vonage | Provider::Http => {
            if connection.config.keys.sms_credentials_arn.is_none() {
                return Skipped("SMS_CREDENTIALS_ARN is not set for this command".to_owned());
            }
            match keyring.sms_credentials(now).await {
                Err(error) => Wrong(fault::chain(&error)),
                Ok(credentials) => match messages::check_credentials(provider, &credentials) {
                    Ok(()) => Fine(format!("{name}, with credentials")),
                    Err(why) => Wrong(format!("the secret of SMS_CREDENTIALS_ARN {why}")),
                },
            }
        }
    }
}

/// Checks whether SNS sends to all numbers, or only to those that were registered in its sandbox.
async fn sns_sandbox(connection: &Connection) -> Finding {
    if let Some(skipped) = not_sns(connection) {
        return skipped;
    }
    match connection.clients.sns.get_sms_sandbox_account_status().send().await {
        Err(error) => Skipped(fault::chain(&error.into_service_error())),
        Ok(status) if status.is_in_sandbox() => {
            Wrong("the account is in SNS's sandbox: only numbers that are registered there get messages".to_owned())
        }
        Ok(_) => Fine("the account is not in it".to_owned()),
    }
}

async fn sns_spend_limit(connection: &Connection) -> Finding {
    const LIMIT: &str = "MonthlySpendLimit";
    if let Some(skipped) = not_sns(connection) {
        return skipped;
    }
    match connection.clients.sns.get_sms_attributes().attributes(LIMIT).send().await {
        Err(error) => Skipped(fault::chain(&error.into_service_error())),
        Ok(found) => match found.attributes().and_then(|attributes| attributes.get(LIMIT)) {
            Some(limit) if f64::from_str(limit).is_ok_and(|dollars| dollars <= 1.0) => {
                Doubtful(format!("{limit} US dollars a month: SNS stops sending once they are spent"))
            }
            Some(limit) => Fine(format!("{limit} US dollars a month")),
            None => Doubtful("SNS reports none: new accounts have 1 US dollar a month".to_owned()),
        },
    }
}

fn not_sns(connection: &Connection) -> Option<Finding> {
    if connection.is_local {
        Some(Skipped("the dev server does not use SNS".to_owned()))
    } else if connection.config.sms.provider != Provider::Sns {
        Some(Skipped("SMS_PROVIDER is not sns".to_owned()))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_held_against_the_date_of_the_answer() {
        let theirs = Timestamp::from_unix_seconds(1_800_000_000);
        let date = AnswerDate(Arc::new(Mutex::new(Some(theirs))));
        for apart in [Duration::ZERO, SKEW] {
            assert!(matches!(clock(&date, theirs.plus(apart)), Fine(_)));
        }
        let ahead = clock(&date, theirs.plus(Duration::from_secs(16)));
        assert_eq!(ahead, Wrong("this machine's differs by 16 s from the table's: synchronize it".to_owned()));
        let behind = clock(&date, Timestamp::from_unix_seconds(1_799_996_400));
        assert_eq!(behind, Wrong("this machine's differs by 3600 s from the table's: synchronize it".to_owned()));
        assert!(matches!(clock(&AnswerDate::default(), theirs), Skipped(_)));
    }
}
