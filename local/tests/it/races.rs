//! Really concurrent requests: each on its own task, on several threads.

use std::sync::Arc;

use futures_util::future::join_all;
use latchkey::{
    domain::proof::Proof,
    store::{Attempt, RightCode, Store},
};

use crate::harness::{
    Authenticator, NEW_PASSWORD, PASSWORD, PHONE, RESET_PASSWORD, Reply, TEMPLATE, World, another_code,
};

/// Sends `count` requests at once.
async fn at_once<F, R>(world: &Arc<World>, count: usize, request: F) -> Vec<Reply>
where
    F: Fn(Arc<World>, usize) -> R,
    R: Future<Output = Reply> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|at| tokio::spawn(request(world.clone(), at))).collect();
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

fn count(replies: &[Reply], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

async fn world_with_account() -> Arc<World> {
    Arc::new(World::new().with_account().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_24_registrations_of_one_phone_one_gets_the_account() {
    let world = Arc::new(World::new());
    let replies = at_once(&world, 24, async |world: Arc<World>, at| {
        let spelling = if at % 2 == 0 { PHONE } else { "+20 10 1234 5678" };
        world.register(spelling, &format!("password of {at}")).await
    })
    .await;
    assert_eq!((count(&replies, 201), count(&replies, 409)), (1, 23));

    let winner = replies.iter().position(|reply| reply.status == 201).unwrap();
    let token = world.token(&format!("password of {winner}")).await;
    assert_eq!(world.me(&token).await.expect(200).text("id"), replies[winner].text("id"));
    assert_eq!(world.items("USER#").iter().filter(|item| item["sk"]["S"] == "PROFILE").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_activations_of_one_phone_one_makes_the_account() {
    // Four registrations, each with its own password and code, eight times each.
    let world = Arc::new(World::with(&[("REQUIRE_ACTIVATION", "true")]));
    let mut waiting = Vec::new();
    for at in 0..4 {
        let reply = world.register(PHONE, &format!("password of {at}")).await.expect(202);
        waiting.push((reply.text("activation_id").to_owned(), world.last_code()));
        world.advance(1);
    }
    let replies = at_once(&world, 32, move |world: Arc<World>, at| {
        let (id, code) = waiting[at % 4].clone();
        async move { world.activate(&id, &code).await }
    })
    .await;
    assert_eq!(count(&replies, 201), 1);
    assert!(replies.iter().all(|reply| matches!(reply.status, 201 | 400 | 409)));
    let winner = replies.iter().position(|reply| reply.status == 201).unwrap();
    let token = world.token(&format!("password of {}", winner % 4)).await;
    assert_eq!(world.me(&token).await.expect(200).text("id"), replies[winner].text("id"));
    assert_eq!(world.items("USER#").iter().filter(|item| item["sk"]["S"] == "PROFILE").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_16_registrations_that_wait_one_sends_a_message() {
    let world = Arc::new(World::with(&[("REQUIRE_ACTIVATION", "true")]));
    let replies = at_once(&world, 16, async |world: Arc<World>, _| world.register(PHONE, PASSWORD).await).await;
    assert_eq!((count(&replies, 202), count(&replies, 429)), (1, 15));
    assert_eq!(world.outbox.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_40_wrong_codes_five_are_judged_and_then_the_right_one_is_refused() {
    let world = world_with_account().await;
    let code = world.code(PHONE).await;
    let wrong = another_code(&code);
    let replies = at_once(&world, 40, move |world: Arc<World>, _| {
        let wrong = wrong.clone();
        async move { world.verify_reset(PHONE, &wrong, RESET_PASSWORD).await }
    })
    .await;
    assert_eq!(count(&replies, 400), 40);
    let item = world.item("PHONE#", "OTP#reset");
    assert_eq!((item["attempts"]["N"].as_str(), item["failures"]["N"].as_str()), (Some("5"), Some("5")));
    world.verify_reset(PHONE, &code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    world.login(PHONE, PASSWORD).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_right_codes_one_sets_its_password() {
    let world = world_with_account().await;
    let code = world.code(PHONE).await;
    let replies = at_once(&world, 32, move |world: Arc<World>, at| {
        let code = code.clone();
        async move { world.verify_reset(PHONE, &code, &format!("password of {at}")).await }
    })
    .await;
    assert_eq!((count(&replies, 204), count(&replies, 400)), (1, 31));
    let winner = replies.iter().position(|reply| reply.status == 204).unwrap();
    world.login(PHONE, &format!("password of {winner}")).await.expect(200);
    world.login(PHONE, &format!("password of {}", (winner + 1) % 32)).await.expect_problem(401, "invalid-credentials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_48_wrong_logins_six_are_judged() {
    let world = world_with_account().await;
    let replies = at_once(&world, 48, async |world: Arc<World>, _| world.login(PHONE, "wrong password").await).await;
    assert_eq!((count(&replies, 401), count(&replies, 429)), (6, 42));
    assert_eq!(world.item("PHONE#", "CREDENTIAL")["login_failures"]["N"], "6");
    world.login(PHONE, PASSWORD).await.expect_limit("login-phone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_48_wrong_logins_of_an_unknown_phone_six_are_judged() {
    let world = Arc::new(World::new());
    let replies = at_once(&world, 48, async |world: Arc<World>, _| world.login(PHONE, "wrong password").await).await;
    assert_eq!((count(&replies, 401), count(&replies, 429)), (6, 42));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_24_second_steps_with_one_code_one_signs_in() {
    // Six right codes at once is what the throttle admits; so each try comes with a throttle that is forgiven.
    for proof in ["code", "recovery_code"] {
        let world = world_with_account().await;
        let factor = world.switch_factor_on(PASSWORD).await;
        let code = if proof == "code" { factor.code(&world) } else { factor.recovery_codes[0].clone() };
        let mut tokens = Vec::new();
        for _ in 0..24 {
            tokens.push(world.mfa_token(PASSWORD).await);
            let mut credential = world.item("PHONE#", "CREDENTIAL");
            credential.as_object_mut().unwrap().remove("login_failures");
            world.put_item(&credential);
        }
        let replies = at_once(&world, 24, move |world: Arc<World>, at| {
            let (token, code) = (tokens[at].clone(), code.clone());
            async move { world.login_mfa(&token, (proof, &code)).await }
        })
        .await;
        assert_eq!(count(&replies, 200), 1, "{proof}");
        assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 400 | 429)), "{proof}");
        let sessions = world.items("USER#").into_iter().filter(|item| item["second_factor"]["BOOL"] == true).count();
        assert_eq!(sessions, 2, "{proof}: the one that switched it on, and the one that signed in");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_10_second_steps_of_one_login_one_signs_in() {
    let world = world_with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let token = world.mfa_token(PASSWORD).await;
    let codes = factor.recovery_codes;
    let replies = at_once(&world, 10, move |world: Arc<World>, at| {
        let (token, code) = (token.clone(), codes[at].clone());
        async move { world.login_mfa(&token, ("recovery_code", &code)).await }
    })
    .await;
    assert_eq!(count(&replies, 200), 1);
    assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 401 | 429)));
    assert_eq!(world.item("USER#", "MFA")["recovery_codes"]["SS"].as_array().unwrap().len(), 9, "one was used up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_40_wrong_second_steps_six_are_judged() {
    let world = world_with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let token = world.mfa_token(PASSWORD).await;
    let wrong = another_code(&factor.code(&world));
    let replies = at_once(&world, 40, move |world: Arc<World>, _| {
        let (token, wrong) = (token.clone(), wrong.clone());
        async move { world.login_mfa(&token, ("code", &wrong)).await }
    })
    .await;
    assert_eq!((count(&replies, 400), count(&replies, 429)), (6, 34));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_10_requests_for_a_code_one_sends_a_message() {
    let world = world_with_account().await;
    let replies = at_once(&world, 10, async |world: Arc<World>, _| world.request_reset(PHONE).await).await;
    assert_eq!((count(&replies, 202), count(&replies, 429)), (1, 9));
    assert_eq!(world.outbox.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_8_changes_of_one_password_one_counts() {
    let world = world_with_account().await;
    let token = world.token(PASSWORD).await;
    let replies = at_once(&world, 8, move |world: Arc<World>, at| {
        let token = token.clone();
        async move { world.change_password(&token, PASSWORD, &format!("password of {at}")).await }
    })
    .await;
    assert_eq!(count(&replies, 204), 1);
    assert!(replies.iter().all(|reply| matches!(reply.status, 204 | 403 | 429)), "nobody is told to sign in again");
    let winner = replies.iter().position(|reply| reply.status == 204).unwrap();
    world.advance(900);
    world.login(PHONE, &format!("password of {winner}")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_6_deletions_all_succeed_and_the_logins_among_them_are_dead() {
    let world = world_with_account().await;
    let token = world.token(PASSWORD).await;
    let replies = at_once(&world, 9, move |world: Arc<World>, at| {
        let token = token.clone();
        async move {
            if at < 6 {
                world.delete_me(&token, PASSWORD, ("nothing", "")).await
            } else {
                world.login(PHONE, PASSWORD).await
            }
        }
    })
    .await;
    // The logins may use up the tries of a password before the deletions have theirs.
    let (deletions, logins) = replies.split_at(6);
    assert!(deletions.iter().all(|reply| matches!(reply.status, 204 | 429)));
    assert!(count(deletions, 204) >= 1);
    for login in logins.iter().filter(|login| login.status == 200) {
        world.me(login.text("access_token")).await.expect_problem(401, "invalid-token");
    }
    assert!(world.items("PHONE#").iter().all(|item| item["password_hash"].is_null()));
    // Nor did the logins leave a session: there is the tombstone, and nothing else.
    assert_eq!(world.items("USER#").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn sessions_of_logins_that_a_reset_outran_are_dead() {
    let world = world_with_account().await;
    let code = world.code(PHONE).await;
    let replies = at_once(&world, 6, move |world: Arc<World>, at| {
        let code = code.clone();
        async move {
            if at == 3 {
                world.verify_reset(PHONE, &code, NEW_PASSWORD).await
            } else {
                world.login(PHONE, PASSWORD).await
            }
        }
    })
    .await;
    assert_eq!(count(&replies, 204), 1);
    for reply in replies.iter().filter(|reply| reply.status == 200) {
        world.me(reply.text("access_token")).await.expect_problem(401, "invalid-token");
    }
    world.login(PHONE, PASSWORD).await.expect_problem(401, "invalid-credentials");
    world.login(PHONE, NEW_PASSWORD).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_16_refreshes_with_one_token_all_get_one_successor() {
    let world = world_with_account().await;
    let (_, token) = world.tokens(PASSWORD).await;
    let replies = at_once(&world, 16, move |world: Arc<World>, _| {
        let token = token.clone();
        async move { world.refresh(&token).await }
    })
    .await;
    assert_eq!(count(&replies, 200), 16);
    let successors: Vec<_> = replies.iter().map(|reply| reply.text("refresh_token")).collect();
    assert!(successors.iter().all(|successor| *successor == successors[0]), "one line");
    world.refresh(successors[0]).await.expect(200);
}

/// docs/threats.md#t4: at endpoints that ask for the factor in a write of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_uses_of_one_code_one_counts_wherever_they_are() {
    let world = world_with_account().await;
    let factor = world.switch_factor_on(PASSWORD).await;
    let code = factor.code(&world);
    let owner = world.me(&factor.token).await.expect(200).text("id").parse().unwrap();
    let clients = world.emulator.clients_of_operator();
    let store = Store::new(clients.dynamodb, TEMPLATE.table.name.clone());
    // As judged before any of them is used up.
    let now = world.clock.now();
    let shown = Proof::Totp(code.parse().unwrap());
    let Attempt::Admitted { with: factor, .. } = store.spend_factor_attempt(owner, &shown, now).await.unwrap() else {
        panic!("the first guess is free")
    };
    let step = now.unix_seconds() / 30;
    let right = RightCode::Totp { user: owner, secret: factor.secret, step };
    let tasks = (0..32).map(|_| {
        let (store, right) = (store.clone(), right.clone());
        tokio::spawn(async move { store.use_factor(&right).await.unwrap() })
    });
    let used = join_all(tasks).await.into_iter().filter(|used| *used.as_ref().unwrap()).count();
    assert_eq!(used, 1);
    // And at none of the endpoints any more.
    let mfa_token = world.mfa_token(PASSWORD).await;
    world.login_mfa(&mfa_token, ("code", &code)).await.expect_problem(400, "invalid-otp");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_32_confirmations_of_one_enrolment_one_switches_it_on() {
    let world = world_with_account().await;
    let token = world.token(PASSWORD).await;
    let secret = world.enroll_verified(&token, PASSWORD).await.expect(200).text("secret").to_owned();
    let code = Authenticator::new(&secret).code(&world);
    let replies = at_once(&world, 32, move |world: Arc<World>, _| {
        let (token, code) = (token.clone(), code.clone());
        async move { world.mfa_confirm(&token, &code).await }
    })
    .await;
    assert_eq!((count(&replies, 200), count(&replies, 400)), (1, 31));
}
