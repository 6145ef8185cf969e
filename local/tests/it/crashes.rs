//! Requests that end in the middle, and calls that go wrong at any place: the table stays whole, and the person gets
//! on.

use std::time::Duration;

use local::emulator::{ANY, Fault};

use crate::{
    faults::{ALWAYS, ENDPOINTS, Prepared},
    harness::{NEW_PASSWORD, OTHER_PHONE, PASSWORD, Person, RESET_PASSWORD},
};

/// How many calls of AWS a request makes that nothing disturbs.
async fn calls_of(prepared: &Prepared, endpoint: &str, success: u16) -> usize {
    let prepared = prepared.copy().await;
    prepared.call(endpoint).await.expect(success);
    let calls = prepared.world.calls().len();
    assert!((1..30).contains(&calls), "{endpoint}: {calls}");
    calls
}

/// Checks the table, repeats the request, and checks that what it asks for is done, now or by the first one.
async fn get_on(prepared: &Prepared, endpoint: &str, success: u16, when: &str) {
    let world = prepared.heal();
    world.check_table(when);
    world.advance(2);
    let reply = prepared.call(endpoint).await;
    assert!(reply.status < 500, "{when}: {}", reply.status);
    if reply.status != success {
        assert!(is_done(prepared, endpoint).await, "{when}: {} {}, and nothing was done", reply.status, reply.code());
    }
    world.check_table(when);
}

/// Whether the change that the request asks for was made: a client that repeats a request whose response was lost may
/// be told that its code, its token or its session is used up.
async fn is_done(prepared: &Prepared, endpoint: &str) -> bool {
    let Prepared { world, person, newcomer, stranger, other_session, .. } = prepared;
    let signs_in_with = async |password: &str| person.on_another_device().typing(password).login().await.status == 200;
    match endpoint {
        "register" => stranger.login().await.status == 200,
        "activate" => newcomer.login().await.status == 200,
        "verify-reset, of a number that may have changed hands" => {
            let code = person.reset_code().await;
            person.verify_reset(&code, RESET_PASSWORD).await.code() == "identity-required"
        }
        // The new account has the phone, and no password.
        "start-anew" => signs_in_by_code(&person.on_another_device()).await && !signs_in_with(PASSWORD).await,
        "login-mfa" => {
            person.first_step().await;
            prepared.with_next_recovery_code().login_mfa().await.status == 200
        }
        // Of a step-up, the new tokens were in the response that was lost; the old ones are of a session that was replaced.
        "logout-all" | "logout-all, by a refresh token" | "step-up" | "step-up, by a code" => {
            person.me().await.status == 401
        }
        "sessions-delete" | "sessions-delete, with the password" => {
            !person.sessions().await.expect(200).body.to_string().contains(other_session)
        }
        "mfa-confirm" => person.login().await.code() == "mfa-required",
        "mfa-recovery-codes" => {
            // The codes were in the response that was lost; the authenticator is not.
            world.advance(30);
            person.first_step().await;
            person.login_mfa().await.status == 200
        }
        "mfa-disable" => signs_in_with(PASSWORD).await,
        "change-phone-verify" => world.visitor(OTHER_PHONE).login().await.status == 200,
        // The code is used up, and another one signs in.
        "code-verify" => signs_in_by_code(newcomer).await,
        "login-mfa, by the password"
        | "code-verify, of an account"
        | "code-verify, with a second factor"
        | "code-verify, of a number that may have changed hands" => signs_in_by_code(&person.on_another_device()).await,
        "set-password" => signs_in_with(NEW_PASSWORD).await,
        "change-password" => signs_in_with(NEW_PASSWORD).await && !signs_in_with(PASSWORD).await,
        "verify-phone-confirm" => person.me().await.expect(200).body["phone_verified"] == true,
        "verify-reset" => signs_in_with(RESET_PASSWORD).await && !signs_in_with(PASSWORD).await,
        _ => false,
    }
}

async fn signs_in_by_code(person: &Person) -> bool {
    person.ask_code().await.expect(202);
    matches!(person.verify_code(&person.code()).await.code(), "" | "mfa-required" | "identity-required")
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_killed_between_any_two_calls_leaves_a_whole_table_and_a_way_on() {
    let mut kills = 0;
    for (endpoint, _, success) in ENDPOINTS {
        let prepared = Prepared::of(endpoint).await;
        for calls in 0..calls_of(prepared, endpoint, success).await {
            let prepared = prepared.copy().await;
            prepared.world.emulator.faults().inject_after(ANY, calls, Fault::Hang, ALWAYS);
            // The call that hangs is the last thing that happens; then all of the request is dropped.
            let ended = tokio::time::timeout(Duration::from_millis(500), prepared.call(endpoint)).await;
            let when = format!("{endpoint}, killed after {calls} calls");
            assert!(ended.is_err(), "{when}: it was over");
            get_on(&prepared, endpoint, success, &when).await;
            kills += 1;
        }
    }
    assert!(kills > 100, "{kills}");
}

/// A reply that is lost, and a request that is delivered twice, at every call that a request makes.
#[tokio::test(start_paused = true)]
async fn whichever_call_is_made_twice_nobody_notices() {
    for (endpoint, _, success) in ENDPOINTS {
        let prepared = Prepared::of(endpoint).await;
        for calls in 0..calls_of(prepared, endpoint, success).await {
            for fault in [Fault::LostReply, Fault::Twice] {
                let prepared = prepared.copy().await;
                prepared.world.emulator.faults().inject_after(ANY, calls, fault, 1);
                let reply = prepared.call(endpoint).await;
                let when = format!("{endpoint}, {fault:?} after {calls} calls");
                assert_eq!(reply.status, success, "{when}: {}", reply.code());
                prepared.heal().check_table(&when);
            }
        }
    }
}

/// From any call on, everything fails: what was not done is 503, and what was done stays.
#[tokio::test(start_paused = true)]
async fn an_outage_that_begins_at_any_call_leaves_nothing_half_done() {
    for (endpoint, _, success) in ENDPOINTS {
        let prepared = Prepared::of(endpoint).await;
        for calls in 0..calls_of(prepared, endpoint, success).await {
            let prepared = prepared.copy().await;
            prepared.world.emulator.faults().inject_after(ANY, calls, Fault::Error("InternalServerError"), ALWAYS);
            let reply = prepared.call(endpoint).await;
            let when = format!("{endpoint}, an outage after {calls} calls");
            assert!([503, success].contains(&reply.status), "{when}: {} {}", reply.status, reply.code());
            if reply.status == success {
                // What failed was not needed, and nobody repeats a request that has succeeded.
                prepared.heal().check_table(&when);
                continue;
            }
            get_on(&prepared, endpoint, success, &when).await;
        }
    }
}
