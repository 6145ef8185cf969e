//! Writes as expressions. One builder serves single updates and parts of transactions.

use std::{borrow::Cow, collections::HashMap};

use aws_sdk_dynamodb::{
    error::BuildError,
    types::{
        AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
    },
};

use super::keys::{self, Key};

/// An update of one item.
///
/// Expressions write attribute names as `#name`, so that none can collide with DynamoDB's 573 reserved words, and
/// values as `:name`.
pub(in crate::store) struct ItemUpdate {
    key: Key,
    sets: Vec<&'static str>,
    removes: Vec<&'static str>,
    adds: Vec<Cow<'static, str>>,
    deletes: Vec<&'static str>,
    condition: String,
    values: HashMap<String, AttributeValue>,
}

impl ItemUpdate {
    pub(in crate::store) fn new(key: Key) -> Self {
        let (condition, values) = (String::new(), HashMap::new());
        Self { key, sets: vec![], removes: vec![], adds: vec![], deletes: vec![], condition, values }
    }

    pub(in crate::store) fn set(mut self, assignment: &'static str) -> Self {
        self.sets.push(assignment);
        self
    }

    pub(in crate::store) fn remove(mut self, attribute: &'static str) -> Self {
        self.removes.push(attribute);
        self
    }

    pub(in crate::store) fn add(mut self, addition: impl Into<Cow<'static, str>>) -> Self {
        self.adds.push(addition.into());
        self
    }

    /// Removes elements from a set.
    pub(in crate::store) fn delete(mut self, deletion: &'static str) -> Self {
        self.deletes.push(deletion);
        self
    }

    /// Sets the condition of the update.
    pub(in crate::store) fn when(mut self, condition: impl Into<String>) -> Self {
        self.condition = condition.into();
        self
    }

    /// Adds a condition to those that there are, if any.
    pub(in crate::store) fn and_when(mut self, condition: &str) -> Self {
        self.condition = match self.condition.as_str() {
            "" => condition.to_owned(),
            others => format!("{condition} AND ({others})"),
        };
        self
    }

    pub(in crate::store) fn value(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }

    pub(in crate::store) fn update_expression(&self) -> String {
        let [sets, removes, deletes] = [&self.sets, &self.removes, &self.deletes].map(|parts| parts.join(", "));
        let clauses = [("SET", sets), ("REMOVE", removes), ("ADD", self.adds.join(", ")), ("DELETE", deletes)];
        let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
        clauses.map(|(verb, parts)| format!("{verb} {parts}")).collect::<Vec<_>>().join(" ")
    }

    pub(in crate::store) fn names(&self) -> HashMap<String, String> {
        names_in(&[&self.update_expression(), &self.condition])
    }

    /// Returns key, condition and values, for a single call.
    pub(in crate::store) fn into_parts(self) -> (Key, String, HashMap<String, AttributeValue>) {
        (self.key, self.condition, self.values)
    }

    fn into_transact_item(self, table: &str) -> Result<TransactWriteItem, BuildError> {
        let (names, expression) = (self.names(), self.update_expression());
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(self.key.into_attributes()))
            .update_expression(expression)
            .set_condition_expression(Some(self.condition).filter(|condition| !condition.is_empty()))
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(self.values).filter(|values| !values.is_empty()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

/// A deletion of one item, if it exists.
pub(in crate::store) struct ItemDeletion {
    key: Key,
    condition: Option<&'static str>,
    values: HashMap<String, AttributeValue>,
}

impl ItemDeletion {
    pub(in crate::store) fn new(key: Key) -> Self {
        Self { key, condition: None, values: HashMap::new() }
    }

    /// Sets the condition of the deletion.
    pub(in crate::store) fn when(self, condition: &'static str) -> Self {
        Self { condition: Some(condition), ..self }
    }

    pub(in crate::store) fn value(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }

    fn into_transact_item(self, table: &str) -> Result<TransactWriteItem, BuildError> {
        let delete = Delete::builder()
            .table_name(table)
            .set_key(Some(self.key.into_attributes()))
            .set_condition_expression(self.condition.map(str::to_owned))
            .set_expression_attribute_names(self.condition.map(|condition| names_in(&[condition])))
            .set_expression_attribute_values(Some(self.values).filter(|values| !values.is_empty()))
            .build()?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

/// An item to be created, which must not exist yet.
pub(in crate::store) struct NewItem {
    pub(in crate::store) key: Key,
    pub(in crate::store) attributes: HashMap<String, AttributeValue>,
}

impl NewItem {
    pub(in crate::store) const CONDITION: &'static str = "attribute_not_exists(#pk)";

    pub(in crate::store) fn names() -> HashMap<String, String> {
        names_in(&[Self::CONDITION])
    }

    pub(in crate::store) fn into_attributes(self) -> HashMap<String, AttributeValue> {
        let mut attributes = self.attributes;
        attributes.extend(self.key.into_attributes());
        attributes
    }

    fn into_transact_item(self, table: &str) -> Result<TransactWriteItem, BuildError> {
        let put = Put::builder()
            .table_name(table)
            .set_item(Some(self.into_attributes()))
            .condition_expression(Self::CONDITION)
            .set_expression_attribute_names(Some(Self::names()))
            .build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

/// A condition that an item must meet. The item does not change.
pub(in crate::store) struct ItemCheck {
    key: Key,
    condition: &'static str,
    values: HashMap<String, AttributeValue>,
}

impl ItemCheck {
    pub(in crate::store) fn new(key: Key, condition: &'static str) -> Self {
        Self { key, condition, values: HashMap::new() }
    }

    pub(in crate::store) fn value(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }

    fn into_transact_item(self, table: &str) -> Result<TransactWriteItem, BuildError> {
        let check = ConditionCheck::builder()
            .table_name(table)
            .set_key(Some(self.key.into_attributes()))
            .condition_expression(self.condition)
            .set_expression_attribute_names(Some(names_in(&[self.condition])))
            .set_expression_attribute_values(Some(self.values).filter(|values| !values.is_empty()))
            .build()?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}

/// One part of a transaction.
pub(in crate::store) enum Write {
    Update(ItemUpdate),
    Create(NewItem),
    Delete(ItemDeletion),
    Check(ItemCheck),
}

impl Write {
    pub(in crate::store) fn into_transact_item(self, table: &str) -> Result<TransactWriteItem, BuildError> {
        match self {
            Self::Update(update) => update.into_transact_item(table),
            Self::Create(item) => item.into_transact_item(table),
            Self::Delete(deletion) => deletion.into_transact_item(table),
            Self::Check(check) => check.into_transact_item(table),
        }
    }
}

/// Returns `#name` → `name` for every attribute that the expressions use.
fn names_in(expressions: &[&str]) -> HashMap<String, String> {
    let mut names = HashMap::new();
    for expression in expressions {
        for rest in expression.split('#').skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let name = rest.get(..end).unwrap_or_default();
            debug_assert!(
                keys::ALL.contains(&name) || keys::DAYS.contains(&name),
                "`{name}` is no attribute of the table"
            );
            names.insert(format!("#{name}"), name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_wherever_they_stand() {
        let names = names_in(&["SET #epoch = :e, #op = if_not_exists(#op, :op)", "attribute_exists(#password_hash)"]);
        let mut found: Vec<_> = names.values().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, ["epoch", "op", "password_hash"]);
        assert_eq!(names["#password_hash"], "password_hash");
    }
}
