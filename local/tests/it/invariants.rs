//! What must hold in the table whatever happened before. Every world is checked when it ends, so that each flow, race and fault
//! case shows it for the way that it went.
//!
//! 1. Each account is one credential and one profile that name each other, with one epoch and one answer to whether a second
//!    factor is on and whether there is a password. Those of a parked account expire together, and no others do.
//! 2. No session is ahead of its account, and no session that lives belongs to nobody.
//! 3. Under a tombstone nothing is left that opens anything.
//! 4. Every item that is not kept for good has a TTL.
//! 5. No password, code or token that a client or a phone has seen is in the table.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use local::emulator::Emulator;
use serde_json::{Value, json};

use crate::{
    harness::{PASSWORD, TEMPLATE, World},
    log_watch::LogWatch,
};

/// Checks the table of one world when the world ends.
pub(crate) struct TableWatch {
    emulator: Emulator,
    log: Arc<LogWatch>,
    tampered_with: AtomicBool,
}

impl TableWatch {
    /// Begins to watch.
    pub(crate) fn begin(emulator: Emulator, log: Arc<LogWatch>) -> Self {
        Self { emulator, log, tampered_with: AtomicBool::new(false) }
    }

    /// Remembers that a test wrote items itself, as no function would: then nothing can be said of the table.
    pub(crate) fn tampered_with(&self) {
        self.tampered_with.store(true, Ordering::Relaxed);
    }

    /// Whether a test did.
    pub(crate) fn was_tampered_with(&self) -> bool {
        self.tampered_with.load(Ordering::Relaxed)
    }

    /// The first invariant that does not hold now, without a phone, an identifier or a secret.
    pub(crate) fn broken(&self) -> Option<String> {
        if self.was_tampered_with() {
            return None;
        }
        let items = self.emulator.items(&TEMPLATE.table.name).unwrap();
        broken(&items).or_else(|| plain_secret(&items, &self.log))
    }
}

impl Drop for TableWatch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if let Some(broken) = self.broken() {
            panic!("the table of this world is broken: {broken}");
        }
    }
}

/// The items of one table, each under its partition key and its sort key.
type Items<'a> = BTreeMap<(&'a str, &'a str), &'a Value>;

/// The first invariant that does not hold, without a phone or an identifier.
fn broken(items: &[Value]) -> Option<String> {
    let items: Items<'_> = items.iter().map(|item| ((text(item, "pk"), text(item, "sk")), item)).collect();
    items.iter().find_map(|((partition, sort), item)| {
        let why = match (partition.split_once('#'), *sort) {
            (Some(("PHONE", phone)), "CREDENTIAL" | "PARKED") => credential(&items, phone, item),
            (Some(("USER", user)), "PROFILE") => profile(&items, user, item),
            (Some(("USER", user)), sort) => of_user(&items, user, sort, item),
            (Some(("PHONE" | "LIMIT" | "AUDIT", _)), _) => (!has_ttl(item)).then_some("it has no TTL"),
            // For good: the public keys, and that a user was imported.
            (None, _) if *partition == "KEYS" => None,
            (Some(("IMPORT", _)), _) => None,
            (None, _) if *partition == "NOTICES" => (!has_ttl(item)).then_some("it has no TTL"),
            _ => Some("nothing of ours has such a key"),
        };
        let kind = sort.split('#').next().unwrap_or_default();
        why.map(|why| format!("{} {kind}: {why}", partition.split('#').next().unwrap_or_default()))
    })
}

fn credential(items: &Items<'_>, phone: &str, credential: &Value) -> Option<&'static str> {
    if !has(credential, "user_id") {
        if has(credential, "password_hash") {
            return Some("a ghost has a password");
        }
        return (!has_ttl(credential)).then_some("a ghost has no TTL");
    }
    let partition = format!("USER#{}", text(credential, "user_id"));
    let Some(profile) = items.get(&(partition.as_str(), "PROFILE")) else { return Some("its user has no profile") };
    if has(profile, "deleted_at") {
        return Some("its user is deleted");
    }
    let is_parked = text(credential, "sk") == "PARKED";
    if has(profile, "parked_at") != is_parked {
        return Some("its user has the phone, and it is parked, or the other way round");
    }
    if has_ttl(credential) != is_parked {
        return Some("an account has a TTL, or a parked one has none");
    }
    if text(profile, "phone") != phone {
        return Some("its user has another phone");
    }
    if number(profile, "epoch") != number(credential, "epoch") {
        return Some("its epoch is not the profile's");
    }
    if has(profile, "passwordless") == has(credential, "password_hash") {
        return Some("profile and credential differ about the password");
    }
    (has(profile, "mfa_enabled") != has(credential, "mfa_enabled"))
        .then_some("profile and credential differ about the factor")
}

fn profile(items: &Items<'_>, user: &str, profile: &Value) -> Option<&'static str> {
    if has(profile, "deleted_at") {
        return (!has_ttl(profile)).then_some("a tombstone has no TTL");
    }
    let is_parked = has(profile, "parked_at");
    if has_ttl(profile) != is_parked {
        return Some("an account has a TTL, or a parked one has none");
    }
    let partition = format!("PHONE#{}", text(profile, "phone"));
    match items.get(&(partition.as_str(), if is_parked { "PARKED" } else { "CREDENTIAL" })) {
        Some(credential) if text(credential, "user_id") == user => {}
        _ => return Some("its phone has no credential of this user"),
    }
    let has_factor = items.contains_key(&(format!("USER#{user}").as_str(), "MFA"));
    (has(profile, "mfa_enabled") != has_factor)
        .then_some("it says that a factor is on, and there is none, or the other way round")
}

fn of_user(items: &Items<'_>, user: &str, sort: &str, item: &Value) -> Option<&'static str> {
    let partition = format!("USER#{user}");
    let owner = items.get(&(partition.as_str(), "PROFILE"));
    let (epoch, is_deleted) = match owner {
        Some(owner) => (number(owner, "epoch"), has(owner, "deleted_at")),
        None => (0, true),
    };
    if sort == "MFA" {
        return is_deleted.then_some("a factor outlived its account");
    }
    if !has_ttl(item) {
        return Some("it has no TTL");
    }
    if has(item, "epoch") {
        let own = number(item, "epoch");
        if own > epoch {
            return Some("its epoch is ahead of its account's");
        }
        if is_deleted && own == epoch {
            return Some("it is alive, and its account is deleted");
        }
    }
    None
}

/// A secret that stands in an item in clear, by the name that it has in requests and answers.
fn plain_secret(items: &[Value], log: &LogWatch) -> Option<String> {
    // In all of them at once, as hardly any table has one.
    log.secret_in(&serde_json::to_string(items).unwrap())?;
    items.iter().find_map(|item| {
        let sort = text(item, "sk").split('#').next().unwrap_or_default();
        log.secret_in(&item.to_string()).map(|name| format!("{sort} holds a secret in clear ({name})"))
    })
}

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name]["S"].as_str().unwrap_or_default()
}

fn number(item: &Value, name: &str) -> u64 {
    item[name]["N"].as_str().and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn has(item: &Value, name: &str) -> bool {
    !item[name].is_null() && item[name]["BOOL"] != json!(false)
}

/// DynamoDB deletes an item whose TTL attribute is a number, and no other.
fn has_ttl(item: &Value) -> bool {
    !item[&TEMPLATE.table.ttl_attribute]["N"].is_null()
}

/// The table of a person with sessions and a factor, and the same with one thing broken.
#[tokio::test]
async fn every_invariant_that_is_broken_is_found() {
    let world = World::new();
    let person = world.person_with_factor().await;
    person.on_another_device().typing(PASSWORD).register().await.expect(409);
    let good = world.items("");
    assert_eq!(broken(&good), None);
    let with = |sort: &str, name: &str, value: Value| {
        let mut items = good.clone();
        let item = items.iter_mut().find(|item| text(item, "sk").starts_with(sort)).unwrap();
        item[name] = value;
        broken(&items).unwrap_or_default()
    };
    let without = |sort: &str| {
        let mut items = good.clone();
        items.retain(|item| !text(item, "sk").starts_with(sort));
        broken(&items).unwrap_or_default()
    };
    for (found, expected) in [
        (with("CREDENTIAL", "epoch", json!({"N": "77"})), "its epoch is not the profile's"),
        (with("CREDENTIAL", "user_id", json!({"S": "another"})), "its user has no profile"),
        (with("CREDENTIAL", "expires_at", json!({"N": "1"})), "an account has a TTL"),
        (with("PROFILE", "phone", json!({"S": "+201112345678"})), "its user has another phone"),
        (with("PROFILE", "mfa_enabled", Value::Null), "differ about the factor"),
        (with("PROFILE", "passwordless", json!({"BOOL": true})), "differ about the password"),
        (with("CREDENTIAL", "password_hash", Value::Null), "differ about the password"),
        (with("CREDENTIAL", "user_id", Value::Null), "a ghost has a password"),
        (with("PROFILE", "deleted_at", json!({"N": "1"})), "its user is deleted"),
        (with("SESSION", "epoch", json!({"N": "77"})), "ahead of its account's"),
        (with("SESSION", "expires_at", Value::Null), "it has no TTL"),
        (without("PROFILE"), "its user has no profile"),
        (without("CREDENTIAL"), "its phone has no credential"),
        (without("MFA"), "it says that a factor is on"),
    ] {
        assert!(found.contains(expected), "{found:?} instead of {expected:?}");
    }
}
