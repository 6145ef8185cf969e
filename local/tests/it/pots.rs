//! Three pots of messages: what floods of strangers leave to owners, and that nothing tells who is in which pot
//! (docs/adr/0038).

use std::time::Duration;

use futures_util::future::join_all;

use crate::{
    harness::{PHONE, Person, RESET_PASSWORD, World},
    toll_fraud::accounts,
};

/// Makes an account whose phone was verified, as a code does.
async fn verified(world: &World, phone: &str) -> Person {
    accounts(world, &[phone.to_owned()]).await;
    let mut credential = world.item(&format!("PHONE#{phone}"), "CREDENTIAL");
    credential["phone_verified_at"] = serde_json::json!({"N": "1800000000000"});
    world.put_item(&credential);
    world.visitor(phone)
}

fn sent_to(world: &World, phone: &str) -> usize {
    world.outbox.messages().iter().filter(|message| message.to.as_e164() == phone).count()
}

#[tokio::test]
async fn a_flood_of_strangers_keeps_no_code_from_owners() {
    for countries in [vec!["+2010123"], vec!["+2010123", "+9989012", "+49151123"]] {
        for addresses in [9, 50] {
            let world = World::new();
            let mut owners = Vec::new();
            for at in 0..20 {
                owners.push(verified(&world, &format!("+2011123{at:05}")).await);
            }
            // Half as many again as the hour's messages of each country.
            let strangers: Vec<_> = (0..150 * countries.len())
                .map(|at| {
                    let phone = format!("{}{at:05}", countries[at % countries.len()]);
                    world.visitor(&phone).at(&format!("198.51.100.{}", at % addresses))
                })
                .collect();
            for some in strangers.chunks(20) {
                let told = join_all(some.iter().map(Person::ask_code)).await;
                // A request that meets too many others at its counters is given up, and nothing is sent.
                assert!(told.iter().all(|reply| [202, 503].contains(&reply.status)));
            }
            let strangers = world.outbox.messages_after(0).1;
            assert!(strangers <= 100 * countries.len(), "{strangers} of {} countries", countries.len());
            // From the flood's own addresses, too: they are a carrier's.
            for (at, owner) in owners.iter().enumerate() {
                let owner = owner.at(&format!("198.51.100.{}", at % addresses));
                owner.ask_code().await.expect(202);
                owner.request_reset().await.expect(202);
                assert_eq!(sent_to(&world, &format!("+2011123{at:05}")), 2, "{addresses} addresses, {countries:?}");
            }
        }
    }
}

#[tokio::test]
async fn of_200_requests_at_once_the_hours_budget_goes_out() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_COUNTRY", "60"), ("LIMIT_PHONES_PER_ADDRESS", "1000")]);
    let asked = (0..200).map(|at| {
        let stranger = world.visitor(&format!("+2010123{at:05}")).at(&format!("198.51.100.{at}"));
        async move { stranger.ask_code().await.status }
    });
    let told = join_all(asked).await;
    let sent = world.outbox.messages_after(0).1;
    // A transaction that met too many others may be given up (503), and then nothing was sent.
    assert!(sent <= 10 && told.iter().all(|status| [202, 503].contains(status)));
    for at in 200..212 {
        world.visitor(&format!("+2010123{at:05}")).ask_code().await.expect(202);
    }
    assert_eq!(world.outbox.messages_after(0).1, 10);
}

/// The strangers of a country get as many messages as a share of the codes that were entered there allows.
#[tokio::test]
async fn a_country_may_be_sent_as_much_as_its_codes_of_today_and_14_days_before_allow() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_COUNTRY", "6"), ("LIMIT_VERIFIED_SHARE", "100")]);
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let into_day = world.clock.now().unix_seconds() % 86_400;
    world.clock.advance(Duration::from_secs(86_400 - into_day));
    let first_day = world.clock.now();
    // Six a day, one an hour, for four days: the floor.
    for at in 0..24 {
        let (day, hour) = (at / 6, at % 6);
        world.clock.advance(first_day.plus(hours(day * 24 + hour)).since(world.clock.now()));
        world.visitor(&format!("+2011123{at:05}")).without_password().sign_in_by_code().await;
    }
    let mut asked = 0;
    let mut sent_in_an_hour_of = async |day: u64| {
        world.clock.advance(first_day.plus(hours(day * 24)).since(world.clock.now()));
        let before = world.outbox.messages_after(0).1;
        for _ in 0..6 {
            asked += 1;
            world.visitor(&format!("+2010123{asked:05}")).ask_code().await.expect(202);
        }
        world.outbox.messages_after(0).1 - before
    };
    // A sixth of all 24, then of 18 and of 12. At last the floor of six.
    assert_eq!(sent_in_an_hour_of(14).await, 4);
    assert_eq!(sent_in_an_hour_of(15).await, 3);
    assert_eq!(sent_in_an_hour_of(16).await, 2);
    assert_eq!(sent_in_an_hour_of(17).await, 1);
    assert_eq!(sent_in_an_hour_of(18).await, 1);
}

/// The room that is left to an address is its user's to see: one request for somebody else's phone must not tell whether
/// that was verified.
#[tokio::test]
async fn what_is_left_to_an_address_tells_nothing_of_other_phones() {
    let limits = [
        ("LIMIT_PHONES_PER_ADDRESS", "1"),
        ("LIMIT_PHONES_PER_ADDRESS", "2"),
        ("LIMIT_COUNTRIES_PER_ADDRESS", "1"),
        ("LIMIT_MESSAGES_PER_ADDRESS", "1"),
        ("LIMIT_MESSAGES_PER_ADDRESS", "2"),
    ];
    for limit in limits {
        for by_code in [true, false] {
            let mut told = Vec::new();
            for is_verified in [true, false] {
                let world = World::with(&[limit]);
                let victim = if is_verified {
                    verified(&world, "+201112345678").await
                } else {
                    accounts(&world, &["+201112345678".to_owned()]).await;
                    world.visitor("+201112345678")
                };
                // Accounts of the attacker's own, of the same country and of another.
                let own = ["+201012345601", "+998901234567"].map(str::to_owned);
                accounts(&world, &own).await;
                let ask = async |person: &Person| {
                    let reply = if by_code { person.ask_code().await } else { person.request_reset().await };
                    let (status, headers, body) = reply.expect(202).fingerprint();
                    // A challenge is another one for each request.
                    let names: Vec<_> = body.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
                    (status, headers, names)
                };
                let mut seen = vec![ask(&victim).await];
                world.advance(2);
                let mut received = Vec::new();
                for phone in &own {
                    seen.push(ask(&world.visitor(phone)).await);
                    received.push(sent_to(&world, phone));
                    world.advance(2);
                }
                told.push((seen, received));
            }
            assert!(told.windows(2).all(|pair| pair[0].1 == pair[1].1), "{limit:?}, by code: {by_code}");
            assert!(told.windows(2).all(|pair| pair[0].0 == pair[1].0), "the responses");
        }
    }
}

/// M11: one subscriber behind a carrier's NAT must not switch codes and logins off for the neighbors.
#[tokio::test]
async fn a_neighbor_behind_the_same_address_is_not_stopped() {
    let world = World::new();
    let neighbor = world.person().await;
    neighbor.reset_password(RESET_PASSWORD).await;
    for at in 0..60 {
        world.visitor(&format!("+2010123{at:05}")).request_reset().await.expect(202);
    }
    for _ in 0..300 {
        world.visitor("01112345678").verify_reset("000000", RESET_PASSWORD).await.expect(400);
    }
    let before = world.outbox.messages_after(0).1;
    world.advance(2);
    let neighbor = world.visitor(PHONE).typing(RESET_PASSWORD);
    neighbor.request_reset().await.expect(202);
    assert_eq!(world.outbox.messages_after(0).1, before + 1);
    neighbor.login().await.expect(200);
}
