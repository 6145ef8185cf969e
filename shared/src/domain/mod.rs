//! What people own and type: phones, passwords, codes, and the proofs that these give. This code uses no table, no
//! network and no clock.

pub mod device;
pub mod legacy_id;
mod numbering;
pub mod otp;
pub mod password;
pub mod phone;
pub mod proof;
pub mod recovery_code;
pub mod repeat;
pub mod sealed;
pub mod spelling;
pub mod totp;
