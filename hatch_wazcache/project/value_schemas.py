"""The JSON schemas of the values of options, for the model in `options.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hatch_wazcache.engine.settings import PROFILE_NAME, SETTINGS, Setting
from hatch_wazcache.project.asset_fields import RESERVED_NAMES
from hatch_wazcache.project.remote_fields import MODES, PUBLIC_KEY_PATTERN, TRUSTS, URL_PATTERN

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ASSET", "FLAG", "PROFILES", "REMOTE", "TEXT", "one_or_list", "sentence"]


def sentence(text: str) -> str:
    """Return a description as a sentence."""
    return text[:1].upper() + text[1:] + "."


def one_or_list(item: Mapping[str, Any], *, empty: bool = False) -> dict[str, Any]:
    """Describe a list that may be written as its only item."""
    items = {"type": "array", "items": item, "uniqueItems": True}
    return {"anyOf": [item, items if empty else {**items, "minItems": 1}]}


def _setting_schema(setting: Setting) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": sentence(setting.description)}
    if setting.type is bool:
        return {**schema, "type": "boolean"}
    if setting.type is int:
        bounds = {"minimum": setting.minimum, "maximum": setting.maximum}
        return {**schema, "type": "integer", **bounds}
    return {**schema, "enum": list(setting.choices)}


TEXT = {"type": "string", "minLength": 1}
FLAG = {"type": "boolean"}

ASSET = {
    "anyOf": [
        TEXT,
        {
            "type": "object",
            "properties": {
                "path": {"description": "A glob.", **TEXT},
                "profiles": {"description": "Names of profiles.", **one_or_list(TEXT)},
            },
            "required": ["path"],
            "additionalProperties": False,
        },
    ]
}

PROFILES = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {
        "pattern": f"^{PROFILE_NAME}$",
        "not": {"enum": list(RESERVED_NAMES)},
    },
    "additionalProperties": {
        "type": "object",
        "properties": {name: _setting_schema(setting) for name, setting in SETTINGS.items()},
        "additionalProperties": False,
    },
}

REMOTE = {
    "type": "object",
    "properties": {
        "url": {
            "description": "The server's URL: s3, gs, az, https, http, bazel+https or bazel+http.",
            "type": "string",
            "pattern": URL_PATTERN,
        },
        "mode": {
            "description": "Whether builds also upload what they compile.",
            "enum": list(MODES),
            "default": MODES[0],
        },
        "trust": {
            "description": 'With "unsigned", everybody who can write to the server, or answer in '
            "its place, can run code as the users of the wheels.",
            "enum": list(TRUSTS),
            "default": TRUSTS[0],
        },
        "trusted-keys": {
            "description": "Public keys, which count beside a key of the machine.",
            **one_or_list({"type": "string", "pattern": PUBLIC_KEY_PATTERN}, empty=True),
        },
    },
    "additionalProperties": False,
}
