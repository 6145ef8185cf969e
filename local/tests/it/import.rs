//! `cargo run -p import`, as far as it works on the table: the users of the origin, and what they find here.

use admin::doctor::Finding;
use import::{LeftOut, OnDuplicate, OriginUser, Plan, Preset, Summary, read_from, read_users, rehearse, write};
use latchkey::{
    domain::{legacy_id::LegacyId, password::PasswordHash, phone::PhoneRules},
    store::{ImportedAccount, OldPassword},
};
use local::emulator::Fault;
use sqlx::{AnyConnection, Connection};
use unicode_normalization::UnicodeNormalization;

use crate::harness::{NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, THIRD_PHONE, World};

/// Of "mypassword", by Python's bcrypt as the origin calls it, but for a cost of 4.
const BCRYPT: &str = "$2b$04$2zMEUdZC85CqLhKae.pfeunVXkvrX8VF/p7NPNmesAh7aaykBARri";

/// A database as the origin makes it, with these users.
async fn database(path: &str, users: &[(i64, &str)]) -> String {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(&format!("sqlite://{path}?mode=rwc")).await.unwrap();
    let schema = "CREATE TABLE users (id INTEGER NOT NULL, phone VARCHAR, hashed_password VARCHAR, otp VARCHAR, \
                  otp_expires_at DATETIME, PRIMARY KEY (id))";
    sqlx::query(schema).execute(&mut connection).await.unwrap();
    for (id, phone) in users {
        let insert = sqlx::query("INSERT INTO users (id, phone, hashed_password) VALUES (?, ?, ?)");
        insert.bind(*id).bind(*phone).bind(BCRYPT).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    format!("sqlite:///{path}")
}

fn rules() -> PhoneRules {
    PhoneRules::new("EG".parse().unwrap(), None)
}

async fn accounts(users: &[(i64, &str)]) -> Vec<ImportedAccount> {
    let folder = tempfile::tempdir().unwrap();
    let url = database(folder.path().join("test.db").to_str().unwrap(), users).await;
    let users = read_users(&url, Preset::Users.query()).await.unwrap();
    let plan = Plan::of(users, &rules(), None, OnDuplicate::LeaveOut);
    assert!(plan.left_out.is_empty());
    plan.accounts
}

async fn import(world: &World, accounts: &[ImportedAccount]) -> Summary {
    write(accounts, &world.store(), world.clock.now(), || ()).await.unwrap()
}

#[tokio::test]
async fn a_user_of_the_origin_signs_in_with_the_old_password_and_gets_a_new_hash() {
    let world = World::with_full_hashes();
    let accounts = accounts(&[(42, PHONE)]).await;
    let rehearsed = rehearse(&accounts, &world.store(), || ()).await.unwrap();
    assert!(world.items("PHONE#").is_empty(), "a rehearsal writes nothing");
    assert_eq!(import(&world, &accounts).await, rehearsed);

    let person = world.visitor(PHONE);
    person.mistyping().login().await.expect_problem(401, "invalid-credentials");
    assert_eq!(world.item("PHONE#", "CREDENTIAL")["password_hash"]["S"], BCRYPT);
    person.sign_in().await;
    let me = person.me().await.expect(200);
    assert_eq!((&me.body["legacy_id"], &me.body["phone_verified"]), (&42.into(), &false.into()));
    let upgraded = world.item("PHONE#", "CREDENTIAL")["password_hash"]["S"].as_str().unwrap().to_owned();
    assert!(upgraded.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    person.login().await.expect(200);
    assert_eq!(world.item("PHONE#", "CREDENTIAL")["password_hash"]["S"], upgraded, "once is enough");
    assert_eq!(person.export().await.expect(200).body["account"]["legacy_id"], 42);
}

/// An in-memory database with the tables that these statements make.
async fn database_of(statements: &[&'static str]) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect("sqlite::memory:").await.unwrap();
    for statement in statements {
        sqlx::query(*statement).execute(&mut connection).await.unwrap();
    }
    connection
}

/// What a query returns: identifiers, phones and hashes.
async fn rows(connection: &mut AnyConnection, query: &str) -> Vec<(LegacyId, Option<String>, Option<String>)> {
    let users = read_from(connection, query).await.unwrap();
    users.into_iter().map(|user| (user.id, user.phone, user.hashed_password)).collect()
}

fn row(id: impl Into<LegacyId>, phone: &str, hash: Option<&str>) -> (LegacyId, Option<String>, Option<String>) {
    (id.into(), Some(phone.to_owned()), hash.map(str::to_owned))
}

#[tokio::test]
async fn every_preset_reads_the_users_of_its_system() {
    let mut database = database_of(&[
        "ATTACH ':memory:' AS auth",
        "CREATE TABLE auth.users (id TEXT, phone TEXT, encrypted_password TEXT, phone_confirmed_at TEXT, deleted_at TEXT, \
         banned_until TEXT, created_at TEXT)",
        "INSERT INTO auth.users VALUES ('b2c4', '201012345678', '$2a$', '2025', NULL, NULL, '2025'), \
         ('a1c3', '201112345678', '', '2025', NULL, '2001-01-01', '2024'), ('no-phone', NULL, '$2a$', '2025', NULL, NULL, '2025'), \
         ('empty', '', '$2a$', '2025', NULL, NULL, '2025'), ('unconfirmed', '201212345678', '$2a$', NULL, NULL, NULL, '2025'), \
         ('banned', '201212345679', '$2a$', '2025', NULL, '2999-01-01', '2025'), \
         ('deleted', '201212345670', '$2a$', '2025', '2025', NULL, '2025')",
        "CREATE TABLE auth_user (id INTEGER, username TEXT, password TEXT, is_active BOOL)",
        "INSERT INTO auth_user VALUES (1, '01012345678', 'bcrypt$$2b$', TRUE), (2, '01112345678', '!x', TRUE), (3, 'x', 'x', FALSE)",
        "CREATE TABLE main.users (id INTEGER, phone TEXT, hashed_password TEXT, password TEXT, encrypted_password TEXT)",
        "INSERT INTO main.users VALUES (7, '01012345678', 'hashed', 'laravel', 'devise')",
    ])
    .await;
    for preset in Preset::ALL {
        let expected = match preset {
            Preset::Users => vec![row(7, "01012345678", Some("hashed"))],
            Preset::Laravel => vec![row(7, "01012345678", Some("laravel"))],
            Preset::Devise => vec![row(7, "01012345678", Some("devise"))],
            Preset::Django => vec![row(1, "01012345678", Some("bcrypt$$2b$")), row(2, "01112345678", None)],
            Preset::Supabase => {
                let text = |id: &str| LegacyId::Text(id.to_owned());
                vec![row(text("a1c3"), "+201112345678", Some("")), row(text("b2c4"), "+201012345678", Some("$2a$"))]
            }
        };
        assert_eq!(rows(&mut database, preset.query()).await, expected, "{preset:?}");
    }
}

/// Phones in columns of numbers, hashes in columns of bytes, and identifiers of every kind.
#[tokio::test]
async fn cells_are_read_whatever_the_type_of_their_column() {
    let mut database = database_of(&[]).await;
    let (number, text) = (LegacyId::Number, |id: &str| LegacyId::Text(id.to_owned()));
    for (cells, expected) in [
        ("5, 201012345678, x'243262'", row(number(5), "201012345678", Some("$2b"))),
        ("-5, 201012345678.0, NULL", row(number(-5), "201012345678", None)),
        ("' 7f3a ', '+20', ''", row(text("7f3a"), "+20", Some(""))),
        ("'7', '2.01012E+11', '$2b'", row(text("7"), "2.01012E+11", Some("$2b"))),
        ("x'6162', x'2b3230', '$2b'", row(text("ab"), "+20", Some("$2b"))),
    ] {
        let query = format!("SELECT {cells} FROM (SELECT 1)");
        assert_eq!(rows(&mut database, &query).await, [expected], "{cells}");
    }
    for (cells, why) in [("NULL, '', ''", "no identifier"), ("'', '', ''", "no identifier"), ("1, ''", "three columns")]
    {
        let error = read_from(&mut database, &format!("SELECT {cells}")).await.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

/// What PHP, Ruby, Java and Django write of one password.
#[tokio::test]
async fn hashes_under_every_usual_name_sign_in() {
    let world = World::with(&[("LEGACY_HASHES", "bcrypt")]);
    let hashes = [BCRYPT.replace("$2b$", "$2a$"), BCRYPT.replace("$2b$", "$2y$"), format!("bcrypt${BCRYPT}")];
    let users = [PHONE, OTHER_PHONE, THIRD_PHONE].into_iter().zip(hashes).zip(1..).map(|((phone, hash), id)| {
        OriginUser { id: LegacyId::Number(id), phone: Some(phone.to_owned()), hashed_password: Some(hash) }
    });
    let plan = Plan::of(users.collect(), &rules(), None, OnDuplicate::LeaveOut);
    assert_eq!(import(&world, &plan.accounts).await.created, 3);
    for phone in [PHONE, OTHER_PHONE, THIRD_PHONE] {
        world.visitor(phone).mistyping().login().await.expect_problem(401, "invalid-credentials");
        world.visitor(phone).sign_in().await;
    }
}

#[tokio::test]
async fn an_identifier_that_is_no_number_stays_as_it_was() {
    let world = World::new();
    let id = "0d5f1b1e-7c39-4c29-93c5-2b1d8a6f9a10";
    let user = OriginUser {
        id: LegacyId::Text(id.to_owned()),
        phone: Some(PHONE.to_owned()),
        hashed_password: Some(BCRYPT.to_owned()),
    };
    let plan = Plan::of(vec![user], &rules(), None, OnDuplicate::LeaveOut);
    assert_eq!(import(&world, &plan.accounts).await.created, 1);
    assert_eq!(import(&world, &plan.accounts).await.already_there, 1);
    let person = world.visitor(PHONE);
    person.sign_in().await;
    assert_eq!(person.me().await.expect(200).body["legacy_id"], id);
    assert_eq!(person.export().await.expect(200).body["account"]["legacy_id"], id);
}

#[tokio::test]
async fn who_asks_for_a_new_password_first_gets_one_too() {
    let world = World::new();
    import(&world, &accounts(&[(1, PHONE)]).await).await;
    let person = world.visitor(PHONE);
    person.reset_password(NEW_PASSWORD).await;
    person.typing(PASSWORD).login().await.expect_problem(401, "invalid-credentials");
    person.typing(NEW_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn the_same_import_again_changes_nothing() {
    let world = World::new();
    let accounts = accounts(&[(1, PHONE), (2, OTHER_PHONE)]).await;
    assert_eq!(import(&world, &accounts).await, Summary { created: 2, already_there: 0, left_out: vec![] });
    // Somebody has signed in meanwhile, and has another password.
    world.visitor(PHONE).signed_in().await.change_password(NEW_PASSWORD).await.expect(200);
    let before = world.items("");
    assert_eq!(import(&world, &accounts).await, Summary { created: 0, already_there: 2, left_out: vec![] });
    assert!(world.items("") == before);
}

#[tokio::test]
async fn who_was_deleted_or_has_moved_does_not_come_back() {
    let world = World::new();
    let accounts = accounts(&[(1, PHONE), (2, OTHER_PHONE)]).await;
    import(&world, &accounts).await;
    world.visitor(PHONE).signed_in().await.delete_account().await.expect(204);
    world.visitor(OTHER_PHONE).signed_in().await.move_to(THIRD_PHONE).await;
    let summary = import(&world, &accounts).await;
    assert_eq!((summary.created, summary.already_there), (0, 2));
    for phone in [PHONE, OTHER_PHONE] {
        world.visitor(phone).login().await.expect_problem(401, "invalid-credentials");
    }
    // What is kept for it is of nobody: a digest of old identifier, phone, and a hash with a salt.
    let marks = world.items("IMPORT#");
    assert_eq!(marks.len(), 2);
    for mark in marks {
        assert_eq!(mark.as_object().unwrap().keys().collect::<Vec<_>>(), ["pk", "sk"]);
        assert!(mark["pk"]["S"].as_str().unwrap().len() == "IMPORT#".len() + 43 && mark["sk"]["S"] == "MARK");
    }
}

#[tokio::test]
async fn a_phone_that_has_an_account_keeps_it() {
    let world = World::new();
    let person = world.visitor(PHONE).typing(NEW_PASSWORD).registered().await;
    let summary = import(&world, &accounts(&[(1, PHONE), (2, OTHER_PHONE)]).await).await;
    let reason = "the phone has another account already".to_owned();
    assert_eq!(summary.left_out, [LeftOut { id: 1.into(), phone: "+201012345678".to_owned(), reason }]);
    assert_eq!(summary.created, 1);
    person.typing(PASSWORD).login().await.expect_problem(401, "invalid-credentials");
    person.sign_in().await;
    assert_eq!(person.me().await.expect(200).body["legacy_id"], serde_json::Value::Null);
}

#[tokio::test(start_paused = true)]
async fn an_import_that_was_cut_off_goes_on() {
    let world = World::new();
    let phones: Vec<_> = (0..100).map(|at| format!("010123456{at:02}")).collect();
    let users: Vec<_> = (1..).zip(phones.iter().map(String::as_str)).collect();
    let accounts: Vec<_> = users
        .iter()
        .map(|(id, phone)| ImportedAccount {
            legacy_id: (*id).into(),
            phone: rules().parse(phone).unwrap(),
            password: OldPassword::Hash(PasswordHash::from_bcrypt(BCRYPT).unwrap()),
        })
        .collect();
    let written = std::cell::Cell::new(0);
    let each = || {
        written.set(written.get() + 1);
        // From now on nothing gets an answer, although it may be done.
        if written.get() == 40 {
            world.emulator.faults().inject("TransactWriteItems", Fault::LostReply, 1000);
        }
    };
    write(&accounts, &world.store(), world.clock.now(), each).await.unwrap_err();
    world.emulator.faults().clear();
    let there = world.items("PHONE#").len();
    assert!((40..100).contains(&there));
    let summary = import(&world, &accounts).await;
    assert_eq!((summary.created, summary.already_there), (100 - there, there));
    assert_eq!(world.items("PHONE#").len(), 100);
}

/// The time of a login must not tell whose phone was imported, while there are such.
#[tokio::test]
async fn with_legacy_hashes_every_login_costs_the_same_work() {
    let world = World::with(&[("LEGACY_HASHES", "bcrypt"), ("LEGACY_COST", "7")]);
    // The hash is of a lower cost than another may be.
    import(&world, &accounts(&[(1, PHONE)]).await).await;
    world.person_with_phone(OTHER_PHONE).await;
    for (typed, forms) in [("wrong password", 1), ("wrong\u{a0}password", 2)] {
        for phone in [PHONE, OTHER_PHONE, THIRD_PHONE] {
            let before = (world.hashes(), world.bcrypt_rounds());
            world.visitor(phone).typing(typed).login().await.expect_problem(401, "invalid-credentials");
            let work = (world.hashes() - before.0, world.bcrypt_rounds() - before.1);
            assert_eq!(work, (1, forms << 7), "{phone}");
        }
    }
}

/// A password was hashed there as it was typed, and is typed here on the same keyboard, and then on another.
#[tokio::test]
async fn a_password_that_was_hashed_as_it_was_typed_signs_in() {
    for typed in ["Schlu\u{308}ssel gro\u{308}ßer 3", "mot\u{a0}de passe", "\u{212b}ngstr\u{f6}m", "❤️👨‍👩‍👧"]
    {
        let world = World::new();
        let hash = bcrypt::hash_with_salt(typed, 4, [7; 16]).unwrap().to_string();
        let password = OldPassword::Hash(PasswordHash::from_bcrypt(&hash).unwrap());
        let phone = rules().parse(PHONE).unwrap();
        import(&world, &[ImportedAccount { legacy_id: 1.into(), phone, password }]).await;

        let person = world.visitor(PHONE);
        person.typing(&format!("{typed}x")).login().await.expect_problem(401, "invalid-credentials");
        person.typing(typed).login().await.expect(200);
        let composed: String = typed.nfc().collect::<String>().replace('\u{a0}', " ");
        person.typing(&composed).login().await.expect(200);
        person.typing(typed).login().await.expect(200);
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_read_is_named_without_its_password() {
    for (url, part) in [
        ("sqlite:///nowhere/test.db", "/nowhere/test.db"),
        ("postgresql://me:pass-in-url@127.0.0.1:1/x", "127.0.0.1"),
        ("oracle://x", "oracle"),
    ] {
        let error = read_users(url, Preset::Users.query()).await.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("pass-in-url"), "{error}");
    }
}

#[tokio::test]
async fn the_doctor_warns_of_bcrypt_hashes_while_logins_do_not_cost_their_work() {
    let world = World::new();
    world.emulator.sns().set_account(false, Some(200));
    world.person().await;
    let doubts = async |settings: &[(&str, &str)]| crate::admin::examined(&world, settings).await;
    assert_eq!(doubts(&[]).await, []);
    import(&world, &accounts(&[(1, OTHER_PHONE)]).await).await;
    let found = doubts(&[]).await;
    assert!(matches!(&found[..], [("legacy hashes", Finding::Doubtful(why))] if why.contains("LegacyHashes=bcrypt")));
    assert_eq!(doubts(&[("LEGACY_HASHES", "bcrypt")]).await, []);
}

#[tokio::test]
async fn a_user_without_a_password_signs_in_by_a_code_and_is_not_imported_twice() {
    let world = World::with(&[("SIGN_UP", "closed")]);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[7; 32]);
    let key = latchkey::base::kid::Versioned { kid: latchkey::base::kid::Kid::from_byte(1).unwrap(), key };
    let user = OriginUser { id: 42.into(), phone: Some(PHONE.to_owned()), hashed_password: None };
    let plan = Plan::of(vec![user], &rules(), Some(&key), OnDuplicate::LeaveOut);
    assert_eq!(import(&world, &plan.accounts).await.created, 1);
    assert_eq!(import(&world, &plan.accounts).await.already_there, 1);
    let person = world.visitor(PHONE).without_password();
    person.typing(PASSWORD).login().await.expect_problem(401, "invalid-credentials");
    person.sign_in_by_code().await;
    let me = person.me().await.expect(200).body;
    assert_eq!((&me["legacy_id"], &me["has_password"]), (&42.into(), &false.into()));
    person.delete_account().await.expect(204);
    assert_eq!(import(&world, &plan.accounts).await.already_there, 1, "a deleted account does not come back");
}
