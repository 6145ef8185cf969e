//! What people have and type: phones, passwords, codes and what is proved by them. No table, no network, no clock.

pub mod device;
pub mod otp;
pub mod password;
pub mod phone;
pub mod proof;
pub mod recovery_code;
pub mod totp;
