//! One-time codes as endpoints use them: issued and sent, tried and compared.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{App, SmsSubjects},
    context::Context,
    error::ApiError,
    id::ChallengeId,
    metrics::Metric,
    otp::{Binding, OtpCode, OtpMac, Purpose},
    phone::Phone,
    sms::{Delivery, Message},
    store::{CodeAttempt, CodeIssue, CodeTarget, NewCode, PendingCode},
};

/// That a code is on its way.
#[derive(Serialize, ToSchema)]
pub struct CodeSentResponse {
    /// The code, for development: only with `OTP_EXPOSE`. For a phone without an account it is one that nobody takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "042424")]
    pub otp: Option<String>,
}

/// A code that was issued.
#[derive(Debug)]
pub struct IssuedCode {
    /// What came of its message; none when nothing was sent.
    pub delivery: Option<Delivery>,
    /// The code itself, when codes are in answers (`OTP_EXPOSE`).
    pub exposed: Option<String>,
}

/// Issues a code under the cooldown and the budgets, and sends it when there is an account that it is for.
///
/// For a phone without an account everything is the same but the message: the code is bound to nobody and opens nothing.
/// What certainly was not sent is no code.
pub async fn issue(
    app: &App,
    ctx: &Context,
    purpose: Purpose,
    phone: &Phone,
    target: CodeTarget,
) -> Result<IssuedCode, ApiError> {
    let secret = app.keyring.secret(ctx.now).await?;
    let test_code = app.test_code(phone).cloned();
    let is_test = test_code.is_some();
    let code = test_code.map_or_else(OtpCode::generate, Ok)?;
    let challenge = ChallengeId::generate()?;
    let user = target.account.map(|(user, _)| user);
    let mac = OtpMac::new(&secret.otp, Binding { purpose, phone, user, challenge }, &code);

    let settings = app.config.otp;
    let (now, ttl, cooldown) = (ctx.now, settings.ttl, settings.resend_cooldown);
    let new_code = NewCode { purpose, phone, target, challenge, mac: &mac, now, ttl, cooldown };
    let subjects = SmsSubjects::new(phone, ctx);
    let budgets = app.sms_budgets(&subjects);
    // A test number is sent nothing, and so costs nothing.
    match app.store.issue_code(new_code, if is_test { &[] } else { &budgets }).await? {
        CodeIssue::Issued => {}
        CodeIssue::LimitReached(reached) => return Err(app.sms_limit_reached(reached, now)),
    }

    let mut delivery = None;
    if target.account.is_some() && !is_test {
        let message = Message::with_code(&app.config.sms.text, purpose, ctx.language, phone, &code, now);
        let outcome = app.send(message).await;
        let is_sent = matches!(outcome, Delivery::Sent | Delivery::Unknown);
        let metric = if is_sent { Metric::CodesSent } else { Metric::CodesNotSent };
        app.metrics.count(metric, &phone.country_code(), now);
        if !is_sent {
            app.store.withdraw_code(phone, purpose, challenge, now).await?;
        }
        delivery = Some(outcome);
    }
    Ok(IssuedCode { delivery, exposed: settings.expose.then(|| code.reveal().to_owned()) })
}

/// Counts a try of a code, and only then compares it.
///
/// Whoever is over the address's limit does not use up the code's tries. Wrong, expired, used and unknown codes get one
/// answer.
pub async fn compare(
    app: &App,
    ctx: &Context,
    purpose: Purpose,
    phone: &Phone,
    typed: &OtpCode,
) -> Result<PendingCode, ApiError> {
    let secret = app.keyring.secret(ctx.now).await?;
    let max_attempts = app.config.otp.max_attempts;
    let (allowed, attempt) = tokio::try_join!(
        app.charge_sign_in_attempt(ctx),
        app.store.spend_code_attempt(phone, purpose, max_attempts, ctx.now)
    )?;
    let pending = match (allowed, attempt) {
        (Ok(()), CodeAttempt::Admitted { code, .. }) => code,
        (Ok(()), CodeAttempt::None) => return Err(ApiError::InvalidOtp),
        (Err(reached), CodeAttempt::Admitted { receipt, .. }) => {
            app.store.take_back(receipt).await?;
            return Err(reached.into());
        }
        (Ok(()), CodeAttempt::LimitReached(reached))
        | (Err(reached), CodeAttempt::None | CodeAttempt::LimitReached(_)) => return Err(reached.into()),
    };
    let user = pending.account.map(|(user, _)| user);
    let binding = Binding { purpose, phone, user, challenge: pending.challenge };
    if pending.mac.matches(&secret.otp, binding, typed) { Ok(pending) } else { Err(ApiError::InvalidOtp) }
}

/// Counts a code that came back and did what it was for.
pub fn count_verified(app: &App, ctx: &Context, phone: &Phone) {
    app.metrics.count(Metric::CodesVerified, &phone.country_code(), ctx.now);
}
