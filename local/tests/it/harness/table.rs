//! Behind the scenes: what is in the table, and what the functions asked of AWS.

use std::collections::BTreeSet;

use latchkey::store::Store;
use local::{
    emulator::{Call, Target},
    template::Permission,
};
use serde_json::{Value, json};

use super::{TEMPLATE, World};

impl World {
    /// The items whose partition key starts so, in DynamoDB's JSON.
    pub(crate) fn items(&self, partition: &str) -> Vec<Value> {
        let items = self.emulator.items(&TEMPLATE.table.name).unwrap();
        items.into_iter().filter(|item| item["pk"]["S"].as_str().unwrap().starts_with(partition)).collect()
    }

    /// The one item with this sort key in this partition.
    pub(crate) fn item(&self, partition: &str, sort: &str) -> Value {
        let mut items = self.items(partition);
        items.retain(|item| item["sk"]["S"] == sort);
        assert_eq!(items.len(), 1, "{partition} {sort}");
        items.remove(0)
    }

    /// The sessions of every user, as the table has them.
    pub(crate) fn sessions(&self) -> Vec<Value> {
        let mut items = self.items("USER#");
        items.retain(|item| item["sk"]["S"].as_str().unwrap().starts_with("SESSION#"));
        items
    }

    /// Writes an item as it is, in place of the one with its key. The invariants of the table are not checked then.
    pub(crate) fn put_item(&self, item: &Value) {
        self.table.tampered_with();
        self.write_item(item);
    }

    /// Marks the phone of the one account as verified, as if a code had come back that no test can read.
    pub(crate) fn verify_the_phone(&self) {
        let mut profile = self.item("USER#", "PROFILE");
        profile["phone_verified_at"] = json!({"N": "1800000000000"});
        self.put_item(&profile);
    }

    /// Returns the world for a test whose items no function would write. The invariants of its table are not checked.
    pub(crate) fn without_invariants(self) -> Self {
        self.table.tampered_with();
        self
    }

    /// Checks now what is otherwise checked when the world ends.
    #[track_caller]
    pub(crate) fn check_table(&self, when: &str) {
        assert_eq!(self.table.broken(), None, "{when}");
    }

    /// Writes an item as a function would have.
    pub(super) fn write_item(&self, item: &Value) {
        self.emulator.put_item(&TEMPLATE.table.name, item).unwrap();
    }

    /// Deletes what DynamoDB's TTL deletes by now at the latest, and returns how many items that were. The embedded
    /// database does not: it goes by the machine's clock, and time here is the test's own.
    pub(crate) fn collect_garbage(&self) -> usize {
        let (table, now) = (&TEMPLATE.table, self.clock.now().unix_seconds());
        let is_due = |item: &Value| {
            let expires_at = item[&table.ttl_attribute]["N"].as_str();
            expires_at.is_some_and(|seconds| seconds.parse::<u64>().unwrap() <= now)
        };
        let mut due = self.items("");
        due.retain(is_due);
        for item in &due {
            let delete = json!({"TableName": table.name, "Key": {"pk": item["pk"], "sk": item["sk"]}});
            let target = Target::parse("DynamoDB_20120810.DeleteItem");
            assert_eq!(self.emulator.answer(&target, &delete.to_string()).0, 200);
        }
        due.len()
    }

    /// The store as an operator has it: with every right.
    pub(crate) fn store(&self) -> Store {
        Store::new(self.emulator.clients_of_operator().dynamodb, TEMPLATE.table.name.clone())
    }

    /// What the functions asked of AWS since the last look.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.emulator.calls().take()
    }

    /// The same as the permissions of each call: equal for two requests that cannot be told apart by their work.
    pub(crate) fn permissions_used(&self) -> Vec<BTreeSet<Permission>> {
        self.calls().into_iter().map(|call| call.permissions).collect()
    }
}
