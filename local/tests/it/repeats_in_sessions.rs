//! Requests that end the caller's session or login, sent twice (docs/adr/0029-a-lost-confirmation.md).

use futures_util::future::join_all;
use serde_json::Value;

use crate::harness::{NEW_PASSWORD, OTHER_E164, OTHER_PHONE, Person, Reply, World, another_code};

/// Sends one request 32 times at once, each from a client that has the same tokens.
async fn at_once<R>(person: &Person, request: impl Fn(Person) -> R) -> Vec<Reply>
where
    R: Future<Output = Reply> + Send + 'static,
{
    often_at_once(32, person, request).await
}

/// Sends one request so many times at once.
async fn often_at_once<R>(times: usize, person: &Person, request: impl Fn(Person) -> R) -> Vec<Reply>
where
    R: Future<Output = Reply> + Send + 'static,
{
    join_all((0..times).map(|_| tokio::spawn(request(person.with_copied_tokens()))).collect::<Vec<_>>())
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

/// Somebody who has asked for another phone; the same as a client that misses the response; and the code.
async fn moving() -> (World, Person, Person, String) {
    let world = World::new();
    let person = world.signed_in_person().await;
    let code = person.code_for(OTHER_PHONE).await;
    let deaf = person.with_copied_tokens();
    (world, person, deaf, code)
}

/// Somebody who has enrolled an authenticator; the same as a client that misses the response; and its code.
async fn enrolled() -> (World, Person, Person, String) {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.enroll().await;
    let code = person.new_authenticator().code();
    let deaf = person.with_copied_tokens();
    (world, person, deaf, code)
}

/// Checks that a reply has the tokens of the session that this reply began.
fn is_of_one_session(first: &Reply, again: &Reply) {
    assert!(first.text("refresh_token") == again.text("refresh_token"));
}

#[tokio::test]
async fn a_phone_that_is_changed_twice_is_changed_and_the_tokens_are_the_same() {
    let (world, person, deaf, code) = moving().await;
    let first = person.change_phone_verify(&code).await.expect(200);
    let sent = world.outbox.messages().len();
    let again = deaf.with_copied_tokens().change_phone_verify(&code).await.expect(200);
    is_of_one_session(&first, &again);
    // The same with the new tokens: a second tap, after the first response has arrived.
    is_of_one_session(&first, &person.change_phone_verify(&code).await.expect(200));
    assert_eq!(world.outbox.messages().len(), sent, "no second notice");
    let client = deaf.with_copied_tokens();
    client.change_phone_verify(&code).await.expect(200);
    assert_eq!(client.me().await.expect(200).text("phone"), OTHER_E164);
    client.refresh().await.expect(200);
    // The first response, or a repetition, has arrived: nothing is left to repeat.
    deaf.change_phone_verify(&code).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn wrong_codes_for_a_session_that_ended_are_counted() {
    let (_, person, deaf, code) = moving().await;
    person.change_phone_verify(&code).await.expect(200);
    for _ in 0..5 {
        deaf.change_phone_verify(&another_code(&code)).await.expect_problem(401, "invalid-token");
    }
    deaf.change_phone_verify(&code).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn a_change_of_phone_is_not_repeated_after_its_code_a_logout_or_a_later_change() {
    let (world, person, deaf, code) = moving().await;
    person.change_phone_verify(&code).await.expect(200);
    world.advance(300);
    deaf.change_phone_verify(&code).await.expect_problem(401, "invalid-token");

    let (_, person, deaf, code) = moving().await;
    person.change_phone_verify(&code).await.expect(200);
    person.logout().await.expect(204);
    deaf.change_phone_verify(&code).await.expect_problem(401, "invalid-token");

    let (_, person, deaf, code) = moving().await;
    person.change_phone_verify(&code).await.expect(200);
    person.change_password(NEW_PASSWORD).await.expect(200);
    deaf.change_phone_verify(&code).await.expect_problem(401, "invalid-token");
    person.change_phone_verify(&code).await.expect_problem(400, "invalid-otp");

    let (_, person, deaf, code) = moving().await;
    person.change_phone_verify(&code).await.expect(200);
    person.delete_account().await.expect(204);
    deaf.change_phone_verify(&code).await.expect_problem(401, "invalid-token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_changes_to_one_phone_one_happens_and_all_are_told() {
    let (world, person, _, code) = moving().await;
    let replies = at_once(&person, move |person| {
        let code = code.clone();
        async move { person.change_phone_verify(&code).await }
    })
    .await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 32);
    for reply in &replies {
        is_of_one_session(&replies[0], reply);
    }
    assert_eq!(world.items("USER#").iter().filter(|item| item["phone"]["S"] == OTHER_E164).count(), 1);
}

#[tokio::test]
async fn recovery_codes_whose_response_was_lost_are_shown_again() {
    let (world, person, deaf, code) = enrolled().await;
    let first = person.mfa_confirm(&code).await.expect(200);
    let sent = world.outbox.messages().len();
    let again = deaf.with_copied_tokens().mfa_confirm(&code).await.expect(200);
    is_of_one_session(&first, &again);
    assert!(first.body["recovery_codes"] == again.body["recovery_codes"]);
    assert_eq!(world.outbox.messages().len(), sent, "no second notice");
    deaf.with_copied_tokens().mfa_confirm(&another_code(&code)).await.expect_problem(401, "invalid-token");
    world.advance(60);
    let again = deaf.with_copied_tokens().mfa_confirm(&code).await.expect(200);
    assert!(first.body["recovery_codes"] == again.body["recovery_codes"]);
    person.with_recovery_code(3).mfa_disable().await.expect(200);
    deaf.mfa_confirm(&code).await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn recovery_codes_are_not_shown_again_once_the_session_was_used_or_time_has_passed() {
    let (_, person, deaf, code) = enrolled().await;
    person.mfa_confirm(&code).await.expect(200);
    person.refresh().await.expect(200);
    deaf.mfa_confirm(&code).await.expect_problem(401, "invalid-token");

    let (world, person, deaf, code) = enrolled().await;
    person.mfa_confirm(&code).await.expect(200);
    world.advance(300);
    deaf.mfa_confirm(&code).await.expect_problem(401, "invalid-token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_confirmations_of_one_factor_one_happens_and_all_show_its_codes() {
    let (world, person, _, code) = enrolled().await;
    let replies = at_once(&person, move |person| {
        let code = code.clone();
        async move { person.mfa_confirm(&code).await }
    })
    .await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 32);
    for reply in &replies {
        is_of_one_session(&replies[0], reply);
        assert!(reply.body["recovery_codes"] == replies[0].body["recovery_codes"]);
    }
    assert_eq!(world.item("USER#", "MFA")["recovery_codes"]["SS"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn a_second_step_that_is_repeated_gets_the_same_session() {
    let world = World::new();
    let person = world.person_with_factor().await;
    for shown in [person.with_code(), person.with_recovery_code(0)] {
        let laptop = person.on_another_device();
        laptop.first_step().await;
        let (laptop, deaf) = (laptop.with_proof_of(&shown), laptop.with_copied_tokens().with_proof_of(&shown));
        let first = laptop.login_mfa().await.expect(200);
        let again = deaf.with_copied_tokens().login_mfa().await.expect(200);
        is_of_one_session(&first, &again);
        // Another code opens nothing, and the token of another login neither.
        deaf.with_wrong_code().login_mfa().await.expect_problem(401, "invalid-token");
        let other = person.on_another_device();
        other.first_step().await;
        other.with_proof_of(&shown).login_mfa().await.expect_problem(400, "invalid-otp");
        laptop.refresh().await.expect(200);
        deaf.login_mfa().await.expect_problem(401, "invalid-token");
    }
}

#[tokio::test]
async fn a_second_step_is_not_repeated_after_a_logout_a_change_or_its_time() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let completed = async || {
        world.advance(30);
        let laptop = person.on_another_device();
        laptop.first_step().await;
        let laptop = laptop.with_code();
        let deaf = laptop.with_copied_tokens();
        laptop.login_mfa().await.expect(200);
        (laptop, deaf)
    };
    let (laptop, deaf) = completed().await;
    laptop.logout().await.expect(204);
    deaf.login_mfa().await.expect_problem(401, "invalid-token");
    let (_, deaf) = completed().await;
    world.advance(300);
    deaf.login_mfa().await.expect_problem(401, "invalid-token");
    let (laptop, deaf) = completed().await;
    world.advance(30);
    laptop.with_code().change_password(NEW_PASSWORD).await.expect(200);
    deaf.login_mfa().await.expect_problem(401, "invalid-token");
}

/// No response says that a code is wrong when the change that it was for has been made.
#[tokio::test]
async fn other_changes_that_are_repeated_say_that_the_change_was_made() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let says_so = |reply: Reply| {
        let reply = reply.expect_problem(401, "invalid-token");
        assert!(reply.text("detail").starts_with("The change was made"));
    };
    world.advance(30);
    let (shown, deaf) = (person.with_code(), person.with_copied_tokens().with_code());
    shown.mfa_disable().await.expect(200);
    says_so(deaf.mfa_disable().await);
    let deaf = person.with_copied_tokens();
    person.change_password(NEW_PASSWORD).await.expect(200);
    says_so(deaf.change_password(NEW_PASSWORD).await);
    person.logout().await.expect(204);
    person.logout().await.expect(204);
}

/// Steps up by a code by SMS with a second factor, or by that alone.
async fn step_up(client: &Person, otp: Option<&str>) -> Reply {
    match otp {
        Some(otp) => client.step_up_by_code(otp).await,
        None => client.step_up_by_factor().await,
    }
}

#[tokio::test]
async fn a_step_up_by_a_code_is_repeated_and_one_by_the_password_is_not() {
    for with_sms in [true, false] {
        for proof in ["code", "recovery_code"] {
            let world = World::new();
            let person = world.person_with_factor().await;
            world.advance(30);
            person.ask_code().await.expect(202);
            let otp = person.code();
            let otp = with_sms.then_some(otp.as_str());
            let person = if proof == "code" { person.with_code() } else { person.with_recovery_code(0) };
            let deaf = person.with_copied_tokens();
            let first = step_up(&person, otp).await.expect(200);
            is_of_one_session(&first, &step_up(&deaf.with_copied_tokens(), otp).await.expect(200));
            // Neither another factor, nor another code, nor the password stands for what was shown.
            let other = deaf.with_copied_tokens().with_recovery_code(1);
            step_up(&other, otp).await.expect_problem(401, "invalid-token");
            deaf.with_copied_tokens().step_up().await.expect_problem(401, "invalid-token");
            if let Some(otp) = otp {
                let wrong = another_code(otp);
                step_up(&deaf.with_copied_tokens(), Some(&wrong)).await.expect_problem(401, "invalid-token");
            }
            is_of_one_session(&first, &step_up(&deaf.with_copied_tokens(), otp).await.expect(200));
            person.refresh().await.expect(200);
            step_up(&deaf.with_copied_tokens(), otp).await.expect_problem(401, "invalid-token");
        }
    }
    let person = World::new().signed_in_person().await;
    let deaf = person.with_copied_tokens();
    person.step_up().await.expect(200);
    deaf.step_up().await.expect_problem(401, "invalid-token");
}

#[tokio::test]
async fn five_wrong_repetitions_of_a_step_up_end_it() {
    let world = World::new();
    let person = world.signed_in_person().await;
    person.ask_code().await.expect(202);
    let (otp, deaf) = (person.code(), person.with_copied_tokens());
    person.step_up_by_code(&otp).await.expect(200);
    for _ in 0..5 {
        deaf.step_up_by_code(&another_code(&otp)).await.expect_problem(401, "invalid-token");
    }
    deaf.step_up_by_code(&otp).await.expect_problem(401, "invalid-token");
}

/// Recovery codes that nobody has seen, and old ones that are dead, would cost an account whose authenticator is lost.
#[tokio::test]
async fn replaced_recovery_codes_are_shown_again_to_who_missed_them() {
    for proof in ["code", "recovery_code"] {
        let world = World::new();
        let person = world.person_with_factor().await;
        world.advance(30);
        let person = if proof == "code" { person.with_code() } else { person.with_recovery_code(0) };
        let deaf = person.with_copied_tokens();
        let first = person.mfa_recovery_codes().await.expect(200);
        let again = deaf.with_copied_tokens().mfa_recovery_codes().await.expect(200);
        is_of_one_session(&first, &again);
        assert!(first.body["recovery_codes"] == again.body["recovery_codes"]);
        let other = deaf.with_copied_tokens().with_recovery_code(1);
        other.mfa_recovery_codes().await.expect_problem(401, "invalid-token");
        world.advance(300);
        deaf.mfa_recovery_codes().await.expect_problem(401, "invalid-token");
    }
}

/// Checks that of requests that are the same one is done once, and that none is told that it was wrong.
fn all_are_told(replies: &[Reply], is_repeatable: bool, what: &str) {
    let done: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    if is_repeatable {
        assert_eq!(done.len(), replies.len(), "{what}: {:?}", statuses(replies));
        for reply in &done {
            is_of_one_session(done[0], reply);
        }
        return;
    }
    assert_eq!(done.len(), 1, "{what}: {:?}", statuses(replies));
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!(reply.status, 401, "{what}: {:?}", statuses(replies));
        assert!(reply.text("detail").starts_with("The change was made"), "{what}");
    }
}

fn statuses(replies: &[Reply]) -> Vec<u16> {
    replies.iter().map(|reply| reply.status).collect()
}

/// Six tries are what the throttle of an authenticator's codes, or of a password, admits at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_the_same_step_ups_at_once_none_is_told_that_it_is_wrong() {
    for proof in ["code", "recovery_code", ""] {
        for first in ["sms", "password", ""] {
            for times in [2, 5] {
                if proof.is_empty() && first != "sms" {
                    continue;
                }
                let world = World::new();
                let person =
                    if proof.is_empty() { world.signed_in_person().await } else { world.person_with_factor().await };
                world.advance(30);
                person.ask_code().await.expect(202);
                let otp = person.code();
                let person = match proof {
                    "code" => person.with_code(),
                    "recovery_code" => person.with_recovery_code(0),
                    _ => person,
                };
                let replies = often_at_once(times, &person, move |person| {
                    let otp = otp.clone();
                    async move {
                        match first {
                            "sms" => person.step_up_by_code(&otp).await,
                            "password" => person.step_up().await,
                            _ => person.step_up_by_factor().await,
                        }
                    }
                })
                .await;
                let what = format!("{times} by {first} {proof}");
                all_are_told(&replies, first != "password", &what);
                let others = live_sessions(&world);
                assert_eq!(others.len(), 1, "{what}: one session goes on");
            }
        }
    }
}

fn live_sessions(world: &World) -> Vec<Value> {
    let mut sessions = world.sessions();
    sessions.retain(|item| item["renewed"].is_null());
    sessions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_the_same_changes_with_a_factor_at_once_none_is_told_that_it_is_wrong() {
    for proof in ["code", "recovery_code"] {
        for what in ["mfa/disable", "mfa/recovery-codes", "me/delete", "change-password"] {
            for times in [2, 5] {
                let world = World::new();
                let person = world.person_with_factor().await;
                world.advance(30);
                let person = if proof == "code" { person.with_code() } else { person.with_recovery_code(0) };
                let replies = often_at_once(times, &person, move |person| async move {
                    match what {
                        "mfa/disable" => person.mfa_disable().await,
                        "mfa/recovery-codes" => person.mfa_recovery_codes().await,
                        "change-password" => person.change_password(NEW_PASSWORD).await,
                        _ => person.delete_account().await,
                    }
                })
                .await;
                let told = format!("{times} of {what} by {proof}");
                if what == "me/delete" {
                    assert!(replies.iter().all(|reply| reply.status == 204), "{told}: {:?}", statuses(&replies));
                } else {
                    all_are_told(&replies, what == "mfa/recovery-codes", &told);
                }
            }
        }
    }
}

/// A code that a request of this session has used opens nothing to another request, and is no free try.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn another_session_with_the_same_code_at_once_is_refused() {
    for proof in ["code", "recovery_code"] {
        let world = World::new();
        let person = world.person_with_factor().await;
        world.advance(30);
        let laptop = person.on_another_device();
        laptop.first_step().await;
        laptop.login_mfa().await.expect(200);
        world.advance(30);
        let shown = if proof == "code" { person.with_code() } else { person.with_recovery_code(0) };
        let both = [shown.clone(), laptop.with_proof_of(&shown)]
            .map(|person| tokio::spawn(async move { person.step_up_by_factor().await }));
        let replies: Vec<_> = join_all(both).await.into_iter().map(Result::unwrap).collect();
        let mut told = statuses(&replies);
        told.sort_unstable();
        assert_eq!(told, [200, 400], "{proof}");
    }
}
