//! Whole ways through the system.

use serde_json::json;

use crate::harness::{E164, NEW_PASSWORD, OTHER_PHONE, RESET_PASSWORD, Request, World, file};

#[tokio::test]
async fn the_origins_documented_way_with_its_own_bodies() {
    let world = World::with(&[("OTP_EXPOSE", "true")]);
    let person = world.visitor("01012345678");
    let account = json!({"phone": "01012345678", "password": "mypassword"});
    let registered = person.post("/auth/register", account.clone()).await.expect(201);
    assert_eq!(registered.text("phone"), E164);

    let login = person.post("/auth/login", account).await.expect(200);
    assert_eq!(login.text("token_type"), "bearer");
    assert_eq!(person.me().await.expect(200).text("id"), registered.text("id"));

    let change = json!({"old_password": "mypassword", "new_password": "newPass123"});
    person.post("/auth/change-password", change).await.expect(204);

    let requested = person.post("/auth/request-reset", json!({"phone": "01012345678"})).await.expect(202);
    let verify = json!({"phone": "01012345678", "otp": requested.text("otp"), "new_password": "newPass456"});
    person.post("/auth/verify-reset", verify).await.expect(204);
    person.typing("newPass456").login().await.expect(200);
}

#[tokio::test]
async fn two_people_do_not_see_each_other() {
    let world = World::new();
    let first = world.signed_in_person().await;
    let second = world.visitor("+998901234567").typing(NEW_PASSWORD).registered().await.signed_in().await;
    assert_eq!(first.me().await.expect(200).text("phone"), E164);
    assert_eq!(second.me().await.expect(200).text("phone"), "+998901234567");

    second.reset_password(RESET_PASSWORD).await;
    second.me().await.expect_problem(401, "invalid-token");
    first.me().await.expect(200);
    first.login().await.expect(200);
}

#[tokio::test]
async fn collecting_garbage_changes_nothing_for_users() {
    let world = World::new();
    let person = world.signed_in_person().await;
    world.visitor(OTHER_PHONE).mistyping().login().await.expect_problem(401, "invalid-credentials");
    assert_eq!(world.collect_garbage(), 0, "nothing is due yet");
    person.me().await.expect(200);
    world.advance(31 * 86_400);
    assert!(world.collect_garbage() > 0);
    let kept: Vec<_> = world.items("").into_iter().map(|item| item["sk"]["S"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kept.len(), 3, "{kept:?}");
    for sort_key in ["CREDENTIAL", "PROFILE", "JWKS"] {
        assert!(kept.iter().any(|kept| kept == sort_key), "{sort_key} stays");
    }
    person.login().await.expect(200);
}

/// Sends every `curl` of the walkthrough and compares the answer with the documented one; `…` stands for anything.
#[tokio::test]
async fn the_walkthrough_is_true() {
    let walk = file("docs/walkthrough.md").replace(" \\\n", " ");
    // Each console with what is said before it, which may ask for another server.
    let parts: Vec<_> = walk.split("```").collect();
    let consoles = parts.chunks_exact(2).map(|part| (part[0].contains("--env REQUIRE_ACTIVATION=true"), part[1]));
    let commands = consoles.flat_map(|(activates, console)| {
        let commands = console.split("$ curl ").skip(1);
        commands.enumerate().map(move |(at, command)| (activates && at == 0, command))
    });

    let mut world = World::with(&[("OTP_EXPOSE", "true")]);
    let (mut token, mut refresh, mut otp, mut id) = (String::new(), String::new(), String::new(), String::new());
    let mut challenge = String::new();
    let mut steps = 0;
    for (activates, step) in commands {
        if activates {
            world = World::with(&[("OTP_EXPOSE", "true"), ("REQUIRE_ACTIVATION", "true")]);
        }
        let (command, documented) = step.split_once('\n').unwrap();
        let path = command.split("http://127.0.0.1:8000").nth(1).unwrap().split(' ').next().unwrap();
        let filled = |body: &str| {
            let values = [("'$OTP'", &otp), ("'$REFRESH'", &refresh), ("'$ID'", &id), ("'$CHALLENGE'", &challenge)];
            values.iter().fold(body.trim_end_matches('\'').to_owned(), |body, (name, value)| body.replace(name, value))
        };
        let body = command.split(" -d '").nth(1).map(filled);
        let mut request = match &body {
            None if command.contains("-X POST") => Request::new(http::Method::POST, path),
            None => Request::new(http::Method::GET, path),
            Some(body) => Request::new(http::Method::POST, path).body("application/json", body.as_bytes()),
        };
        if command.contains("Bearer $TOKEN") {
            request = request.bearer(&token);
        }
        let reply = world.send(request).await;

        let (answer, status) = documented.trim_end().rsplit_once(" (").unwrap();
        assert_eq!(format!("{})", reply.status), status, "{path}");
        let answer: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
        let documented = answer.as_object().into_iter().flatten();
        for (name, value) in documented {
            let is_open = name == "created_at" || value.as_str().is_some_and(|text| text.contains('…'));
            assert!(is_open || reply.body[name] == *value, "{path} {name}");
        }
        let members = |body: &serde_json::Value| body.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
        assert_eq!(members(&reply.body), members(&answer), "{path}");
        token = reply.body["access_token"].as_str().map_or(token, str::to_owned);
        refresh = reply.body["refresh_token"].as_str().map_or(refresh, str::to_owned);
        otp = reply.body["otp"].as_str().map_or(otp, str::to_owned);
        id = reply.body["activation_id"].as_str().map_or(id, str::to_owned);
        challenge = reply.body["challenge"].as_str().map_or(challenge, str::to_owned);
        steps += 1;
    }
    assert_eq!(steps, 16);
}
