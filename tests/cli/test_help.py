"""The help of the command line, and what it answers to a wrong word."""

from __future__ import annotations

import pytest

from tests.support.commands import run, said
from tests.support.projects import Project

COMMANDS = ("init", "plan", "why", "warm", "info", "list", "prune", "compile", "audit", "help")


def test_help_of_a_command_is_its_own_help(filled: Project):
    assert said(filled, "help", "prune") == said(filled, "prune", "--help")
    assert said(filled, "help") == said(filled, "--help")
    assert "--older-than" in said(filled, "help", "prune")


def test_without_a_command_the_whole_help_is_shown_as_wrong_usage(filled: Project):
    done = run(filled)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == said(filled, "help")
    for command in COMMANDS:
        assert f"\n    {command} " in done.stderr


def test_help_has_no_control_characters_where_colors_are_forced(filled: Project):
    """Python 3.14 colors the help of argparse."""
    for words in (["help"], ["--help"], ["help", "prune"]):
        assert "\x1b" not in said(filled, *words, FORCE_COLOR="1")
    assert run(filled, FORCE_COLOR="1").stderr == said(filled, "help")


def test_the_version_has_a_short_option(filled: Project):
    assert said(filled, "-V") == said(filled, "--version")


@pytest.mark.parametrize("words", [["help"], ["help", "plan"], ["help", "prune"], ["help", "init"]])
@pytest.mark.parametrize("columns", [44, 70, 120])
def test_the_help_fits_the_terminal(filled: Project, words: list[str], columns: int):
    _usage, _, rest = said(filled, *words, COLUMNS=str(columns)).partition("\n\n")
    lines = rest.splitlines()
    assert max(map(len, lines)) <= columns
    # A paragraph uses the width: it is wrapped again, not only cut.
    assert max(map(len, lines)) > columns - 15


def test_the_meaning_of_an_exit_status_is_indented_below_itself(filled: Project):
    lines = said(filled, "help", COLUMNS="44").splitlines()
    status = next(n for n, line in enumerate(lines) if line.startswith("  1 "))
    assert lines[status] == "  1    an error; standard error says which"
    status = next(n for n, line in enumerate(lines) if line.startswith("  3 "))
    assert lines[status + 1].startswith("       ")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("lst", "'lst' is not a command; did you mean list?"),
        ("help complie", "'complie' is not a command; did you mean compile?"),
        ("plan --matrix gitub", "'gitub' is not one of the choices; did you mean github?"),
        ("plan --matrix x", "'x' is not one of the choices; choose from github"),
        ("prune --dryrun", "unrecognized arguments: --dryrun; did you mean --dry-run?"),
        ("prune --older=30d --unusd", "unrecognized arguments: --unusd; did you mean --unused?"),
        ("list more", "unrecognized arguments: more"),
    ],
)
def test_a_wrong_word_is_answered_with_the_nearest_right_one(
    filled: Project, words: str, hint: str
):
    done = run(filled, *words.split())
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].endswith(f": {hint}")


def test_a_wrong_option_shows_the_usage_of_its_command(filled: Project):
    assert run(filled, "prune", "--dryrun").stderr.startswith("usage: hatch-wazcache prune")


def test_a_wrong_asset_is_answered_with_the_nearest_one(filled: Project):
    done = run(filled, "why", "demo/sub/c.wasm")
    assert done.returncode == 1
    assert done.stderr.endswith("; did you mean demo/sub/b.wasm?\n")


def test_a_wrong_word_never_reaches_the_terminal_raw(filled: Project):
    for words in (["\x1b[31m"], ["list", "\x1b[31m"], ["list", "--\x1b[31m"]):
        done = run(filled, *words)
        assert done.returncode == 2
        assert "\x1b" not in done.stderr
        assert "\\x1b[31m" in done.stderr
