//! Latchkey as its clients see it: over HTTP, against the embedded DynamoDB, through the real SDK.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod activate;
mod admin;
mod alarms;
mod audit;
mod authenticators;
mod authorizer;
mod bad_input;
mod change_password;
mod change_phone;
mod change_phone_verify;
mod code;
mod code_resend;
mod code_verify;
mod contract;
mod cors;
mod costs;
mod countries;
mod crashes;
mod devices;
mod docs;
mod documents;
mod events;
mod faults;
mod floors;
mod flows;
mod front;
mod harness;
mod health;
mod import;
mod interleavings;
mod invariants;
mod jwks;
mod jwt_attacks;
mod key_removal;
mod keyring;
mod least_privilege;
mod log_watch;
mod login;
mod login_mfa;
mod logout;
mod logout_all;
mod master_secret;
mod me;
mod me_delete;
mod me_export;
mod members;
mod mfa_confirm;
mod mfa_disable;
mod mfa_enroll;
mod mfa_recovery_codes;
mod notices;
mod openid_configuration;
mod origin;
mod outage;
mod passwords;
mod pots;
mod proofs;
mod races;
mod recover;
mod recycled;
mod refresh;
mod register;
mod renewals;
mod repeats;
mod repeats_in_sessions;
mod request_reset;
mod resend_activation;
mod revoke;
mod rotate_keys;
mod round_trips;
mod server;
mod sessions;
mod set_password;
mod sms;
mod start_anew;
mod step_up;
mod store;
mod toll_fraud;
mod typed;
mod variables;
mod verify_phone;
mod verify_phone_confirm;
mod verify_reset;
