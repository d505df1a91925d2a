"""Keys and values as they stand in a TOML file, for messages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

__all__ = ["toml_key", "toml_value"]

_LONGEST = 80


def toml_key(name: str) -> str:
    """Write a key: `wasm-gc`, `"a/b"`."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_value(name)


def toml_value(value: object) -> str:
    """Write a value on one line; a long value is cut off."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, Mapping):
        items = (f"{toml_key(key)} = {toml_value(item)}" for key, item in value.items())
        text = "{" + ", ".join(items) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(toml_value(item) for item in value) + "]"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
