//! What people type and paste: every spelling of a number or a code is one, and costs one try.

use serde_json::json;

use crate::harness::{OTHER_PHONE, PHONE, RESET_PASSWORD, Reply, World, another_code};

/// Spellings of +201012345678 as contacts, messengers, keyboards and spreadsheets write them.
const PHONES: [&str; 86] = [
    // Contacts of iOS and Android, WhatsApp.
    "\u{202a}+20 10 12345678\u{202c}",
    "\u{202d}+201012345678\u{202c}",
    "\u{202b}01012345678\u{202c}",
    "\u{2066}+20 10 12345678\u{2069}",
    "\u{2068}+201012345678\u{2069}",
    "\u{200e}+201012345678\u{200e}",
    "\u{200f}01012345678",
    "\u{61c}01012345678",
    // Zero width.
    "\u{200b}01012345678",
    "\u{feff}01012345678",
    "010\u{2060}1234\u{2060}5678",
    "010\u{ad}12345678",
    "01012345678\u{fe0f}",
    "010\u{34f}12345678",
    // White space.
    "+20\u{a0}10\u{a0}12345678",
    "+20\u{202f}10\u{202f}12345678",
    "+20\u{2007}1012345678",
    "+20\u{2009}10\u{2009}12345678",
    "010\u{3000}1234\u{3000}5678",
    "\t01012345678\t",
    "01012345678\n",
    "01012345678\r\n",
    "01012345678\u{2028}",
    "01012345678\u{b}",
    "01012345678\u{85}",
    "  +20  10  1234  5678  ",
    // Dashes.
    "010\u{2010}1234\u{2010}5678",
    "010\u{2011}1234\u{2011}5678",
    "010\u{2013}1234\u{2013}5678",
    "010\u{2014}12345678",
    "010\u{2212}1234\u{2212}5678",
    "010\u{30fc}1234\u{30fc}5678",
    "010\u{ff0d}1234\u{fe63}5678",
    "010--1234--5678",
    // Dots and slashes.
    "010.1234.5678",
    "010\u{ff0e}1234\u{ff0e}5678",
    "010\u{3002}1234\u{ff61}5678",
    "010\u{b7}1234\u{30fb}5678",
    "010/12345678",
    "010\u{ff0f}1234/5678",
    // Brackets.
    "(010) 1234-5678",
    "(+20) 10 12345678",
    "(+20)1012345678",
    "[+20] 10 12345678",
    "(+2)01012345678",
    "(+2) 010 1234 5678",
    "+2 01012345678",
    "+20 (0)10 1234 5678",
    "+20(0)1012345678",
    "(0020) 10 12345678",
    "\u{ff08}010\u{ff09}12345678",
    "\u{3010}010\u{3011}12345678",
    "<+201012345678>",
    // Prefixes.
    "tel:+201012345678",
    "TEL:+20-10-1234-5678",
    "Tel: 010 1234 5678",
    "00201012345678",
    "00 20 10 1234 5678",
    "\u{ff0b}20 10 12345678",
    // A plus sign that text from right to left has at the end.
    "201012345678+",
    "20 10 1234 5678 +",
    "٢٠١٠١٢٣٤٥٦٧٨+",
    "\u{202b}20 10 12345678\u{ff0b}\u{202c}",
    // Digits of other scripts, and of several.
    "٠١٠١٢٣٤٥٦٧٨",
    "+٢٠ ١٠ ١٢٣٤ ٥٦٧٨",
    "۰۱۰۱۲۳۴۵۶۷۸",
    "०१०१२३४५६७८",
    "０１０１２３４５６７８",
    "𝟎𝟏𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖",
    "010۱۲۳۴٥٦٧٨",
    "০১০১২৩৪৫৬৭৮",
    "tel:+20-10-1234-5678",
    "tel://+201012345678",
    // Cells and lists.
    "01012345678.0",
    "+201012345678.0",
    "201012345678.00",
    "'01012345678",
    "\"+20 10 1234 5678\",",
    "«01012345678»;",
    "01012345678,",
    "010_1234_5678",
    "+20_10_12345678",
    "010~1234~5678",
    "010\u{ff5e}1234\u{ff5e}5678",
    "tel:%2B201012345678",
    "=\"+201012345678\"",
];

/// What is no single number to people.
const NO_PHONES: [&str; 32] = [
    "",
    "'",
    "hello",
    "01012345678 x12",
    "01012345678 ext. 12",
    "+201012345678;ext=12",
    "01012345678,,12",
    "tel:01012345678;phone-context=+20",
    "01012345678 01112345678",
    "01012345678, 01112345678",
    "01012345678; 01112345678",
    "01012345678/01112345678",
    "01012345678\n01112345678",
    "+201012345678 +201112345678",
    "01012345678/9",
    "++201012345678",
    "+201012345678+",
    "01012345678+",
    "2010+12345678",
    "1+201012345678",
    "*01012345678#",
    "=01012345678",
    "tel:%2B%2B201012345678",
    "01012345678_01112345678",
    "01012345678~01112345678",
    "O1O12345678",
    "2.01012E+11",
    "201012345678,0",
    "+20 10 12345678 p5",
    "%2B201012345678",
    "①01012345678",
    "tel:tel:01012345678",
];

/// A six-digit code as apps, keyboards and messages show it.
fn spellings(code: &str) -> Vec<String> {
    let (start, end) = code.split_at(3);
    let in_script = |zero: char| -> String {
        let digits = code.chars().map(|digit| u32::from(zero) + digit.to_digit(10).unwrap());
        digits.map(|digit| char::from_u32(digit).unwrap()).collect()
    };
    let mixed = format!("{start}{}", &in_script('٠').chars().skip(3).collect::<String>());
    let apart: String = code.chars().flat_map(|digit| [digit, ' ']).collect();
    vec![
        code.to_owned(),
        format!("{start} {end}"),
        format!("{start}-{end}"),
        format!("{start}_{end}"),
        format!(" {code}"),
        format!("{code}\n"),
        format!("{code}\r\n"),
        format!("\t{code}"),
        format!("{start}\u{a0}{end}"),
        format!("{start}\u{2009}{end}"),
        format!("{start}\u{202f}{end}"),
        format!("{start}\u{2013}{end}"),
        format!("{start}\u{2212}{end}"),
        format!("\u{200e}{code}\u{200e}"),
        format!("\u{2068}{code}\u{2069}"),
        format!("{start}\u{200b}{end}"),
        format!("{code}\u{fe0f}"),
        format!("{code}."),
        format!("{code},"),
        format!("\"{code}\""),
        format!("[{code}]"),
        in_script('٠'),
        in_script('۰'),
        in_script('०'),
        in_script('０'),
        in_script('𝟎'),
        in_script('০'),
        mixed,
        apart,
        // What surrounds a code in a message.
        format!("G-{code}"),
        format!("#{code}"),
        format!("{code}!"),
        format!("Code: {code}"),
        format!("{code} is your code"),
        format!("코드는 {start} {end}입니다."),
        format!("رمز: {}", in_script('٠')),
        format!("Latchkey: {code} is your code. Do not share it.\nFA+9qCX9VSu\n\n@a1.example.com #{code}"),
        format!("@example.com #{code}"),
    ]
}

#[tokio::test]
async fn every_spelling_of_a_phone_is_one_account() {
    let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "1000")]);
    world.person().await;
    for spelling in PHONES {
        let reply = world.visitor(spelling).login().await;
        assert_eq!(reply.status, 200, "{spelling:?}");
    }
    for text in NO_PHONES {
        let reply = world.visitor(text).login().await;
        assert_eq!((reply.status, reply.code()), (422, "invalid-request"), "{text:?}");
    }
    assert_eq!(world.items("PHONE#").len(), 1, "no text is another phone");
}

/// Where a number behind its country code has the form of a national number too.
#[tokio::test]
async fn a_number_behind_its_country_code_is_one_account_without_the_plus() {
    for (country, spellings) in [
        ("DE", ["4915123456789", "+49 1512 3456789", "015123456789", "49 (0)1512 3456789"]),
        ("ID", ["62812345678", "+62 812-345-678", "0812345678", "62 0812 345 678"]),
        ("XK", ["38343201234", "+383 43 201 234", "043201234", "383 (0)43 201 234"]),
    ] {
        let world = World::with(&[("PHONE_DEFAULT_COUNTRY", country), ("PHONE_ALLOWED_COUNTRIES", country)]);
        world.visitor(spellings[0]).register().await.expect(201);
        for spelling in spellings {
            let reply = world.visitor(spelling).login().await;
            assert_eq!(reply.status, 200, "{country}: {spelling:?}");
        }
    }
}

#[tokio::test]
async fn a_country_code_that_does_not_exist_is_told() {
    let world = World::new();
    for typed in ["+8 912 345 67 84", "+091 98765 43210", "00 8 912 345 67 84"] {
        for reply in [world.visitor(typed).login().await, world.visitor(typed).register().await] {
            let reply = reply.expect_fields(&["/phone"]);
            let detail =
                "has a country code that does not exist; begin with + and the country code, for example +201012345678";
            assert_eq!(reply.body["errors"][0]["detail"], detail, "{typed:?}");
        }
    }
}

/// Six wrong passwords are judged at once, whatever the spellings, and then one waits.
#[tokio::test]
async fn wrong_passwords_add_up_over_the_spellings_of_a_phone() {
    let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "1000")]);
    let person = world.person().await;
    let mut judged = 0;
    for spelling in PHONES {
        judged += usize::from(world.visitor(spelling).mistyping().login().await.status == 401);
    }
    assert_eq!(judged, 6);
    person.login().await.expect_limit("login-phone");
}

/// Types a wrong code in every spelling, and then the right one. Returns the answers.
async fn guess_in_every_spelling(code: &str, enter: impl AsyncFn(&str) -> Reply) -> Vec<Reply> {
    let mut replies = Vec::new();
    for spelling in spellings(&another_code(code)) {
        replies.push(enter(&spelling).await);
    }
    replies.push(enter(code).await);
    replies
}

/// How many tries the table has counted for the open code with this sort key, or the only one with this prefix, if it ends
/// with `#`.
fn tries(world: &World, sort: &str) -> u64 {
    let mut items = world.items("");
    items.retain(|item| {
        let found = item["sk"]["S"].as_str().unwrap();
        found == sort || (sort.ends_with('#') && found.starts_with(sort))
    });
    assert_eq!(items.len(), 1, "{sort}");
    items[0]["attempts"]["N"].as_str().unwrap().parse().unwrap()
}

/// Five guesses of a code are judged, whatever the spellings, and the right code is none of them.
#[tokio::test]
async fn wrong_codes_add_up_over_their_spellings_for_every_purpose() {
    let world = World::with(&[("REQUIRE_ACTIVATION", "true"), ("LIMIT_LOGIN_PER_ADDRESS", "1000")]);
    let check = |replies: Vec<Reply>, sort: &str| {
        assert!(replies.len() > 20);
        for reply in replies {
            reply.expect_problem(400, "invalid-otp");
        }
        assert_eq!(tries(&world, sort), 5, "{sort}");
    };
    let person = world.visitor(PHONE);
    person.register().await.expect(202);
    let replies = guess_in_every_spelling(&person.code(), async |otp| person.activate(otp).await).await;
    check(replies, "OTP#activation#");

    let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "1000")]);
    let check = |replies: Vec<Reply>, sort: &str| {
        for reply in replies {
            reply.expect_problem(400, "invalid-otp");
        }
        assert_eq!(tries(&world, sort), 5, "{sort}");
    };
    let person = world.signed_in_person().await;
    person.verify_phone().await.expect(202);
    let replies = guess_in_every_spelling(&person.code(), async |otp| person.confirm_phone(otp).await).await;
    check(replies, "OTP#verify-phone");
    let code = person.reset_code().await;
    let replies = guess_in_every_spelling(&code, async |otp| person.verify_reset(otp, RESET_PASSWORD).await).await;
    check(replies, "OTP#reset");
    let code = person.code_for(OTHER_PHONE).await;
    let replies = guess_in_every_spelling(&code, async |otp| person.change_phone_verify(otp).await).await;
    check(replies, "OTP#change-phone#");

    world.advance(2);
    person.enroll().await;
    let code = person.new_authenticator().code();
    let replies = guess_in_every_spelling(&code, async |otp| person.mfa_confirm(otp).await).await;
    // After five tries the enrollment is over, and says so.
    let over = replies.iter().skip(5).all(|reply| reply.code() == "enrollment-over");
    assert!(replies.len() > 20 && over, "every spelling is a try");
    assert_eq!(tries(&world, "MFA#ENROLLMENT"), 5);
}

/// Six guesses at an authenticator are judged at once, whatever the spellings, and then one waits.
#[tokio::test]
async fn wrong_codes_of_an_authenticator_add_up_over_their_spellings() {
    let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "1000")]);
    let person = world.person_with_factor().await;
    person.first_step().await;
    let code = person.authenticator().code();
    let enter = async |code: &str| person.with_proof("code", code).login_mfa().await;
    let replies = guess_in_every_spelling(&code, enter).await;
    let statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses[..6], [400; 6]);
    assert!(statuses[6..].iter().all(|status| *status == 429));
    assert_eq!(world.item("USER#", "MFA")["totp_login_failures"]["N"], "6");
}

#[tokio::test]
async fn the_right_code_is_right_in_every_spelling() {
    let world = World::with(&[("LIMIT_MESSAGES_PER_PHONE", "1000")]);
    let person = world.signed_in_person().await;
    for at in 0..spellings("123456").len() {
        let typed = spellings(&person.reset_code().await).swap_remove(at);
        let reply = person.verify_reset(&typed, RESET_PASSWORD).await;
        assert_eq!(reply.status, 204, "{at}");
        world.advance(2);
    }
    let person = world.person_with_phone(OTHER_PHONE).await.signed_in().await;
    person.switch_factor_on().await;
    for at in 0..spellings("123456").len() {
        person.first_step().await;
        let typed = spellings(&person.authenticator().code()).swap_remove(at);
        let reply = person.with_proof("code", &typed).login_mfa().await;
        assert_eq!(reply.status, 200, "{at}");
        world.advance(30);
    }
}

/// A text that is no code costs no try.
#[tokio::test]
async fn what_is_no_code_is_refused_and_no_try() {
    let world = World::new();
    let person = world.person().await;
    let code = person.reset_code().await;
    for no_code in [
        "",
        "12345",
        "1234567",
        "12345a",
        "12345O",
        "l23456",
        "+12345",
        "123456 123456",
        "123,456",
        "½23456",
        "①23456",
        "0x1234",
        "123456.0",
        "1.2e5",
        "+123456",
        "123456a",
        "O123456",
        "Code 1: 123456",
        "123456 or 123456",
        "123,456 is your code",
        "123  456 is your code",
        "123456 is your code, good for ½ hour",
        "123456 is your code\n\n@example.com #123457",
        &format!("{}123456", "a ".repeat(250)),
    ] {
        let reply = person.verify_reset(no_code, RESET_PASSWORD).await.expect_fields(&["/otp"]);
        assert_eq!(reply.body["errors"][0]["detail"], "must be the six digits of the code", "{no_code:?}");
    }
    assert_eq!(tries(&world, "OTP#reset"), 0);
    person.verify_reset(&code, RESET_PASSWORD).await.expect(204);
}

#[tokio::test]
async fn a_number_in_place_of_a_text_is_refused_with_what_to_do() {
    let person = World::new().person().await;
    let body = json!({"phone": 201_012_345_678_u64, "otp": 42_424, "new_password": 1});
    let reply = person.post("/auth/verify-reset", body).await.expect_fields(&["/phone", "/otp", "/new_password"]);
    for error in reply.body["errors"].as_array().unwrap() {
        let detail = "must be a string, in quotes: a JSON number loses its leading zeros";
        assert_eq!(error["detail"], detail);
    }
}

#[tokio::test]
async fn a_second_factor_in_the_other_ones_member_is_told_where_it_belongs() {
    let world = World::new();
    let person = world.person_with_factor().await;
    person.first_step().await;
    let detail = async |member, value: &str| {
        let reply = person.with_proof(member, value).login_mfa().await;
        reply.expect_problem(422, "invalid-request").body["errors"][0].clone()
    };
    let code = person.authenticator().code();
    let (start, end) = code.split_at(3);
    for typed in [code.clone(), format!("{start} {end}")] {
        let error = detail("recovery_code", &typed).await;
        assert_eq!(error["pointer"], "/recovery_code");
        assert_eq!(error["detail"], "is a code of an authenticator: send it as `code`");
    }
    let recovery_code = &person.recovery_codes()[0];
    for typed in [recovery_code.clone(), recovery_code.to_lowercase().replace('-', "\u{2013}")] {
        let error = detail("code", &typed).await;
        assert_eq!(error["pointer"], "/code");
        assert_eq!(error["detail"], "is a recovery code: send it as `recovery_code`");
    }
    assert!(world.item("USER#", "MFA")["login_failures"].is_null(), "none of them is a try");
    person.login_mfa().await.expect(200);
}

#[tokio::test]
async fn a_code_under_another_codes_name_is_told_where_it_belongs() {
    let world = World::new();
    let person = world.person_with_factor().await;
    person.first_step().await;
    let detail = |reply: Reply, pointer: &str| {
        let errors = reply.expect_problem(422, "invalid-request").body["errors"].clone();
        let error = errors.as_array().unwrap().iter().find(|error| error["pointer"] == pointer).unwrap().clone();
        error["detail"].as_str().unwrap().to_owned()
    };
    let sent_as_otp = person.with_proof("otp", &person.authenticator().code());
    let hint = "an authenticator's code is sent as `code`, and not as `otp`";
    let expected = format!("is required, or `recovery_code` or `password` instead; {hint}");
    assert_eq!(detail(sent_as_otp.login_mfa().await, "/code"), expected);
    let reply = person.post("/auth/mfa/confirm", json!({"otp": "123456"})).await;
    assert_eq!(detail(reply, "/code"), format!("is required; {hint}"));
    for path in ["/auth/activate", "/auth/code/verify"] {
        let reply = world.post(path, json!({"code": "123456"})).await;
        let expected = "is required; a message's code is sent as `otp`, and not as `code`";
        assert_eq!(detail(reply, "/otp"), expected, "{path}");
        // Nothing, and a name that means nothing, is no code.
        for body in [json!({}), json!({"code": null}), json!({"pin": "123456"})] {
            assert_eq!(detail(world.post(path, body).await, "/otp"), "is required", "{path}");
        }
    }
    // Here `code` is another one. It is read, and the message's may be sent as it all the same.
    let hint = "a message's code is sent as `otp`, and not as `code`";
    let reply = world.post("/auth/verify-reset", json!({"phone": PHONE, "code": "123456"})).await;
    assert_eq!(detail(reply, "/otp"), format!("is required; {hint}"));
    let reply = person.post("/auth/step-up", json!({"challenge": "a", "code": "123456"})).await;
    assert_eq!(detail(reply, "/otp"), format!("is required with `challenge`; {hint}"));
    for body in [json!({"phone": PHONE, "recovery_code": "a"}), json!({"phone": PHONE, "code": ""})] {
        assert_eq!(detail(world.post("/auth/verify-reset", body).await, "/otp"), "is required");
    }
    person.login_mfa().await.expect(200);
}

#[tokio::test]
async fn a_recovery_code_is_one_code_in_every_spelling() {
    let world = World::with(&[("LIMIT_LOGIN_PER_ADDRESS", "1000")]);
    let person = world.person_with_factor().await;
    let enter = async |code: &str| {
        person.first_step().await;
        person.with_proof("recovery_code", code).login_mfa().await
    };
    // Other marks of lists: `spelling::the_mark_of_a_list_is_no_part_of_a_code`.
    let spellings: [fn(&str) -> String; 10] = [
        |code| format!("✅ [3] {}", code.replace('-', "_")),
        |code| format!("{code}\n"),
        |code| code.replace('-', "\u{a0}"),
        |code| code.replace('-', "\u{2013}"),
        |code| code.replace('-', "·"),
        |code| code.replace('-', "/"),
        |code| code.replace('-', "\u{200b}").to_lowercase(),
        |code| code.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect(),
        |code| format!("\"{code}\","),
        |code| format!("- [ ] 10. `{code}`"),
    ];
    for (code, spelled) in person.recovery_codes().iter().zip(spellings) {
        let reply = enter(&spelled(code)).await;
        assert_eq!(reply.status, 200, "{:?}", spelled("AAAA-BBBB"));
        enter(code).await.expect_problem(400, "invalid-otp");
    }
    for no_code in ["9QK2", "9QK2~7H3M~9QK2~7H3M~9QK2~7H3M", "9QK2-7H3M-9QK2-7H3M-9QK2-7H3U"] {
        enter(no_code).await.expect_fields(&["/recovery_code"]);
    }
}

/// Numbers with fixed codes are written by people as well.
#[tokio::test]
async fn test_numbers_are_read_in_every_spelling() {
    let world = World::with(&[("TEST_NUMBERS", "\u{202a}(+20) 10-1234-5678\u{202c} = 123 456, +201112345678=654321,")]);
    let person = world.person().await;
    person.request_reset().await.expect(202);
    person.verify_reset("123456", RESET_PASSWORD).await.expect(204);
}

/// Some people copy the whole message, on phones and in browsers whose fields have no lines.
#[tokio::test]
async fn the_whole_message_in_every_language_is_its_code() {
    let variables = [
        ("LIMIT_MESSAGES_PER_PHONE", "1000"),
        ("SMS_WEBOTP_DOMAIN", "accounts24.example.com"),
        ("SMS_ANDROID_APP_HASH", "FA+9qCX9VSu"),
    ];
    for variables in [&variables[..1], &variables[..2], &variables] {
        let world = World::with(variables);
        let person = world.signed_in_person().await;
        for language in ["en", "ar", "es", "ko", "ru", "uz"] {
            for in_one_line in [false, true] {
                person.with_header("accept-language", language).reset_code().await;
                let mut message = world.outbox.messages().remove(0).text;
                if in_one_line {
                    message = message.replace('\n', " ");
                }
                let reply = person.verify_reset(&message, RESET_PASSWORD).await;
                assert_eq!(reply.status, 204, "{language}");
                world.advance(2);
            }
        }
    }
}
