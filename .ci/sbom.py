"""Writes the bill of materials: every crate of the workspace for Lambda's platform, as CycloneDX 1.6 in JSON.

Usage: sbom.py FILE

It is made from what Cargo itself resolves, not by cargo-cyclonedx, whose build takes longer than all other checks. What
functions are linked from has the scope `required`; what only tests, builds and the tools need has `excluded`. The same
commit always gives the same bytes. CycloneDX's own validator reads the result.
"""

import copy
import json
import pathlib
import subprocess
import sys
import tomllib
import uuid

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What the template's functions run on, without those of other systems' crates.
PLATFORM = "aarch64-unknown-linux-gnu"


def deployed(metadata):
    """Returns the identifiers of the packages that functions are linked from."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    folder = pathlib.Path(metadata["workspace_root"]) / "functions"
    waiting = [package["id"] for package in metadata["packages"]
               if package["source"] is None and folder in pathlib.Path(package["manifest_path"]).parents]
    found = set()
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [dependency["pkg"] for dependency in nodes[node]["deps"]
                        if any(kind["kind"] is None for kind in dependency["dep_kinds"])]
    return found


def reference(package):
    """Returns the package's URL, by which the parts of the bill refer to each other."""
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksums, scope):
    """Returns what the bill says about a package."""
    made = {"type": "library", "bom-ref": reference(package), "name": package["name"], "version": package["version"],
            "scope": scope, "purl": reference(package)}
    if package["license"]:
        # The form with a slash is that of Cargo's first years.
        made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if package["source"]:
        made["hashes"] = [{"alg": "SHA-256", "content": checksums[package["name"], package["version"]]}]
        if package["repository"]:
            made["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return made


def bill():
    """Returns the bill of materials."""
    metadata = json.loads(subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", PLATFORM], cwd=ROOT,
        check=True, stdout=subprocess.PIPE).stdout)
    lock = (ROOT / "Cargo.lock").read_bytes()
    checksums = {(package["name"], package["version"]): package.get("checksum")
                 for package in tomllib.loads(lock.decode())["package"]}
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    linked = deployed(metadata)
    components = [component(packages[node], checksums, "required" if node in linked else "excluded") for node in nodes]
    version = next(package["version"] for package in packages.values() if package["name"] == "latchkey")
    main = {"type": "application", "bom-ref": "latchkey-functions", "name": "latchkey-functions", "version": version}
    functions = [reference(packages[node]) for node in linked if "/functions/" in packages[node]["manifest_path"]
                 and packages[node]["source"] is None]
    dependencies = [{"ref": reference(packages[node["id"]]),
                     "dependsOn": sorted({reference(packages[dependency]) for dependency in node["dependencies"]})}
                    for node in nodes.values()]
    dependencies.append({"ref": main["bom-ref"], "dependsOn": sorted(functions)})
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, lock.decode())}", "version": 1,
        "metadata": {"component": main},
        "components": sorted(components, key=lambda made: made["bom-ref"]),
        "dependencies": sorted(dependencies, key=lambda made: made["ref"]),
    }


def wrong(made):
    """Returns what the validator finds wrong, or none."""
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(made))


def main():
    """Writes the bill, and holds it to the schema and to Cargo.lock."""
    made = bill()
    if error := wrong(made):
        sys.exit(f"the bill of materials is not as CycloneDX 1.6 wants it: {error}")
    # A validator that passes everything would pass this as well.
    broken = copy.deepcopy(made)
    broken["components"][0]["licenses"] = [{"expression": 1}]
    assert wrong(broken), "the validator passed a license that is a number"
    required = [part["name"] for part in made["components"] if part["scope"] == "required"]
    others = [part["name"] for part in made["components"] if part["scope"] == "excluded"]
    # What one knows of without the resolver: these are linked, these are of tests and tools.
    assert {"argon2", "aws-sdk-dynamodb", "latchkey", "login"} <= set(required), required
    assert {"proptest", "dynoxide-rs", "admin"} <= set(others), others
    for part in made["components"]:
        assert part.get("licenses"), f"{part['bom-ref']} names no license"
    pathlib.Path(sys.argv[1]).write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print(f"{len(required)} crates in functions, {len(others)} in tests, builds and tools")


main()
