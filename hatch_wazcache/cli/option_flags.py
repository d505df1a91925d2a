"""Makes a flag of the command line for each option, from the one model of the options."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from hatch_wazcache.project.options import OPTIONS
from hatch_wazcache.project.value_schemas import FLAG

if TYPE_CHECKING:
    from hatch_wazcache.project.options import Option

__all__ = ["add_option_flags", "given_flags"]

_NOT_FLAGS = ("cache-dir", "remote")
"""All commands have the flag of the one; the environment has the variables of the other."""

_PROFILES = "profiles"

_PLACEHOLDERS = {
    "assets": "GLOB",
    "targets": "TARGET",
    "cpu": "LEVEL",
    "strip": "SECTION",
    "compiler": "PATH",
    "loader": "PATH",
    "max-size": "SIZE",
    "timeout": "SECONDS",
    "engine": "REQUIREMENT",
    "engines": "VERSION",
    "companion": "NAME",
    "runtime": "REQUIREMENT",
    "fallback": "WAY",
    _PROFILES: "NAME.SETTING=VALUE",
}


def add_option_flags(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each option. Without it, an option is as the project or the wheel says."""
    group = parser.add_argument_group("options of a project, which these flags replace")
    for option in OPTIONS:
        if option.name in _NOT_FLAGS:
            continue
        text = _help(option)
        flag, name = f"--{option.name}", _attribute(option)
        if option.schema == FLAG:
            action = argparse.BooleanOptionalAction
            group.add_argument(flag, action=action, default=None, dest=name, help=text)
            continue
        several = _is_list(option) or option.name == _PROFILES
        placeholder = _PLACEHOLDERS.get(option.name, "VALUE")
        group.add_argument(
            flag,
            action="append" if several else "store",
            default=None,
            dest=name,
            metavar=f"{placeholder}[,...]" if several else placeholder,
            help=text,
        )


def given_flags(namespace: argparse.Namespace) -> dict[str, Any]:
    """Return the options that the command line gives, with values as in TOML."""
    given = {
        option.name: value
        for option in OPTIONS
        if (value := getattr(namespace, _attribute(option), None)) is not None
    }
    return {name: _value(name, value) for name, value in given.items()}


def _value(name: str, value: Any) -> Any:
    if name == _PROFILES:
        return _profiles(value)
    if isinstance(value, list):
        return [item for text in value for item in _items(text)]
    return value if isinstance(value, bool) else _scalar(value)


def _items(text: str) -> list[str]:
    """Split a list. In "wasmtime>=51,<52", the comma is part of the requirement."""
    return [item.strip() for item in re.split(r",(?!\s*[<>=!~])", text)]


def _scalar(text: str) -> Any:
    """Return a value as TOML would have it: true, false, a number, or a text."""
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if re.fullmatch(r"\d+\.\d+", text) else int(text)
    except ValueError:
        return text


def _profiles(texts: list[str]) -> dict[str, Any]:
    """Return the tables of settings; a text without a name, a setting and a value stays one."""
    tables: dict[str, Any] = {}
    for text in (item for one in texts for item in one.split(",")):
        path, _, value = text.partition("=")
        name, _, setting = path.strip().partition(".")
        table = tables.setdefault(name, {})
        if value and not setting:
            tables[name] = value
        elif setting and isinstance(table, dict):
            table[setting] = _scalar(value.strip())
    return tables


def _attribute(option: Option) -> str:
    """Return the flag's place in the result. Other flags have other places."""
    return f"option_{option.name.replace('-', '_')}"


def _is_list(option: Option) -> bool:
    kinds = option.schema.get("anyOf", [])
    return any(kind.get("type") == "array" for kind in kinds)


def _help(option: Option) -> str:
    """Return the description, without Markdown. argparse reads `%` as a placeholder."""
    text = option.plain_description[:1].lower() + option.plain_description[1:-1]
    return text.replace("`", "").replace("%", "%%")
