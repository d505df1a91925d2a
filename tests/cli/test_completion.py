"""Completion in real shells: a Tab is pressed in a terminal, and the line that it makes is read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.commands import answer, run, said
from tests.support.projects import Project
from tests.support.terminals import Terminal

SHELLS = ("bash", "zsh", "fish")

START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}

READ = {
    "bash": "PS1='READY> '; bind 'set bell-style none'; source {script}",
    # A folder of fpath, as the help says.
    "zsh": "PS1='READY> '; mkdir z; cp {script} z/_hatch-wazcache; fpath=($PWD/z $fpath); "
    "autoload -U compinit; compinit -u -D",
    "fish": "function fish_prompt; echo -n 'READY> '; end; source {script}",
}


class Shell:
    """A shell on a terminal, with completion for `hatch-wazcache`."""

    def __init__(self, name: str, script: Path, folder: Path) -> None:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is needed: apt install {name}")
        if name == "bash" and sys.platform == "darwin":
            pytest.skip("the bash of macOS is version 3: shtab's script needs version 4")
        (folder / "bin").mkdir()
        program = folder / "bin" / "hatch-wazcache"
        program.write_text("#!/bin/sh\nprintf 'GOT<%s>\\n' \"$*\"\n")
        program.chmod(0o755)
        environment = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder),
            "TERM": "dumb" if name == "bash" else "xterm", "LC_ALL": "C.UTF-8", "COLUMNS": "200",
        }  # fmt: skip
        self._terminal = Terminal(START[name], folder, environment)
        self._terminal.type(READ[name].format(script=script) + "\r")
        self.read_until(r"READY> [^']*$")

    def read_until(self, pattern: str) -> str:
        """Read the terminal until it shows a pattern."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            more = self._terminal.read(0.2)
            plain = re.sub(r"\x1b[\[\]()][\d;?>=]*[A-Za-z]?", "", self._terminal.output)
            if not more and re.search(pattern, plain):
                self._terminal.output = ""
                return plain
        raise AssertionError(f"{pattern} is not in {self._terminal.output!r}")

    def completed(self, line: str) -> str:
        """Type a line, press Tab and Enter; return the words that the program got."""
        self._terminal.type(f"{line}\t")
        time.sleep(0.5)
        self._terminal.type("\r")
        shown = self.read_until(r"GOT<[^%$]*?>")
        # zsh takes the slash of a folder back when the line ends.
        return re.findall(r"GOT<([^%]*?)>", shown)[-1].strip().rstrip("/")

    def close(self) -> None:
        self._terminal.kill()


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The script for each shell."""
    folder = tmp_path_factory.mktemp("scripts")
    nowhere = Project(folder, folder / "cache")
    for name in SHELLS:
        (folder / name).write_text(said(nowhere, "completion", name))
    return {name: folder / name for name in SHELLS}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, scripts: dict[str, Path], tmp_path: Path):
    folder = tmp_path / "home"
    (folder / "dist").mkdir(parents=True)
    (folder / "dist" / "demo-1-py3-none-any.whl").touch()
    (folder / "dist" / "other.txt").touch()
    opened = Shell(request.param, scripts[request.param], folder)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("pru", "prune"),
        ("prune --old", "prune --older-than"),
        ("completion fi", "completion fish"),
        ("help comple", "help completion"),
        ("plan --matrix g", "plan --matrix github"),
        ("audit dis", "audit dist"),
        ("audit dist/d", "audit dist/demo-1-py3-none-any.whl"),
        ("audit a.whl dist/d", "audit a.whl dist/demo-1-py3-none-any.whl"),
    ],
)
def test_a_tab_completes_commands_options_values_and_files(
    shell: Shell, typed: str, completed: str
):
    assert shell.completed(f"hatch-wazcache {typed}") == completed


@pytest.mark.parametrize("name", SHELLS)
def test_every_command_is_in_the_script(project: Project, name: str):
    script = said(project, "completion", name)
    commands = re.findall(r"^    ([a-z]+) ", said(project, "help"), re.MULTILINE)
    assert len(commands) > 15
    for command in commands:
        assert re.search(rf"\b{command}\b", script), command
    assert answer(project, "completion", name)["script"].splitlines() == script.splitlines()


def test_a_wrong_shell_is_answered_with_the_nearest_one(project: Project):
    done = run(project, "completion", "fisch")
    assert done.returncode == 2
    assert "did you mean fish?" in done.stderr


def test_without_shtab_the_message_names_the_extra(project: Project):
    code = (
        "import sys; sys.modules['shtab'] = None\n"
        "from hatch_wazcache.cli import main; sys.exit(main(['completion', 'bash']))"
    )
    done = subprocess.run(
        [project.python, "-c", code],
        env=project.env(), cwd=project.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert 'pip install "hatch-wazcache[completion]"' in done.stderr
    assert done.stdout == ""
