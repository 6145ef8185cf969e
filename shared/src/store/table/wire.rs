//! The calls to DynamoDB: the meaning of each reply, which failures are tried again, and which are errors.

use std::{collections::HashMap, ops::ControlFlow, time::Duration};

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        delete_item::DeleteItemError, put_item::PutItemError, transact_write_items::TransactWriteItemsError,
        update_item::UpdateItemError,
    },
    types::{AttributeValue, CancellationReason, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure},
};

use futures_util::{StreamExt, stream};

use super::{
    error::StoreError,
    expression::{ItemDeletion, ItemUpdate, NewItem, Write},
    item::{Item, number, text},
    keys::{self, Key, OPERATION, PARTITION_KEY, SORT_KEY},
};
use crate::{
    base::{
        id::{OperationId, UserId},
        random,
    },
    store::Store,
};

/// The number of segments in which the whole table is read at once.
const SEGMENTS: i32 = 8;

/// The outcome of a conditional write.
#[derive(Debug)]
pub(in crate::store) enum Outcome {
    /// The write happened. The field is the item as it is now.
    Applied(Item),
    /// The condition did not hold. The field is the item as it is, if it exists.
    Refused(Option<Item>),
}

/// A receipt for one count of a counter, so that exactly this count can be taken back.
#[derive(Clone, Debug)]
pub struct Receipt {
    key: Key,
    /// The operation that counted; none if nothing was counted.
    operation: Option<String>,
    give_back: &'static [&'static str],
    unless_reset: &'static str,
    /// An element of a set that was counted along.
    forgotten: Option<(&'static str, AttributeValue)>,
}

impl Receipt {
    /// Returns the receipt for an update that was applied just now. `give_back` undoes its additions while
    /// `unless_reset` holds.
    pub(in crate::store) fn of(
        key: Key,
        applied: &Item,
        give_back: &'static [&'static str],
        unless_reset: &'static str,
    ) -> Result<Self, StoreError> {
        let operation = Some(applied.text(OPERATION)?.to_owned());
        Ok(Self { key, operation, give_back, unless_reset, forgotten: None })
    }

    /// Returns the same receipt, which also takes the element `:forgotten` out of a set, as `deletion` says.
    pub(in crate::store) fn forgetting(self, deletion: &'static str, element: AttributeValue) -> Self {
        Self { forgotten: Some((deletion, element)), ..self }
    }

    /// Returns a receipt for a try that was not counted.
    pub(in crate::store) fn of_nothing(key: Key) -> Self {
        Self { key, operation: None, give_back: &[], unless_reset: "", forgotten: None }
    }
}

/// The outcome of a transaction.
#[derive(Debug)]
pub(in crate::store) enum Transacted {
    /// Every write happened.
    Committed,
    /// No write happened. The field tells, per write, whether its condition failed, and on which item.
    Refused(Vec<Part>),
}

/// The outcome of one write of a transaction that was refused.
#[derive(Debug)]
pub(in crate::store) enum Part {
    /// The condition held.
    Fine,
    /// The condition failed. The field is the item as it is, if it exists.
    Failed(Option<Item>),
}

/// The number of tries of a write that conflicts with a transaction on one of its items: the SDK does not try again
/// (docs/threats.md#w6). Five pauses take half a second on average, which leaves room in the request's 8 s.
const TRIES: u32 = 6;

/// A sort key before every sort key that we write.
const FIRST_SORT: &str = " ";

/// The error code of a write that meets a transaction on its item.
const CONFLICT: &str = "TransactionConflictException";

impl Store {
    /// Updates one item under its condition.
    ///
    /// Stores the operation's identifier in the item. If a retry after a lost reply fails its condition, the identifier
    /// shows that our first try succeeded (docs/threats.md#w4).
    pub(in crate::store) async fn update(&self, update: ItemUpdate) -> Result<Outcome, StoreError> {
        let operation = OperationId::generate()?.to_string();
        let update = update.set("#op = :op").value(":op", text(operation.clone()));
        let (names, expression) = (update.names(), update.update_expression());
        let (key, condition, values) = update.into_parts();
        let call = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.into_attributes()))
            .update_expression(expression)
            .set_condition_expression(Some(condition).filter(|condition| !condition.is_empty()))
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match retry(|| call.clone().send(), is_conflict).await? {
            Ok(output) => Ok(Outcome::Applied(output.attributes.unwrap_or_default().into())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => {
                    Ok(ours_or_refused(refusal.item(), &operation))
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Takes back the count of one try that was not compared.
    ///
    /// The condition is that the item's last operation is still the one that counted. A transaction that resets a
    /// counter removes this mark. So a count is never taken back twice, and counts may stay too high but never become
    /// too low.
    pub async fn take_back(&self, receipt: Receipt) -> Result<(), StoreError> {
        let Some(operation) = receipt.operation else { return Ok(()) };
        let update = ItemUpdate::new(receipt.key)
            .when(format!("#op = :counted AND {}", receipt.unless_reset))
            .value(":counted", text(operation))
            .value(":one", number(1));
        let update = match receipt.forgotten {
            Some((deletion, element)) => update.delete(deletion).value(":forgotten", element),
            None => update,
        };
        let update = receipt.give_back.iter().fold(update, |update, assignment| update.set(assignment));
        self.update(update).await.map(|_| ())
    }

    /// Creates an item that must not exist yet.
    pub(in crate::store) async fn create(&self, mut item: NewItem) -> Result<Outcome, StoreError> {
        let operation = OperationId::generate()?.to_string();
        item.attributes.insert(OPERATION.to_owned(), text(operation.clone()));
        let call = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item.into_attributes()))
            .condition_expression(NewItem::CONDITION)
            .set_expression_attribute_names(Some(NewItem::names()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match retry(|| call.clone().send(), is_conflict).await? {
            Ok(_) => Ok(Outcome::Applied(Item::default())),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
                    Ok(ours_or_refused(refusal.item(), &operation))
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Deletes an item, if it exists.
    pub(in crate::store) async fn delete(&self, key: Key) -> Result<(), StoreError> {
        let call = self.client.delete_item().table_name(&self.table).set_key(Some(key.into_attributes()));
        retry(|| call.clone().send(), is_conflict).await??;
        Ok(())
    }

    /// Deletes an item, unless it has this attribute.
    pub(in crate::store) async fn delete_without(&self, key: Key, attribute: &str) -> Result<(), StoreError> {
        let call = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key.into_attributes()))
            .condition_expression("attribute_not_exists(#kept)")
            .expression_attribute_names("#kept", attribute);
        match retry(|| call.clone().send(), is_conflict).await? {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(error.into()),
            },
        }
    }

    /// Deletes an item under a condition. One that does not hold is no error.
    pub(in crate::store) async fn delete_if(
        &self,
        key: Key,
        condition: &'static str,
        (name, value): (&str, AttributeValue),
    ) -> Result<(), StoreError> {
        let deletion = ItemDeletion::new(key).when(condition).value(name, value);
        self.transact(vec![Write::Delete(deletion)]).await.map(|_| ())
    }

    /// Reads one item by its key, consistently.
    pub(in crate::store) async fn read(&self, key: Key) -> Result<Option<Item>, StoreError> {
        let call = self.client.get_item().table_name(&self.table).set_key(Some(key.into_attributes()));
        let output = call.consistent_read(true).send().await?;
        Ok(output.item.filter(|item| !item.is_empty()).map(Item::from))
    }

    /// Reads all items of a user, consistently, each with its sort key.
    pub(in crate::store) async fn read_user(&self, user: UserId) -> Result<Vec<(String, Item)>, StoreError> {
        self.read_user_from(user, FIRST_SORT).await
    }

    /// Reads all items of a partition, consistently, each with its sort key.
    pub(in crate::store) async fn read_partition(&self, partition: &str) -> Result<Vec<(String, Item)>, StoreError> {
        self.read_partition_from(partition, FIRST_SORT).await
    }

    /// Reads a user's items whose sort keys are not before `first`, consistently, each with its sort key.
    pub(in crate::store) async fn read_user_from(
        &self,
        user: UserId,
        first: &str,
    ) -> Result<Vec<(String, Item)>, StoreError> {
        self.read_partition_from(&keys::user_partition(user), first).await
    }

    async fn read_partition_from(&self, partition: &str, first: &str) -> Result<Vec<(String, Item)>, StoreError> {
        let mut items = Vec::new();
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#pk = :pk AND #sk >= :first")
            .expression_attribute_names("#pk", PARTITION_KEY)
            .expression_attribute_names("#sk", SORT_KEY)
            .expression_attribute_values(":pk", text(partition))
            .expression_attribute_values(":first", text(first))
            .into_paginator()
            .items()
            .send();
        while let Some(item) = pages.next().await {
            let item = Item::from(item?);
            items.push((item.text(SORT_KEY)?.to_owned(), item));
        }
        Ok(items)
    }

    /// Reads every item of the table, in no order: all segments at once, each page by page. Tells `progress` after each page
    /// how many items were read. Only operators call it.
    pub(in crate::store) async fn for_each_item(
        &self,
        mut each: impl FnMut(&Item) -> Result<(), StoreError>,
        progress: impl Fn(usize),
    ) -> Result<(), StoreError> {
        let pages = (0..SEGMENTS).map(|segment| {
            let scan = self.client.scan().table_name(&self.table).segment(segment).total_segments(SEGMENTS);
            let pages = scan.into_paginator().send();
            Box::pin(stream::unfold(pages, async |mut pages| Some((pages.next().await?, pages))))
        });
        let (mut pages, mut read) = (stream::select_all(pages), 0);
        while let Some(page) = pages.next().await {
            for item in page?.items.unwrap_or_default() {
                each(&Item::from(item))?;
                read += 1;
            }
            progress(read);
        }
        Ok(())
    }

    /// Reads items of the table, page by page, until `each` breaks. Only operators call it.
    pub(in crate::store) async fn read_items(
        &self,
        each: &mut impl FnMut(&Item) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let mut items = self.client.scan().table_name(&self.table).into_paginator().items().send();
        while let Some(item) = items.next().await {
            if each(&Item::from(item?))?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Does all of the writes or none. All tries share one `ClientRequestToken`, so that a retry after a lost reply is
    /// not a second transaction (docs/threats.md#w3).
    pub(in crate::store) async fn transact(&self, writes: Vec<Write>) -> Result<Transacted, StoreError> {
        let token = OperationId::generate()?.to_string();
        let items =
            writes.into_iter().map(|write| write.into_transact_item(&self.table)).collect::<Result<Vec<_>, _>>()?;
        let call = self.client.transact_write_items().client_request_token(&token).set_transact_items(Some(items));
        let is_conflict = |error: &_| matches!(judge(error), Verdict::TryAgain);
        let Err(error) = retry(|| call.clone().send(), is_conflict).await? else {
            return Ok(Transacted::Committed);
        };
        match judge(&error) {
            Verdict::Refused(parts) => Ok(Transacted::Refused(parts)),
            Verdict::Wrong => Err(StoreError::Bug(error.into())),
            Verdict::TryAgain | Verdict::Failed => Err(error.into()),
        }
    }

    /// Reads items by their keys, in one call and in the order of the keys. Each item is as the last write left it, but
    /// the items are not read at one moment.
    pub(in crate::store) async fn read_all<const N: usize>(
        &self,
        keys: [Key; N],
    ) -> Result<[Option<Item>; N], StoreError> {
        let found = self.read_every(keys.into()).await?;
        found.try_into().map_err(|_| StoreError::Bug("a batch read returned another number of items".into()))
    }

    /// Does the same for a number of keys, at most a hundred, that is only known at run time.
    pub(in crate::store) async fn read_every(&self, keys: Vec<Key>) -> Result<Vec<Option<Item>>, StoreError> {
        let mut found: Vec<HashMap<String, AttributeValue>> = Vec::with_capacity(keys.len());
        let mut wanted = KeysAndAttributes::builder().consistent_read(true);
        for key in &keys {
            wanted = wanted.keys(key.clone().into_attributes());
        }
        let mut wanted = HashMap::from([(self.table.clone(), wanted.build()?)]);
        // These calls do not repeat each other: each requests the keys that DynamoDB left out of the one before, which
        // it does when it is throttled.
        let mut tried = 0;
        while !wanted.is_empty() {
            if tried == TRIES {
                return Err(StoreError::Unavailable("a batch read stayed incomplete after every try".into()));
            }
            if tried > 0 {
                pause(tried).await?;
            }
            let output = self.client.batch_get_item().set_request_items(Some(wanted)).send().await?;
            found.extend(output.responses.into_iter().flat_map(HashMap::into_values).flatten());
            wanted = output.unprocessed_keys.unwrap_or_default();
            tried += 1;
        }
        let of = |key: Key| found.iter().position(|item| key.is_of(item)).map(|at| found.swap_remove(at).into());
        Ok(keys.into_iter().map(of).collect())
    }
}

/// Makes a call, and repeats it after a pause while it fails for a reason that passes by itself, [`TRIES`] times in
/// all. Returns the outcome of the last try. Fails if no randomness is available for a pause.
async fn retry<T, E, F: Future<Output = Result<T, E>>>(
    call: impl Fn() -> F,
    is_passing: impl Fn(&E) -> bool,
) -> Result<Result<T, E>, StoreError> {
    let mut tried = 1;
    loop {
        // On the heap: the futures of the SDK are large, and so would be every future that makes a call.
        match Box::pin(call()).await {
            Err(error) if tried < TRIES && is_passing(&error) => pause(tried).await?,
            ended => return Ok(ended),
        }
        tried += 1;
    }
}

/// Returns whether a single write met a transaction on its item.
fn is_conflict<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code() == Some(CONFLICT)
}

fn ours_or_refused(item: Option<&HashMap<String, AttributeValue>>, operation: &str) -> Outcome {
    let item = item.filter(|item| !item.is_empty()).map(|item| Item::from(item.clone()));
    match item {
        Some(item) if item.text(OPERATION).is_ok_and(|stored| stored == operation) => Outcome::Applied(item),
        item => Outcome::Refused(item),
    }
}

enum Verdict {
    Refused(Vec<Part>),
    TryAgain,
    /// A write that can never succeed, such as one that is too large. The code is at fault.
    Wrong,
    Failed,
}

/// Classifies a transaction's error. A failed condition is the answer; only a conflict or a throttle is worth another
/// try.
fn judge(error: &SdkError<TransactWriteItemsError>) -> Verdict {
    if error.code() == Some(CONFLICT) {
        return Verdict::TryAgain;
    }
    let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error() else {
        return Verdict::Failed;
    };
    let reasons = canceled.cancellation_reasons();
    let any = |codes: &[&str]| reasons.iter().any(|reason| reason.code().is_some_and(|code| codes.contains(&code)));
    if any(&["ConditionalCheckFailed"]) {
        Verdict::Refused(reasons.iter().map(part).collect())
    } else if any(&["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]) {
        Verdict::TryAgain
    } else {
        Verdict::Wrong
    }
}

fn part(reason: &CancellationReason) -> Part {
    if reason.code() == Some("ConditionalCheckFailed") {
        Part::Failed(reason.item().filter(|item| !item.is_empty()).map(|item| item.clone().into()))
    } else {
        Part::Fine
    }
}

/// Waits 25 to 200 ms, longer each time and at random, so that two writes that collided do not collide again.
async fn pause(tried: u32) -> Result<(), StoreError> {
    let longest = 25_u32.saturating_mul(1 << tried.min(3));
    let millis = 25 + random::below(longest)?;
    #[expect(clippy::disallowed_methods, reason = "backing off from a conflicting transaction is a real wait")]
    tokio::time::sleep(Duration::from_millis(millis.into())).await;
    Ok(())
}
