//! `POST /auth/recover`. What it leads to is in `recycled.rs`.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{LONG, OTHER_PHONE, PHONE, Person, Reply, World};

/// Somebody with a password, whose number is somebody else's by now.
async fn parked(world: &World) -> Person {
    let owner = world.signed_in_person().await;
    owner.verify_own_phone().await;
    let newcomer = world.visitor(PHONE).without_password();
    newcomer.comes_back_late().await;
    newcomer.start_anew().await.expect(200);
    owner
}

/// The same with a second factor, and with or without a password; the number may be any.
async fn parked_with_factor(world: &World, phone: &str, has_password: bool) -> Person {
    let owner =
        if has_password { world.person_with_phone(phone).await } else { world.visitor(phone).without_password() };
    owner.sign_in_by_code().await;
    owner.switch_factor_on().await;
    let newcomer = world.visitor(phone).without_password();
    newcomer.comes_back_late().await;
    newcomer.start_anew().await.expect(200);
    owner
}

#[tokio::test]
async fn wrong_passwords_are_counted_as_at_a_login_and_apart_from_it() {
    let world = World::new();
    let owner = parked(&world).await;
    for _ in 0..6 {
        owner.mistyping().recover().await.expect_problem(401, "invalid-credentials");
    }
    owner.recover().await.expect_limit("login-phone");
    // The phone's new account is another one.
    owner.login().await.expect_problem(401, "invalid-credentials");
    world.advance(2);
    owner.recover().await.expect(200);
    owner.mistyping().recover().await.expect(401);
    // An account that has its phone is not recovered.
    let other = world.person_with_phone(OTHER_PHONE).await;
    other.recover().await.expect_problem(401, "invalid-credentials");
    other.sign_in().await;
}

/// Whoever knows the phone that an account had would otherwise keep its owner out until it is deleted.
#[tokio::test]
async fn a_recovery_code_waits_for_no_attempts_of_others() {
    for has_password in [true, false] {
        let world = World::new();
        let owner = parked_with_factor(&world, PHONE, has_password).await;
        let stranger = world.visitor(PHONE).at("198.51.100.66");
        let wrong =
            json!({"phone": PHONE, "password": "not the password", "recovery_code": "0000-0000-0000-0000-0000-0000"});
        for _ in 0..60 {
            stranger.mistyping().recover().await;
            stranger.post("/auth/recover", wrong.clone()).await;
            let code = json!({"phone": PHONE, "recovery_code": "0000-0000-0000-0000-0000-0000"});
            stranger.post("/auth/recover", code).await.expect_problem(401, "invalid-credentials");
        }
        stranger.mistyping().recover().await.expect_limit("login-phone");
        if has_password {
            owner.mistyping().with_recovery_code(0).recover().await.expect_problem(401, "invalid-credentials");
        }
        owner.with_recovery_code(0).recover().await.expect(200);
        owner.me().await.expect(200);
        let begun = owner.refresh_token();
        // Nor does a client that missed the response.
        owner.with_recovery_code(0).recover().await.expect(200);
        assert!(owner.refresh_token() == begun);
        owner.refresh().await.expect(200);
        owner.with_recovery_code(0).recover().await.expect(if has_password { 400 } else { 401 });
    }
}

/// Who holds a recovery code guesses the password as slowly as whoever holds the password guesses an authenticator's codes.
#[tokio::test]
async fn a_recovery_code_buys_no_guesses_at_the_password() {
    let world = World::new();
    let owner = parked_with_factor(&world, PHONE, true).await;
    let thief = owner.mistyping().with_recovery_code(0);
    for _ in 0..6 {
        thief.recover().await.expect_problem(401, "invalid-credentials");
    }
    thief.recover().await.expect_limit("mfa");
    owner.with_recovery_code(0).recover().await.expect_limit("mfa");
    world.advance(2);
    owner.with_recovery_code(0).recover().await.expect(200);
}

/// Who asks counts for the address alike, whether or not an account is parked and whatever it has, so that what is left to an
/// address tells nothing.
#[tokio::test]
async fn the_calls_and_the_counts_tell_nobody_what_is_parked() {
    let wrong = "0000-0000-0000-0000-0000-0000";
    let proofs = [
        json!({"phone": PHONE, "code": "000000"}),
        json!({"phone": PHONE, "recovery_code": wrong}),
        json!({"phone": PHONE, "password": "not the password"}),
        json!({"phone": PHONE, "password": "not the password", "recovery_code": wrong}),
    ];
    for proof in proofs {
        let mut told = Vec::new();
        // First, it is another phone that has left an account.
        for (phone, has_password) in [(OTHER_PHONE, false), (PHONE, false), (PHONE, true)] {
            let world = World::new().warm().await;
            parked_with_factor(&world, phone, has_password).await;
            let stranger = world.visitor(PHONE).at("198.51.100.66");
            let before = world.items("LIMIT#login-address");
            world.calls();
            let reply = stranger.post("/auth/recover", proof.clone()).await.expect_problem(401, "invalid-credentials");
            let used = world.permissions_used();
            let counted = world.items("LIMIT#login-address").into_iter().filter(|counter| !before.contains(counter));
            let counted: Vec<_> = counted.map(|counter| counter["uses"]["N"].as_str().unwrap().to_owned()).collect();
            told.push((reply.fingerprint(), used, counted));
        }
        let shown: Vec<_> = proof.as_object().unwrap().keys().collect();
        for (at, what) in [(1, "without a password"), (2, "with one")] {
            assert_eq!(told[0].1, told[at].1, "{shown:?}: the calls of an account {what}");
            assert_eq!(told[0].2, told[at].2, "{shown:?}: the counts of an account {what}");
            assert!(told[0].0 == told[at].0, "{shown:?}: the response of an account {what}");
        }
    }
}

#[tokio::test]
async fn the_phone_and_some_proof_are_required() {
    let world = World::new();
    for (body, pointer) in [
        (json!({"password": "mypassword"}), "/phone"),
        (json!({"phone": PHONE}), "/password"),
        (json!({"phone": PHONE, "code": "1"}), "/code"),
    ] {
        let reply = world.post("/auth/recover", body).await.expect_problem(422, "invalid-request");
        assert_eq!(reply.body["errors"][0]["pointer"], pointer);
    }
}

/// The twenty-first session of a parked account ends the one unused longest, as of every account.
#[tokio::test]
async fn sessions_of_a_parked_account_are_counted_too() {
    let world = World::new();
    let owner = parked(&world).await;
    let mut devices = Vec::new();
    for _ in 0..21 {
        let device = owner.on_another_device();
        device.recover().await.expect(200);
        devices.push(device);
        world.advance(1);
    }
    devices[0].me().await.expect_problem(401, "invalid-token");
    devices[1].me().await.expect(200);
    assert_eq!(devices[20].sessions().await.expect(200).body["sessions"].as_array().unwrap().len(), 20);
    world.advance(LONG);
    devices[20].refresh().await.expect_problem(401, "invalid-token");
}

/// The clients of one owner, each of which sends the same request.
async fn at_once(owner: &Person, times: usize) -> Vec<Reply> {
    let requests = (0..times).map(|_| {
        let client = owner.with_copied_tokens();
        tokio::spawn(async move { client.recover().await })
    });
    join_all(requests.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn the_same_recovery_again_or_at_once_gets_the_same_session() {
    for has_password in [true, false] {
        for member in ["code", "recovery_code"] {
            let world = World::new();
            let owner = parked_with_factor(&world, PHONE, has_password).await;
            let shown = if member == "code" { owner.with_code() } else { owner.with_recovery_code(0) };
            let before = world.sessions().len();
            let replies = at_once(&shown, 3).await;
            let what = format!("{member}, with a password: {has_password}");
            for reply in &replies {
                assert_eq!(reply.status, 200, "{what}");
                assert!(reply.text("refresh_token") == replies[0].text("refresh_token"), "{what}");
            }
            world.advance(240);
            // What was shown is one thing, and another password or factor is another.
            let refused = if has_password { 400 } else { 401 };
            if has_password {
                shown.mistyping().recover().await.expect_problem(401, "invalid-credentials");
                shown.on_another_device().without_password().recover().await.expect(401);
            }
            owner.with_wrong_code().recover().await.expect(refused);
            let again = shown.with_copied_tokens();
            let again = again.recover().await.expect(200);
            assert!(again.text("refresh_token") == replies[0].text("refresh_token"), "{what}");
            world.advance(60);
            shown.recover().await.expect(refused);
            assert_eq!(world.sessions().len(), before + 1, "{what}: one session");
        }
    }
}

#[tokio::test]
async fn a_recovery_is_not_repeated_after_its_tokens_were_used_or_a_logout() {
    for ends in ["refresh", "logout"] {
        let world = World::new();
        let owner = parked_with_factor(&world, PHONE, true).await;
        let shown = owner.with_code();
        shown.recover().await.expect(200);
        world.advance(20);
        if ends == "refresh" {
            shown.refresh().await.expect(200);
        } else {
            shown.logout().await.expect(204);
        }
        shown.recover().await.expect_problem(400, "invalid-otp");
    }
}
