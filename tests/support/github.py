"""Reads a log as GitHub's runner does: src/Runner.Common/ActionCommand.cs of actions/runner."""

from __future__ import annotations

import re

NAMES = (
    "warning", "error", "notice", "debug", "group", "endgroup", "add-mask", "set-output", "set-env",
    "add-path", "save-state", "stop-commands", "echo", "add-matcher", "remove-matcher",
)  # fmt: skip


def commands(log: str) -> list[tuple[str, dict[str, str], str]]:
    """Return the commands in a log: the name, the properties and the text of each."""
    found = []
    for line in re.split(r"\r\n|\r|\n", log):
        stripped = line.lstrip()
        if stripped.startswith("::") and "::" in stripped[2:]:
            info, _, data = stripped[2:].partition("::")
            name, _, properties = info.partition(" ")
            if name in NAMES:
                found.append((name, _properties(properties, ","), _unescaped(data)))
                continue
        old = re.search(r"##\[([^\] ]*) ?([^\]]*)\](.*)", line)
        if old and old[1] in NAMES:
            found.append((old[1], _properties(old[2], ";"), _unescaped(old[3])))
    return found


def _properties(text: str, separator: str) -> dict[str, str]:
    pairs = (one.partition("=") for one in text.strip().split(separator) if "=" in one)
    return {name: _unescaped(value) for name, _, value in pairs}


def _unescaped(text: str) -> str:
    for code, letter in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, letter)
    return text
