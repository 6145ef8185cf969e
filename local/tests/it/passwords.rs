//! Passwords of today's keyboards, at every endpoint that takes one.

use serde_json::json;

use crate::harness::{NEW_PASSWORD, OTHER_PHONE, PASSWORD, PHONE, RESET_PASSWORD, World};

/// What keyboards type: characters of later versions of Unicode than 6.3, sequences, and marks that nobody sees.
const PASSWORDS: [&str; 14] = [
    "my secret ₽ 4711",
    "₾₼₿ is money",
    "🙂🤔🙃🤣🥰👍🏽🫨🫩",
    "🥷🥷🥷🥷🥷🥷🥷🥷🥷🥷🥷🥷",
    "❤️☺️1️⃣ hearts",
    "👨‍👩‍👧👩🏿‍🚀🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "كلمـــة السر",
    "\u{200f}كلمة السر\u{200e}",
    "soft\u{ad}hyphen",
    "می\u{200c}خواهم ۱۲۳",
    "क्\u{200d}ष पासवर्ड",
    "𞤀𞤣𞤤𞤢𞤥 𞤆𞤵𞤤𞤢𞤪",
    "mot\u{a0}de\u{202f}passe",
    "\u{378} unassigned \u{e0fff}",
];

#[tokio::test]
async fn every_password_that_a_keyboard_types_is_set_and_signs_in() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1000")]);
    for (at, password) in PASSWORDS.iter().enumerate() {
        let person = world.visitor(&format!("010123456{at:02}")).typing(password);
        assert_eq!(person.register().await.status, 201, "{password:?}");
        assert_eq!(person.login().await.status, 200, "{password:?}");
        person.typing(&format!("{password}x")).login().await.expect_problem(401, "invalid-credentials");
    }
    // The other ways to set one.
    let person = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    for password in PASSWORDS {
        person.change_password(password).await.expect(200);
        person.on_another_device().login().await.expect(200);
        world.advance(2);
        person.reset_password(password).await;
        person.sign_in().await;
    }
}

#[tokio::test]
async fn one_password_typed_on_two_keyboards_is_one() {
    let world = World::new();
    for (at, (chosen, typed)) in [
        ("Schl\u{fc}ssel 3", "Schlu\u{308}ssel 3"),
        ("Schlu\u{308}ssel 3", "Schl\u{fc}ssel 3"),
        ("\u{d55c}\u{ae00} 47110", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af} 47110"),
        ("m\u{1ead}t kh\u{1ea9}u", "ma\u{323}\u{302}t kha\u{302}\u{309}u"),
        ("mot\u{a0}de passe", "mot de passe"),
        ("mot de passe", "mot\u{3000}de\u{202f}passe"),
        ("\u{387}\u{387} \u{212b}ngstr\u{f6}m", "\u{b7}\u{b7} A\u{30a}ngstro\u{308}m"),
    ]
    .into_iter()
    .enumerate()
    {
        let person = world.visitor(&format!("010123456{at:02}")).typing(chosen).registered().await;
        assert_eq!(person.typing(typed).login().await.status, 200, "{chosen:?} {typed:?}");
    }
}

/// A login says so as well: nobody can have set such a password.
#[tokio::test]
async fn control_characters_and_noncharacters_are_refused_with_the_reason() {
    let person = World::new().signed_in_person().await;
    for typed in [
        "with a\ttab",
        "with a break\n",
        "with\r\nboth",
        "\u{7f}deleted",
        "\u{9f}of C1!!",
        "non\u{fdd0}char",
        "\u{10ffff}12345678",
    ] {
        for reply in [
            person.typing(typed).register().await.expect_fields(&["/password"]),
            person.typing(typed).login().await.expect_fields(&["/password"]),
            person.change_password(typed).await.expect_fields(&["/new_password"]),
        ] {
            let detail = "must not contain a tab, a line break or another control character";
            assert_eq!(reply.body["errors"][0]["detail"], detail, "{typed:?}");
        }
    }
    person.login().await.expect(200);
}

#[tokio::test]
async fn a_password_has_8_to_128_characters_in_any_form() {
    let world = World::new();
    let person = world.visitor(PHONE);
    for (typed, status) in [
        ("🥷".repeat(7), 422),
        ("e\u{301}".repeat(7), 422),
        ("e\u{301}".repeat(128), 201),
        ("e\u{301}".repeat(129), 422),
    ] {
        assert_eq!(person.typing(&typed).register().await.status, status, "{}", typed.chars().count());
    }
    person.typing(&"\u{e9}".repeat(128)).login().await.expect(200);
    person.typing(&"\u{e9}".repeat(127)).login().await.expect_problem(401, "invalid-credentials");
}

#[tokio::test]
async fn the_services_own_name_is_no_password_wherever_one_is_set() {
    let world = World::with(&[("SERVICE_NAME", "AcmeBank")]);
    let person = world.signed_in_person().await;
    let code = person.reset_code().await;
    let detail = "must be more than the name of this service and digits; choose another";
    for name in ["acmebank", "AcmeBank", "ACMEBANK1", "AcmeBank2026!", "acme bank", "1-Acme-Bank"] {
        for reply in [
            world.visitor(OTHER_PHONE).typing(name).register().await.expect_fields(&["/password"]),
            person.change_password(name).await.expect_fields(&["/new_password"]),
            person.verify_reset(&code, name).await.expect_fields(&["/new_password"]),
        ] {
            assert_eq!(reply.body["errors"][0]["detail"], detail, "{name}");
        }
    }
    for other in ["acmebanker", "my AcmeBank card"] {
        person.change_password(other).await.expect(200);
    }
    person.verify_reset(&code, RESET_PASSWORD).await.expect_problem(400, "invalid-otp");
}

/// The phone is refused in every spelling in which it is read.
#[tokio::test]
async fn the_own_phone_is_no_password_in_any_spelling() {
    let world = World::new();
    for password in ["01012345678", "+20 10 1234 5678", "٠١٠١٢٣٤٥٦٧٨", "tel:+20-10-1234-5678", "(+2)010.1234.5678"]
    {
        world.visitor(PHONE).typing(password).register().await.expect_fields(&["/password"]);
    }
    world.post("/auth/register", json!({"phone": "٠١٠١٢٣٤٥٦٧٨", "password": PASSWORD})).await.expect(201);
    world.visitor(OTHER_PHONE).typing(NEW_PASSWORD).registered().await;
}
