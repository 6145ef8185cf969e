//! Accounts, by their phones. Whatever is done to one leaves an audit event in the table, and on standard error.

use std::fmt::Write;

use latchkey::{
    base::{id::OperationId, time::Timestamp},
    config::Config,
    domain::phone::Phone,
    log::audit::{Audit, Circumstances, Outcome},
    store::{AccountDeletion, Change, Credential, Profile, Store, StoreError},
    tokens::keys::Secret,
};

/// What is to be done with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Action {
    /// Show it.
    Show,
    /// Let nobody sign in to it, and end every session.
    Disable,
    /// Let its owner sign in again.
    Enable,
    /// End every session.
    EndSessions,
    /// Take its second factor off, and end every session.
    ResetMfa,
    /// Delete it.
    Delete,
}

impl Action {
    /// Its name in the audit log.
    pub const fn event(self) -> &'static str {
        match self {
            Self::Show => "operator-show",
            Self::Disable => "operator-disable",
            Self::Enable => "operator-enable",
            Self::EndSessions => "operator-end-sessions",
            Self::ResetMfa => "operator-reset-mfa",
            Self::Delete => "operator-delete",
        }
    }

    /// What its owner loses; none when nothing.
    pub const fn warning(self) -> Option<&'static str> {
        match self {
            Self::Show | Self::Enable => None,
            Self::Disable => Some("Nobody can sign in to it any more, and every session ends."),
            Self::EndSessions => Some("Every session ends."),
            Self::ResetMfa => Some("From now on the password alone, or a code by SMS, opens it. Every session ends."),
            Self::Delete => Some("It is gone for good, and its phone is free."),
        }
    }
}

/// Who works on what.
#[derive(Clone, Copy, Debug)]
pub struct Desk<'a> {
    /// The table.
    pub store: &'a Store,
    /// The settings.
    pub config: &'a Config,
    /// What hashes phones for the audit log, if it is at hand.
    pub secret: Option<&'a Secret>,
    /// Who does it.
    pub operator: &'a str,
    /// When.
    pub now: Timestamp,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// No account has this phone.
    #[error("no account has this phone")]
    NoAccount,
    /// There is nothing to take off.
    #[error("the account has no second factor")]
    NoFactor,
    /// The account changed at the same moment.
    #[error("the account changed at the same moment, and nothing was done: start again")]
    Outrun,
    /// The table did not answer as it should.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UserError {
    /// Its name in the audit log.
    const fn result(&self) -> &'static str {
        match self {
            Self::NoAccount | Self::NoFactor => "not-found",
            Self::Outrun => "outrun",
            Self::Store(_) => "temporarily-unavailable",
        }
    }
}

/// Does something with an account: what to tell whoever gave the command.
///
/// What changes an account leaves an audit event before it is done, with the result `begun`, and one after: so that none is
/// done unrecorded, whatever breaks in between. `each` is given every event, as it is kept.
pub async fn act(
    desk: Desk<'_>,
    action: Action,
    phone: &Phone,
    mut each: impl FnMut(&str),
) -> Result<String, UserError> {
    let audit = Audit::default();
    audit.phone(phone);
    let request_id = OperationId::generate().map_err(StoreError::from)?.to_string();
    let mut keep = async |outcome: Outcome<'_>| {
        let of = Circumstances {
            event: action.event(),
            now: desk.now,
            address: None,
            operator: Some(desk.operator),
            request_id: &request_id,
        };
        let line = audit.line(of, outcome, desk.secret.map(|secret| &secret.audit));
        let line = serde_json::to_string(&line).map_err(|error| StoreError::Bug(error.into()))?;
        each(&line);
        desk.store.keep_audit_line(&line, desk.now).await
    };
    let account = desk.store.account_by_phone(phone).await?;
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
        // It is done, and that it was begun is on record.
        (Err(error), Ok(said)) => Ok(format!("{said}\nThat it succeeded could not be recorded: {error}.")),
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
            Ok("Disabled: nobody signs in to it, and every session has ended.".to_owned())
        }
        Action::Enable => {
            raised(store.enable_account(profile).await?)?;
            Ok("Enabled: its owner signs in with the password as before.".to_owned())
        }
        Action::EndSessions => {
            raised(store.end_all_sessions(profile).await?)?;
            Ok("Every session has ended.".to_owned())
        }
        Action::ResetMfa if !profile.mfa_enabled => Err(UserError::NoFactor),
        Action::ResetMfa => match store.switch_factor_off(profile, None).await? {
            Change::Done => Ok("The second factor is off, and every session has ended.".to_owned()),
            Change::Overtaken => Err(UserError::Outrun),
        },
        Action::Delete => match store.delete_account(profile, desk.config.tokens.session_ttl, now).await? {
            AccountDeletion::Done => Ok("Deleted; the phone is free.".to_owned()),
            AccountDeletion::Outrun => Err(UserError::Outrun),
        },
    }
}

async fn show(desk: Desk<'_>, profile: &Profile, credential: &Credential) -> Result<String, UserError> {
    let stored = desk.store.stored_account(profile).await?;
    let sessions = desk.store.live_sessions(profile.user, desk.now).await?;
    let mut lines = vec![
        ("id", profile.user.to_string()),
        ("phone", profile.phone.as_e164().to_owned()),
        ("verified", stored.phone_verified_at.map_or_else(|| "no".to_owned(), Timestamp::to_rfc3339)),
        ("created", profile.created_at.to_rfc3339()),
    ];
    lines.extend(profile.legacy_id.map(|id| ("legacy id", id.to_string())));
    let state =
        credential.disabled_at.map_or_else(|| "enabled".to_owned(), |at| format!("disabled since {}", at.to_rfc3339()));
    lines.push(("state", state));
    let factor = stored.second_factor.map_or_else(
        || "off".to_owned(),
        |factor| {
            format!("on since {}, {} recovery codes left", factor.created_at.to_rfc3339(), factor.recovery_codes_left)
        },
    );
    lines.push(("second factor", factor));
    let failures = stored.password.failures;
    lines.push(("wrong passwords", format!("{failures} since the last right one")));
    lines.push(("sessions", sessions.len().to_string()));
    let mut text = String::new();
    for (name, value) in lines {
        // Writing to a text cannot fail.
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
