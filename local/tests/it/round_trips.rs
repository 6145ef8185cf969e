//! How many steps a request waits for the table: no more than is budgeted here. Calls made at once are one step.

use std::{collections::BTreeMap, fs};

use local::emulator::Call;

use crate::harness::{LONG, NEW_PASSWORD, PHONE, RESET_PASSWORD, THIRD_PHONE, World, root};

/// The steps in a set of calls: how often all that ran had ended before the next began. Checks, too, that each function
/// opens the connections that they take while its sandbox starts.
fn steps(mut calls: Vec<Call>) -> usize {
    check_connections(&calls);
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

/// No function makes more calls at once than its `main.rs` opens connections for, so that no first request waits for a
/// handshake.
fn check_connections(calls: &[Call]) {
    for (function, most) in at_once(calls).into_iter().filter(|(function, _)| !function.is_empty()) {
        let main = root().join(format!("functions/{function}/src/main.rs"));
        let main = fs::read_to_string(main).expect("a function has a main.rs");
        let declared = main.split_once("at_once(").and_then(|(_, rest)| rest.split_once(')'));
        let declared = declared.map_or(1, |(number, _)| number.parse().expect("a number"));
        assert!(most <= declared, "{function} makes {most} calls at once, and opens {declared} connections");
    }
}

/// The most calls to DynamoDB that each function had open at once.
fn at_once(calls: &[Call]) -> BTreeMap<&str, usize> {
    let asks_the_table = |call: &&Call| call.permissions.iter().any(|one| one.action.starts_with("dynamodb:"));
    let mut most = BTreeMap::new();
    for call in calls.iter().filter(asks_the_table) {
        let is_open = |other: &&Call| (other.started..other.ended).contains(&call.started);
        let of_this = calls.iter().filter(|other| other.function == call.function).filter(asks_the_table);
        let known = most.entry(call.function.as_str()).or_default();
        *known = of_this.filter(is_open).count().max(*known);
    }
    most
}

#[tokio::test]
async fn requests_wait_for_the_table_as_often_as_budgeted() {
    let world = World::new().warm().await;
    let person = world.visitor(PHONE);
    person.register().await.expect(201);
    assert_eq!(steps(world.calls()), 2, "register");

    person.register().await.expect(409);
    assert_eq!(steps(world.calls()), 2, "register, when the phone is taken");

    person.login().await.expect(200);
    assert_eq!(steps(world.calls()), 2, "login");

    person.mistyping().login().await.expect(401);
    assert_eq!(steps(world.calls()), 1, "login with a wrong password");

    person.me().await.expect(200);
    assert_eq!(steps(world.calls()), 1, "me");

    let laptop = person.on_another_device().signed_in().await;
    world.calls();
    laptop.refresh().await.expect(200);
    assert_eq!(steps(world.calls()), 1, "refresh");

    person.sessions().await.expect(200);
    assert_eq!(steps(world.calls()), 1, "sessions");

    laptop.logout().await.expect(204);
    assert_eq!(steps(world.calls()), 1, "logout");

    laptop.revoke(&laptop.access_token()).await.expect(200);
    laptop.revoke(&laptop.refresh_token()).await.expect(200);
    assert_eq!(steps(world.calls()), 2, "revoke, once each");

    laptop.sign_in().await;
    let other = person.other_session().await;
    world.calls();
    person.end_session(&other).await.expect(204);
    assert_eq!(steps(world.calls()), 2, "sessions-delete");

    person.logout_all().await.expect(204);
    assert_eq!(steps(world.calls()), 2, "logout-all");

    person.sign_in().await;
    world.calls();
    person.change_password(NEW_PASSWORD).await.expect(200);
    assert_eq!(steps(world.calls()), 3, "change-password");

    person.verify_phone().await.expect(202);
    assert_eq!(steps(world.calls()), 3, "verify-phone");
    person.confirm_phone(&person.code()).await.expect(204);
    assert_eq!(steps(world.calls()), 4, "verify-phone-confirm");

    person.change_phone(THIRD_PHONE).await.expect(202);
    assert_eq!(steps(world.calls()), 4, "change-phone");
    person.change_phone_verify(&person.code()).await.expect(200);
    assert_eq!(steps(world.calls()), 6, "change-phone-verify, and its notice");
    person.move_to(PHONE).await;
    world.calls();

    let code = person.reset_code().await;
    assert_eq!(steps(world.calls()), 2, "request-reset");

    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    assert_eq!(steps(world.calls()), 3, "verify-reset, and its notice");
    world.advance(1);
    let code = person.reset_code().await;
    world.calls();
    person.verify_reset_by_challenge(&code, NEW_PASSWORD).await.expect(204);
    assert_eq!(steps(world.calls()), 3, "verify-reset by challenge, and its notice");

    person.sign_in().await;
    world.calls();
    person.export().await.expect(200);
    assert_eq!(steps(world.calls()), 2, "me-export");
    person.delete_account().await.expect(204);
    assert_eq!(steps(world.calls()), 7, "me-delete, and its notice");
}

#[tokio::test]
async fn known_devices_do_so_too() {
    let world = World::new().warm().await;
    let foreign = world.person_with_phone(THIRD_PHONE).await.signed_in().await;
    let person = world.signed_in_person().await;
    world.calls();
    person.mistyping().login_as_known().await.expect(401);
    assert_eq!(steps(world.calls()), 1, "login with a wrong password, on a known device");
    person.login_as_known().await.expect(200);
    assert_eq!(steps(world.calls()), 2, "login on a known device");
    person.login_with(&foreign.device_token()).await.expect(200);
    assert_eq!(steps(world.calls()), 3, "login with another user's device token");
    person.mistyping().login_with(&foreign.device_token()).await.expect(401);
    assert_eq!(steps(world.calls()), 2, "login with a wrong password and another user's device token");
}

#[tokio::test]
async fn registrations_that_wait_do_so_too() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]).warm().await;
    let person = world.visitor(PHONE);
    person.register().await.expect(202);
    assert_eq!(steps(world.calls()), 2, "register, to be activated");
    world.advance(1);
    person.resend_activation().await.expect(202);
    assert_eq!(steps(world.calls()), 2, "resend-activation");
    person.activate(&person.code()).await.expect(201);
    assert_eq!(steps(world.calls()), 3, "activate");
}

#[tokio::test]
async fn second_factors_do_so_too() {
    let world = World::new().warm().await;
    let person = world.signed_in_person().await;
    person.verify_own_phone().await;
    world.calls();
    person.mfa_enroll().await.expect(200);
    assert_eq!(steps(world.calls()), 4, "mfa-enroll");
    person.mfa_confirm(&person.new_authenticator().code()).await.expect(200);
    assert_eq!(steps(world.calls()), 4, "mfa-confirm, and its notice");
    world.advance(30);
    let laptop = person.on_another_device();
    laptop.first_step().await;
    assert_eq!(steps(world.calls()), 2, "login, with a second step to come");
    laptop.login_mfa().await.expect(200);
    assert_eq!(steps(world.calls()), 3, "login-mfa");
    world.advance(30);
    person.with_code().mfa_recovery_codes().await.expect(200);
    assert_eq!(steps(world.calls()), 6, "mfa-recovery-codes, and its notice");
    world.advance(30);
    person.with_code().mfa_disable().await.expect(200);
    assert_eq!(steps(world.calls()), 6, "mfa-disable, and its notice");
}

#[tokio::test]
async fn sign_ins_by_code_do_so_too() {
    let world = World::new().warm().await;
    let person = world.visitor(PHONE).without_password();
    for (kind, steps_of_verify) in [("sign-up", 2), ("sign-in", 2)] {
        person.ask_code().await.expect(202);
        assert_eq!(steps(world.calls()), 2, "code, {kind}");
        world.advance(1);
        person.resend_code().await.expect(202);
        assert_eq!(steps(world.calls()), 2, "code-resend, {kind}");
        person.verify_code(&person.code()).await.expect(200);
        assert_eq!(steps(world.calls()), steps_of_verify, "code-verify, {kind}");
        world.advance(1);
    }
    person.ask_code().await.expect(202);
    world.calls();
    person.step_up_by_code(&person.code()).await.expect(200);
    assert_eq!(steps(world.calls()), 3, "step-up, by a code");
    person.set_password(NEW_PASSWORD).await.expect(200);
    assert_eq!(steps(world.calls()), 4, "set-password, and its notice");
    let person = world.person_with_phone(THIRD_PHONE).await.signed_in().await;
    world.calls();
    person.step_up().await.expect(200);
    assert_eq!(steps(world.calls()), 4, "step-up, by the password");
}

#[tokio::test]
async fn numbers_that_change_hands_do_so_too() {
    let world = World::new().warm().await;
    let owner = world.signed_in_person().await;
    world.advance(LONG);
    // The sandboxes read the keys again.
    let world = world.warm().await;
    let newcomer = world.visitor(PHONE).without_password();
    newcomer.ask_code().await.expect(202);
    world.calls();
    newcomer.verify_code(&newcomer.code()).await.expect_problem(403, "identity-required");
    assert_eq!(steps(world.calls()), 2, "code-verify, with a choice to come");
    newcomer.start_anew().await.expect(200);
    assert_eq!(steps(world.calls()), 4, "start-anew, and its notice");
    owner.recover().await.expect(200);
    assert_eq!(steps(world.calls()), 2, "recover");
}

#[test]
fn calls_that_overlap_are_one_step() {
    let call = |started, ended| Call { function: String::new(), permissions: [].into(), started, ended };
    assert_eq!(steps(vec![]), 0);
    assert_eq!(steps(vec![call(1, 2), call(3, 4)]), 2);
    assert_eq!(steps(vec![call(1, 3), call(2, 4)]), 1);
    assert_eq!(steps(vec![call(1, 4), call(2, 3), call(5, 6)]), 2);
}
