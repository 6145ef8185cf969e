//! What goes wrong between a function and its table. Time is paused: nothing that waits takes time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use local::emulator::Fault;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::harness::{LONG, NEW_PASSWORD, OTHER_PHONE, PHONE, Person, RESET_PASSWORD, Reply, World};

// What endpoints read and write with.
const BATCH: &str = "BatchGetItem";
const DELETE: &str = "DeleteItem";
const GET: &str = "GetItem";
const SECRET: &str = "GetSecretValue";
const PUT: &str = "PutItem";
const QUERY: &str = "Query";
const TRANSACT: &str = "TransactWriteItems";
const UPDATE: &str = "UpdateItem";

/// More often than anything is tried.
pub(crate) const ALWAYS: usize = 1000;

/// Every endpoint that asks something of the table, with what it does that with, and its success.
pub(crate) const ENDPOINTS: [(&str, &[&str], u16); 51] = [
    ("register", &[UPDATE, TRANSACT], 201),
    ("register, to be activated", &[UPDATE, BATCH, TRANSACT], 202),
    ("activate", &[UPDATE, TRANSACT], 201),
    ("resend-activation", &[SECRET, BATCH, TRANSACT], 202),
    ("login", &[UPDATE, PUT], 200),
    ("login, at a known device", &[GET, UPDATE, PUT, DELETE], 200),
    ("login-mfa", &[SECRET, BATCH, UPDATE, TRANSACT], 200),
    ("login-mfa, by the password", &[SECRET, BATCH, UPDATE, TRANSACT], 200),
    ("refresh", &[SECRET, UPDATE, BATCH], 200),
    ("refresh, by another client", &[UPDATE, BATCH], 200),
    ("logout", &[GET, DELETE], 204),
    ("logout, by a refresh token", &[SECRET, DELETE], 204),
    ("revoke", &[SECRET, DELETE], 200),
    ("revoke, of an access token", &[GET, DELETE], 200),
    ("logout-all", &[GET, BATCH, TRANSACT], 204),
    ("logout-all, by a refresh token", &[SECRET, BATCH, TRANSACT], 204),
    ("sessions", &[GET, QUERY], 200),
    ("sessions-delete", &[GET, QUERY, TRANSACT], 204),
    ("sessions-delete, with the password", &[GET, QUERY, UPDATE, TRANSACT], 204),
    ("me", &[GET, BATCH], 200),
    ("me-export", &[GET, SECRET, BATCH, QUERY], 200),
    ("me-delete", &[GET, BATCH, UPDATE, TRANSACT], 204),
    ("me-delete, with a second factor", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 204),
    ("mfa-enroll", &[GET, SECRET, BATCH, UPDATE], 200),
    ("mfa-confirm", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 200),
    ("mfa-recovery-codes", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 200),
    ("mfa-disable", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 200),
    ("change-phone", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 202),
    ("change-phone-verify", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 200),
    ("jwks", &[GET], 200),
    ("change-password", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 200),
    ("verify-phone", &[BATCH, TRANSACT], 202),
    ("verify-phone-confirm", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 204),
    ("request-reset", &[BATCH, TRANSACT], 202),
    ("request-reset, for a challenge", &[BATCH, TRANSACT], 202),
    ("request-reset, at a known device", &[BATCH, TRANSACT], 202),
    ("verify-reset", &[SECRET, UPDATE, TRANSACT], 204),
    ("code", &[SECRET, BATCH, TRANSACT], 202),
    ("code, at a known device", &[SECRET, BATCH, TRANSACT], 202),
    ("code-resend", &[SECRET, BATCH, TRANSACT], 202),
    ("code-verify", &[SECRET, UPDATE, TRANSACT], 200),
    ("code-verify, of an account", &[SECRET, UPDATE, TRANSACT], 200),
    ("code-verify, with a second factor", &[SECRET, UPDATE, TRANSACT], 403),
    ("code-verify, of a number that may have changed hands", &[SECRET, UPDATE, TRANSACT], 403),
    ("verify-reset, of a number that may have changed hands", &[SECRET, UPDATE, TRANSACT], 403),
    ("start-anew", &[SECRET, BATCH, TRANSACT], 200),
    ("recover", &[SECRET, UPDATE, PUT], 200),
    ("recover, with a second factor", &[SECRET, UPDATE, GET, PUT], 200),
    ("step-up", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 200),
    ("step-up, by a code", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 200),
    ("set-password", &[GET, SECRET, BATCH, TRANSACT], 200),
];

/// Somebody for whom every endpoint has something to do.
pub(crate) struct Prepared {
    pub(crate) world: World,
    pub(crate) person: Person,
    /// In a world where phones have to be activated: somebody whose registration waits.
    pub(crate) newcomer: Person,
    /// Somebody who has not registered yet.
    pub(crate) stranger: Person,
    /// A code that changes the phone where an endpoint is about that, and one that resets the password elsewhere.
    code: String,
    /// One that confirms the phone.
    phone_code: String,
    /// The session of another device, where an endpoint ends one.
    pub(crate) other_session: String,
    /// How many recovery codes were shown: a request that failed may have used one up.
    shown: AtomicUsize,
    /// The endpoint's function if it has read its keys, and for how many seconds it has done nothing since.
    warm: BTreeSet<String>,
    idle: u64,
}

/// What only somebody with a second factor does.
const WITH_FACTOR: [&str; 6] = [
    "login-mfa",
    "me-delete, with a second factor",
    "mfa-recovery-codes",
    "mfa-disable",
    "code-verify, with a second factor",
    "recover, with a second factor",
];

/// What is done when no code has proved the phone for long: by its owner, or by somebody who has got the number.
const LATE: [&str; 6] = [
    "login-mfa, by the password",
    "code-verify, of a number that may have changed hands",
    "verify-reset, of a number that may have changed hands",
    "start-anew",
    "recover",
    "recover, with a second factor",
];

/// What is done by a code, by somebody who has an account.
const BY_CODE: [&str; 4] = [
    "code-verify, of an account",
    "code-verify, with a second factor",
    "code-verify, of a number that may have changed hands",
    "step-up, by a code",
];

/// What is done only where phones have to be activated.
const ACTIVATING: [&str; 3] = ["register, to be activated", "activate", "resend-activation"];

/// What was prepared for each endpoint, once for all tests that change nothing but copies of it.
static PREPARED: LazyLock<BTreeMap<&str, OnceCell<Prepared>>> =
    LazyLock::new(|| ENDPOINTS.into_iter().map(|(endpoint, ..)| (endpoint, OnceCell::new())).collect());

impl Prepared {
    /// Returns what is prepared for this endpoint, to make copies of it.
    pub(crate) async fn of(endpoint: &str) -> &'static Self {
        let prepare = async || {
            let prepared = Self::new(endpoint).await;
            // This world never ends, which would check it.
            prepared.world.check_table(endpoint);
            prepared
        };
        PREPARED[endpoint].get_or_init(prepare).await
    }

    /// Prepares for this endpoint.
    async fn new(endpoint: &str) -> Self {
        let activates = ACTIVATING.contains(&endpoint);
        let world = if activates { World::with(&[("REQUIRE_ACTIVATION", "true")]) } else { World::new() };
        let person = match endpoint {
            "set-password" => world.person_by_code().await,
            _ => world.signed_in_person().await,
        };
        let newcomer = world.visitor(OTHER_PHONE);
        if activates {
            newcomer.register().await.expect(202);
        }
        if WITH_FACTOR.contains(&endpoint) {
            person.switch_factor_on().await;
            person.first_step().await;
        }
        match endpoint {
            "mfa-enroll" | "request-reset, at a known device" | "code, at a known device" => {
                person.verify_own_phone().await;
            }
            "mfa-confirm" => drop(person.enroll().await),
            _ => {}
        }
        if LATE.contains(&endpoint) {
            let newcomer = world.visitor(PHONE).without_password();
            match endpoint {
                "login-mfa, by the password" | "start-anew" => drop(person.comes_back_late().await),
                "recover" | "recover, with a second factor" => {
                    newcomer.comes_back_late().await;
                    newcomer.start_anew().await.expect(200);
                }
                _ => world.advance(LONG),
            }
            // What functions read before is too old by now.
            world.calls();
            world.advance(2);
        }
        if BY_CODE.contains(&endpoint) {
            person.ask_code().await.expect(202);
        } else if ["code-resend", "code-verify"].contains(&endpoint) {
            newcomer.ask_code().await.expect(202);
        }
        let mut other_session = String::new();
        if endpoint.starts_with("sessions-delete") {
            person.on_another_device().sign_in().await;
            other_session = person.other_session().await;
        }
        let code = match endpoint {
            _ if BY_CODE.contains(&endpoint) => person.code(),
            "change-phone-verify" => person.code_for(OTHER_PHONE).await,
            _ => person.reset_code().await,
        };
        person.verify_phone().await;
        let phone_code = person.code();
        let idle = if endpoint == "sessions-delete, with the password" { 700 } else { 1 };
        world.advance(idle);
        if endpoint == "refresh, by another client" {
            person.with_copied_tokens().refresh().await.expect(200);
        }
        let stranger = world.visitor("+998901234567");
        let mut warm: BTreeSet<_> = world.calls().into_iter().map(|call| call.function).collect();
        warm.retain(|function| endpoint.split(',').next() == Some(function));
        let shown = AtomicUsize::new(0);
        Self { world, person, newcomer, stranger, code, phone_code, other_session, shown, warm, idle }
    }

    /// The same state in a world of its own. To prepare takes ten requests and as many hashes, and a copy none.
    pub(crate) async fn copy(&self) -> Self {
        let world = self.world.copy(&self.warm, self.idle).await;
        let copy_of = |person: &Person| person.copied_to(&world);
        Self {
            person: copy_of(&self.person),
            newcomer: copy_of(&self.newcomer),
            stranger: copy_of(&self.stranger),
            world,
            code: self.code.clone(),
            phone_code: self.phone_code.clone(),
            other_session: self.other_session.clone(),
            shown: AtomicUsize::new(self.shown.load(Ordering::Relaxed)),
            warm: self.warm.clone(),
            idle: self.idle,
        }
    }

    /// The same, and calls of this operation go wrong so many times.
    pub(crate) async fn copy_with(&self, operation: &'static str, fault: Fault, times: usize) -> Self {
        let copy = self.copy().await;
        copy.world.emulator.faults().inject(operation, fault, times);
        copy
    }

    /// The same, and everybody sends these members with every body as well.
    pub(crate) fn sending(mut self, members: &Value) -> Self {
        for person in [&mut self.person, &mut self.newcomer, &mut self.stranger] {
            *person = person.with_members(members);
        }
        self
    }

    /// The person, showing a recovery code that nobody has seen yet.
    pub(crate) fn with_next_recovery_code(&self) -> Person {
        self.person.with_recovery_code(self.shown.fetch_add(1, Ordering::Relaxed))
    }

    /// The same, and calls of this operation go wrong so many times.
    pub(crate) async fn with(endpoint: &str, operation: &'static str, fault: Fault, times: usize) -> Self {
        Self::of(endpoint).await.copy_with(operation, fault, times).await
    }

    pub(crate) async fn call(&self, endpoint: &str) -> Reply {
        let Self { world, person, newcomer, stranger, .. } = self;
        let with_factor = || self.with_next_recovery_code();
        match endpoint {
            "register" | "register, to be activated" => stranger.register().await,
            "activate" => newcomer.activate(&newcomer.code()).await,
            "resend-activation" => newcomer.resend_activation().await,
            "login" => person.login().await,
            "login, at a known device" => person.login_as_known().await,
            "login-mfa" => with_factor().login_mfa().await,
            "login-mfa, by the password" => person.prove_by_password().await,
            "start-anew" => person.start_anew().await,
            "recover" => person.recover().await,
            "recover, with a second factor" => with_factor().recover().await,
            "refresh" => person.refresh().await,
            "refresh, by another client" => person.at("198.51.100.99").refresh().await,
            "logout" => person.logout().await,
            "logout, by a refresh token" => person.logout_by_refresh_token().await,
            "revoke" => person.revoke(&person.refresh_token()).await,
            "revoke, of an access token" => person.revoke(&person.access_token()).await,
            "logout-all, by a refresh token" => person.logout_all_by_refresh_token().await,
            "sessions-delete" => person.end_session(&self.other_session).await,
            "sessions-delete, with the password" => person.end_session_with_password(&self.other_session).await,
            "logout-all" => person.logout_all().await,
            "sessions" => person.sessions().await,
            "me" => person.me().await,
            "me-export" => person.export().await,
            "me-delete" => person.delete_account().await,
            "me-delete, with a second factor" => with_factor().delete_account().await,
            "mfa-enroll" => person.mfa_enroll().await,
            "mfa-confirm" => person.mfa_confirm(&person.new_authenticator().code()).await,
            "mfa-recovery-codes" => with_factor().mfa_recovery_codes().await,
            "mfa-disable" => with_factor().mfa_disable().await,
            "change-phone" => person.change_phone(OTHER_PHONE).await,
            "change-phone-verify" => person.change_phone_verify(&self.code).await,
            "jwks" => world.get("/.well-known/jwks.json").await,
            "change-password" => person.change_password(NEW_PASSWORD).await,
            "verify-phone" => person.verify_phone().await,
            "verify-phone-confirm" => person.confirm_phone(&self.phone_code).await,
            "request-reset" => person.request_reset().await,
            "request-reset, for a challenge" => person.request_reset_again().await,
            "request-reset, at a known device" => person.request_reset_with(&person.device_token()).await,
            "code, at a known device" => person.ask_code_with(&person.device_token()).await,
            "verify-reset" | "verify-reset, of a number that may have changed hands" => {
                person.verify_reset(&self.code, RESET_PASSWORD).await
            }
            "code" => world.visitor("+998901234567").ask_code().await,
            "code-resend" => newcomer.resend_code().await,
            "code-verify" => newcomer.verify_code(&newcomer.code()).await,
            "code-verify, of an account"
            | "code-verify, with a second factor"
            | "code-verify, of a number that may have changed hands" => person.verify_code(&self.code).await,
            "step-up" => person.step_up().await,
            "step-up, by a code" => person.step_up_by_code(&self.code).await,
            "set-password" => person.set_password(NEW_PASSWORD).await,
            other => panic!("{other}"),
        }
    }

    pub(crate) fn heal(&self) -> &World {
        self.world.emulator.faults().clear();
        &self.world
    }
}

#[track_caller]
fn expect_unavailable(reply: Reply) {
    let reply = reply.expect_problem(503, "temporarily-unavailable");
    assert_eq!(reply.header("retry-after"), Some("2"));
    assert!(!reply.body.to_string().contains("fault"), "what DynamoDB said is not told");
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_once_nobody_notices() {
    let passing = [
        Fault::Error("ProvisionedThroughputExceededException"),
        Fault::Error("ThrottlingException"),
        Fault::Error("InternalServerError"),
        Fault::LostRequest,
        Fault::LostReply,
    ];
    for (endpoint, operations, success) in ENDPOINTS {
        let prepared = Prepared::of(endpoint).await;
        for operation in operations {
            for fault in passing {
                let reply = prepared.copy_with(operation, fault, 1).await.call(endpoint).await;
                assert_eq!(reply.status, success, "{endpoint}: {operation} with {fault:?}: {}", reply.code());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_always_is_503_and_never_a_check_that_is_skipped() {
    let lasting =
        [Fault::Hang, Fault::Error("ThrottlingException"), Fault::Error("InternalServerError"), Fault::LostRequest];
    for (endpoint, operations, success) in ENDPOINTS {
        let prepared = Prepared::of(endpoint).await;
        for operation in operations {
            for fault in lasting {
                let prepared = prepared.copy_with(operation, fault, ALWAYS).await;
                expect_unavailable(prepared.call(endpoint).await);
                // Once the fault is gone, the next request works.
                prepared.heal().advance(1);
                let reply = prepared.call(endpoint).await;
                assert_eq!(reply.status, success, "{endpoint}: after {operation} with {fault:?}: {}", reply.code());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn replies_that_are_always_lost_are_503_and_leave_nothing_half_done() {
    let prepared = Prepared::with("change-password", TRANSACT, Fault::LostReply, ALWAYS).await;
    expect_unavailable(prepared.call("change-password").await);
    // The transaction was done, once: the new password counts, and the session that asked has ended with all others. The
    // one in its place is nobody's, and the client is told to sign in again.
    let world = prepared.heal();
    prepared.person.on_another_device().typing(NEW_PASSWORD).login().await.expect(200);
    let told = prepared.call("change-password").await.expect_problem(401, "invalid-token");
    assert!(told.text("detail").starts_with("The change was made"));
    assert_eq!(world.item("PHONE#", "CREDENTIAL")["epoch"]["N"], "2");
}

#[tokio::test(start_paused = true)]
async fn an_account_is_deleted_even_if_what_is_inert_then_stays() {
    for operation in [QUERY, DELETE] {
        let prepared = Prepared::with("me-delete", operation, Fault::LostRequest, ALWAYS).await;
        prepared.call("me-delete").await.expect(204);
        let (world, person) = (prepared.heal(), &prepared.person);
        person.me().await.expect_problem(401, "invalid-token");
        person.refresh().await.expect_problem(401, "invalid-token");
        world.visitor(PHONE).register().await.expect(201);
        assert!(world.items("USER#").len() > 2, "a session is left");
        // The next request deletes it as well.
        person.delete_account().await.expect(204);
        assert_eq!(world.items("USER#").len(), 2, "the new profile and the tombstone");
        // Which is collected when its own end has come.
        world.advance(32 * 86_400);
        world.collect_garbage();
        assert_eq!(world.items("USER#").len(), 1, "the new profile");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_conflicts_is_tried_again_and_done_once() {
    let conflicts = [
        Fault::Canceled("TransactionConflict"),
        Fault::Canceled("ThrottlingError"),
        Fault::Error("TransactionConflictException"),
    ];
    for (endpoint, _, success) in ENDPOINTS.into_iter().filter(|(_, operations, _)| operations.contains(&TRANSACT)) {
        let prepared = Prepared::of(endpoint).await;
        for fault in conflicts {
            prepared.copy_with(TRANSACT, fault, 2).await.call(endpoint).await.expect(success);

            let prepared = prepared.copy_with(TRANSACT, fault, ALWAYS).await;
            expect_unavailable(prepared.call(endpoint).await);
            prepared.heal();
            // Where half a year has passed, no session is left.
            if !LATE.contains(&endpoint) {
                prepared.person.me().await.expect(200);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_write_that_meets_a_transaction_is_tried_again() {
    let conflict = Fault::Error("TransactionConflictException");
    for (endpoint, operation) in
        [("login", UPDATE), ("login", PUT), ("change-password", UPDATE), ("verify-reset", UPDATE)]
    {
        let reply = Prepared::with(endpoint, operation, conflict, 2).await.call(endpoint).await;
        assert!(reply.status < 300, "{endpoint}: {operation}: {}", reply.code());
        expect_unavailable(Prepared::with(endpoint, operation, conflict, ALWAYS).await.call(endpoint).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_recognised_as_our_own_write() {
    // The session was written, the reply lost: the second try finds one, and it is ours.
    let prepared = Prepared::with("login", PUT, Fault::LostReply, 1).await;
    prepared.call("login").await.expect(200);
    prepared.person.me().await.expect(200);

    // The same with a transaction: one message, one unit of the budget, and no "a code was sent a moment ago".
    let prepared = Prepared::with("request-reset", TRANSACT, Fault::LostReply, 1).await;
    prepared.call("request-reset").await.expect(202);
    assert_eq!(prepared.world.outbox.messages().len(), 3, "two before, one now");
    assert_eq!(prepared.world.items("LIMIT#messages-phone#reset")[0]["uses"]["N"], "2");
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_left_for_later_are_asked_for_again() {
    Prepared::with("me", BATCH, Fault::Unprocessed, 2).await.call("me").await.expect(200);
    expect_unavailable(Prepared::with("me", BATCH, Fault::Unprocessed, ALWAYS).await.call("me").await);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_can_never_work_is_our_fault_and_not_the_weather() {
    let prepared = Prepared::with("register", TRANSACT, Fault::Canceled("ValidationError"), ALWAYS).await;
    prepared.call("register").await.expect_problem(500, "internal");
    let prepared = Prepared::with("login", UPDATE, Fault::Error("ValidationException"), ALWAYS).await;
    prepared.call("login").await.expect_problem(500, "internal");
}

#[tokio::test(start_paused = true)]
async fn a_login_does_not_fail_for_what_it_tidies_up() {
    for operation in [QUERY, DELETE] {
        let prepared = Prepared::of("login").await.copy().await;
        for _ in 0..20 {
            prepared.person.sign_in().await;
        }
        prepared.world.emulator.faults().inject(operation, Fault::Error("ThrottlingException"), ALWAYS);
        prepared.call("login").await.expect(200);
        prepared.heal();
        prepared.person.me().await.expect(200);
    }
}

/// No success where nothing was ended, however a session is to end (docs/threats.md#a24).
#[tokio::test(start_paused = true)]
async fn a_session_whose_end_failed_is_alive_with_all_its_tokens() {
    for (endpoint, operation) in [
        ("logout", DELETE),
        ("logout, by a refresh token", DELETE),
        ("logout-all", TRANSACT),
        ("logout-all, by a refresh token", TRANSACT),
        ("revoke", DELETE),
        ("revoke, of an access token", DELETE),
        ("sessions-delete", TRANSACT),
        ("sessions-delete, with the password", TRANSACT),
        ("change-password", TRANSACT),
        ("me-delete", TRANSACT),
        ("verify-reset", TRANSACT),
    ] {
        let prepared = Prepared::of(endpoint).await;
        for fault in [Fault::Hang, Fault::LostRequest, Fault::Error("InternalServerError")] {
            let prepared = prepared.copy_with(operation, fault, ALWAYS).await;
            expect_unavailable(prepared.call(endpoint).await);
            prepared.heal();
            prepared.person.me().await.expect(200);
            if endpoint.starts_with("sessions-delete") {
                let listed = prepared.person.other_session().await;
                assert_eq!(listed, prepared.other_session, "{endpoint}: it lives as well");
            }
            prepared.person.refresh().await.expect(200);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_end_was_answered_to_nobody_has_ended() {
    let Prepared { world, person, .. } = Prepared::of("sessions-delete").await.copy().await;
    let laptop = person.on_another_device().signed_in().await;
    let sessions = person.sessions().await.expect(200).body;
    let own = sessions["sessions"].as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
    let ended = own["id"].as_str().unwrap().to_owned();
    world.emulator.faults().inject(TRANSACT, Fault::LostReply, 1);
    laptop.end_session(&ended).await.expect(204);
    person.me().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_session_of_another_epoch_is_dead_at_the_first_look() {
    let Prepared { world, person, .. } = Prepared::of("me").await.copy().await;
    person.me().await.expect(200);
    world.calls();

    let mut profile = world.item("USER#", "PROFILE");
    profile["epoch"] = json!({"N": "9"});
    world.put_item(&profile);
    person.me().await.expect_problem(401, "invalid-token");
    assert_eq!(world.calls().len(), 1);
}
