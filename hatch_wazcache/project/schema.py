"""The JSON schema of the options, for validate-pyproject, SchemaStore and editors.

`wazcache.schema.json` is made from the model of the options and is part of the wheel, so that
reading it imports nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["SCHEMA_FILE", "make_schema", "tool_schema"]

SCHEMA_FILE = Path(__file__).with_name("wazcache.schema.json")


def tool_schema(tool_name: str) -> dict[str, Any]:
    """Return the schema of `[tool.wazcache]`: validate-pyproject's entry point."""
    assert tool_name == "wazcache"
    schema: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return schema


def make_schema() -> dict[str, Any]:
    """Make the schema from the model of the options."""
    from hatch_wazcache.project.options import OPTIONS

    properties = {}
    for option in OPTIONS:
        schema: dict[str, Any] = {"description": option.plain_description}
        if option.default is not None:
            schema["default"] = option.default
        properties[option.name] = {**schema, **option.schema}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://raw.githubusercontent.com/hatch-wazcache/hatch-wazcache/main/docs/"
        "wazcache.schema.json",
        "title": "hatch-wazcache",
        "description": "Compiles the WebAssembly of a Python package when its wheel is built.",
        "type": "object",
        "properties": properties,
        "anyOf": [
            {"required": ["assets"], "properties": {"assets": {"not": {"const": []}}}},
            {"required": ["loader"], "properties": {"loader": {"type": "string"}}},
        ],
        "additionalProperties": False,
    }
