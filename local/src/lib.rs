//! The dev server: API Gateway, Lambda and DynamoDB in one process, from `template.yaml`.

pub mod clock;
pub mod console;
pub mod data_folder;
pub mod emulator;
mod event;
pub mod gate;
pub mod gateway;
mod html;
mod messages_page;
mod qr_page;
pub mod registry;
pub mod rotation;
pub mod secrets;
pub mod server;
pub mod settings;
pub mod start_page;
pub mod template;
mod users_page;
