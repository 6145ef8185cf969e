//! Really concurrent requests: each on its own task, on several threads.

use std::time::Duration;

use futures_util::future::join_all;
use latchkey::{
    domain::repeat::RepeatMac,
    store::{AskedAt, Attempt, FactorUse, RightCode, SealedAnew, UsedUp},
};

use crate::harness::{NEW_PASSWORD, PASSWORD, PHONE, Person, RESET_PASSWORD, Reply, World, another_code};

/// Sends one request of each of these people at once.
async fn at_once<R>(people: &[Person], request: impl Fn(Person, usize) -> R) -> Vec<Reply>
where
    R: Future<Output = Reply> + Send + 'static,
{
    let requests = people.iter().cloned().enumerate().map(|(at, person)| tokio::spawn(request(person, at)));
    join_all(requests.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect()
}

fn count(replies: &[Reply], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

/// Where in the replies the only one with this status is.
fn only(replies: &[Reply], status: u16) -> usize {
    assert_eq!(count(replies, status), 1);
    replies.iter().position(|reply| reply.status == status).unwrap()
}

fn password_of(at: usize) -> String {
    format!("password of {at}")
}

/// Checks that the one whose request succeeded has the account, and that there is no other.
async fn has_the_account(world: &World, winner: &Person, reply: &Reply) {
    winner.sign_in().await;
    assert_eq!(winner.me().await.expect(200).text("id"), reply.text("id"));
    assert_eq!(world.items("USER#").iter().filter(|item| item["sk"]["S"] == "PROFILE").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_24_registrations_of_one_phone_one_gets_the_account() {
    let world = World::new();
    let spellings = [PHONE, "+20 10 1234 5678"];
    let people: Vec<_> = (0..24).map(|at| world.visitor(spellings[at % 2]).typing(&password_of(at))).collect();
    let replies = at_once(&people, async |person: Person, _| person.register().await).await;
    assert_eq!((count(&replies, 201), count(&replies, 409)), (1, 23));
    let winner = only(&replies, 201);
    has_the_account(&world, &people[winner], &replies[winner]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_activations_of_one_phone_one_makes_the_account() {
    // Four registrations, each with its own password and code, eight times each.
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    let (mut people, mut codes) = (Vec::new(), Vec::new());
    for at in 0..4 {
        let person = world.visitor(PHONE).typing(&password_of(at));
        person.register().await.expect(202);
        codes.push(person.code());
        people.push(person);
        world.advance(1);
    }
    let people: Vec<_> = people.iter().cycle().take(32).cloned().collect();
    let replies = at_once(&people, move |person, at| {
        let code = codes[at % 4].clone();
        async move { person.activate(&code).await }
    })
    .await;
    assert!(replies.iter().all(|reply| matches!(reply.status, 201 | 400 | 409)));
    // The other requests of the registration that won repeat the first.
    assert_eq!(count(&replies, 201), 8);
    let winner = replies.iter().position(|reply| reply.status == 201).unwrap();
    assert!((0..32).all(|at| (replies[at].status == 201) == (at % 4 == winner % 4)));
    has_the_account(&world, &people[winner], &replies[winner]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_16_registrations_that_wait_one_sends_a_message() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    let people = vec![world.visitor(PHONE); 16];
    let replies = at_once(&people, async |person: Person, _| person.register().await).await;
    assert_eq!((count(&replies, 202), count(&replies, 429)), (1, 15));
    assert_eq!(world.outbox.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_40_wrong_codes_five_are_judged_and_then_the_right_one_is_refused() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    let wrong = another_code(&code);
    let replies = at_once(&vec![person.clone(); 40], move |person, _| {
        let wrong = wrong.clone();
        async move { person.verify_reset(&wrong, RESET_PASSWORD).await }
    })
    .await;
    assert_eq!(count(&replies, 400), 40);
    let item = world.item("PHONE#", "OTP#reset");
    assert_eq!((item["attempts"]["N"].as_str(), item["failures"]["N"].as_str()), (Some("5"), Some("5")));
    person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    person.login().await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_right_codes_one_sets_its_password() {
    let person = World::new().person().await;
    let code = person.reset_code().await;
    let replies = at_once(&vec![person.clone(); 32], move |person, at| {
        let code = code.clone();
        async move { person.verify_reset(&code, &password_of(at)).await }
    })
    .await;
    assert_eq!((count(&replies, 204), count(&replies, 400)), (1, 31));
    let winner = only(&replies, 204);
    person.typing(&password_of(winner)).login().await.expect(200);
    person.typing(&password_of((winner + 1) % 32)).login().await.expect_problem(401, "invalid-credentials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_40_wrong_codes_of_a_resets_challenge_five_are_judged() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    let wrong = another_code(&code);
    let replies = at_once(&vec![person.clone(); 40], move |person, _| {
        let wrong = wrong.clone();
        async move { person.verify_reset_by_challenge(&wrong, RESET_PASSWORD).await }
    })
    .await;
    assert_eq!(count(&replies, 400), 40);
    let of_challenge = |item: &serde_json::Value| item["sk"]["S"].as_str().unwrap().starts_with("OTP#reset#");
    let items: Vec<_> = world.items("PHONE#").into_iter().filter(of_challenge).collect();
    assert_eq!((items.len(), items[0]["attempts"]["N"].as_str()), (1, Some("5")));
    person.verify_reset_by_challenge(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    // The tries of the phone are others.
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_right_codes_by_challenge_and_by_phone_one_sets_its_password() {
    let person = World::new().person().await;
    let code = person.reset_code().await;
    let replies = at_once(&vec![person.clone(); 32], move |person, at| {
        let code = code.clone();
        async move {
            if at % 2 == 0 {
                person.verify_reset_by_challenge(&code, &password_of(at)).await
            } else {
                person.verify_reset(&code, &password_of(at)).await
            }
        }
    })
    .await;
    assert_eq!((count(&replies, 204), count(&replies, 400)), (1, 31));
    let winner = only(&replies, 204);
    person.typing(&password_of(winner)).login().await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_48_wrong_logins_six_are_judged() {
    let world = World::new();
    let person = world.person().await;
    let replies = at_once(&vec![person.mistyping(); 48], async |person: Person, _| person.login().await).await;
    assert_eq!((count(&replies, 401), count(&replies, 429)), (6, 42));
    assert_eq!(world.item("PHONE#", "CREDENTIAL")["login_failures"]["N"], "6");
    person.login().await.expect_limit("login-phone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_48_wrong_logins_of_an_unknown_phone_six_are_judged() {
    let stranger = World::new().visitor(PHONE).mistyping();
    let replies = at_once(&vec![stranger; 48], async |stranger: Person, _| stranger.login().await).await;
    assert_eq!((count(&replies, 401), count(&replies, 429)), (6, 42));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_24_second_steps_with_one_code_one_signs_in() {
    // Six right codes at once is what the throttle admits; so each try comes with a throttle that is forgiven.
    for proof in ["code", "recovery_code"] {
        let world = World::new();
        let person = world.person_with_factor().await;
        let shown = if proof == "code" { person.with_code() } else { person.with_recovery_code(0) };
        let mut devices = Vec::new();
        for _ in 0..24 {
            let device = shown.on_another_device();
            device.first_step().await;
            devices.push(device);
            let mut credential = world.item("PHONE#", "CREDENTIAL");
            credential.as_object_mut().unwrap().remove("login_failures");
            world.put_item(&credential);
        }
        let replies = at_once(&devices, async |device: Person, _| device.login_mfa().await).await;
        assert_eq!(count(&replies, 200), 1, "{proof}");
        assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 400 | 429)), "{proof}");
        let sessions = world.items("USER#").into_iter().filter(|item| item["second_factor"]["BOOL"] == true).count();
        assert_eq!(sessions, 2, "{proof}: the one that switched it on, and the one that signed in");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_10_second_steps_of_one_login_one_signs_in() {
    let world = World::new();
    let person = world.person_with_factor().await;
    person.first_step().await;
    let people: Vec<_> = (0..10).map(|at| person.with_recovery_code(at)).collect();
    let replies = at_once(&people, async |person: Person, _| person.login_mfa().await).await;
    assert_eq!(count(&replies, 200), 1);
    assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 401 | 429)));
    assert_eq!(world.item("USER#", "MFA")["recovery_codes"]["SS"].as_array().unwrap().len(), 9, "one was used up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_40_wrong_second_steps_six_are_judged() {
    let person = World::new().person_with_factor().await;
    person.first_step().await;
    let replies =
        at_once(&vec![person.with_wrong_code(); 40], async |person: Person, _| person.login_mfa().await).await;
    assert_eq!((count(&replies, 400), count(&replies, 429)), (6, 34));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_10_requests_for_a_code_one_sends_a_message() {
    let world = World::new();
    let people = vec![world.person().await; 10];
    let replies = at_once(&people, async |person: Person, _| person.request_reset().await).await;
    assert_eq!((count(&replies, 202), count(&replies, 429)), (1, 9));
    assert_eq!(world.outbox.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_8_changes_of_one_password_one_counts() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let people = vec![person.typing(PASSWORD); 8];
    let replies = at_once(&people, async |person: Person, at| person.change_password(&password_of(at)).await).await;
    assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 401 | 403 | 429)));
    let winner = only(&replies, 200);
    world.advance(900);
    person.typing(&password_of(winner)).login().await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_6_deletions_all_succeed_and_the_logins_among_them_are_dead() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let others = (0..3).map(|_| person.on_another_device());
    let people: Vec<_> = vec![person.clone(); 6].into_iter().chain(others).collect();
    let replies = at_once(
        &people,
        async |person: Person, at| {
            if at < 6 { person.delete_account().await } else { person.login().await }
        },
    )
    .await;
    // The logins may use up the tries of a password before the deletions have theirs.
    let (deletions, logins) = replies.split_at(6);
    assert!(deletions.iter().all(|reply| matches!(reply.status, 204 | 429)));
    assert!(count(deletions, 204) >= 1);
    for (device, login) in people[6..].iter().zip(logins) {
        if login.status == 200 {
            device.me().await.expect_problem(401, "invalid-token");
        }
    }
    assert!(world.items("PHONE#").iter().all(|item| item["password_hash"].is_null()));
    // Nor did the logins leave a session: there is the tombstone, and nothing else.
    assert_eq!(world.items("USER#").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn sessions_of_logins_that_a_reset_outran_are_dead() {
    let person = World::new().person().await;
    let code = person.reset_code().await;
    let devices: Vec<_> = (0..6).map(|_| person.on_another_device().typing(PASSWORD)).collect();
    let replies = at_once(&devices, move |device, at| {
        let code = code.clone();
        async move { if at == 3 { device.verify_reset(&code, NEW_PASSWORD).await } else { device.login().await } }
    })
    .await;
    assert_eq!(count(&replies, 204), 1);
    for (device, reply) in devices.iter().zip(&replies) {
        if reply.status == 200 {
            device.me().await.expect_problem(401, "invalid-token");
        }
    }
    person.typing(PASSWORD).login().await.expect_problem(401, "invalid-credentials");
    person.typing(NEW_PASSWORD).login().await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_16_refreshes_with_one_token_all_get_one_successor() {
    let person = World::new().signed_in_person().await;
    let devices: Vec<_> = (0..16).map(|_| person.with_copied_tokens()).collect();
    let replies = at_once(&devices, async |device: Person, _| device.refresh().await).await;
    assert_eq!(count(&replies, 200), 16);
    let successor = devices[0].refresh_token();
    assert!(devices.iter().all(|device| device.refresh_token() == successor), "one line");
    assert!(successor != person.refresh_token());
    devices[0].refresh().await.expect(200);
}

/// At endpoints that ask for the factor in a write of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_uses_of_one_code_one_counts_wherever_they_are() {
    let world = World::new();
    let person = world.person_with_factor().await;
    let owner = person.me().await.expect(200).text("id").parse().unwrap();
    let shown = person.with_code();
    // As judged before any of them is used up.
    let (store, now) = (world.store(), world.clock.now());
    let at = AskedAt::Session;
    let Attempt::Admitted { with: factor, .. } = store.spend_totp_attempt(owner, at, now).await.unwrap() else {
        panic!("the first guess is free")
    };
    let step = now.unix_seconds() / 30;
    let right = RightCode::Totp { user: owner, secret: factor.secret, anew: SealedAnew::default(), step, at };
    let tasks = (0..32).map(|at| {
        let (store, right) = (store.clone(), right.clone());
        let request = RepeatMac::from_stored(format!("request {at}"));
        let by = FactorUse { request, until: now.plus(Duration::from_secs(10)), session: None };
        tokio::spawn(async move { store.use_factor(&right, &by, now).await.unwrap() })
    });
    let used = join_all(tasks).await.into_iter().filter(|used| matches!(used, Ok(UsedUp::Done))).count();
    assert_eq!(used, 1);
    // And at none of the endpoints any more.
    shown.first_step().await;
    shown.login_mfa().await.expect_problem(400, "invalid-otp");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_sign_ins_with_one_right_code_one_starts_a_session() {
    for is_known in [false, true] {
        let world = World::new();
        let person = if is_known { world.person().await } else { world.visitor(PHONE) };
        person.ask_code().await.expect(202);
        let code = person.code();
        let devices: Vec<_> = (0..32).map(|_| person.with_copied_tokens()).collect();
        let replies = at_once(&devices, move |device, _| {
            let code = code.clone();
            async move { device.verify_code(&code).await }
        })
        .await;
        // All are the same request: its response is the same for all of them.
        assert_eq!(count(&replies, 200), 32);
        assert!(devices.iter().all(|device| device.refresh_token() == devices[0].refresh_token()));
        devices[31].me().await.expect(200);
        assert_eq!(world.sessions().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_sign_ups_of_one_phone_by_four_challenges_one_makes_the_account() {
    let world = World::new();
    let (mut people, mut codes) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let person = world.visitor(PHONE);
        person.ask_code().await.expect(202);
        codes.push(person.code());
        people.push(person);
        world.advance(1);
    }
    let people: Vec<_> = people.iter().cycle().take(16).map(Person::with_copied_tokens).collect();
    let replies = at_once(&people, move |person, at| {
        let code = codes[at % 4].clone();
        async move { person.verify_code(&code).await }
    })
    .await;
    // The four requests of one challenge are one sign-in.
    assert_eq!((count(&replies, 200), count(&replies, 400)), (4, 12));
    assert_eq!(world.items("USER#").iter().filter(|item| item["sk"]["S"] == "PROFILE").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_40_wrong_codes_of_a_challenge_five_are_judged() {
    let world = World::new();
    let person = world.visitor(PHONE);
    person.ask_code().await.expect(202);
    let code = person.code();
    let wrong = another_code(&code);
    let replies = at_once(&vec![person.clone(); 40], move |person, _| {
        let wrong = wrong.clone();
        async move { person.verify_code(&wrong).await }
    })
    .await;
    assert_eq!(count(&replies, 400), 40);
    let items = world.items("PHONE#");
    let challenge = items.iter().find(|item| item["sk"]["S"].as_str().unwrap().starts_with("OTP#sign-in#")).unwrap();
    assert_eq!(challenge["attempts"]["N"], "5");
    assert!(world.items("LIMIT#otp-phone").is_empty(), "tries count for their challenge alone");
    person.verify_code(&code).await.expect_problem(400, "invalid-otp");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_16_step_ups_of_one_session_one_renews_it() {
    for by_code in [false, true] {
        let person = World::new().signed_in_person().await;
        person.ask_code().await.expect(202);
        let code = person.code();
        let devices: Vec<_> = (0..if by_code { 16 } else { 6 }).map(|_| person.with_copied_tokens()).collect();
        let replies = at_once(&devices, move |device, _| {
            let code = code.clone();
            async move { if by_code { device.step_up_by_code(&code).await } else { device.step_up().await } }
        })
        .await;
        // A code that arrives again after it was used gets the session that it has started, as a client that missed the response.
        let winner =
            if by_code { replies.iter().position(|reply| reply.status == 200).unwrap() } else { only(&replies, 200) };
        assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 400 | 401)));
        for (device, reply) in devices.iter().zip(&replies) {
            device.me().await.expect(if reply.status == 200 { 200 } else { 401 });
            assert!(reply.status != 200 || reply.text("refresh_token") == replies[winner].text("refresh_token"));
        }
        person.refresh().await.expect_problem(401, "invalid-token");
        assert_eq!(devices[winner].sessions().await.expect(200).body["sessions"].as_array().unwrap().len(), 1);
    }
}

/// A refresh of the session beside its step-up leaves no second line of tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn refreshes_beside_a_step_up_keep_no_old_token_alive() {
    let person = World::new().signed_in_person().await;
    let devices: Vec<_> = (0..12).map(|_| person.with_copied_tokens()).collect();
    let replies = at_once(
        &devices,
        async |device: Person, at| {
            if at == 5 { device.step_up().await } else { device.refresh().await }
        },
    )
    .await;
    assert_eq!(replies[5].status, 200);
    for (at, device) in devices.iter().enumerate() {
        device.me().await.expect(if at == 5 { 200 } else { 401 });
        device.refresh().await.expect(if at == 5 { 200 } else { 401 });
    }
}
