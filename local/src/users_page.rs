//! `/dev/users`: shows the accounts, newest first, as a page or as JSON. It changes nothing, and shows no hash, no secret
//! and no code. Only the dev server has it.

use std::{cmp::Reverse, fmt::Write};

use latchkey::{
    base::time::Timestamp,
    domain::phone::Phone,
    store::{Home, Profile, Store, StoreError, StoredAccount},
};
use serde_json::{Value, json};

use crate::html::{column_style, escape, head, list_style};

/// The most accounts that are read to find the newest.
const READ: usize = 1_000;

/// The most accounts that are shown.
const SHOWN: usize = 100;

/// An account, as it is shown.
pub(crate) struct Account {
    profile: Profile,
    stored: StoredAccount,
    disabled_at: Option<Timestamp>,
    /// The number of sessions that live.
    sessions: usize,
}

/// The newest accounts.
pub(crate) struct Accounts {
    shown: Vec<Account>,
    /// Whether there are others.
    are_more: bool,
}

/// Reads the newest accounts. Of a table with more than [`READ`], it takes the first of them.
pub(crate) async fn read(store: &Store, now: Timestamp) -> Result<Accounts, StoreError> {
    let mut profiles = store.profiles(READ).await?;
    profiles.sort_by_key(|profile| Reverse((profile.created_at, profile.user.to_string())));
    let are_more = profiles.len() > SHOWN;
    profiles.truncate(SHOWN);
    let mut shown = Vec::new();
    for profile in profiles {
        // Deleted or moved since.
        let Some((profile, credential)) = store.account_at(&profile.home).await? else { continue };
        let stored = store.stored_account(&profile).await?;
        let sessions = store.live_sessions(profile.user, now).await?.map_or(0, |(_, live)| live.len());
        shown.push(Account { profile, stored, disabled_at: credential.disabled_at, sessions });
    }
    Ok(Accounts { shown, are_more })
}

/// Returns accounts as JSON. A member is absent if it does not apply.
pub(crate) fn as_json(accounts: &Accounts) -> Value {
    let users: Vec<_> = accounts.shown.iter().map(Account::as_json).collect();
    json!({"users": users, "more": accounts.are_more})
}

/// Returns the page with these accounts.
pub(crate) fn render(accounts: &Accounts) -> String {
    let list: String = accounts.shown.iter().map(Account::as_item).collect();
    let more = if accounts.are_more {
        format!("<p class=\"none\">There are more accounts: these are the {SHOWN} newest.</p>")
    } else {
        String::new()
    };
    PAGE.replace("{count}", &accounts.shown.len().to_string()).replace("{more}", &more).replace("{list}", &list)
}

impl Account {
    fn as_json(&self) -> Value {
        let Self { profile, stored, disabled_at, sessions } = self;
        let factor = stored.second_factor.as_ref();
        let former = profile.home.ends_at().map(|_| profile.home.number().as_e164());
        let mut user = json!({
            "id": profile.user.to_string(),
            "phone": profile.phone().map(Phone::as_e164),
            "former_phone": former,
            "parked_until": profile.home.ends_at().map(Timestamp::to_rfc3339),
            "disabled_at": disabled_at.map(Timestamp::to_rfc3339),
            "created_at": profile.created_at.to_rfc3339(),
            "legacy_id": profile.legacy_id,
            "phone_verified": profile.phone_verified,
            "has_password": profile.has_password,
            "mfa_enabled": profile.mfa_enabled,
            "recovery_codes_left": factor.map(|factor| factor.recovery_codes_left),
            "sessions": sessions,
            "wrong_sign_ins": stored.password.failures,
            "wrong_codes": factor.map(|factor| factor.guesses.failures),
        });
        if let Some(members) = user.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        user
    }

    fn as_item(&self) -> String {
        let Self { profile, stored, disabled_at, sessions } = self;
        let state = match (&profile.home, disabled_at) {
            (_, Some(at)) => format!("disabled since {}", at.to_rfc3339()),
            (Home::Parked { ends_at, .. }, None) => format!("parked until {}", ends_at.to_rfc3339()),
            (Home::Phone(_), None) => String::new(),
        };
        let verified = stored.phone_verified_at.map_or_else(|| "no".to_owned(), Timestamp::to_rfc3339);
        let factor = stored.second_factor.as_ref();
        let factor =
            factor.map_or_else(|| "off".to_owned(), |f| format!("on, {} recovery codes left", f.recovery_codes_left));
        let mut tries = format!("{} to sign in", stored.password.failures);
        if let Some(found) = &stored.second_factor {
            let _ = write!(tries, ", {} of the authenticator", found.guesses.failures);
        }
        let mut facts = vec![
            ("created", profile.created_at.to_rfc3339()),
            ("phone verified", verified),
            ("password", if profile.has_password { "set" } else { "none" }.to_owned()),
            ("second factor", factor),
            ("sessions", sessions.to_string()),
            ("wrong tries", tries),
        ];
        facts.extend(profile.legacy_id.as_ref().map(|id| ("legacy id", id.to_string())));
        let mut rows = String::new();
        for (name, value) in facts {
            let _ = write!(rows, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
        }
        let number = escape(profile.home.number().as_e164());
        let phone = if profile.phone().is_some() { number } else { format!("<s>{number}</s>") };
        format!(
            "<li><header><b>{phone}</b> <span>{state}</span></header><code>{id}</code><dl>{rows}</dl></li>",
            state = escape(&state),
            id = escape(&profile.user.to_string()),
        )
    }
}

const PAGE: &str = concat!(
    head!(),
    r#"<title>Users ({count})</title>
<style>
"#,
    column_style!(),
    list_style!(),
    r#"  li code { font-size: .8rem; overflow-wrap: anywhere; opacity: .8; }
  ol:not(:empty) ~ .empty { display: none; }
  header { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; }
  header span { font-weight: 600; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .4rem 0 0; font-size: .9rem; }
  dt { opacity: .65; }
  dd { margin: 0; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>Users</h1>
<p class="about">Accounts, newest first, as they are now: reload to see changes. The <a href="/">start page</a> has the commands that
change them. Scripts get them as JSON: <code>curl -H 'Accept: application/json'</code>.</p>
<ol>{list}</ol>
<p class="none empty">No accounts yet. <code>POST /auth/code</code> and <code>/auth/code/verify</code> make one, or <code>POST /auth/register</code>.</p>
{more}
</body>
</html>
"#
);

#[cfg(test)]
mod tests {
    use latchkey::{
        domain::{legacy_id::LegacyId, phone::PhoneRules},
        store::{Guesses, StoredFactor},
    };

    use super::*;

    const AT: Timestamp = Timestamp::from_unix_seconds(1_000_000);

    fn phone(typed: &str) -> Phone {
        PhoneRules::new("EG".parse().unwrap(), None).parse(typed).unwrap()
    }

    fn account(home: Home) -> Account {
        let guesses = Guesses { failures: 3, attempted_at: Some(AT) };
        Account {
            profile: Profile {
                user: "5c0c7a0e-6a55-4c40-9e44-0f7a7d3c8a3b".parse().unwrap(),
                home,
                phone_verified: true,
                has_password: true,
                mfa_enabled: true,
                created_at: AT,
                legacy_id: Some(LegacyId::Text("<b>7</b>".to_owned())),
                epoch: 1,
            },
            stored: StoredAccount {
                phone_verified_at: Some(AT),
                phone_proved_at: None,
                password: guesses,
                second_factor: Some(StoredFactor { created_at: AT, recovery_codes_left: 9, guesses }),
                enrollment_ends_at: None,
                second_steps_end_at: Vec::new(),
                sessions: Vec::new(),
                devices: Vec::new(),
                codes: Vec::new(),
            },
            disabled_at: None,
            sessions: 2,
        }
    }

    #[test]
    fn an_account_is_shown_with_its_state_and_escaped() {
        let mut disabled = account(Home::Phone(phone("01012345678")));
        disabled.disabled_at = Some(AT);
        let parked = account(Home::Parked { former: phone("01112345678"), ends_at: AT });
        let accounts = Accounts { shown: vec![disabled, parked], are_more: true };
        let page = render(&accounts);
        for part in [
            "<title>Users (2)</title>",
            "<b>+201012345678</b> <span>disabled since 1970-01-12T13:46:40Z</span>",
            "<b><s>+201112345678</s></b> <span>parked until 1970-01-12T13:46:40Z</span>",
            "<dt>legacy id</dt><dd>&lt;b&gt;7&lt;/b&gt;</dd>",
            "<dt>second factor</dt><dd>on, 9 recovery codes left</dd>",
            "<dt>wrong tries</dt><dd>3 to sign in, 3 of the authenticator</dd>",
            "There are more accounts",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("<b>7"));
        let found = as_json(&accounts);
        assert_eq!((&found["more"], &found["users"][0]["phone"]), (&json!(true), &json!("+201012345678")));
        assert_eq!(found["users"][0]["disabled_at"], "1970-01-12T13:46:40Z");
        let parked = &found["users"][1];
        assert_eq!((&parked["phone"], &parked["former_phone"]), (&Value::Null, &json!("+201112345678")));
        assert_eq!(
            (&parked["parked_until"], &parked["legacy_id"]),
            (&json!("1970-01-12T13:46:40Z"), &json!("<b>7</b>"))
        );
    }

    #[test]
    fn without_accounts_the_page_says_how_to_make_one() {
        let page = render(&Accounts { shown: Vec::new(), are_more: false });
        assert!(page.contains("<ol></ol>") && page.contains("No accounts yet.") && !page.contains("There are more"));
    }
}
