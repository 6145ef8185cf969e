//! The types of members that request bodies have: how each is read, and the schema of exactly that.
//!
//! A schema describes the form that programs send. People's other spellings of the same value are read as well
//! (docs/adr/0026-one-spelling-before-anything-is-counted.md), and a test refuses everything else.

use std::{convert::Infallible, fmt::Display};

use utoipa::openapi::{
    KnownFormat, SchemaFormat,
    schema::{ObjectBuilder, Type},
};

use super::{
    body::{BodySchema, Form, Member},
    fields::Fields,
};
use crate::{
    config::Config,
    domain::{
        otp::{self, InvalidOtpCode, OtpCode},
        password::{self, InvalidPassword, NewPassword, Password},
        phone::{InvalidPhone, KnownPhone, Phone},
        proof::Proof,
        recovery_code::{InvalidRecoveryCode, RecoveryCode},
    },
    tokens::refresh::{InvalidAttempt, RefreshAttempt},
};

/// A member that is a text.
trait Text: Sized {
    /// An example, as programs send it.
    const EXAMPLE: &'static str;
    /// The reason why a text is refused.
    type Error: Display;

    /// Reads the text.
    fn parse(text: &str, config: &Config) -> Result<Self, Self::Error>;

    /// Returns the rules for the text.
    fn rules() -> ObjectBuilder;
}

/// Returns the schema of a text, with an example.
fn text<T: Text>(example: Option<&str>) -> ObjectBuilder {
    T::rules().schema_type(Type::String).examples([example.unwrap_or(T::EXAMPLE)])
}

impl<T: Text> Member for T {
    fn read(fields: &mut Fields<'_>, name: &'static str) -> Option<Self> {
        let config = fields.config();
        fields.text(name, |text| T::parse(text, config))
    }

    fn describe(schema: &mut BodySchema, name: &'static str, comment: &[&str], example: Option<&str>) {
        schema.required(name, comment, text::<T>(example));
    }
}

impl<T: Text> Member for Option<T> {
    fn read(fields: &mut Fields<'_>, name: &'static str) -> Option<Self> {
        if fields.has(name) { T::read(fields, name).map(Some) } else { Some(None) }
    }

    fn describe(schema: &mut BodySchema, name: &'static str, comment: &[&str], example: Option<&str>) {
        schema.optional(name, comment, text::<T>(example));
    }
}

/// The password of the caller's account, which is required if the account has one.
pub struct OwnPassword(pub Option<Password>);

impl Member for OwnPassword {
    fn read(fields: &mut Fields<'_>, name: &'static str) -> Option<Self> {
        let password = if fields.requires_password() {
            Password::read(fields, name).map(Some)
        } else {
            Option::<Password>::read(fields, name)
        };
        password.map(Self)
    }

    fn describe(schema: &mut BodySchema, name: &'static str, comment: &[&str], example: Option<&str>) {
        schema.optional(name, comment, text::<Password>(example));
    }
}

impl Member for bool {
    fn read(fields: &mut Fields<'_>, name: &'static str) -> Option<Self> {
        fields.flag(name)
    }

    fn describe(schema: &mut BodySchema, name: &'static str, comment: &[&str], _example: Option<&str>) {
        let flag = ObjectBuilder::new().schema_type(Type::Boolean).examples([true]);
        schema.optional(name, comment, flag);
    }
}

/// The longest spelling of a phone that programs send: a dialing prefix and the fifteen digits of E.164.
const PHONE_PATTERN: &str = r"^\+?[0-9]{4,18}$";

/// Returns the rules for phones. Only the numbering plans tell which numbers exist, so that the format names them.
fn phone_rules() -> ObjectBuilder {
    ObjectBuilder::new().format(Some(SchemaFormat::Custom("phone".to_owned()))).pattern(Some(PHONE_PATTERN))
}

/// A phone that may get an account or a message, by the rules of `PHONE_*`.
impl Text for Phone {
    type Error = InvalidPhone;

    const EXAMPLE: &'static str = "01012345678";

    fn parse(text: &str, config: &Config) -> Result<Self, InvalidPhone> {
        config.phones.parse(text)
    }

    fn rules() -> ObjectBuilder {
        phone_rules()
    }
}

/// A phone that is only looked up, whether or not the rules of `PHONE_*` would accept it today.
impl Text for KnownPhone {
    type Error = InvalidPhone;

    const EXAMPLE: &'static str = Phone::EXAMPLE;

    fn parse(text: &str, config: &Config) -> Result<Self, InvalidPhone> {
        config.phones.look_up(text).map(Self)
    }

    fn rules() -> ObjectBuilder {
        phone_rules()
    }
}

/// Returns the rules for passwords: no control characters.
fn password_rules(min_length: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        .min_length(Some(min_length))
        .max_length(Some(password::MAX_LENGTH))
        .pattern(Some(r"^[^\x00-\x1f\x7f-\x9f]*$"))
}

/// A password that is compared with a stored one; the rules of `PASSWORD_*` do not apply to it.
impl Text for Password {
    type Error = InvalidPassword;

    const EXAMPLE: &'static str = "mypassword";

    fn parse(text: &str, _: &Config) -> Result<Self, InvalidPassword> {
        Self::parse(text)
    }

    fn rules() -> ObjectBuilder {
        password_rules(1)
    }
}

/// A new password, by the rules of `PASSWORD_*`.
impl Text for NewPassword {
    type Error = InvalidPassword;

    const EXAMPLE: &'static str = Password::EXAMPLE;

    fn parse(text: &str, config: &Config) -> Result<Self, InvalidPassword> {
        config.passwords.parse(text)
    }

    fn rules() -> ObjectBuilder {
        password_rules(password::LEAST_MIN_LENGTH)
    }
}

/// A one-time code, or a TOTP code: both are six digits.
impl Text for OtpCode {
    type Error = InvalidOtpCode;

    const EXAMPLE: &'static str = "123456";

    fn parse(text: &str, _: &Config) -> Result<Self, InvalidOtpCode> {
        text.parse()
    }

    fn rules() -> ObjectBuilder {
        ObjectBuilder::new().pattern(Some(format!("^[0-9]{{{}}}$", otp::DIGITS)))
    }
}

/// A value that the client made at random.
impl Text for RefreshAttempt {
    type Error = InvalidAttempt;

    const EXAMPLE: &'static str = "5bca2cf1-3a57-4f6b-9c1c-8f8f7f2f1072";

    fn parse(text: &str, _: &Config) -> Result<Self, InvalidAttempt> {
        text.parse()
    }

    fn rules() -> ObjectBuilder {
        ObjectBuilder::new()
            .min_length(Some(*Self::LENGTHS.start()))
            .max_length(Some(*Self::LENGTHS.end()))
            .pattern(Some("^[A-Za-z0-9._~+/=-]+$"))
    }
}

/// A TOTP code or a recovery code, of which exactly one must be present.
impl Member for Proof {
    fn read(fields: &mut Fields<'_>, _name: &'static str) -> Option<Self> {
        let proof = Option::<Self>::read(fields, CODE)?;
        if proof.is_none() {
            fields.lacks(CODE, ", or `recovery_code` instead");
        }
        proof
    }

    fn describe(schema: &mut BodySchema, _name: &'static str, comment: &[&str], example: Option<&str>) {
        const FORMS: &[Form] = &[with(&[CODE]), with(&[RECOVERY_CODE])];
        schema.choice(proof_members(comment, example), FORMS);
    }
}

/// A TOTP code or a recovery code, of which at most one may be present.
impl Member for Option<Proof> {
    fn read(fields: &mut Fields<'_>, _name: &'static str) -> Option<Self> {
        match (fields.has(CODE), fields.has(RECOVERY_CODE)) {
            (true, false) => fields.text(CODE, totp).map(|code| Some(Proof::Totp(code))),
            (false, true) => fields.text(RECOVERY_CODE, recovery_code).map(|code| Some(Proof::Recovery(code))),
            (true, true) => {
                fields.refuse(RECOVERY_CODE, &"must not be sent together with `code`");
                None
            }
            (false, false) => Some(None),
        }
    }

    fn describe(schema: &mut BodySchema, _name: &'static str, comment: &[&str], example: Option<&str>) {
        // The first form includes the absence of both.
        const FORMS: &[Form] = &[Form { with: &[], perhaps_with: &[CODE] }, with(&[RECOVERY_CODE])];
        schema.choice(proof_members(comment, example), FORMS);
    }
}

const CODE: &str = "code";
const RECOVERY_CODE: &str = "recovery_code";

/// Returns the form that has these of the chosen members and no others.
const fn with(names: &'static [&'static str]) -> Form {
    Form { with: names, perhaps_with: &[] }
}

/// Returns the two members of a second factor. `comment` and `example` are those of the TOTP code.
fn proof_members<'a>(
    comment: &'a [&'a str],
    example: Option<&str>,
) -> [(&'static str, &'a [&'a str], ObjectBuilder); 2] {
    let totp = text::<OtpCode>(Some(example.unwrap_or("654321")));
    let recovery_code = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(RecoveryCode::PATTERN))
        .examples(["9QK2-7H3M-5TZA-0C8W-RJ4E-VX6P"]);
    [(CODE, comment, totp), (RECOVERY_CODE, &[" A recovery code, in place of `code`."], recovery_code)]
}

/// What a step-up takes: one first factor with or without a second one, or a second factor alone.
pub enum StepUpProofs {
    /// The password, and a second factor if one was sent.
    Password(Password, Option<Proof>),
    /// The challenge and the code by SMS, and a second factor if one was sent.
    Code(SealedChallenge, OtpCode, Option<Proof>),
    /// The second factor alone.
    SecondFactor(Proof),
}

impl Member for StepUpProofs {
    fn read(fields: &mut Fields<'_>, _name: &'static str) -> Option<Self> {
        let password = Option::<Password>::read(fields, PASSWORD);
        let challenge = Option::<SealedChallenge>::read(fields, CHALLENGE);
        let otp = Option::<OtpCode>::read(fields, OTP);
        let second = Option::<Proof>::read(fields, CODE);
        let (name, why) = match (password?, challenge?, otp?, second?) {
            (None, Some(_), None, _) => {
                fields.lacks(OTP, " with `challenge`");
                return None;
            }
            (Some(password), None, None, second) => return Some(Self::Password(password, second)),
            (None, Some(challenge), Some(otp), second) => return Some(Self::Code(challenge, otp, second)),
            (None, None, None, Some(second)) => return Some(Self::SecondFactor(second)),
            (Some(_), ..) => (CHALLENGE, "must not be sent together with `password`"),
            (None, None, Some(_), _) => (CHALLENGE, "is required with `otp`"),
            (None, None, None, None) => {
                (PASSWORD, "is required, or `challenge` with `otp`, or `code`, or `recovery_code` instead")
            }
        };
        fields.refuse(name, &why);
        None
    }

    fn describe(schema: &mut BodySchema, _name: &'static str, comment: &[&str], example: Option<&str>) {
        const FORMS: &[Form] = &[
            Form { with: &[PASSWORD], perhaps_with: &[CODE] },
            with(&[PASSWORD, RECOVERY_CODE]),
            Form { with: &[CHALLENGE, OTP], perhaps_with: &[CODE] },
            with(&[CHALLENGE, OTP, RECOVERY_CODE]),
            with(&[CODE]),
            with(&[RECOVERY_CODE]),
        ];
        let first: [(_, &[&str], _); 3] = [
            (PASSWORD, &[" The account's password."], text::<Password>(None)),
            (
                CHALLENGE,
                &[" The `challenge` from the response of `POST /auth/code` for the account's own phone."],
                // An empty one is none, and then something else is required.
                text::<SealedChallenge>(None).min_length(Some(1)),
            ),
            (OTP, &[" The six digits of its code."], text::<OtpCode>(None)),
        ];
        schema.choice(first.into_iter().chain(proof_members(comment, example)), FORMS);
    }
}

/// What a reset takes: the phone or the challenge that its code belongs to, and a second factor if one was sent.
pub struct ResetProofs {
    /// What the code belongs to.
    pub asked: ResetAsked,
    /// The second factor.
    pub second: Option<Proof>,
}

/// What the code of a reset belongs to.
pub enum ResetAsked {
    /// The phone that it was sent to, with the tries of everybody who names the phone.
    Phone(KnownPhone),
    /// The challenge of the request that it was sent for, with tries of its own.
    Challenge(SealedChallenge),
}

impl Member for ResetProofs {
    fn read(fields: &mut Fields<'_>, _name: &'static str) -> Option<Self> {
        let phone = Option::<KnownPhone>::read(fields, PHONE);
        let challenge = Option::<SealedChallenge>::read(fields, CHALLENGE);
        let second = Option::<Proof>::read(fields, CODE);
        let (name, why) = match (phone?, challenge?) {
            (Some(phone), None) => return Some(Self { asked: ResetAsked::Phone(phone), second: second? }),
            (None, Some(challenge)) => {
                return Some(Self { asked: ResetAsked::Challenge(challenge), second: second? });
            }
            (Some(_), Some(_)) => (CHALLENGE, "must not be sent together with `phone`"),
            (None, None) => (PHONE, "is required, or `challenge` instead"),
        };
        fields.refuse(name, &why);
        None
    }

    fn describe(schema: &mut BodySchema, _name: &'static str, comment: &[&str], example: Option<&str>) {
        const FORMS: &[Form] = &[
            Form { with: &[PHONE], perhaps_with: &[CODE] },
            with(&[PHONE, RECOVERY_CODE]),
            Form { with: &[CHALLENGE], perhaps_with: &[CODE] },
            with(&[CHALLENGE, RECOVERY_CODE]),
        ];
        let asked: [(_, &[&str], _); 2] = [
            (
                PHONE,
                &[
                    " The phone that the code was sent to, in any spelling. Everybody who names the phone shares its tries,",
                    " so send `challenge` instead.",
                ],
                text::<KnownPhone>(None),
            ),
            (
                CHALLENGE,
                &[" The `challenge` from the response of `POST /auth/request-reset`, in place of `phone`."],
                // An empty one is none, and then something else is required.
                text::<SealedChallenge>(None).min_length(Some(1)),
            ),
        ];
        schema.choice(asked.into_iter().chain(proof_members(comment, example)), FORMS);
    }
}

/// The second step of a sign-in: a second factor, or the password where the first step was a code.
pub enum SecondStepProof {
    /// The second factor.
    Factor(Proof),
    /// The account's password.
    Password(Password),
}

impl Member for SecondStepProof {
    fn read(fields: &mut Fields<'_>, _name: &'static str) -> Option<Self> {
        let factor = Option::<Proof>::read(fields, CODE);
        let password = Option::<Password>::read(fields, PASSWORD);
        match (factor?, password?) {
            (Some(factor), None) => return Some(Self::Factor(factor)),
            (None, Some(password)) => return Some(Self::Password(password)),
            (Some(_), Some(_)) => fields.refuse(PASSWORD, &"must not be sent together with a second factor"),
            (None, None) => fields.lacks(CODE, ", or `recovery_code` or `password` instead"),
        }
        None
    }

    fn describe(schema: &mut BodySchema, _name: &'static str, comment: &[&str], example: Option<&str>) {
        const FORMS: &[Form] = &[with(&[CODE]), with(&[RECOVERY_CODE]), with(&[PASSWORD])];
        let password: (_, &[&str], _) = (
            PASSWORD,
            &[" The account's password, if the first step asked for it (`identity-required`)."],
            text::<Password>(None),
        );
        schema.choice(proof_members(comment, example).into_iter().chain([password]), FORMS);
    }
}

/// What opens a parked account: the password with or without a second factor, or a second factor alone.
pub enum RecoveryProofs {
    /// The password, and a second factor if one was sent.
    Password(Password, Option<Proof>),
    /// The second factor alone.
    SecondFactor(Proof),
}

impl Member for RecoveryProofs {
    fn read(fields: &mut Fields<'_>, _name: &'static str) -> Option<Self> {
        let password = Option::<Password>::read(fields, PASSWORD);
        let second = Option::<Proof>::read(fields, CODE);
        match (password?, second?) {
            (Some(password), second) => Some(Self::Password(password, second)),
            (None, Some(second)) => Some(Self::SecondFactor(second)),
            (None, None) => {
                fields.refuse(PASSWORD, &"is required, or `code` or `recovery_code` instead");
                None
            }
        }
    }

    fn describe(schema: &mut BodySchema, _name: &'static str, comment: &[&str], example: Option<&str>) {
        const FORMS: &[Form] = &[
            Form { with: &[PASSWORD], perhaps_with: &[CODE] },
            with(&[PASSWORD, RECOVERY_CODE]),
            with(&[CODE]),
            with(&[RECOVERY_CODE]),
        ];
        let password: (_, &[&str], _) =
            (PASSWORD, &[" The account's password, required if it has one."], text::<Password>(None));
        schema.choice([password].into_iter().chain(proof_members(comment, example)), FORMS);
    }
}

const PASSWORD: &str = "password";
const PHONE: &str = "phone";
const CHALLENGE: &str = "challenge";
const OTP: &str = "otp";

/// Reads a TOTP code. A recovery code in its place is told from a typing mistake.
fn totp(typed: &str) -> Result<OtpCode, String> {
    // First, because six digits that stand alone within a recovery code are none of an authenticator.
    match typed.parse::<RecoveryCode>() {
        Ok(_) => Err("is a recovery code: send it as `recovery_code`".to_owned()),
        Err(_) => typed.parse().map_err(|error: InvalidOtpCode| error.to_string()),
    }
}

/// Reads a recovery code. A TOTP code in its place is told from a typing mistake.
fn recovery_code(typed: &str) -> Result<RecoveryCode, String> {
    typed.parse().map_err(|error: InvalidRecoveryCode| match typed.parse::<OtpCode>() {
        Ok(_) => "is a code of an authenticator: send it as `code`".to_owned(),
        Err(_) => error.to_string(),
    })
}

macro_rules! sealed_texts {
    ($($(#[doc = $doc:literal])+ $name:ident: $example:literal;)+) => {$(
        $(#[doc = $doc])+
        pub struct $name(pub String);

        impl Text for $name {
            type Error = Infallible;

            const EXAMPLE: &'static str = $example;

            fn parse(text: &str, _: &Config) -> Result<Self, Infallible> {
                // None of them begins or ends with white space, which comes with a paste or from a file.
                Ok(Self(text.trim().to_owned()))
            }

            fn rules() -> ObjectBuilder {
                ObjectBuilder::new()
            }
        }
    )+};
}

// Texts that only we make and read, so that clients need no rules for them. The endpoint opens them, because that takes
// a key.
sealed_texts! {
    /// A refresh token, which is not opened yet.
    SealedRefreshToken: "AgFcDHoOalVMQJ5ED3p9PIo7C28cXjwfTQqdVTocj38vEAAAAAD8LAP06oiFrsrjx5CboGIiZdj1fwz0wbhzLyragoy4e_LY\
        pMux43x1JjaZ776kelDxNvfJ1nIhMLwx1bjIhU1O";
    /// A refresh token or an access token, which is not opened yet.
    RevocableToken: "AgFcDHoOalVMQJ5ED3p9PIo7C28cXjwfTQqdVTocj38vEAAAAAD8LAP06oiFrsrjx5CboGIiZdj1fwz0wbhzLyragoy4e_LY\
        pMux43x1JjaZ776kelDxNvfJ1nIhMLwx1bjIhU1O";
    /// The kind of such a token, by RFC 7009. Every text is one, since a wrong hint must not keep a token alive.
    TokenTypeHint: "refresh_token";
    /// An `activation_id`, which is not opened yet.
    SealedActivationId: "AgEzsdeoQaw0DxD6EjhlwFmKjTCmFY1rTt3ZA8lAp1xxFZCyiOQGDAcGm5zGS09qu01k92EfCHLWoBQ2LiYPl88y";
    /// A `challenge`, which is not opened yet.
    SealedChallenge: "AgEeCcwHcfsWzCKOjAFM1ycqbUal95XJWhGfmI8KTi2oAQ9uQ6coaYr3BHaMwLxAy7nnEukmfkfNGcFel84bANFA";
    /// A `device_token`, which is not opened yet. Every text is one, since a device whose token has ended must still sign in.
    SealedDeviceToken: "AQFPTR3blHLHYSIBwIFJCFIDYPVqCLsVs7OrqKJtYBVwbbbYKLOTqCrhUbwMXZrnPvnPvz6g2nF0mUXDBLnz9GPVzyPOKZBl3g5kU1Ig";
    /// An `mfa_token`, which is not verified yet.
    UnverifiedMfaToken: "eyJ0eXAiOiJtZmErand0IiwiYWxnIjoiRVMyNTYiLCJraWQiOiJleGFtcGxlIn0.\
        eyJleGFtcGxlIjp0cnVlfQ.bm90LWEtcmVhbC1zaWduYXR1cmU";
}
