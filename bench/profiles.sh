#!/usr/bin/env bash
# Builds one function that hashes and one that does not in six release profiles, for `bench profiles`:
#   bash bench/profiles.sh && cargo run -p bench -- profiles --binaries target/profiles
# Takes half an hour on two cores. NAME.seconds is the CPU time of NAME's own build, after everything it depends on.
set -euo pipefail
cd "$(dirname "$0")/.."

builds=target/profiles
for level in 3 s; do
    for lto in off thin fat; do
        folder="$builds/$level, lto $lto"
        mkdir -p "$folder"
        export CARGO_TARGET_DIR=$builds/build CARGO_PROFILE_RELEASE_LTO=$lto CARGO_PROFILE_RELEASE_OPT_LEVEL=$level
        cargo build --locked --release --bin me --bin login
        for function in me login; do
            touch "functions/$function/src/main.rs"
            TIMEFORMAT="%U %S"
            { time cargo build --quiet --locked --release --bin "$function"; } 2>"$builds/time"
            awk '{ print $1 + $2 }' "$builds/time" >"$folder/$function.seconds"
            cp "$CARGO_TARGET_DIR/release/$function" "$folder/"
        done
        rm -rf "$CARGO_TARGET_DIR"
    done
done
