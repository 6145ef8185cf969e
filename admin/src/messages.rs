//! Sends a test message, by the same channel and settings as the functions.

use latchkey::{
    base::{fault::Source, time::Timestamp},
    domain::phone::Phone,
    keyring::Keyring,
    messages::{Channel, Content, DEADLINE, Delivery, Message, Provider},
};
use operator::Connection;

/// Sends a test message to this phone. Returns whether it may arrive, and the text to show to the operator. Fails if no
/// HTTPS client can be created.
pub async fn test(connection: &Connection, to: Phone, now: Timestamp) -> Result<(bool, String), Source> {
    let Connection { store, clients, config, .. } = connection;
    let message = Message { to, content: Content::Test, language: None, at: now };
    if config.sms.provider == Provider::Log {
        let text = config.sms.text.write(&message.content, None);
        return Ok((false, format!("Nothing was sent, because SMS_PROVIDER is log. The text would be: {text}")));
    }
    let keyring = Keyring::new(store.clone(), clients.secrets.clone(), &config.keys);
    let channel = Channel::new(&config.sms, clients.sns.clone(), None)?;
    let said = match channel.send(&config.sms, &keyring, &message, DEADLINE).await {
        Delivery::Sent => return Ok((true, "Sent: the provider accepted the message.".to_owned())),
        Delivery::Unknown => {
            return Ok((true, "Unknown: the provider did not answer in time. The message may arrive.".to_owned()));
        }
        Delivery::Refused(why) => format!("Refused: the provider does not send to this number: {why}."),
        Delivery::NotSent(why) => format!("Not sent: {why}."),
        Delivery::Doubtful(why) => format!("Probably not sent: {why}."),
    };
    Ok((false, said))
}
