//! Confirmations that are sent twice, because the first response was lost, the user tapped twice, or a proxy tried again
//! (docs/adr/0029-a-lost-confirmation.md).

use futures_util::future::join_all;

use crate::harness::{NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, Person, RESET_PASSWORD, Reply, World, another_code};

/// Sends one request 32 times at once.
async fn at_once<R>(person: &Person, request: impl Fn(Person) -> R) -> Vec<Reply>
where
    R: Future<Output = Reply> + Send + 'static,
{
    join_all((0..32).map(|_| tokio::spawn(request(person.clone()))).collect::<Vec<_>>())
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

/// Somebody whose registration waits for its code, and the code.
async fn registering() -> (World, Person, String) {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    let person = world.visitor(PHONE);
    person.register().await.expect(202);
    let code = person.code();
    (world, person, code)
}

/// Somebody who asked to verify their phone, and the code.
async fn verifying() -> (World, Person, String) {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.verify_phone().await.expect(202);
    let code = person.code();
    (world, person, code)
}

/// Somebody who forgot the password, and the code.
async fn resetting() -> (World, Person, String) {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    (world, person, code)
}

#[tokio::test]
async fn an_activation_that_is_repeated_gets_the_same_answer_until_its_code_expires() {
    let (world, person, code) = registering().await;
    let first = person.activate(&code).await.expect(201);
    let messages = world.outbox.messages().len();
    for _ in 0..10 {
        let again = person.activate(&code).await.expect(201);
        assert!(again.bytes == first.bytes);
    }
    world.advance(299);
    person.activate(&code).await.expect(201);
    world.advance(1);
    person.activate(&code).await.expect_problem(400, "invalid-otp");
    assert_eq!(world.outbox.messages().len(), messages);
    assert_eq!(world.items("USER#").len(), 1, "one account");
}

#[tokio::test]
async fn a_repeated_activation_tells_only_of_the_account_that_it_made() {
    let (world, person, code) = registering().await;
    let stranger = world.visitor(PHONE).typing(NEW_PASSWORD);
    world.advance(1);
    stranger.register().await.expect(202);
    let strangers_code = stranger.code();
    person.activate(&code).await.expect(201);
    // The code of another registration, and the other registration with this code.
    if strangers_code != code {
        stranger.activate(&code).await.expect_problem(400, "invalid-otp");
        person.activate(&strangers_code).await.expect_problem(400, "invalid-otp");
    }
    stranger.activate(&strangers_code).await.expect_problem(409, "phone-taken");
    person.activate(&code).await.expect(201);
    // A change of the account ends what its codes are good for.
    person.sign_in().await;
    person.change_password(RESET_PASSWORD).await.expect(200);
    person.activate(&code).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn after_a_deletion_no_repetition_tells_of_the_account() {
    let (world, person, code) = registering().await;
    person.activate(&code).await.expect(201);
    person.sign_in().await;
    person.delete_account().await.expect(204);
    person.activate(&code).await.expect_problem(400, "invalid-otp");
    // Nor of the next account of the phone.
    world.advance(2);
    let next = world.visitor(PHONE).registered().await;
    person.activate(&code).await.expect_problem(400, "invalid-otp");
    next.sign_in().await;

    let (_, person, code) = resetting().await;
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    person.sign_in().await;
    person.delete_account().await.expect(204);
    person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_activations_with_one_code_all_tell_of_one_account() {
    let (world, person, code) = registering().await;
    let replies = at_once(&person, move |person| {
        let code = code.clone();
        async move { person.activate(&code).await }
    })
    .await;
    assert!(replies.iter().all(|reply| reply.status == 201 && reply.bytes == replies[0].bytes));
    assert_eq!(world.items("USER#").len(), 1);
    person.sign_in().await;
}

#[tokio::test]
async fn a_reset_that_is_repeated_is_done_and_ends_no_session_again() {
    let (world, person, code) = resetting().await;
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    person.sign_in().await;
    for _ in 0..10 {
        person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    }
    person.me().await.expect(200);
    person.logout().await.expect(204);
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    person.me().await.expect_problem(401, "invalid-token");
    world.advance(300);
    person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn a_used_code_sets_no_other_password_and_wrong_ones_count() {
    let (world, person, code) = resetting().await;
    let guesser = world.visitor(PHONE);
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    for at in 0..5 {
        guesser.verify_reset(&code, &format!("another guess {at}")).await.expect_problem(400, "invalid-otp");
    }
    // Five are compared. After that, not even the right one is.
    guesser.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    assert_eq!(world.item("PHONE#", "OTP#reset")["failures"]["N"], "5");
    person.typing(RESET_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn wrong_codes_after_the_use_count_as_well() {
    let (world, person, code) = resetting().await;
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    for _ in 0..5 {
        person.verify_reset(&another_code(&code), RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    // A new code begins anew.
    world.advance(1);
    person.reset_password(NEW_PASSWORD).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_passwords_guessed_with_a_used_code_five_are_compared() {
    let (world, person, code) = resetting().await;
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    let guesses = (0..32).map(|at| {
        let (guesser, code) = (world.visitor(PHONE), code.clone());
        tokio::spawn(async move { guesser.verify_reset(&code, &format!("another guess {at}")).await })
    });
    let replies = join_all(guesses.collect::<Vec<_>>()).await;
    assert!(replies.into_iter().all(|reply| reply.unwrap().status == 400));
    assert_eq!(world.item("PHONE#", "OTP#reset")["failures"]["N"], "5");
}

#[tokio::test]
async fn a_reset_is_not_repeated_over_a_later_change() {
    let (world, person, code) = resetting().await;
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    person.sign_in().await;
    person.change_password(NEW_PASSWORD).await.expect(200);
    world.visitor(PHONE).verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    // Not even if the account has that password again.
    world.visitor(PHONE).verify_reset(&code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    person.typing(NEW_PASSWORD).login().await.expect(200);
}

#[tokio::test]
async fn a_new_code_ends_the_repetition_of_the_one_before() {
    let (world, person, code) = resetting().await;
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    world.advance(1);
    let next = person.reset_code().await;
    if next != code {
        person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.verify_reset(&next, NEW_PASSWORD).await.expect(204);
}

/// The fixed code of a test number is the same each time: it must reset again, and not be taken for a repetition.
#[tokio::test]
async fn the_fixed_code_of_a_test_number_works_each_time_that_it_is_requested() {
    let world = World::with(&[("TEST_NUMBERS", "+201012345678=123456")]);
    let person = world.person().await;
    for password in [RESET_PASSWORD, NEW_PASSWORD, PASSWORD] {
        person.request_reset().await.expect(202);
        person.verify_reset("123456", password).await.expect(204);
        person.typing(password).login().await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_resets_with_one_code_and_one_password_all_are_done_and_one_happens() {
    let (world, person, code) = resetting().await;
    let replies = at_once(&person, move |person| {
        let code = code.clone();
        async move { person.verify_reset(&code, RESET_PASSWORD).await }
    })
    .await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 204).count(), 32);
    assert_eq!(world.item("PHONE#", "CREDENTIAL")["epoch"]["N"], "2", "one reset");
    person.sign_in().await;
}

/// The second factor was shown with the first request, and its code was used up.
#[tokio::test]
async fn a_reset_with_a_second_factor_is_repeated_as_it_was() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let code = person.reset_code().await;
    let shown = person.with_code();
    shown.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    shown.verify_reset(&code, RESET_PASSWORD).await.expect(204);
    // What is right but not complete stays valid, and leaves no way around the tries.
    world.advance(30);
    let code = person.reset_code().await;
    person.verify_reset(&code, NEW_PASSWORD).await.expect_problem(403, "mfa-required");
    for _ in 0..5 {
        person.with_code().verify_reset(&another_code(&code), NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
    }
    person.with_code().verify_reset(&code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");
}

#[tokio::test]
async fn a_phone_that_is_verified_twice_is_verified() {
    let (world, person, code) = verifying().await;
    for _ in 0..10 {
        person.confirm_phone(&code).await.expect(204);
    }
    // Another device of the owner, and nobody else.
    person.on_another_device().signed_in().await.confirm_phone(&code).await.expect(204);
    let stranger = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    stranger.confirm_phone(&code).await.expect_problem(400, "invalid-otp");
    person.change_password(NEW_PASSWORD).await.expect(200);
    person.confirm_phone(&code).await.expect(204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_confirmations_of_one_phone_all_are_done() {
    let (world, person, code) = verifying().await;
    let replies = at_once(&person, move |person| {
        let code = code.clone();
        async move { person.confirm_phone(&code).await }
    })
    .await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 204).count(), 32);
    assert_eq!(world.item("PHONE#", "OTP#verify-phone")["failures"]["N"], "0", "none of them counts as wrong");
}

/// A response with tokens is repeated as well: with those of the same session, until one of them was used.
#[tokio::test]
async fn tokens_of_a_confirmation_are_repeated_until_they_are_used() {
    for what in ["activate", "verify-reset"] {
        let (world, person, code) = if what == "activate" { registering().await } else { resetting().await };
        let person = person.with_members(&serde_json::json!({"sign_in": true}));
        let late = person.with_copied_tokens();
        let confirm = async |who: &Person| match what {
            "activate" => who.activate(&code).await.expect(201),
            _ => who.verify_reset(&code, RESET_PASSWORD).await.expect(200),
        };
        confirm(&person).await;
        confirm(&late).await;
        assert!(late.refresh_token() == person.refresh_token(), "{what}");
        assert_eq!(world.sessions().len(), 1, "{what}");
        person.refresh().await.expect(200);
        let reply = match what {
            "activate" => late.activate(&code).await.expect(201),
            _ => late.verify_reset(&code, RESET_PASSWORD).await.expect(204),
        };
        assert!(reply.body["refresh_token"].is_null(), "{what}");
        person.me().await.expect(200);
    }
}

/// The requests that come second wait for the one that has used up the second factor.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_the_same_resets_with_a_second_factor_at_once_all_are_done() {
    for proof in ["code", "recovery_code"] {
        for times in [2, 8] {
            let world = World::new();
            let person = world.person_with_factor().await;
            world.advance(30);
            let code = person.reset_code().await;
            let shown = if proof == "code" { person.with_code() } else { person.with_recovery_code(0) };
            let requests = (0..times).map(|_| {
                let (person, code) = (shown.with_copied_tokens(), code.clone());
                tokio::spawn(async move { person.verify_reset(&code, RESET_PASSWORD).await })
            });
            let replies = join_all(requests.collect::<Vec<_>>()).await;
            let told: Vec<_> = replies.into_iter().map(|reply| reply.unwrap().status).collect();
            assert!(told.iter().all(|status| *status == 204), "{times} by {proof}: {told:?}");
            // The factor was switched on at the second epoch.
            assert_eq!(world.item("PHONE#", "CREDENTIAL")["epoch"]["N"], "3", "{times} by {proof}: one reset");
        }
    }
}
