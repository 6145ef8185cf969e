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

# Measures what a start, a request and a build cost: COMMAND and its arguments, or the list of commands (bench/README.md).
bench *command:
    cargo run --release -p bench -- {{ command }}

# Plays attackers: whether the time of an answer tells who is registered, and what the message budgets stop.
attacks:
    python3 bench/timing.py
    python3 bench/toll_fraud.py
