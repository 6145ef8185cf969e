//! What a request costs whose answer is no: nothing that can be saved.

use crate::harness::{OTHER_PHONE, Person, THIRD_PHONE, World};

#[tokio::test]
async fn a_registration_beyond_the_limit_of_its_address_hashes_nothing() {
    let world = World::with(&[("LIMIT_REGISTER_PER_ADDRESS", "1")]).warm().await;
    let person = world.person().await;
    let hashed = world.hashes();
    for refused in [person, world.visitor(OTHER_PHONE)] {
        refused.register().await.expect_limit("register-address");
    }
    assert_eq!(world.hashes(), hashed);

    let world = World::with(&[("LIMIT_REGISTER_PER_ADDRESS", "1"), ("REQUIRE_ACTIVATION", "true")]).warm().await;
    let person = world.person().await;
    let hashed = world.hashes();
    for refused in [person, world.visitor(OTHER_PHONE)] {
        refused.register().await.expect_limit("register-address");
    }
    assert_eq!(world.hashes(), hashed);
}

/// Where a registration sends a code, the budgets of messages are checked before, too.
#[tokio::test]
async fn a_registration_whose_message_cannot_be_sent_hashes_nothing() {
    for (limit, bucket) in [
        ("LIMIT_MESSAGES_PER_PHONE", "messages-phone"),
        ("LIMIT_MESSAGES_PER_ADDRESS", "messages-address"),
        ("LIMIT_MESSAGES_PER_COUNTRY", "messages-country"),
        ("LIMIT_MESSAGES_TOTAL", "messages-total"),
    ] {
        let world = World::with(&[(limit, "1"), ("REQUIRE_ACTIVATION", "true")]).warm().await;
        let visitor = world.visitor(OTHER_PHONE);
        visitor.register().await.expect(202);
        world.advance(2);
        let hashed = world.hashes();
        visitor.register().await.expect_limit(bucket);
        assert_eq!(world.hashes(), hashed, "{limit}");
        world.advance(86_400);
        visitor.register().await.expect(202);
    }
}

/// The refusal must not tell whether somebody has the number, by its bytes or by what it costs.
#[tokio::test]
async fn a_refused_registration_is_the_same_for_a_phone_with_and_without_an_account() {
    let limits = [("LIMIT_REGISTER_PER_ADDRESS", "2"), ("REQUIRE_ACTIVATION", "true")];
    for extra in [None, Some(("LIMIT_MESSAGES_TOTAL", "12"))] {
        let variables: Vec<_> = limits.into_iter().skip(usize::from(extra.is_some())).chain(extra).collect();
        let world = World::with(&variables).warm().await;
        let owner = world.person().await;
        world.visitor(OTHER_PHONE).register().await.expect(202);
        world.advance(2);
        let mut told = Vec::new();
        for visitor in [owner, world.visitor(THIRD_PHONE)] {
            world.calls();
            let hashed = world.hashes();
            let answer = visitor.register().await;
            assert_eq!(answer.status, 429);
            let mut asked: Vec<_> = world.calls().into_iter().map(|call| call.permissions).collect();
            asked.sort();
            told.push((answer.fingerprint(), asked, world.hashes() - hashed));
        }
        assert!(told[0] == told[1]);
    }
}

#[tokio::test]
async fn parallel_registrations_of_one_address_hash_as_many_as_are_allowed() {
    let world = World::with(&[("LIMIT_REGISTER_PER_ADDRESS", "3")]).warm().await;
    let visitors: Vec<_> = (0..24).map(|at| world.visitor(&format!("+2010123456{at:02}"))).collect();
    let hashed = world.hashes();
    let answers = futures_util::future::join_all(visitors.iter().map(Person::register)).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
    assert_eq!(world.hashes() - hashed, 3);
}
