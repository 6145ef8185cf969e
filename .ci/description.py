"""Holds the OpenAPI description to what others make of it: two linters, a fuzzer, and two generators of clients.

Usage: description.py CACHE (a folder with node_modules of .ci/description; Python's packages are those of this venv)
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import urllib.request

from dev_server import dev_server

HERE = pathlib.Path(__file__).resolve().parent / "description"
PROGRAMS = pathlib.Path(sys.executable).parent
# A fuzzer from one address meets every limit at once, and no limit is what it is to find.
LIMITS = [f"LIMIT_{name}=1000000" for name in (
    "LOGIN_PER_ADDRESS", "REGISTER_PER_ADDRESS", "MESSAGES_PER_ADDRESS", "MESSAGES_PER_PHONE", "MESSAGES_PER_COUNTRY",
    "MESSAGES_TOTAL")]
# Few examples of each operation, always the same ones. The dev server hashes passwords without optimization.
FUZZ = ["--seed", "1", "--max-examples", "5", "--phases", "examples,coverage,fuzzing", "--generation-database", "none",
        "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
        "response_headers_conformance,valid_requests_are_read", "--no-color", "--request-timeout", "30"]


def run(*command, **options):
    """Runs a command and ends the check with its output if it fails."""
    environment = os.environ | {"REDOCLY_TELEMETRY": "off", "SCARF_ANALYTICS": "false"} | options.pop("env", {})
    done = subprocess.run([str(part) for part in command], env=environment, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def lint(work, description):
    """Runs both linters, for which a warning is an error."""
    tools = work / "node_modules" / ".bin"
    found = run(tools / "redocly", "lint", "--extends", "recommended", "--format", "stylish", description)
    if "warning" in found.lower():
        sys.exit(found)
    print(found.strip().splitlines()[-1])
    ruleset = work / "spectral.yaml"
    ruleset.write_text('extends: ["spectral:oas"]\n')
    print("spectral:", run(tools / "spectral", "lint", "--fail-severity", "hint", "--ruleset", ruleset, description).strip())
    # Linters that find nothing in anything would pass as well.
    broken = work / "broken.json"
    problem = '"$ref":"#/components/schemas/Problem"'
    broken.write_text(description.read_text().replace(problem, '"$ref":"#/nothing"', 1))
    with contextlib.suppress(SystemExit):
        run(tools / "spectral", "lint", "--ruleset", ruleset, broken)
        raise AssertionError("spectral passed a reference that leads nowhere")


def typescript(work, description, url):
    """Generates types by openapi-typescript, compiles a client with them, and signs in with it."""
    tools = work / "node_modules" / ".bin"
    run(tools / "openapi-typescript", description, "--output", work / "schema.d.ts")
    shutil.copy(HERE / "client.ts", work / "client.ts")
    run(tools / "tsc", "--strict", "--noUncheckedIndexedAccess", "--target", "es2022", "--module", "nodenext",
        "--moduleResolution", "nodenext", "--types", "node", "--skipLibCheck", work / "client.ts", cwd=work)
    print(run("node", work / "client.js", url, sys.executable, cwd=HERE.parent.parent).strip())


def python(work, description, url):
    """Generates a client by openapi-python-client and signs in with it."""
    package = work / "latchkey_client"
    shutil.rmtree(package, ignore_errors=True)
    configuration = work / "python.yaml"
    configuration.write_text("post_hooks: []\n")
    made = run(PROGRAMS / "openapi-python-client", "generate", "--path", description, "--output-path", package,
               "--meta", "none", "--config", configuration)
    if "warning" in made.lower():
        sys.exit(made)
    print(run(sys.executable, HERE / "client.py", url, env={"PYTHONPATH": str(work)}).strip())


def fuzz(work, url):
    """Sends requests that fit the description, and requests that do not, by schemathesis."""
    report = run(PROGRAMS / "schemathesis", "run", f"{url}/openapi.json", *FUZZ, cwd=work,
                 env={"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)})
    print(report[report.rfind("SUMMARY"):].strip(" =\n"))


def main():
    """Runs everything over one dev server."""
    work = pathlib.Path(sys.argv[1]).resolve()
    options = [part for limit in LIMITS for part in ("--env", limit)]
    with dev_server("--memory", *options) as url:
        description = work / "openapi.json"
        with urllib.request.urlopen(f"{url}/openapi.json", timeout=30) as answer:
            description.write_bytes(answer.read())
        lint(work, description)
        typescript(work, description, url)
        python(work, description, url)
        fuzz(work, url)


main()
