//! Shows and changes accounts, by their phones. Every action leaves an audit event in the table and on standard error.

use std::fmt::Write;

use latchkey::{
    base::{
        id::{OperationId, UserId},
        time::Timestamp,
    },
    config::Config,
    domain::phone::{InvalidPhone, Phone},
    flows,
    log::audit::{Audit, Circumstances, Outcome},
    store::{self, AccountDeletion, Change, Credential, Home, Profile, Store, StoreError, Unparked},
    tokens::secret::Secret,
};

/// An action on an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Action {
    /// Show the account.
    Show,
    /// Make every sign-in fail, and end every session.
    Disable,
    /// Let the owner sign in again.
    Enable,
    /// End every session.
    EndSessions,
    /// Switch the second factor off, and end every session.
    ResetMfa,
    /// Clear every count that keeps the owner waiting.
    Unlock,
    /// Count the phone as proved, after you have found out that the owner has it still.
    ConfirmOwner,
    /// Give a parked account a phone again: --phone, or the one that it had.
    Unpark,
    /// Delete the account.
    Delete,
}

impl Action {
    /// Returns the action's name in the audit log.
    pub const fn event(self) -> &'static str {
        match self {
            Self::Show => "operator-show",
            Self::Disable => "operator-disable",
            Self::Enable => "operator-enable",
            Self::EndSessions => "operator-end-sessions",
            Self::ResetMfa => "operator-reset-mfa",
            Self::Unlock => "operator-unlock",
            Self::ConfirmOwner => "operator-confirm-owner",
            Self::Unpark => "operator-unpark",
            Self::Delete => "operator-delete",
        }
    }

    /// Returns what the owner loses by the action, or `None` if nothing.
    pub const fn warning(self) -> Option<&'static str> {
        match self {
            Self::Show | Self::Enable | Self::Unlock => None,
            Self::ConfirmOwner => Some("A code to its phone alone will open it."),
            Self::Unpark => Some("A code to its phone alone will open it. Every session ends."),
            Self::Disable => Some("Every sign-in will fail, and every session ends."),
            Self::EndSessions => Some("Every session ends."),
            Self::ResetMfa => Some("The password alone, or a code by SMS, will give access. Every session ends."),
            Self::Delete => Some("It is deleted permanently, and its phone becomes free."),
        }
    }
}

/// The context of an action: who performs it, when, and on which table.
#[derive(Clone, Copy, Debug)]
pub struct Desk<'a> {
    /// The table.
    pub store: &'a Store,
    /// The settings.
    pub config: &'a Config,
    /// The secret that hashes phones for the audit log, if it could be read.
    pub secret: Option<&'a Secret>,
    /// The phone that a parked account gets; none for the one that it had.
    pub new_phone: Option<&'a Phone>,
    /// The operator's name, for the audit log.
    pub operator: &'a str,
    /// The time of the action.
    pub now: Timestamp,
}

/// A reason for which an action was not done.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// No account has this phone.
    #[error("no account has this phone")]
    NoAccount,
    /// The account has no second factor to switch off.
    #[error("the account has no second factor")]
    NoFactor,
    /// The account is parked and has no phone.
    #[error("the account has no phone: `user unpark` gives it one")]
    NoPhone,
    /// The account is not parked.
    #[error("the account is not parked")]
    NotParked,
    /// The phone has another account.
    #[error("the phone has another account: name one that has none with --phone")]
    PhoneTaken,
    /// The account changed at the same moment.
    #[error("the account changed at the same moment, and nothing was done: run the command again")]
    Outrun,
    /// The table returned an error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UserError {
    /// Returns the error's name in the audit log.
    const fn result(&self) -> &'static str {
        match self {
            Self::NoAccount | Self::NoFactor | Self::NoPhone | Self::NotParked => "not-found",
            Self::PhoneTaken => "phone-taken",
            Self::Outrun => "outrun",
            Self::Store(_) => "temporarily-unavailable",
        }
    }
}

/// Returns where the account lies that an operator names: by its phone, in any spelling, or by its identifier, which tokens
/// and audit events have. A parked account has the identifier alone.
pub async fn find(store: &Store, config: &Config, typed: &str) -> Result<Home, FindError> {
    if let Ok(user) = typed.trim().to_ascii_lowercase().parse::<UserId>() {
        return store.profile(user).await?.map(|profile| profile.home).ok_or(FindError::NoAccount(user));
    }
    Ok(Home::Phone(parse(config, typed)?))
}

/// Returns the phone that an operator types, of any country.
pub fn parse(config: &Config, typed: &str) -> Result<Phone, InvalidPhone> {
    config.phones.of_all_countries().parse(typed)
}

/// A reason for which no account is named.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No account has this identifier.
    #[error("no account has the id {0}")]
    NoAccount(UserId),
    /// The text is neither an identifier nor a phone.
    #[error("the phone {0}")]
    Phone(#[from] InvalidPhone),
    /// The table returned an error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Performs an action on an account. Returns the text to show to the operator.
///
/// An action that changes an account leaves an audit event before, with the result `begun`, and one after, so that no
/// change is unrecorded, whatever breaks in between. `each` gets every event as it is stored.
pub async fn act(desk: Desk<'_>, action: Action, home: &Home, mut each: impl FnMut(&str)) -> Result<String, UserError> {
    let audit = Audit::default();
    audit.phone(home.number());
    let request_id = OperationId::generate().map_err(StoreError::from)?.to_string();
    let mut keep = async |outcome: Outcome<'_>| {
        let of = Circumstances {
            event: action.event(),
            now: desk.now,
            address: None,
            operator: Some(desk.operator),
            request_id: &request_id,
        };
        let line = audit.line(of, outcome, desk.secret.map(|secret| &secret.writing.audit));
        let line = serde_json::to_string(&line).map_err(|error| StoreError::Bug(error.into()))?;
        each(&line);
        desk.store.keep_audit_line(&line, desk.now).await
    };
    let account = desk.store.account_at(home).await?;
    if let Some((profile, _)) = &account {
        audit.user(profile.user);
    }
    if action != Action::Show && account.is_some() {
        keep(Outcome::refused("begun", None)).await?;
    }
    let done = match account {
        Some((profile, credential)) => act_on(desk, action, &profile, &credential).await,
        None => Err(UserError::NoAccount),
    };
    let outcome = done.as_ref().map_or_else(|error| Outcome::refused(error.result(), None), |_| Outcome::SUCCESS);
    match (keep(outcome).await, done) {
        (Ok(()), done) | (Err(_), done @ Err(_)) => done,
        // The action is done, and its event `begun` is stored.
        (Err(error), Ok(said)) => Ok(format!("{said}\nThe audit event of this success could not be stored: {error}.")),
    }
}

async fn act_on(
    desk: Desk<'_>,
    action: Action,
    profile: &Profile,
    credential: &Credential,
) -> Result<String, UserError> {
    let Desk { store, now, .. } = desk;
    let raised = |raise| if raise == Change::Done { Ok(()) } else { Err(UserError::Outrun) };
    match action {
        Action::Show => show(desk, profile, credential).await,
        Action::Disable => {
            raised(store.disable_account(profile, now).await?)?;
            Ok("Disabled: every sign-in fails, and every session has ended.".to_owned())
        }
        Action::Enable => {
            raised(store.enable_account(profile).await?)?;
            Ok("Enabled: the owner can sign in as before.".to_owned())
        }
        Action::EndSessions => {
            raised(store.end_all_sessions(profile).await?)?;
            Ok("Every session has ended.".to_owned())
        }
        Action::ResetMfa if !profile.mfa_enabled => Err(UserError::NoFactor),
        Action::ResetMfa => match store.switch_factor_off(profile, None, desk.now).await? {
            Change::Done => Ok("The second factor is off, and every session has ended.".to_owned()),
            Change::Overtaken => Err(UserError::Outrun),
        },
        Action::Unlock => {
            let of = |secret| profile.phone().map(|phone| flows::phone_subjects(secret, phone));
            let subjects = desk.secret.and_then(of);
            let of = |secret| profile.phone().map(|phone| flows::devices_subjects(secret, phone));
            let devices = desk.secret.and_then(of);
            let account = desk.secret.map(|secret| flows::account_subject(secret, profile.user));
            let limits = desk.config.limits;
            let tries = desk.config.otp.max_attempts;
            let of_phone = |subject| {
                let codes = store::codes_of_phone(subject, tries);
                [limits.messages_to(subject), limits.requests_to(subject), store::tries_of_phone(subject), codes]
            };
            let of_devices = |subject| {
                let codes = store::codes_of_phone(subject, tries);
                [limits.messages_on_devices(subject), limits.requests_to(subject), codes]
            };
            let of_account = |subject| [limits.messages_of(subject), limits.requests_of(subject)];
            let of_phone = subjects.iter().flatten().flat_map(|subject| of_phone(subject));
            let of_devices = devices.iter().flatten().flat_map(|subject| of_devices(subject));
            let of_account = account.iter().flat_map(|subject| of_account(subject));
            let limits: Vec<_> = of_phone.chain(of_devices).chain(of_account).collect();
            raised(store.unlock(profile, &limits, now).await?)?;
            Ok("Unlocked: nothing keeps the owner waiting. Open codes have ended; request a new one.".to_owned())
        }
        Action::ConfirmOwner if profile.phone().is_none() => Err(UserError::NoPhone),
        Action::ConfirmOwner => {
            raised(store.confirm_owner(profile, now).await?)?;
            Ok("Confirmed: a code to its phone opens the account.".to_owned())
        }
        Action::Unpark if profile.phone().is_some() => Err(UserError::NotParked),
        Action::Unpark => {
            let phone = desk.new_phone.unwrap_or_else(|| profile.home.number());
            match store.unpark(profile, credential, phone, now).await? {
                Unparked::Done => {
                    let phone = phone.as_e164();
                    Ok(format!("Unparked: the account has the phone {phone}, and every session has ended."))
                }
                Unparked::PhoneTaken => Err(UserError::PhoneTaken),
                Unparked::Overtaken => Err(UserError::Outrun),
            }
        }
        Action::Delete => match store.delete_account(profile, desk.config.tokens.session_ttl, now).await? {
            AccountDeletion::Done if profile.phone().is_none() => Ok("Deleted.".to_owned()),
            AccountDeletion::Done => Ok("Deleted; the phone is free.".to_owned()),
            AccountDeletion::Outrun => Err(UserError::Outrun),
        },
    }
}

async fn show(desk: Desk<'_>, profile: &Profile, credential: &Credential) -> Result<String, UserError> {
    let stored = desk.store.stored_account(profile).await?;
    let sessions = desk.store.live_sessions(profile.user, desk.now).await?.map_or_else(Vec::new, |(_, live)| live);
    let mut lines = vec![
        ("id", profile.user.to_string()),
        ("phone", profile.phone().map_or_else(|| "none".to_owned(), |phone| phone.as_e164().to_owned())),
        ("verified", stored.phone_verified_at.map_or_else(|| "no".to_owned(), Timestamp::to_rfc3339)),
        ("last proved", stored.phone_proved_at.map_or_else(|| "never".to_owned(), Timestamp::to_rfc3339)),
        ("created", profile.created_at.to_rfc3339()),
    ];
    if let Home::Parked { former, ends_at } = &profile.home {
        lines.push(("former phone", former.as_e164().to_owned()));
        lines.push(("parked until", ends_at.to_rfc3339()));
    }
    lines.extend(profile.legacy_id.as_ref().map(|id| ("legacy id", id.to_string())));
    let state =
        credential.disabled_at.map_or_else(|| "enabled".to_owned(), |at| format!("disabled since {}", at.to_rfc3339()));
    lines.push(("state", state));
    lines.push(("password", if profile.has_password { "set" } else { "none: signs in by a code" }.to_owned()));
    let factor = stored.second_factor.map_or_else(
        || "off".to_owned(),
        |factor| {
            format!("on since {}, {} recovery codes left", factor.created_at.to_rfc3339(), factor.recovery_codes_left)
        },
    );
    lines.push(("second factor", factor));
    let failures = stored.password.failures;
    lines.push(("failed sign-ins", format!("{failures} since the last one that succeeded")));
    lines.push(("sessions", sessions.len().to_string()));
    let mut text = String::new();
    for (name, value) in lines {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{name:16}{value}");
    }
    for session in sessions {
        let device = latchkey::domain::device::in_words(session.device.as_deref());
        let _ = writeln!(
            text,
            "  {}  {device}, {}, last used {}",
            session.id,
            session.address,
            session.last_used_at.to_rfc3339()
        );
    }
    Ok(text.trim_end().to_owned())
}

/// Lists accounts, at most `limit` of them, in the order in which the table returns them.
pub async fn list(store: &Store, limit: usize) -> Result<String, StoreError> {
    let accounts = store.profiles(limit.saturating_add(1)).await?;
    let header = format!("{:16} {:36} {:20} verified  second factor", "phone", "id", "created");
    Ok(listed(&accounts, limit, header, |Profile { user, home, phone_verified, mfa_enabled, created_at, .. }| {
        let phone = home.phone().map_or("(parked)", Phone::as_e164);
        let (verified, factor) = (if *phone_verified { "yes" } else { "no" }, on_or_off(*mfa_enabled));
        format!("{phone:16} {user} {} {verified:9} {factor}", created_at.to_rfc3339())
    }))
}

/// Lists parked accounts, at most `limit` of them, in the order in which the table returns them.
pub async fn list_parked(store: &Store, limit: usize, now: Timestamp) -> Result<String, StoreError> {
    let accounts = store.parked_profiles(limit.saturating_add(1), now).await?;
    let header = format!("{:16} {:36} {:20} second factor", "former phone", "id", "parked until");
    Ok(listed(&accounts, limit, header, |Profile { user, home, mfa_enabled, .. }| {
        let ends_at = home.ends_at().map_or_else(String::new, Timestamp::to_rfc3339);
        format!("{:16} {user} {ends_at} {}", home.number().as_e164(), on_or_off(*mfa_enabled))
    }))
}

/// Returns a line for each of the first `limit` accounts. One more tells that there are more.
fn listed(accounts: &[Profile], limit: usize, header: String, line: impl Fn(&Profile) -> String) -> String {
    let more = (accounts.len() > limit).then(|| "There are more accounts: raise --limit.".to_owned());
    let lines = accounts.iter().take(limit).map(line);
    std::iter::once(header).chain(lines).chain(more).collect::<Vec<_>>().join("\n")
}

fn on_or_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}
