//! Races whose order is decided: requests are held at a call of AWS until all have arrived there, so that each has read
//! what it decides by before any of them writes. And instances of the functions whose clocks differ.

use futures_util::future::{BoxFuture, FutureExt, join_all};

use crate::harness::{NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, Person, RESET_PASSWORD, Reply, World, another_code};

const UPDATE: &str = "UpdateItem";
const TRANSACT: &str = "TransactWriteItems";

/// Sends a request of each of these people, holds so many calls of this operation until all have arrived, and returns
/// the statuses of the replies, sorted.
async fn held(
    world: &World,
    (operation, calls): (&'static str, usize),
    people: &[Person],
    request: impl AsyncFn(Person, usize) -> Reply,
) -> Vec<u16> {
    world.emulator.gate().close(operation, calls);
    let replies = join_all(people.iter().cloned().enumerate().map(|(at, person)| request(person, at))).await;
    assert!(world.emulator.gate().is_open(), "not every call arrived");
    let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    statuses
}

/// One success, and so many refusals with this status.
fn one(success: u16, refusals: usize, status: u16) -> Vec<u16> {
    let mut statuses = vec![status; refusals];
    statuses.push(success);
    statuses.sort_unstable();
    statuses
}

#[tokio::test(start_paused = true)]
async fn of_24_wrong_logins_that_count_at_once_six_are_judged() {
    for phone in [PHONE, OTHER_PHONE] {
        let world = World::new();
        world.person().await;
        let guesser = world.visitor(phone).mistyping();
        // Each counts for the phone and for the address.
        let people = vec![guesser; 24];
        let statuses = held(&world, (UPDATE, 48), &people, async |person, _| person.login().await).await;
        assert_eq!((statuses[5], statuses[6]), (401, 429), "known or unknown");
    }
}

#[tokio::test(start_paused = true)]
async fn of_five_right_codes_that_are_used_up_at_once_one_resets() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    let people = vec![person; 5];
    let reset = async |person: Person, at| person.verify_reset(&code, &format!("password of {at}")).await;
    assert_eq!(held(&world, (TRANSACT, 5), &people, reset).await, one(204, 4, 400));
}

#[tokio::test(start_paused = true)]
async fn of_registrations_and_activations_that_are_written_at_once_one_makes_the_account() {
    let world = World::new();
    let people = vec![world.visitor(PHONE); 8];
    let statuses = held(&world, (TRANSACT, 8), &people, async |person, _| person.register().await).await;
    assert_eq!(statuses, one(201, 7, 409));

    let world = World::with(&[("REQUIRE_ACTIVATION", "true")]);
    let (mut people, mut codes) = (Vec::new(), Vec::new());
    for at in 0..4 {
        let person = world.visitor(PHONE).typing(&format!("password of {at}"));
        person.register().await.expect(202);
        codes.push(person.code());
        people.push(person);
        world.advance(2);
    }
    let activate = async |person: Person, at: usize| person.activate(&codes[at]).await;
    assert_eq!(held(&world, (TRANSACT, 4), &people, activate).await, one(201, 3, 409));
}

#[tokio::test(start_paused = true)]
async fn of_requests_for_codes_that_are_stored_at_once_the_budgets_admit_what_they_have() {
    // One phone: the cooldown admits one.
    let world = World::new();
    let people = vec![world.person().await; 8];
    let statuses = held(&world, (TRANSACT, 8), &people, async |person, _| person.request_reset().await).await;
    assert_eq!(statuses, one(202, 7, 429));
    // Many phones: the address has a budget, and what exceeds it is answered alike and not sent.
    let world = World::with(&[("LIMIT_MESSAGES_PER_ADDRESS", "3")]);
    let mut people = Vec::new();
    for at in 0..8 {
        people.push(world.person_with_phone(&format!("0101234560{at}")).await);
    }
    let statuses = held(&world, (TRANSACT, 8), &people, async |person, _| person.request_reset().await).await;
    assert_eq!((statuses, world.outbox.messages().len()), (vec![202; 8], 3));
}

#[tokio::test(start_paused = true)]
async fn of_refreshes_that_are_counted_at_once_all_get_one_successor() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let devices: Vec<_> = (0..8).map(|_| person.with_copied_tokens()).collect();
    let statuses = held(&world, (UPDATE, 8), &devices, async |device, _| device.refresh().await).await;
    assert_eq!(statuses, [200; 8]);
    assert!(devices.iter().all(|device| device.refresh_token() == devices[0].refresh_token()), "one line");
}

#[tokio::test(start_paused = true)]
async fn of_changes_of_one_account_that_are_written_at_once_one_counts() {
    let world = World::new();
    let person = world.signed_in_person().await;
    let people = vec![person.typing(PASSWORD); 4];
    let change = async |person: Person, at| person.change_password(&format!("password of {at}")).await;
    assert_eq!(held(&world, (TRANSACT, 4), &people, change).await, one(200, 3, 401));

    // Six who want one number.
    let (world, mut people, mut codes) = (World::new(), Vec::new(), Vec::new());
    for at in 0..6 {
        let person = world.person_with_phone(&format!("0101234560{at}")).await.signed_in().await;
        codes.push(person.code_for(OTHER_PHONE).await);
        people.push(person);
        world.advance(2);
    }
    let verify = async |person: Person, at: usize| person.change_phone_verify(&codes[at]).await;
    assert_eq!(held(&world, (TRANSACT, 6), &people, verify).await, one(200, 5, 409));

    let world = World::new();
    let person = world.signed_in_person().await;
    person.enroll().await;
    let code = person.new_authenticator().code();
    let people: Vec<_> = (0..5).map(|_| person.with_copied_tokens()).collect();
    let confirm = async |person: Person, _| person.mfa_confirm(&code).await;
    let statuses = held(&world, (TRANSACT, 5), &people, confirm).await;
    // One switches it on. The others are the same request, and get what it got (docs/adr/0029-a-lost-confirmation.md).
    assert_eq!(statuses, [200; 5]);
    assert_eq!(people[0].sessions().await.expect(200).body["sessions"].as_array().unwrap().len(), 1);
    assert!(people.iter().all(|tab| tab.access_token() != person.access_token()));
}

/// A reset, a change of phone, a deletion, a change of password and a logout everywhere of one account, each ready to
/// be written when the others are, in every order of any three.
#[tokio::test(start_paused = true)]
async fn of_changes_that_meet_the_first_counts_in_every_order() {
    const CHANGES: [&str; 5] = ["verify-reset", "change-phone-verify", "me-delete", "change-password", "logout-all"];
    let mut orders = 0;
    for first in CHANGES {
        for second in CHANGES {
            for third in CHANGES {
                if first == second || second == third || first == third {
                    continue;
                }
                the_first_counts([first, second, third]).await;
                orders += 1;
            }
        }
    }
    assert_eq!(orders, 60);
}

async fn the_first_counts(order: [&str; 3]) {
    let world = World::new();
    let person = world.signed_in_person().await;
    let code = person.code_for(OTHER_PHONE).await;
    world.advance(2);
    let reset = person.reset_code().await;
    world.emulator.gate().close_in_order(TRANSACT, &order);
    let requests = order.map(|change| -> BoxFuture<'_, Reply> {
        let device = person.with_copied_tokens();
        let (code, reset) = (&code, &reset);
        async move {
            match change {
                "verify-reset" => device.verify_reset(reset, RESET_PASSWORD).await,
                "change-phone-verify" => device.change_phone_verify(code).await,
                "me-delete" => device.typing(PASSWORD).delete_account().await,
                "change-password" => device.typing(PASSWORD).change_password(NEW_PASSWORD).await,
                "logout-all" => device.logout_all().await,
                other => panic!("{other}"),
            }
        }
        .boxed()
    });
    let replies = join_all(requests).await;
    assert!(world.emulator.gate().is_open(), "{order:?}");
    let statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    assert!([200, 204].contains(&statuses[0]), "{order:?}: {statuses:?}");
    for (change, status) in order.iter().zip(&statuses).skip(1) {
        // A repeated deletion or logout of what has ended is a success.
        let may_be_over = *change == "me-delete" || *change == "logout-all";
        assert!([400, 401, 403].contains(status) || (may_be_over && *status == 204), "{order:?}: {statuses:?}");
    }
    world.check_table(&format!("{order:?}"));

    // What the first one did is all that happened.
    person.me().await.expect_problem(401, "invalid-token");
    let signs_in = async |phone: &str, password: &str| {
        world.advance(1000);
        world.visitor(phone).typing(password).login().await.status == 200
    };
    let ways = [(PHONE, PASSWORD), (PHONE, NEW_PASSWORD), (PHONE, RESET_PASSWORD), (OTHER_PHONE, PASSWORD)];
    let mut open = Vec::new();
    for (phone, password) in ways {
        if signs_in(phone, password).await {
            open.push((phone, password));
        }
    }
    let expected = match order[0] {
        "verify-reset" => vec![(PHONE, RESET_PASSWORD)],
        "change-phone-verify" => vec![(OTHER_PHONE, PASSWORD)],
        "change-password" => vec![(PHONE, NEW_PASSWORD)],
        "logout-all" => vec![(PHONE, PASSWORD)],
        _ => Vec::new(),
    };
    assert!(open == expected, "{order:?}: {} ways in", open.len());
}

/// Lambda's clocks are right, but one sandbox may be off. An instance whose clock is an hour behind takes no limit off,
/// ends nobody's session and breaks nothing.
#[tokio::test(start_paused = true)]
async fn an_instance_whose_clock_is_an_hour_behind_gives_no_more_guesses() {
    let world = World::new();
    // The signing key has been used for longer than that.
    world.advance(7200);
    let late = world.with_clock_behind(3600);
    let person = world.signed_in_person().await;
    let there = |person: &Person| person.served_by(&late);

    // Passwords: the wait that began here counts there.
    let guesser = person.on_another_device().mistyping();
    for _ in 0..6 {
        guesser.login().await.expect(401);
    }
    guesser.login().await.expect_limit("login-phone");
    there(&guesser).login().await.expect_limit("login-phone");

    // Codes: five guesses, wherever they are made, and a used one is used.
    let code = person.reset_code().await;
    let wrong = another_code(&code);
    for at in 0..5 {
        let guesser = if at % 2 == 0 { person.clone() } else { there(&person) };
        guesser.verify_reset(&wrong, RESET_PASSWORD).await.expect(400);
    }
    there(&person).verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
    // And the cooldown of here holds there.
    world.advance(2);
    person.request_reset().await.expect(202);
    there(&person).request_reset().await.expect_limit("messages-cooldown");
    let code = person.code();
    there(&person).verify_reset(&code, RESET_PASSWORD).await.expect(204);
    person.verify_reset(&code, NEW_PASSWORD).await.expect_problem(400, "invalid-otp");

    // Sessions: a token of the future is none there, and one from there has expired here; refreshing heals both.
    person.sign_in().await;
    there(&person).me().await.expect_problem(401, "invalid-token");
    let phone = person.with_copied_tokens();
    there(&phone).refresh().await.expect(200);
    phone.me().await.expect_problem(401, "invalid-token");
    phone.refresh().await.expect(200);
    phone.me().await.expect(200);
    // The spent token is a thief's, here and there.
    world.advance(60);
    there(&person).at("198.51.100.9").refresh().await.expect_problem(401, "invalid-token");
    phone.me().await.expect_problem(401, "invalid-token");
    world.check_table("after an hour's difference");
}
