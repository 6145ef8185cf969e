"""Translates a SAM template to plain CloudFormation, as SAM does when it deploys.

cfn-lint misses faults in a SAM template that it finds in its translation (docs/adr/0007-checks.md), so it checks the
translation.
"""

import json
import os
import sys

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse


def main(source: str, target: str) -> None:
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    with open(source, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    # `sam deploy` uploads the code and the templates of nested stacks, and puts their addresses here.
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            if "InlineCode" not in resource["Properties"]:
                resource["Properties"]["CodeUri"] = "s3://bucket-of-the-code/archive"
        if resource["Type"] == "AWS::CloudFormation::Stack":
            resource["Properties"]["TemplateURL"] = "https://bucket-of-the-code.s3.amazonaws.com/template"
    template.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    parameters = {name: value.get("Default", "") for name, value in template["Parameters"].items()}
    translated = Translator(managed_policy_map={}, sam_parser=Parser()).translate(template, parameters)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(translated, file, indent=2)


main(sys.argv[1], sys.argv[2])
