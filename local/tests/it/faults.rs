//! What goes wrong between a function and its table (docs/threats.md#f3). Time is paused: whatever waits, waits for
//! nothing.

use std::sync::Mutex;

use http::Method;
use local::emulator::Fault;
use serde_json::json;

use crate::harness::{Authenticator, NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, RESET_PASSWORD, Reply, World};

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
const ALWAYS: usize = 1000;

/// Every endpoint that asks something of the table, with what it does that with, and its success.
const ENDPOINTS: [(&str, &[&str], u16); 26] = [
    ("register", &[TRANSACT], 201),
    ("register, to be activated", &[GET, TRANSACT], 202),
    ("activate", &[UPDATE, TRANSACT], 201),
    ("resend-activation", &[SECRET, GET, TRANSACT], 202),
    ("login", &[UPDATE, PUT], 200),
    ("login-mfa", &[SECRET, BATCH, UPDATE, TRANSACT], 200),
    ("refresh", &[SECRET, UPDATE, GET], 200),
    ("logout", &[GET, DELETE], 204),
    ("logout-all", &[GET, BATCH, TRANSACT], 204),
    ("sessions", &[GET, QUERY], 200),
    ("me", &[GET, BATCH], 200),
    ("me-export", &[GET, BATCH, QUERY], 200),
    ("me-delete", &[GET, BATCH, UPDATE, TRANSACT], 204),
    ("me-delete, with a second factor", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 204),
    ("mfa-enroll", &[GET, SECRET, BATCH, UPDATE], 200),
    ("mfa-confirm", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 200),
    ("mfa-recovery-codes", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 200),
    ("mfa-disable", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 204),
    ("change-phone", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 202),
    ("change-phone-verify", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 204),
    ("jwks", &[GET], 200),
    ("change-password", &[GET, BATCH, UPDATE, TRANSACT], 204),
    ("verify-phone", &[BATCH, TRANSACT], 202),
    ("verify-phone-confirm", &[GET, SECRET, BATCH, UPDATE, TRANSACT], 204),
    ("request-reset", &[BATCH, TRANSACT], 202),
    ("verify-reset", &[SECRET, UPDATE, TRANSACT], 204),
];

/// A world in which every endpoint has something to do.
struct Prepared {
    world: World,
    token: String,
    refresh_token: String,
    code: String,
    phone_code: String,
    /// In a world where phones have to be activated: a registration that waits, and its code.
    registration: (String, String),
    /// Of a second factor that waits to be confirmed.
    enrolled: Option<Authenticator>,
    /// In a world with a second factor: the token of the first step.
    mfa_token: String,
    /// And its recovery codes: a request that failed may have used one up.
    recovery_codes: Mutex<Vec<String>>,
}

/// What only a world with a second factor does.
const WITH_FACTOR: [&str; 4] = ["login-mfa", "me-delete, with a second factor", "mfa-recovery-codes", "mfa-disable"];

/// What only a world does where phones have to be activated.
const ACTIVATING: [&str; 3] = ["register, to be activated", "activate", "resend-activation"];

impl Prepared {
    /// One for this endpoint.
    async fn new(endpoint: &str) -> Self {
        let (world, registration) = if ACTIVATING.contains(&endpoint) {
            let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
            let register = async |phone| {
                let id = world.register(phone, PASSWORD).await.expect(202).text("activation_id").to_owned();
                (id, world.last_code())
            };
            let (id, code) = register(PHONE).await;
            world.activate(&id, &code).await.expect(201);
            let registration = register(OTHER_PHONE).await;
            (world, registration)
        } else {
            (World::new().with_account().await, Default::default())
        };
        let (mut token, mut refresh_token) = world.tokens(PASSWORD).await;
        let (mut enrolled, mut mfa_token, mut recovery_codes) = (None, String::new(), Vec::new());
        if WITH_FACTOR.contains(&endpoint) {
            let factor = world.switch_factor_on(PASSWORD).await;
            mfa_token = world.mfa_token(PASSWORD).await;
            (token, refresh_token, recovery_codes) = (factor.token, String::new(), factor.recovery_codes);
        }
        if endpoint == "mfa-confirm" {
            let reply = world.enroll_verified(&token, PASSWORD).await.expect(200);
            enrolled = Some(Authenticator::new(reply.text("secret")));
        } else if endpoint == "mfa-enroll" {
            world.verify_phone(&token).await.expect(202);
            world.confirm_phone(&token, &world.last_code()).await.expect(204);
        }
        if endpoint == "change-phone-verify" {
            world.change_phone(&token, PASSWORD, OTHER_PHONE).await.expect(202);
            let code = world.last_code();
            return Self::of(world, token, code);
        }
        let code = world.code(PHONE).await;
        world.verify_phone(&token).await;
        let phone_code = world.last_code();
        world.advance(1);
        let recovery_codes = Mutex::new(recovery_codes);
        Self { world, token, refresh_token, code, phone_code, registration, enrolled, mfa_token, recovery_codes }
    }

    /// One that has nothing but a session, and a code.
    fn of(world: World, token: String, code: String) -> Self {
        Self {
            world,
            token,
            refresh_token: String::new(),
            code,
            phone_code: String::new(),
            registration: Default::default(),
            enrolled: None,
            mfa_token: String::new(),
            recovery_codes: Mutex::default(),
        }
    }

    /// One in which calls of this operation go wrong so many times.
    async fn with(endpoint: &str, operation: &'static str, fault: Fault, times: usize) -> Self {
        let prepared = Self::new(endpoint).await;
        prepared.world.emulator.faults().inject(operation, fault, times);
        prepared
    }

    async fn call(&self, endpoint: &str) -> Reply {
        let Self { world, token, refresh_token, code, phone_code, registration: (id, activation_code), .. } = self;
        let recovery_code = self.recovery_codes.lock().unwrap().pop().unwrap_or_default();
        let proof = ("recovery_code", recovery_code.as_str());
        match endpoint {
            "register" | "register, to be activated" => world.register("+998901234567", PASSWORD).await,
            "login-mfa" => world.login_mfa(&self.mfa_token, proof).await,
            "me-delete, with a second factor" => world.delete_me(token, PASSWORD, proof).await,
            "mfa-enroll" => world.mfa_enroll(token, PASSWORD).await,
            "mfa-confirm" => {
                let code = self.enrolled.as_ref().unwrap().code(world);
                world.mfa_confirm(token, &code).await
            }
            "mfa-recovery-codes" | "mfa-disable" => {
                world.with_factor(&format!("/auth/{}", endpoint.replacen('-', "/", 1)), token, PASSWORD, proof).await
            }
            "change-phone" => world.change_phone(token, PASSWORD, OTHER_PHONE).await,
            "change-phone-verify" => world.change_phone_verify(token, OTHER_PHONE, code).await,
            "activate" => world.activate(id, activation_code).await,
            "resend-activation" => world.resend_activation(id).await,
            "login" => world.login(PHONE, PASSWORD).await,
            "refresh" => world.refresh(refresh_token).await,
            "logout" => world.bearer(Method::POST, "/auth/logout", token).await,
            "logout-all" => world.bearer(Method::POST, "/auth/logout-all", token).await,
            "sessions" => world.bearer(Method::GET, "/auth/sessions", token).await,
            "me" => world.me(token).await,
            "me-export" => world.export(token).await,
            "me-delete" => world.delete_me(token, PASSWORD, ("nothing", "")).await,
            "jwks" => world.get("/.well-known/jwks.json").await,
            "change-password" => world.change_password(token, PASSWORD, NEW_PASSWORD).await,
            "verify-phone" => world.verify_phone(token).await,
            "verify-phone-confirm" => world.confirm_phone(token, phone_code).await,
            "request-reset" => world.request_reset(PHONE).await,
            "verify-reset" => world.verify_reset(PHONE, code, RESET_PASSWORD).await,
            other => panic!("{other}"),
        }
    }

    fn heal(&self) -> &World {
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
        for operation in operations {
            for fault in passing {
                let reply = Prepared::with(endpoint, operation, fault, 1).await.call(endpoint).await;
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
        for operation in operations {
            for fault in lasting {
                let prepared = Prepared::with(endpoint, operation, fault, ALWAYS).await;
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
    // The transaction was done, once: the new password counts, and the session that asked lives.
    let world = prepared.heal();
    world.login(PHONE, NEW_PASSWORD).await.expect(200);
    world.me(&prepared.token).await.expect(200);
    assert_eq!(world.item("PHONE#", "CREDENTIAL")["epoch"]["N"], "2");
}

#[tokio::test(start_paused = true)]
async fn an_account_is_deleted_even_if_what_is_inert_then_stays() {
    for operation in [QUERY, DELETE] {
        let prepared = Prepared::with("me-delete", operation, Fault::LostRequest, ALWAYS).await;
        prepared.call("me-delete").await.expect(204);
        let world = prepared.heal();
        world.me(&prepared.token).await.expect_problem(401, "invalid-token");
        world.refresh(&prepared.refresh_token).await.expect_problem(401, "invalid-token");
        world.register(PHONE, PASSWORD).await.expect(201);
        assert!(world.items("USER#").len() > 2, "a session is left");
        // Whoever asks again has it deleted as well.
        world.delete_me(&prepared.token, PASSWORD, ("nothing", "")).await.expect(204);
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
    for (endpoint, operations, success) in ENDPOINTS {
        for fault in conflicts.into_iter().filter(|_| operations.contains(&TRANSACT)) {
            Prepared::with(endpoint, TRANSACT, fault, 2).await.call(endpoint).await.expect(success);

            let prepared = Prepared::with(endpoint, TRANSACT, fault, ALWAYS).await;
            expect_unavailable(prepared.call(endpoint).await);
            prepared.heal().me(&prepared.token).await.expect(200);
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
    let token = prepared.call("login").await.expect(200).text("access_token").to_owned();
    prepared.world.me(&token).await.expect(200);

    // The same with a transaction: one message, one unit of the budget, and no "a code was sent a moment ago".
    let prepared = Prepared::with("request-reset", TRANSACT, Fault::LostReply, 1).await;
    prepared.call("request-reset").await.expect(202);
    assert_eq!(prepared.world.outbox.messages().len(), 3, "two before, one now");
    assert_eq!(prepared.world.items("LIMIT#messages-phone")[0]["uses"]["N"], "3");
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
        let prepared = Prepared::new("login").await;
        for _ in 0..20 {
            prepared.world.token(PASSWORD).await;
        }
        prepared.world.emulator.faults().inject(operation, Fault::Error("ThrottlingException"), ALWAYS);
        let token = prepared.call("login").await.expect(200).text("access_token").to_owned();
        prepared.heal().me(&token).await.expect(200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_end_was_answered_to_nobody_has_ended() {
    let prepared = Prepared::new("sessions-delete").await;
    let other = prepared.world.token(PASSWORD).await;
    let list = prepared.world.bearer(Method::GET, "/auth/sessions", &other).await.expect(200);
    let ended = list.body["sessions"].as_array().unwrap().iter().find(|session| session["current"] == false).unwrap();
    let path = format!("/auth/sessions/{}", ended["id"].as_str().unwrap());
    prepared.world.emulator.faults().inject(DELETE, Fault::LostReply, 1);
    prepared.world.bearer(Method::DELETE, &path, &other).await.expect(204);
    prepared.world.me(&prepared.token).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_session_of_another_epoch_is_looked_at_twice_before_it_is_called_dead() {
    let prepared = Prepared::new("me").await;
    let world = &prepared.world;
    world.me(&prepared.token).await.expect(200);
    world.calls();

    let mut profile = world.item("USER#", "PROFILE");
    profile["epoch"] = json!({"N": "9"});
    world.put_item(&profile);
    world.me(&prepared.token).await.expect_problem(401, "invalid-token");
    assert_eq!(world.calls().len(), 2);
}
