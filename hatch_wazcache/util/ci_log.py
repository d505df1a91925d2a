"""What the logs of GitHub and GitLab understand: groups, warnings with a file, and a summary.

This is the only module that knows their commands, and that keeps them out of other texts: names of
files and messages of compilers may hold anything. In any other log, every text stays as it is.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.util.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["VARIABLES", "CiLog", "ci_log"]

VARIABLES = (
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "GITHUB_STEP_SUMMARY",
    "GITHUB_WORKSPACE",
    "CIBUILDWHEEL",
)
"""The variables that decide."""

_COMMAND = re.compile(r"^(\s*):(?=:)", re.MULTILINE)
"""A line is a command of GitHub if it begins with `::` after any white space."""

_OLD_COMMAND = "##["
"""The beginning of a command of GitHub, anywhere in a line."""

_CHANGED_BY = ("PIP_BUILD_TRACKER", "UV_INTERNAL__BUILD_DIR")
"""Variables that pip and uv set for a build. They show its output without control characters."""

_NO_GROUP = ("", "")

_LARGEST_SUMMARY = 1 << 20
"""Bytes of a step's summary. GitHub shows no larger one."""


class CiLog:
    """A log without commands: a terminal, a file, or the log of another CI."""

    def line(self, text: str) -> str:
        """Return a text that is shown as it is, and not obeyed.

        Args:
            text: without control characters, except for line breaks.
        """
        return text

    def json(self, text: str) -> str:
        """Return a JSON document that is shown as it is, and has the same value."""
        return text

    def warning(self, text: str, file: Path | None) -> str:  # noqa: ARG002 - others show the file
        """Return the line of a warning.

        Args:
            text: without control characters, except for line breaks.
            file: the file to change; None if there is none.
        """
        return self.line(f"wazcache: warning: {text}")

    def group(self, title: str) -> tuple[str, str]:  # noqa: ARG002 - others show the title
        """Return the lines that begin and end a group; empty if the log has no groups."""
        return _NO_GROUP

    def shows_tables_for(self, folder: Path) -> bool:  # noqa: ARG002 - others look at the folder
        """Say whether the log has a place for a table about files in a folder."""
        return False

    def add_table(self, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table beside the log. A second table with this title continues the first."""


class _GitHubLog(CiLog):
    """https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._workspace = environment.get("GITHUB_WORKSPACE")
        self._summary = environment.get("GITHUB_STEP_SUMMARY")
        # cibuildwheel has its own groups. GitHub knows no groups in groups.
        self._has_groups = "CIBUILDWHEEL" not in environment

    def line(self, text: str) -> str:
        text = text.replace(_OLD_COMMAND, r"#\x23[")
        return _COMMAND.sub(r"\1\\x3a", text)

    def json(self, text: str) -> str:
        return text.replace(_OLD_COMMAND, r"#\u0023[")

    def warning(self, text: str, file: Path | None) -> str:
        found = self._in_workspace(file)
        place = f",file={_escaped(printable(found), ':,')}" if found else ""
        return f"::warning title=hatch-wazcache{place}::{_escaped(text)}"

    def group(self, title: str) -> tuple[str, str]:
        if not self._has_groups:
            return _NO_GROUP
        return f"::group::{_escaped(title)}", "::endgroup::"

    def shows_tables_for(self, folder: Path) -> bool:
        return bool(self._summary) and self._in_workspace(folder) is not None

    def _in_workspace(self, path: Path | None) -> str | None:
        """Return a path from the workspace on; None if it is not in the workspace."""
        if path is None or not self._workspace:
            return None
        with suppress(ValueError):
            relative = Path(os.path.realpath(path)).relative_to(os.path.realpath(self._workspace))
            return relative.as_posix()
        return None

    def add_table(self, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        assert self._summary is not None
        first = f"### {_cell(title)}\n\n{_row(head)}{_row(['---'] * len(head))}"
        with suppress(OSError, UnicodeError):  # a build does not fail for its summary
            path = Path(self._summary)
            before = ""
            if path.exists():
                if not path.is_file():
                    return  # to open a pipe would wait for somebody who reads it
                before = _end_of(path)
            continues = first in before and "\n\n" not in before.rpartition(first)[2]
            text = "".join(map(_row, rows))
            with path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.write(text if continues else f"\n{first}{text}")


class _GitLabLog(CiLog):
    """https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._has_groups = not any(name in environment for name in _CHANGED_BY)

    def group(self, title: str) -> tuple[str, str]:
        if not self._has_groups:
            return _NO_GROUP
        # Only lines with these control characters are commands, so no other text can be one.
        name = f"wazcache_{secrets.token_hex(4)}"
        now = int(time.time())
        return (
            f"\x1b[0Ksection_start:{now}:{name}[collapsed=true]\r\x1b[0K{title}",
            f"\x1b[0Ksection_end:{now}:{name}\r\x1b[0K",
        )


def ci_log(environment: Mapping[str, str] | None = None) -> CiLog:
    """Return the log that this process writes to.

    Args:
        environment: where the CI says that it runs; by default, the environment of this process.
    """
    environment = os.environ if environment is None else environment
    if environment.get("GITHUB_ACTIONS") == "true":
        return _GitHubLog(environment)
    if environment.get("GITLAB_CI") == "true":
        return _GitLabLog(environment)
    return CiLog()


def _end_of(path: Path) -> str:
    """Read the end of a file; more of it than GitHub shows of a summary."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _LARGEST_SUMMARY, 0))
        return file.read().decode("utf-8", "replace")


def _escaped(text: str, more: str = "") -> str:
    """Escape a text in a command of GitHub, which ends with its line."""
    for letter in f"%\r\n{more}":
        text = text.replace(letter, f"%{ord(letter):02X}")
    return text


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |\n"


def _cell(text: str) -> str:
    """Escape a text in a cell of a Markdown table: no markup, no HTML, no link."""
    return re.sub(r"[^A-Za-z0-9 -]", lambda found: f"&#{ord(found[0])};", " ".join(text.split()))
