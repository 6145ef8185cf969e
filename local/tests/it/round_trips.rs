//! How many steps a request waits for the table: the budget of docs/ARCHITECTURE.md#round-trips. Calls made at once are
//! one step.

use http::Method;
use local::emulator::Call;

use crate::harness::{Authenticator, NEW_PASSWORD, PASSWORD, PHONE, RESET_PASSWORD, World};

/// The steps in a set of calls: how often all that ran had ended before the next began.
fn steps(mut calls: Vec<Call>) -> usize {
    calls.sort_by_key(|call| call.started);
    let mut steps = 0;
    let mut step_ends = 0;
    for call in calls {
        if call.started > step_ends {
            steps += 1;
            step_ends = call.ended;
        } else {
            step_ends = step_ends.min(call.ended);
        }
    }
    steps
}

#[tokio::test]
async fn requests_wait_for_the_table_as_often_as_budgeted() {
    let world = World::new().warm().await;
    world.register(PHONE, PASSWORD).await.expect(201);
    assert_eq!(steps(world.calls()), 1, "register");

    world.register(PHONE, PASSWORD).await.expect(409);
    assert_eq!(steps(world.calls()), 2, "register, when the phone is taken");

    let token = world.token(PASSWORD).await;
    assert_eq!(steps(world.calls()), 2, "login");

    world.login(PHONE, "wrong password").await.expect(401);
    assert_eq!(steps(world.calls()), 1, "login with a wrong password");

    world.me(&token).await.expect(200);
    assert_eq!(steps(world.calls()), 1, "me");

    let (other, refresh_token) = world.tokens(PASSWORD).await;
    world.calls();
    world.refresh(&refresh_token).await.expect(200);
    assert_eq!(steps(world.calls()), 1, "refresh");

    world.bearer(Method::GET, "/auth/sessions", &token).await.expect(200);
    assert_eq!(steps(world.calls()), 1, "sessions");

    world.bearer(Method::POST, "/auth/logout", &other).await.expect(204);
    assert_eq!(steps(world.calls()), 1, "logout");

    world.token(PASSWORD).await;
    let token = world.token(PASSWORD).await;
    let sessions = world.bearer(Method::GET, "/auth/sessions", &token).await.expect(200);
    let other = sessions.body["sessions"].as_array().unwrap().iter().find(|session| session["current"] == false);
    let path = format!("/auth/sessions/{}", other.unwrap()["id"].as_str().unwrap());
    world.calls();
    world.bearer(Method::DELETE, &path, &token).await.expect(204);
    assert_eq!(steps(world.calls()), 2, "sessions-delete");

    world.bearer(Method::POST, "/auth/logout-all", &token).await.expect(204);
    assert_eq!(steps(world.calls()), 2, "logout-all");

    let token = world.token(PASSWORD).await;
    world.calls();
    world.change_password(&token, PASSWORD, NEW_PASSWORD).await.expect(204);
    assert_eq!(steps(world.calls()), 3, "change-password");

    world.verify_phone(&token).await.expect(202);
    assert_eq!(steps(world.calls()), 3, "verify-phone");
    world.confirm_phone(&token, &world.last_code()).await.expect(204);
    assert_eq!(steps(world.calls()), 3, "verify-phone-confirm");

    world.change_phone(&token, NEW_PASSWORD, "01212345678").await.expect(202);
    assert_eq!(steps(world.calls()), 4, "change-phone");
    world.change_phone_verify(&token, "01212345678", &world.last_code()).await.expect(204);
    assert_eq!(steps(world.calls()), 5, "change-phone-verify, and its notice");
    world.change_phone(&token, NEW_PASSWORD, PHONE).await.expect(202);
    world.change_phone_verify(&token, PHONE, &world.last_code()).await.expect(204);
    world.calls();

    let code = world.code(PHONE).await;
    assert_eq!(steps(world.calls()), 2, "request-reset");

    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect(204);
    assert_eq!(steps(world.calls()), 2, "verify-reset");

    let token = world.token(RESET_PASSWORD).await;
    world.calls();
    world.export(&token).await.expect(200);
    assert_eq!(steps(world.calls()), 2, "me-export");
    world.delete_me(&token, RESET_PASSWORD, ("nothing", "")).await.expect(204);
    assert_eq!(steps(world.calls()), 6, "me-delete");
}

#[tokio::test]
async fn registrations_that_wait_do_so_too() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]).warm().await;
    let reply = world.register(PHONE, PASSWORD).await.expect(202);
    assert_eq!(steps(world.calls()), 2, "register, to be activated");
    world.advance(1);
    world.resend_activation(reply.text("activation_id")).await.expect(202);
    assert_eq!(steps(world.calls()), 2, "resend-activation");
    world.activate(reply.text("activation_id"), &world.last_code()).await.expect(201);
    assert_eq!(steps(world.calls()), 3, "activate");
}

#[tokio::test]
async fn second_factors_do_so_too() {
    let world = World::new().with_account().await.warm().await;
    let token = world.token(PASSWORD).await;
    world.calls();
    world.verify_phone(&token).await.expect(202);
    world.confirm_phone(&token, &world.last_code()).await.expect(204);
    world.calls();
    let secret = world.mfa_enroll(&token, PASSWORD).await.expect(200).text("secret").to_owned();
    assert_eq!(steps(world.calls()), 4, "mfa-enroll");
    let authenticator = Authenticator::new(&secret);
    world.mfa_confirm(&token, &authenticator.code(&world)).await.expect(200);
    assert_eq!(steps(world.calls()), 4, "mfa-confirm, and its notice");
    world.advance(30);
    let mfa_token = world.mfa_token(PASSWORD).await;
    assert_eq!(steps(world.calls()), 2, "login, with a second step to come");
    world.login_mfa(&mfa_token, ("code", &authenticator.code(&world))).await.expect(200);
    assert_eq!(steps(world.calls()), 3, "login-mfa");
    world.advance(30);
    let code = authenticator.code(&world);
    world.with_factor("/auth/mfa/recovery-codes", &token, PASSWORD, ("code", &code)).await.expect(200);
    assert_eq!(steps(world.calls()), 6, "mfa-recovery-codes, and its notice");
    world.advance(30);
    world.with_factor("/auth/mfa/disable", &token, PASSWORD, ("code", &authenticator.code(&world))).await.expect(204);
    assert_eq!(steps(world.calls()), 6, "mfa-disable, and its notice");
}

#[test]
fn calls_that_overlap_are_one_step() {
    let call = |started, ended| Call { function: String::new(), permissions: [].into(), started, ended };
    assert_eq!(steps(vec![]), 0);
    assert_eq!(steps(vec![call(1, 2), call(3, 4)]), 2);
    assert_eq!(steps(vec![call(1, 3), call(2, 4)]), 1);
    assert_eq!(steps(vec![call(1, 4), call(2, 3), call(5, 6)]), 2);
}
