//! A function as AWS's documentation starts one: the SDK's defaults.

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    bare::serve(aws_sdk_dynamodb::Client::new(&config)).await
}
