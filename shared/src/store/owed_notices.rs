//! Notices that could not be sent when they were due. One partition lists them, so that a function that runs on a schedule
//! finds them without reading the table (docs/adr/0038-three-pots-of-messages.md).

use std::time::Duration;

use super::{
    Store,
    table::{
        error::StoreError,
        expression::ItemUpdate,
        item::{Item, moment, text, ttl},
        keys::{self, DUE_AT, ENDS_AT, Key, LANGUAGE, SEALED_PHONE},
        wire::Outcome,
    },
};
use crate::base::time::Timestamp;

/// The time for which a notice is owed. A provider that is down for longer has other alarms.
const OWED: Duration = Duration::from_hours(3 * 24);

/// The time after which a claimed notice may be claimed again, because the run that claimed it died.
const CLAIMED: Duration = Duration::from_mins(10);

/// A notice to be kept until it can be sent.
#[derive(Clone, Copy, Debug)]
pub struct NewOwedNotice<'a> {
    /// The pseudonym of the phone.
    pub recipient: &'a str,
    /// The name of the notice.
    pub name: &'a str,
    /// The phone, encrypted, because the notice may outlive the account.
    pub sealed_phone: &'a str,
    /// The ISO 639-1 code of its language, if the client asked for one.
    pub language: Option<&'a str>,
}

/// A notice that is owed to a phone, claimed for one try.
#[derive(Clone, Debug)]
pub struct OwedNotice {
    /// The name of the notice.
    pub name: String,
    /// The phone, encrypted.
    pub sealed_phone: String,
    /// The ISO 639-1 code of its language, if the client asked for one.
    pub language: Option<String>,
    /// Whether this is its last try, since it has been owed for so long.
    pub is_last: bool,
    key: Key,
    claimed_until: Timestamp,
}

impl Store {
    /// Keeps a notice, to be sent from `due_at` on. The same notice to the same phone is kept once, and is sent after the
    /// last change that it tells of.
    pub async fn owe_notice(
        &self,
        notice: NewOwedNotice<'_>,
        due_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = ItemUpdate::new(Key::owed_notice(&format!("{}#{}", notice.recipient, notice.name)))
            .set("#sealed_phone = :sealed_phone")
            .set("#due_at = :due_at")
            .set("#ends_at = :ends_at")
            .set("#expires_at = :expires_at")
            .value(":sealed_phone", text(notice.sealed_phone))
            .value(":due_at", moment(due_at))
            .value(":ends_at", moment(now.plus(OWED)))
            .value(":expires_at", ttl(now.plus(OWED * 2)));
        let update = match notice.language {
            Some(language) => update.set("#language = :language").value(":language", text(language)),
            None => update.remove("#language"),
        };
        self.update(update).await.map(|_| ())
    }

    /// Returns the keys of at most `limit` notices that are due. Those that have waited longest come first, so that none is
    /// passed over for as long as others, which no provider takes, are due again at every run.
    pub async fn due_notices(&self, limit: usize, now: Timestamp) -> Result<Vec<DueNotice>, StoreError> {
        let items = self.read_partition(keys::OWED_NOTICES).await?;
        let owed = items.into_iter().map(|(sort, item)| Ok(DueNotice { sort, due_at: item.moment(DUE_AT)? }));
        let mut due = owed.collect::<Result<Vec<_>, StoreError>>()?;
        due.retain(|notice| notice.due_at <= now);
        due.sort_by_key(|notice| notice.due_at);
        due.truncate(limit);
        Ok(due)
    }

    /// Claims a due notice for one try. Returns none if another run was faster. A run that dies leaves it to a later one.
    pub async fn claim_notice(&self, due: &DueNotice, now: Timestamp) -> Result<Option<OwedNotice>, StoreError> {
        let key = Key::owed_notice(&due.sort);
        let claimed_until = now.plus(CLAIMED);
        let update = ItemUpdate::new(key.clone())
            .set("#due_at = :until")
            .when("#due_at = :seen")
            .value(":until", moment(claimed_until))
            .value(":seen", moment(due.due_at));
        let Outcome::Applied(item) = self.update(update).await? else { return Ok(None) };
        OwedNotice::read(key, &due.sort, claimed_until, &item, now).map(Some)
    }

    /// Forgets a notice that was sent, or will never be, unless the change that it tells of has happened again since.
    pub async fn settle_notice(&self, notice: &OwedNotice) -> Result<(), StoreError> {
        self.delete_if(notice.key.clone(), "#due_at = :until", (":until", moment(notice.claimed_until))).await
    }

    /// Leaves a claimed notice until another time, unless it is due again already.
    pub async fn defer_notice(&self, notice: &OwedNotice, due_at: Timestamp) -> Result<(), StoreError> {
        let update = ItemUpdate::new(notice.key.clone())
            .set("#due_at = :due_at")
            .when("#due_at = :until")
            .value(":due_at", moment(due_at))
            .value(":until", moment(notice.claimed_until));
        self.update(update).await.map(|_| ())
    }
}

/// A notice that is due, but not claimed yet.
#[derive(Clone, Debug)]
pub struct DueNotice {
    sort: String,
    due_at: Timestamp,
}

impl OwedNotice {
    fn read(key: Key, sort: &str, claimed_until: Timestamp, item: &Item, now: Timestamp) -> Result<Self, StoreError> {
        let name = sort.split_once('#').map_or("", |(_, name)| name).to_owned();
        let language = item.has(LANGUAGE).then(|| item.text(LANGUAGE).map(str::to_owned)).transpose()?;
        let sealed_phone = item.text(SEALED_PHONE)?.to_owned();
        Ok(Self { name, sealed_phone, language, is_last: item.moment(ENDS_AT)? <= now, key, claimed_until })
    }
}
