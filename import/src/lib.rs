//! Moves the users of another system, with their passwords if they have any, to Latchkey: identifiers, phones and bcrypt
//! hashes of a SQLite, PostgreSQL or MySQL database.
//!
//! It takes three steps, so that nothing is written before everything is checked: [`read_users`], [`Plan::of`],
//! [`write()`].

pub mod report;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use latchkey::{
    base::{id::UserId, kid::Versioned, random::RandomError, time::Timestamp},
    domain::{
        legacy_id::LegacyId,
        password::PasswordHash,
        phone::{Phone, PhoneRules},
        spelling,
    },
    log::audit,
    store::{Import, ImportedAccount, OldPassword, Store, StoreError},
};
use ring::hmac;
use sqlx::{AnyConnection, Connection, Row, any::AnyRow};

/// The number of accounts that are written at once.
const AT_ONCE: usize = 32;

/// The number of columns of a query: identifier, phone and hash.
const COLUMNS: usize = 3;

/// A system whose tables are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// `users(id, phone, hashed_password)`: the origin, and many others.
    Users,
    /// `auth.users` of Supabase, with UUIDs: users with a confirmed phone who are neither banned nor deleted.
    Supabase,
    /// `users(id, phone, password)` of Laravel.
    Laravel,
    /// `users(id, phone, encrypted_password)` of Devise (Rails), without a pepper.
    Devise,
    /// `auth_user` of Django: active users whose `username` is a phone. Only bcrypt hashes can be moved.
    Django,
}

impl Preset {
    /// All systems.
    pub const ALL: [Self; 5] = [Self::Users, Self::Supabase, Self::Laravel, Self::Devise, Self::Django];

    /// Returns the query that reads the system's users: identifier, phone and hash, in the order in which they came.
    pub fn query(self) -> &'static str {
        match self {
            Self::Users => "SELECT id, phone, hashed_password FROM users ORDER BY id",
            // Supabase keeps phones without the plus sign.
            Self::Supabase => {
                "SELECT CAST(id AS text), '+' || phone, encrypted_password FROM auth.users WHERE phone <> '' \
                 AND phone_confirmed_at IS NOT NULL AND deleted_at IS NULL \
                 AND (banned_until IS NULL OR banned_until < CURRENT_TIMESTAMP) ORDER BY created_at, id"
            }
            Self::Laravel => "SELECT id, phone, password FROM users ORDER BY id",
            Self::Devise => "SELECT id, phone, encrypted_password FROM users ORDER BY id",
            // An unusable password begins with an exclamation mark.
            Self::Django => {
                "SELECT id, username, CASE WHEN password LIKE '!%' THEN NULL ELSE password END FROM auth_user \
                 WHERE is_active ORDER BY id"
            }
        }
    }
}

/// What happens to users whose phones are one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnDuplicate {
    /// None of them is moved.
    #[default]
    LeaveOut,
    /// The one that the query returns first is moved: with a preset, the oldest.
    First,
    /// The one that the query returns last is moved: with a preset, the newest.
    Last,
}

/// An error of the other system's database, which cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the users of {database} cannot be read: {source}")]
pub struct ReadError {
    /// The database's URL, without its password.
    database: String,
    source: sqlx::Error,
}

/// A reason for which an account cannot be written. Others may have been written before it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The table returned an error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system provided no random bytes for an identifier.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// A user as the other system has it. It has no `Debug`, because it contains a hash.
#[derive(Clone)]
pub struct OriginUser {
    /// The user's identifier.
    pub id: LegacyId,
    /// The text that the other system accepted as a phone.
    pub phone: Option<String>,
    /// The bcrypt hash of the user's password.
    pub hashed_password: Option<String>,
}

/// A user that cannot be moved, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The user's identifier in the other system.
    pub id: LegacyId,
    /// The user's phone, as the other system has it.
    pub phone: String,
    /// The reason, as a clause without a full stop.
    pub reason: String,
}

/// The plan of an import.
#[derive(Default)]
pub struct Plan {
    /// The accounts to create.
    pub accounts: Vec<ImportedAccount>,
    /// The users that cannot be moved.
    pub left_out: Vec<LeftOut>,
}

/// The result of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The number of accounts created.
    pub created: usize,
    /// The number of accounts that exist from an earlier import.
    pub already_there: usize,
    /// The users whose phones already have other accounts.
    pub left_out: Vec<LeftOut>,
}

/// Reads every user of the other system's database by a query, whose columns are identifier, phone and hash. The URL may
/// be the path of a SQLite file, and have SQLAlchemy's form, which the origin uses, or the usual one.
pub async fn read_users(url: &str, query: &str) -> Result<Vec<OriginUser>, ReadError> {
    sqlx::any::install_default_drivers();
    let url = as_driver_url(url, |path| Path::new(path).exists());
    let read = async { read_from(&mut AnyConnection::connect(&url).await?, query).await };
    read.await.map_err(|source| ReadError { database: without_password(&url), source })
}

/// Reads every user by a query.
pub async fn read_from(connection: &mut AnyConnection, query: &str) -> Result<Vec<OriginUser>, sqlx::Error> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch(connection);
    rows.and_then(async |row: AnyRow| {
        Ok(OriginUser { id: identifier(&row)?, phone: cell(&row, 1)?, hashed_password: cell(&row, 2)? })
    })
    .try_collect()
    .await
}

/// Reads the identifier in the first column: an integer, or a text.
fn identifier(row: &AnyRow) -> Result<LegacyId, sqlx::Error> {
    if row.len() < COLUMNS {
        return Err(sqlx::Error::Decode("the query must return three columns: identifier, phone and hash".into()));
    }
    if let Ok(number) = row.try_get::<i64, _>(0) {
        return Ok(LegacyId::Number(number));
    }
    let text = cell(row, 0)?.map(|text| spelling::cell(&text).to_owned()).filter(|text| !text.is_empty());
    text.map(LegacyId::Text).ok_or_else(|| sqlx::Error::Decode("a user has no identifier".into()))
}

/// Reads a text. Phones may be numbers, and hashes bytes, by the type of their column.
fn cell(row: &AnyRow, column: usize) -> Result<Option<String>, sqlx::Error> {
    let error = match row.try_get::<Option<String>, _>(column) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    if let Ok(number) = row.try_get::<i64, _>(column) {
        return Ok(Some(number.to_string()));
    }
    if let Ok(number) = row.try_get::<f64, _>(column) {
        return Ok(Some(format!("{number:.0}")).filter(|_| number.fract() == 0.0));
    }
    let bytes = row.try_get::<Vec<u8>, _>(column).map_err(|_| error)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Returns the URL as the driver reads it. SQLAlchemy names its own driver (`postgresql+psycopg2://`), and after three
/// slashes it has a relative path (`sqlite:///test.db`) where others have an absolute one, which is used if that file
/// exists. A URL without a scheme is the path of a SQLite file, which is opened for reading only, and not created if it
/// does not exist.
fn as_driver_url(url: &str, exists: impl Fn(&str) -> bool) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some(parts) => parts,
        // A path, or `sqlite:path`.
        None => ("sqlite", url.strip_prefix("sqlite:").unwrap_or(url)),
    };
    let scheme = scheme.split('+').next().unwrap_or(scheme);
    if scheme != "sqlite" {
        return format!("{scheme}://{rest}");
    }
    let file = |path: &str| exists(path.split('?').next().unwrap_or(path));
    let path = match rest.strip_prefix('/') {
        Some(relative) if relative.starts_with('.') || (!file(rest) && file(relative)) => relative,
        _ => rest,
    };
    let mode = if path.contains('?') { "" } else { "?mode=ro" };
    format!("sqlite://{path}{mode}")
}

/// Returns the URL for messages, without any part that may be a password.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "an invalid URL".to_owned() };
    let without_query = |text: &str| text.split('?').next().unwrap_or_default().to_owned();
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{}", without_query(host)),
        None if scheme == "sqlite" => format!("{scheme}://{}", without_query(rest)),
        None => format!("{scheme}://…"),
    }
}

impl Plan {
    /// Reads phones and hashes. Users whose phones are the same number are left out, because it is unknown which of them
    /// owns it, or all but one of them. Users without a password are moved as accounts without one, which takes the key
    /// that recognizes them later; without it, they are left out.
    pub fn of(
        users: Vec<OriginUser>,
        rules: &PhoneRules,
        key: Option<&Versioned<hmac::Key>>,
        on_duplicate: OnDuplicate,
    ) -> Self {
        let mut plan = Self::default();
        let mut by_phone: HashMap<Phone, Vec<OriginUser>> = HashMap::new();
        let mut order = Vec::new();
        for user in users {
            // A user whose password cannot be moved counts as well: the phone may be that user's.
            match rules.parse(spelling::cell(user.phone.as_deref().unwrap_or_default())) {
                Ok(phone) => {
                    let users = by_phone.entry(phone.clone()).or_default();
                    if users.is_empty() {
                        order.push(phone);
                    }
                    users.push(user);
                }
                Err(why) => plan.leave_out(user, format!("the phone {why}")),
            }
        }
        for phone in order {
            let users = by_phone.remove(&phone).unwrap_or_default();
            let moved = match (users.len(), on_duplicate) {
                (0 | 1, _) | (_, OnDuplicate::First) => Some(0),
                (count, OnDuplicate::Last) => Some(count - 1),
                (_, OnDuplicate::LeaveOut) => None,
            };
            let ids: Vec<_> = users.iter().map(|user| user.id.to_string()).collect();
            let moved_id = moved.and_then(|at| ids.get(at)).map(|id| format!("; {id} is the one to move"));
            let reason = format!("the phone belongs to the users {}{}", ids.join(", "), moved_id.unwrap_or_default());
            for (at, user) in users.into_iter().enumerate() {
                if moved == Some(at) { plan.take(user, &phone, key) } else { plan.leave_out(user, reason.clone()) }
            }
        }
        plan.left_out.sort_by(|one, other| one.id.cmp(&other.id));
        plan
    }

    /// Takes a user in, unless the password cannot be moved.
    fn take(&mut self, user: OriginUser, phone: &Phone, key: Option<&Versioned<hmac::Key>>) {
        let hash = user.hashed_password.as_deref().filter(|hash| !spelling::cell(hash).is_empty());
        let password = match (hash, key) {
            (Some(hash), _) => {
                PasswordHash::from_bcrypt(hash).map(OldPassword::Hash).map_err(|why| format!("the password {why}"))
            }
            (None, Some(key)) => {
                Ok(OldPassword::None(audit::pseudonym_of(key, &format!("import:{}:{}", user.id, phone.as_e164()))))
            }
            (None, None) => Err("the user has no password, and the secret of SECRET_KEY_ARN cannot be read".to_owned()),
        };
        match password {
            Ok(password) => {
                self.accounts.push(ImportedAccount { legacy_id: user.id, phone: phone.clone(), password });
            }
            Err(reason) => self.leave_out(user, reason),
        }
    }

    fn leave_out(&mut self, user: OriginUser, reason: String) {
        self.left_out.push(LeftOut { id: user.id, phone: user.phone.unwrap_or_default(), reason });
    }

    /// Returns the highest bcrypt cost of the hashes to be moved, which `LEGACY_COST` has to be; `None` if there are none.
    pub fn highest_cost(&self) -> Option<u32> {
        self.accounts.iter().filter_map(|account| account.password.hash()?.bcrypt_cost()).max()
    }

    /// Returns the number of users left out for each reason. All users who share a number count under one reason.
    pub fn reasons(&self) -> BTreeMap<&str, usize> {
        let mut reasons = BTreeMap::new();
        for user in &self.left_out {
            let collides = user.reason.starts_with("the phone belongs to");
            let reason = if collides { "the phone belongs to several users" } else { user.reason.as_str() };
            *reasons.entry(reason).or_default() += 1;
        }
        reasons
    }
}

/// Creates the accounts, and calls `each` after every one. Accounts from an earlier import stay unchanged, so that an
/// interrupted run continues when it is started again.
pub async fn write(
    accounts: &[ImportedAccount],
    store: &Store,
    now: Timestamp,
    each: impl Fn(),
) -> Result<Summary, WriteError> {
    run(accounts, each, async |account| Ok(store.import_account(UserId::generate()?, account, now).await?)).await
}

/// Returns what [`write()`] would do. Only reads.
pub async fn rehearse(accounts: &[ImportedAccount], store: &Store, each: impl Fn()) -> Result<Summary, WriteError> {
    run(accounts, each, async |account| Ok(store.imported(account).await?.unwrap_or(Import::Created))).await
}

async fn run(
    accounts: &[ImportedAccount],
    each: impl Fn(),
    import: impl AsyncFn(&ImportedAccount) -> Result<Import, WriteError>,
) -> Result<Summary, WriteError> {
    let import = &import;
    let imports = stream::iter(accounts).map(async |account| Ok::<_, WriteError>((account, import(account).await?)));
    let done = imports.buffer_unordered(AT_ONCE).inspect_ok(|_| each());
    let mut summary = done
        .try_fold(Summary::default(), async |mut summary, (account, import)| {
            match import {
                Import::Created => summary.created += 1,
                Import::AlreadyThere => summary.already_there += 1,
                Import::PhoneTaken => summary.left_out.push(LeftOut {
                    id: account.legacy_id.clone(),
                    phone: account.phone.as_e164().to_owned(),
                    reason: "the phone has another account already".to_owned(),
                }),
            }
            Ok(summary)
        })
        .await?;
    summary.left_out.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use latchkey::base::kid::Kid;

    use super::*;

    const BCRYPT: &str = "$2b$04$eFgsmBJ1cJFp2NiJRGXvquBKZGc.qVEEe7xX0Qos5A8fPB/t3gk5.";

    fn user(id: i64, phone: &str, hash: &str) -> OriginUser {
        OriginUser { id: id.into(), phone: Some(phone.to_owned()), hashed_password: Some(hash.to_owned()) }
    }

    fn plan(users: Vec<OriginUser>) -> Plan {
        Plan::of(users, &PhoneRules::new("EG".parse().unwrap(), None), None, OnDuplicate::LeaveOut)
    }

    #[test]
    fn urls_of_sqlalchemy_are_understood() {
        for (url, expected) in [
            ("sqlite:///path/test.db", "sqlite:///path/test.db?mode=ro"),
            ("sqlite:////path/test.db", "sqlite:////path/test.db?mode=ro"),
            ("sqlite:///./test.db", "sqlite://./test.db?mode=ro"),
            ("sqlite://test.db?cache=shared", "sqlite://test.db?cache=shared"),
            ("postgresql+psycopg2://me:pw@host/db", "postgresql://me:pw@host/db"),
            ("mysql+pymysql://me:pw@host/db", "mysql://me:pw@host/db"),
            // SQLAlchemy's meaning, for a file that exists.
            ("sqlite:///here.db", "sqlite://here.db?mode=ro"),
            // Paths.
            ("/path/old.db", "sqlite:///path/old.db?mode=ro"),
            ("old.db", "sqlite://old.db?mode=ro"),
            ("sqlite:old.db", "sqlite://old.db?mode=ro"),
            ("sqlite:/path/old.db", "sqlite:///path/old.db?mode=ro"),
            ("sqlite:///here.db?cache=shared", "sqlite://here.db?cache=shared"),
        ] {
            assert_eq!(as_driver_url(url, |path| path == "here.db"), expected);
        }
        assert_eq!(as_driver_url("sqlite:///both.db", |_| true), "sqlite:///both.db?mode=ro");
        assert_eq!(without_password("postgresql://me:p@w@host/db"), "postgresql://…@host/db");
        assert_eq!(without_password("sqlite://./test.db?mode=ro"), "sqlite://./test.db");
        for slip in ["postgresql://h/x?user=u&password=secret", "postgresql:/u:secret@h/x", "postgresql://u:secret"] {
            assert!(!without_password(slip).contains("secret"));
        }
    }

    /// Cells as spreadsheets, exports and columns of a fixed width leave them.
    #[test]
    fn cells_are_read_without_what_is_around_their_values() {
        let phones = [
            ("(+2)01012345000", "+201012345000"),
            ("٠١٠١٢٣٤٥٠٠١", "+201012345001"),
            ("\u{202a}+20 10 12345002\u{202c}", "+201012345002"),
            ("0101.234.5003", "+201012345003"),
            ("01012345004\n", "+201012345004"),
            ("'01012345005", "+201012345005"),
            ("1012345006", "+201012345006"),
            ("\"01012345007\",", "+201012345007"),
            ("01012345008.0", "+201012345008"),
            ("+201012345009\0", "+201012345009"),
        ];
        let hashes =
            ["{}", "{}            ", "{}\n", "\u{feff}{}", "{}\r\n", "'{}", "\"{}\"", "{};", "bcrypt${}", "{}\0\0\0\0"];
        let users = (1..).zip(phones.iter().zip(hashes));
        let users = users.map(|(id, ((phone, _), hash))| user(id, phone, &hash.replacen("{}", BCRYPT, 1))).collect();
        let plan = plan(users);
        assert_eq!(plan.left_out, []);
        for (account, (_, phone)) in plan.accounts.iter().zip(phones) {
            assert_eq!((account.phone.as_e164(), account.password.hash().unwrap().as_str()), (phone, BCRYPT));
        }
    }

    #[test]
    fn hashes_that_every_login_would_have_to_wait_for_are_left_out() {
        let of_cost = |cost: &str| BCRYPT.replace("$04$", &format!("${cost}$"));
        let plan = plan(vec![
            user(1, "01012345678", &of_cost("10")),
            user(2, "01112345678", &of_cost("13")),
            user(3, "01212345678", &of_cost("14")),
            user(4, "01512345678", "2.01112E+11"),
        ]);
        assert_eq!((plan.accounts.len(), plan.highest_cost()), (2, Some(13)));
        let reasons: Vec<_> = plan.left_out.iter().map(|user| user.reason.as_str()).collect();
        let costly = "the password is a bcrypt hash of cost 14, and the highest cost is 13: every login would have to take as long";
        assert_eq!(reasons, [costly, "the password is not a bcrypt hash ($2a$, $2b$ or $2y$)"]);
        assert_eq!(Plan::default().highest_cost(), None);
    }

    #[test]
    fn phones_are_read_as_everywhere_and_what_cannot_be_is_named() {
        let plan = plan(vec![
            user(1, "01012345678", BCRYPT),
            user(2, "anything", BCRYPT),
            user(3, "+201112345678", BCRYPT),
            user(4, "01212345678", "plain text"),
            OriginUser { id: 5.into(), phone: None, hashed_password: None },
        ]);
        let moved: Vec<_> = plan.accounts.iter().map(|user| (user.legacy_id.clone(), user.phone.as_e164())).collect();
        assert_eq!(moved, [(1.into(), "+201012345678"), (3.into(), "+201112345678")]);
        let left_out: Vec<_> = plan.left_out.iter().map(|user| (user.id.clone(), user.reason.as_str())).collect();
        assert!(left_out[0].1.starts_with("the phone must be") && left_out[1].1.starts_with("the password is not"));
        assert_eq!(left_out.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), [2, 4, 5].map(LegacyId::from));
        assert!(!format!("{:?}", plan.left_out).contains("plain text"), "no hash is shown");
    }

    #[test]
    fn users_without_a_password_are_moved_if_they_can_be_recognized_later() {
        let users = || {
            [None, Some(""), Some("  ")].map(|hash| OriginUser {
                id: 5.into(),
                phone: Some("01012345678".to_owned()),
                hashed_password: hash.map(str::to_owned),
            })
        };
        let key =
            |byte| Versioned { kid: Kid::from_byte(1).unwrap(), key: hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]) };
        let rules = PhoneRules::new("EG".parse().unwrap(), None);
        let plan_with =
            |user, key: &Versioned<hmac::Key>| Plan::of(vec![user], &rules, Some(key), OnDuplicate::LeaveOut);
        for user in users() {
            let keyed = |byte| match &plan_with(user.clone(), &key(byte)).accounts[0].password {
                OldPassword::None(keyed) => keyed.clone(),
                OldPassword::Hash(_) => panic!("there is none"),
            };
            assert!(keyed(1) == keyed(1) && keyed(1) != keyed(2));
            let left_out = plan(vec![user]).left_out;
            assert!(left_out[0].reason.starts_with("the user has no password"), "{}", left_out[0].reason);
        }
    }

    /// The users that a plan moves, and those that it leaves out with the reason.
    fn moved_and_left_out(plan: &Plan) -> (Vec<String>, Vec<(String, &str)>) {
        let moved = plan.accounts.iter().map(|account| account.legacy_id.to_string()).collect();
        (moved, plan.left_out.iter().map(|user| (user.id.to_string(), user.reason.as_str())).collect())
    }

    #[test]
    fn of_users_whose_phones_are_one_number_none_is_moved() {
        // A hash that cannot be moved makes the phone nobody else's.
        for hash in [BCRYPT, "pbkdf2_sha256$1$x$y"] {
            let plan = plan(vec![
                user(7, "01012345678", hash),
                user(8, "01112345678", BCRYPT),
                user(9, "+20 10 1234-5678", BCRYPT),
            ]);
            let reason = "the phone belongs to the users 7, 9";
            let left_out = vec![("7".to_owned(), reason), ("9".to_owned(), reason)];
            assert_eq!(moved_and_left_out(&plan), (vec!["8".to_owned()], left_out));
            assert_eq!(plan.reasons(), [("the phone belongs to several users", 2)].into());
        }
    }

    #[test]
    fn of_users_whose_phones_are_one_number_the_operator_may_choose_which_is_moved() {
        let users =
            || vec![user(7, "01012345678", "!"), user(8, "00201012345678", BCRYPT), user(9, "1012345678.0", BCRYPT)];
        let plan = |choice| Plan::of(users(), &PhoneRules::new("EG".parse().unwrap(), None), None, choice);
        let last = plan(OnDuplicate::Last);
        let reason = "the phone belongs to the users 7, 8, 9; 9 is the one to move";
        let left_out = vec![("7".to_owned(), reason), ("8".to_owned(), reason)];
        assert_eq!(moved_and_left_out(&last), (vec!["9".to_owned()], left_out));
        assert_eq!(last.reasons(), [("the phone belongs to several users", 2)].into());
        // The first one's hash cannot be moved, and then nobody else is.
        let first = plan(OnDuplicate::First);
        let reason = "the phone belongs to the users 7, 8, 9; 7 is the one to move";
        let no_hash = "the password is not a bcrypt hash ($2a$, $2b$ or $2y$)";
        let left_out = vec![("7".to_owned(), no_hash), ("8".to_owned(), reason), ("9".to_owned(), reason)];
        assert_eq!(moved_and_left_out(&first), (vec![], left_out));
    }
}
