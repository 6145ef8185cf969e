//! Rotates secrets as Secrets Manager does, by four steps in order.

use std::time::Duration;

use serde_json::json;

use crate::{clock::Clock, gateway::Gateway, secrets::Secrets, template::Rotation};

const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// Rotates a secret now, whether or not its rotation is due.
pub async fn rotate(gateway: &Gateway, secrets: &Secrets, rotation: &Rotation, clock: &Clock) -> Result<(), String> {
    let token = secrets.begin_rotation(&rotation.secret).map_err(|error| error.to_string())?;
    for step in STEPS {
        let event = json!({"Step": step, "SecretId": rotation.secret, "ClientRequestToken": token});
        gateway.invoke(&rotation.function, event).await?;
    }
    secrets.end_rotation(&rotation.secret, clock.now()).map_err(|error| error.to_string())
}

/// Rotates every secret whose rotation is due, including those that were never rotated.
pub async fn rotate_those_due(
    gateway: &Gateway,
    secrets: &Secrets,
    rotations: &[Rotation],
    clock: &Clock,
) -> Result<(), String> {
    for rotation in rotations {
        let period = Duration::from_hours(24).saturating_mul(rotation.after_days);
        let rotated_at = secrets.rotated_at(&rotation.secret);
        if rotated_at.is_none_or(|rotated_at| clock.now().since(rotated_at) >= period) {
            rotate(gateway, secrets, rotation, clock).await?;
        }
    }
    Ok(())
}
