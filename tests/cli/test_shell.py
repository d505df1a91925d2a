"""The command line in a shell, on a terminal and in a pipe."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from importlib import import_module
from pathlib import Path

import pytest

from hatch_wazcache.cache import statistics
from hatch_wazcache.cache.entry import read_entry, write_entry
from hatch_wazcache.cache.key import digest_of
from hatch_wazcache.engine.targets import SYSTEMS
from hatch_wazcache.util.terminal import printable
from tests.support.commands import QUICK, answer, entries, run, said
from tests.support.paths import ROOT
from tests.support.projects import Project, tomllib
from tests.support.terminals import Terminal
from tests.support.wasm import tiny

LARGER = "dprint-typescript__plugin.wasm"
"""Compiles for seconds."""


def test_the_script_is_declared():
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, name = table["scripts"]["hatch-wazcache"].partition(":")
    assert getattr(import_module(module), name)
    assert [line.partition(">")[0] for line in table["optional-dependencies"]["cli"]] == ["rich"]


@pytest.mark.parametrize(
    "words",
    [
        [], ["nonsense"], ["show"], ["prune", "--older-than", "3"], ["prune", "--max-size", "much"],
        ["prune", "--max-size", "9" * 400], ["prune", "--engine", "new"], ["prune", "--engine", ""],
        ["info", "--repair"], ["clear", "--cache-dir", ""],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage(filled: Project, words: list[str]):
    done = run(filled, *words)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: hatch-wazcache")
    assert len(entries(filled)) == 4


def test_help_documents_the_exit_statuses(filled: Project):
    for words in (["--help"], ["prune", "--help"]):
        text = said(filled, *words)
        for status in (0, 1, 2, 3, 130):
            assert re.search(rf"^  {status} ", text, re.MULTILINE)
    assert re.fullmatch(r"hatch-wazcache [\d.]+\n", said(filled, "--version"))


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["--help"]], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error(filled: Project, words: list[str]):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [filled.python, "-m", "hatch_wazcache", *words],
        cwd=filled.root, env=filled.env(), stdout=writer, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    os.close(writer)
    assert done.stderr == b""
    # Unbuffered, argparse itself passes over what it cannot write.
    assert done.returncode == 141 or (words == ["--help"] and done.returncode == 0)


def test_a_full_disk_behind_standard_output_is_one_message(filled: Project):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [filled.python, "-m", "hatch_wazcache", "info"],
            cwd=filled.root, env=filled.env(), stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == b"hatch-wazcache: No space left on device\n"


WITH_INTERRUPTS = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def test_an_interrupt_ends_quietly_and_leaves_nothing(filled: Project):
    filled.wasm("demo/large.wasm", LARGER)
    with subprocess.Popen(
        # A shell has its background jobs ignore the signal, and their children inherit that.
        [filled.python, "-c", WITH_INTERRUPTS, filled.python, "-m", "hatch_wazcache", "warm"],
        cwd=filled.root, env=filled.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    assert "compiling for" in first
    assert process.returncode == 130
    assert errors.endswith("hatch-wazcache: interrupted\n")
    assert "Traceback" not in errors
    assert output == ""
    assert list((filled.cache / "tmp").iterdir()) == []


def test_a_path_that_is_not_of_the_terminals_encoding(filled: Project, tmp_path: Path):
    odd = tmp_path / "größe-\udcff"
    for locale in ("C.UTF-8", "C"):
        done = run(filled, "info", "--cache-dir", odd, LC_ALL=locale, PYTHONUTF8="0")
        assert done.returncode == 0, done.stderr
    assert answer(filled, "dir", "--cache-dir", odd)["cache"] == str(odd)


def on_a_terminal(project: Project, *words: str, code: str = "", columns: int = 100) -> str:
    """Run a command as a person does, and return all that the terminal got."""
    code = f"{code}\nimport sys; from hatch_wazcache.cli import main; sys.exit(main())"
    env = project.env(TERM="xterm", COLUMNS=str(columns))
    terminal = Terminal([str(project.python), "-c", code, *words], project.root, env)
    assert terminal.end() == 0, terminal.output
    return terminal.output


def test_a_terminal_shows_what_goes_on(filled: Project):
    shutil.rmtree(filled.cache)
    shown = on_a_terminal(filled, "warm")
    assert "\x1b[" in shown
    assert "demo/a.wasm: compiling for" in shown
    assert "wazcache: demo/a.wasm: compiled for" in shown
    assert "2 compiled, 0 found in the cache" in shown
    shown = on_a_terminal(filled, "verify")
    assert "100 %" in shown
    assert "4 entries checked" in shown


def test_a_narrow_terminal_shows_the_clock_and_the_number_of_each_compilation(filled: Project):
    shutil.rmtree(filled.cache)
    filled.wasm("demo/a/folder/with/a/long/name/large.wasm", LARGER)
    shown = on_a_terminal(filled, "warm", columns=40)
    for number in (1, 2, 3):
        assert re.search(rf"[-|/\\] \S*0:00:0\d\S* {number} of 3 \S*demo/", _plain(shown)), shown
    changing = [line for line in re.split(r"[\r\n]+", _plain(shown)) if " of 3 demo/" in line]
    assert any("0:00:01 1 of 3 demo/" in line for line in changing)  # the clock goes on
    assert all(len(line.rstrip()) <= 40 for line in changing)
    assert any("…" in line for line in changing)


def _plain(shown: str) -> str:
    """Remove the control sequences of a terminal."""
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown)


def test_a_terminal_shows_the_targets_that_an_asset_is_compiled_for_side_by_side(
    filled: Project, wasmtime_cli: Path
):
    text = filled.pyproject.replace("wasmtime>=48,<49", 'wasmtime>=48,<49", "demo-wasmtime')
    filled.write("pyproject.toml", f'{text}companion = "demo-wasmtime"\n')
    wheel = filled.build(WAZCACHE_TARGET="any").wheel
    shutil.rmtree(filled.cache)
    filled.environment = {"WAZCACHE_WASMTIME": str(wasmtime_cli)}
    shown = on_a_terminal(filled, "companion", str(wheel), "--engine", "48", "-w", "made")
    for system in SYSTEMS:
        assert f"demo/a.wasm (wasmtime 48.0.0): compiled for {system} in" in shown
    assert "6 companions" in shown


def test_a_terminal_without_rich_gets_plain_lines(filled: Project):
    shutil.rmtree(filled.cache)
    shown = on_a_terminal(filled, "warm", code="import sys; sys.modules['rich'] = None")
    assert "\x1b" not in shown
    assert "wazcache: demo/a.wasm: compiling for" in shown
    assert "0 broken" in on_a_terminal(filled, "verify")


def test_a_label_is_no_markup(filled: Project):
    filled.write("demo/[bold]x.wasm", tiny("markup"))
    assert "demo/[bold]x.wasm: compiling for" in on_a_terminal(filled, "warm")


def test_the_commands_need_no_wasmtime(filled: Project):
    """Looking into a cache is for any environment; only what compiles needs the engine."""
    code = "import sys; sys.modules['wasmtime'] = None"
    assert "4 entries checked" in on_a_terminal(filled, "verify", code=code)


def test_what_many_builds_used_stays_known(filled: Project):

    before = answer(filled, "info")["statistics"]
    known = statistics.recent_builds(filled.cache)[0].keys
    for number in range(120):
        build = statistics.BuildStatistics(time.time() + number, "demo", 1, 0, 0.5, 0.0, known)
        statistics.record(filled.cache, build)
    assert 50 <= len(statistics.recent_builds(filled.cache)) <= 101
    after = answer(filled, "info")["statistics"]
    assert after["builds"] == before["builds"] + 120
    assert answer(filled, "prune", "--unused")["removed"] == 0


# closed streams


@pytest.mark.parametrize("words", ["list", "list --json", "verify", "--help", "show nothing"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_stream_is_no_error(filled: Project, words: str, closed: str):
    before = sorted((path, path.stat().st_size) for path in filled.cache.rglob("*"))
    done = subprocess.run(
        ["sh", "-c", f"exec {filled.python} -m hatch_wazcache {words} {closed}"],
        cwd=filled.root, env=filled.env(**QUICK), text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == (1 if words == "show nothing" else 0), done.stderr
    assert "Traceback" not in done.stderr
    if words == "show nothing":
        assert done.stdout == ""
        assert ("no key begins with" in done.stderr) == ("2>" not in closed)
    assert sorted((path, path.stat().st_size) for path in filled.cache.rglob("*")) == before


def test_a_build_with_closed_streams_keeps_the_compilers_output_out_of_entries(filled: Project):
    shutil.rmtree(filled.cache)
    command = f"exec {filled.python} -m hatch_wazcache warm >&- 2>&- <&-"
    subprocess.run(["sh", "-c", command], cwd=filled.root, env=filled.env(), check=True)
    assert "0 broken" in said(filled, "verify")


# control characters

ESCAPE = "\x1b[31m\x07\x85"


def test_control_characters_in_the_cache_never_reach_the_terminal(filled: Project):
    """Whoever can write to a shared cache could otherwise send commands to the terminal."""
    entry = next(filled.cache.glob("wasmtime-*/*.zip"))
    planted = read_entry(entry, entry.stem)
    inputs = {**planted.inputs, "cpu": ESCAPE, "settings": {ESCAPE: ESCAPE}}
    entry = entry.with_name(f"{digest_of(inputs)}.zip")
    with entry.open("wb") as file:
        write_entry(file, entry.stem, inputs, "artifact.cwasm", b"data", 1.0)
    build = statistics.BuildStatistics(time.time(), ESCAPE, 1, 0, 0.5, 0.0, (entry.stem,))
    statistics.record(filled.cache, build)
    for words in (["list"], ["show", entry.stem], ["info"], ["show", ESCAPE], ["verify"]):
        done = run(filled, *words)
        assert not set(done.stdout + done.stderr) & set("\x1b\x07\x85"), words
    assert "\\x1b[31m" in said(filled, "list")


def test_control_characters_in_a_files_name_never_reach_the_terminal(filled: Project):
    filled.write(f"demo/{ESCAPE}.wasm", tiny("escape"))
    done = run(filled, "warm")
    assert "\\x1b[31m" in done.stdout + done.stderr
    assert not set(done.stdout + done.stderr) & set("\x1b\x07\x85")


def test_spaces_and_letters_of_all_languages_are_shown_as_they_are():
    text = "größe\u00a0雪\u3000é ünï"
    assert printable(text) == text
    assert printable("a\nb\x1b\u202e\udcff") == "a\\nb\\x1b\\u202e\\udcff"
