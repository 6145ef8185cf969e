# The commands of README.md and CONTRIBUTING.md under short names (https://just.systems).

# Lists these commands.
default:
    @just --list

# Serves everything on http://127.0.0.1:8000; takes the options of `cargo run -- --help`.
run *options:
    cargo run -- {{ options }}

# Runs every test, or those whose names contain FILTER.
test *filter:
    cargo test {{ filter }}

# Runs every check that CI runs.
check:
    bash .ci/run

# Measures whether the time of an answer tells who is registered, and what the message budgets stop.
bench:
    python3 bench/timing.py
    python3 bench/toll_fraud.py
