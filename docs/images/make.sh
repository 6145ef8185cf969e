#!/usr/bin/env bash
# Takes the picture in README.md again: Swagger UI beside the message inbox, as `cargo run` serves them. Needs Chromium and curl.
set -euo pipefail
cd "$(dirname "$0")/../.."

chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
inbox=/dev/messages
scratch=$(mktemp -d)
cargo build --quiet
cargo run --quiet -- --memory --port 0 >"$scratch/server.log" &
server=$!
trap 'kill "$server"; rm -rf "$scratch"' EXIT
until url=$(sed -n 's/^Latchkey is ready on //p' "$scratch/server.log") && [ -n "$url" ]; do sleep 0.2; done

# Three people, who read three languages.
post() {
    curl --silent --fail --output /dev/null "$url$1" --header "Accept-Language: $2" --json "$3"
}
for person in "en 01012345678" "ar 01112345678" "uz +998901234567"; do
    read -r language phone <<<"$person"
    post /auth/register "$language" "{\"phone\": \"$phone\", \"password\": \"mypassword\"}"
    post /auth/request-reset "$language" "{\"phone\": \"$phone\"}"
done

shoot() {
    timeout 60 "$chromium" --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --user-data-dir="$scratch/profile" \
        --screenshot="$1" --window-size="$2" "${@:3}" 2>/dev/null
}
shoot "$scratch/docs.png" 800,700 --virtual-time-budget=20000 "$url/docs"
# It looks for new messages for ever, so its time cannot be virtual.
shoot "$scratch/inbox.png" 560,700 "$url$inbox"
cat >"$scratch/both.html" <<'HTML'
<style>
    body { margin: 0; padding: 16px; display: flex; gap: 16px; background: #d0d7de; }
    img { display: block; border-radius: 8px; box-shadow: 0 2px 8px #0004; }
</style>
<img src="docs.png"><img src="inbox.png">
HTML
shoot docs/images/docs-and-inbox.png 1408,732 "file://$scratch/both.html"
ls -l docs/images/docs-and-inbox.png
