//! What both functions have in common: each request reads one item of the table, consistently, and answers with it.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use lambda_http::{Body, Error, Request, Response, run, service_fn};

/// Serves requests until the sandbox ends.
pub async fn serve(client: Client) -> Result<(), Error> {
    let table = std::env::var("TABLE_NAME")?;
    let (client, table) = (&client, table.as_str());
    run(service_fn(move |_: Request| answer(client, table))).await
}

/// The item of the public keys: every table of Latchkey has it.
async fn answer(client: &Client, table: &str) -> Result<Response<Body>, Error> {
    let key = |value: &str| AttributeValue::S(value.to_owned());
    let read = client.get_item().table_name(table).key("pk", key("KEYS")).key("sk", key("JWKS")).consistent_read(true);
    let item = read.send().await?.item.ok_or("the item is not there")?;
    let keys = item.get("public_keys").and_then(|value| value.as_s().ok()).ok_or("the item has no keys")?;
    Ok(Response::builder().header("content-type", "application/json").body(keys.clone().into())?)
}
