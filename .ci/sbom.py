"""Checks the bills of materials (CycloneDX) that cargo-cyclonedx wrote: each lists every crate that its function is built of, with the
version and the checksum of the lock file, and nothing else.

    python3 .ci/sbom.py FOLDER

FOLDER has a `functions/<name>/<name>.cdx.json` per function. Needs nothing but Python and cargo.
"""

import json
import pathlib
import subprocess
import sys
import tomllib


def built_of(function):
    """Returns name and version of the crates that a function's binary is built of, as cargo knows them."""
    # Without those of tests. Build scripts and macros count: what they write is in the binary.
    command = ["cargo", "tree", "--locked", "--package", function, "--edges", "normal,build", "--prefix", "none", "--target", "all"]
    lines = subprocess.run([*command, "--format", "{p}"], check=True, capture_output=True, text=True).stdout.splitlines()
    return {tuple(line.split()[:2]) for line in lines if line} - {(function, "v0.1.0")}


def main(folder):
    locked = tomllib.loads(pathlib.Path("Cargo.lock").read_text())["package"]
    checksums = {(package["name"], "v" + package["version"]): package.get("checksum") for package in locked}
    functions = sorted(path.parent.name for path in pathlib.Path("functions").glob("*/Cargo.toml"))
    total = set()
    for function in functions:
        bill = json.loads((pathlib.Path(folder) / "functions" / function / f"{function}.cdx.json").read_text())
        assert bill["bomFormat"] == "CycloneDX", function
        assert bill["metadata"]["component"]["name"] == function, function
        listed = {}
        for component in bill["components"]:
            hashes = {entry["alg"]: entry["content"] for entry in component.get("hashes", [])}
            listed[component["name"], "v" + component["version"]] = hashes.get("SHA-256")
        expected = built_of(function)
        assert expected <= set(listed), f"{function}: the bill lacks {sorted(expected - set(listed))}"
        assert set(listed) <= expected, f"{function}: the bill has {sorted(set(listed) - expected)} too many"
        wrong = sorted(key for key, checksum in listed.items() if checksums[key] and checksum != checksums[key])
        assert not wrong, f"{function}: not the checksums of Cargo.lock: {wrong}"
        total |= expected
    print(f"{len(functions)} functions are built of {len(total)} crates, all of which their bills list")


main(*sys.argv[1:])
