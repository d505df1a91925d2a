"""What is written to the logs of GitHub and GitLab, and what no text can do there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.frontends.messages import with_prefix
from hatch_wazcache.report import MadeWheel, Report
from hatch_wazcache.util.ci_log import ci_log
from hatch_wazcache.util.terminal import printable
from tests.support.github import commands

GITHUB = {"GITHUB_ACTIONS": "true"}

HOSTILE = [
    "::error::no", "a\n::error::no", "  ::add-mask::x", "\u00a0::error::no", "a\r::error::no",
    "##[error]no", "a ##[group]no", "a%0A::error::no", "\x1b[0Ksection_start:1:x\r\x1b[0Kx",
    "::stop-commands::x", "\u2028::error::no", "\u3000::error::no", "\x85::error::no", ":::error::",
]  # fmt: skip

text = st.one_of(
    st.sampled_from(HOSTILE),
    st.lists(
        st.sampled_from(
            ["::", "##[", "error", "]", " ", "\n", "\r", "%0A", "%", ",", "\u00a0", "x"]
        )
    ).map("".join),
    st.text(),
)


def report_to(lines: list[str], environment: dict[str, str]) -> Report:
    """Make a report whose log is that of an environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return Report(lines.append, lines.append)


@given(text)
def test_no_text_is_a_command_of_github(hostile: str):
    lines: list[str] = []
    report = report_to(lines, GITHUB)
    report.say(hostile)
    report.begins(hostile, hostile)
    report.is_compiled(hostile, hostile, 1, 1)
    assert commands("\n".join(lines)) == []


@given(text)
def test_a_warning_of_github_is_one_command_with_the_whole_text(hostile: str):
    lines: list[str] = []
    report = report_to(lines, GITHUB)
    report.trouble(hostile)
    report.warn(hostile)
    found = commands("\n".join(lines))
    assert [(name, about) for name, about, _ in found] == [
        ("warning", {"title": "hatch-wazcache"})
    ] * 2
    if hostile.isprintable():
        assert [data for *_, data in found] == [hostile, hostile]


@given(text)
def test_no_result_and_no_error_is_a_command_of_github(hostile: str):
    log = ci_log(GITHUB)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_ACTIONS", "true")
        assert commands(with_prefix(hostile)) == []
    assert commands(log.line(printable(hostile))) == []  # a line of a result has no prefix
    assert commands(log.line(printable(hostile, keep="\n"))) == []
    document = log.json(json.dumps({hostile: [hostile]}, indent=2))
    assert commands(document) == []
    assert json.loads(document) == {hostile: [hostile]}


@given(text)
def test_no_text_is_a_section_of_gitlab(hostile: str):
    lines: list[str] = []
    report = report_to(lines, {"GITLAB_CI": "true"})
    report.say(hostile)
    report.trouble(hostile)
    assert not re.search(r"[\r\n\x1b]", "".join(lines))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_reader_of_these_tests_finds_commands(hostile: str):
    """The properties above would hold with a reader that finds nothing."""
    found = commands(hostile)
    harmless = ("a%0A::error::no", "\x1b[0Ksection_start:1:x\r\x1b[0Kx", ":::error::")
    assert bool(found) == (hostile not in harmless)


@given(text)
def test_outside_of_a_ci_only_control_characters_are_escaped(hostile: str):
    lines: list[str] = []
    report_to(lines, {}).say(hostile)
    if hostile.isprintable():
        assert lines == [f"wazcache: {hostile}"]


def test_a_warning_names_its_file_from_the_workspace_on(tmp_path: Path):
    environment = {**GITHUB, "GITHUB_WORKSPACE": str(tmp_path)}
    lines: list[str] = []
    report = report_to(lines, environment)
    report.warn("a", tmp_path / "sub, and: more%" / "pyproject.toml")
    report.warn("b", tmp_path.parent / "elsewhere" / "pyproject.toml")
    (_, first, _), (_, second, _) = commands("\n".join(lines))
    assert first["file"] == "sub, and: more%/pyproject.toml"
    assert "file" not in second


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\u2028::error::no", os.fsdecode(b"a\xff")])
def test_the_file_of_a_warning_controls_no_terminal(tmp_path: Path, name: str):
    """Some streams refuse a byte that is not UTF-8, and the build would end with an error."""
    lines: list[str] = []
    report = report_to(lines, {**GITHUB, "GITHUB_WORKSPACE": str(tmp_path)})
    report.warn("text", tmp_path / name / "pyproject.toml")
    assert "".join(lines).isprintable()
    ((_, about, _),) = commands(lines[0])
    assert about["file"].startswith("a\\")


def test_a_group_ends_also_after_an_error():
    lines: list[str] = []
    report = report_to(lines, GITHUB)
    with pytest.raises(WazcacheError), report.compiling(2):
        raise WazcacheError
    assert [name for name, *_ in commands("\n".join(lines))] == ["group", "endgroup"]
    lines.clear()
    with report.compiling(0):
        pass
    assert lines == []


def test_a_group_of_gitlab_is_a_section_of_a_name_of_its_own():
    names = []
    for _ in range(2):
        lines: list[str] = []
        with report_to(lines, {"GITLAB_CI": "true"}).compiling(1):
            pass
        start = r"\x1b\[0Ksection_start:\d+:([\w.-]+)\[collapsed=true\]\r\x1b\[0Kwazcache: .*"
        name = re.fullmatch(start, lines[0])[1]
        assert re.fullmatch(rf"\x1b\[0Ksection_end:\d+:{name}\r\x1b\[0K", lines[1])
        names.append(name)
    assert names[0] != names[1]


def test_cibuildwheel_keeps_its_own_groups():
    lines: list[str] = []
    with report_to(lines, {**GITHUB, "CIBUILDWHEEL": "1"}).compiling(1):
        pass
    assert lines == []


# the summary


def summary_of(tmp_path: Path, *names: str, folder: Path | None = None) -> str:
    """Make wheels, each with a report of its own, and return the summary."""
    summary, workspace = tmp_path / "summary.md", tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    environment = {
        **GITHUB, "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_WORKSPACE": str(workspace)
    }  # fmt: skip
    for name in names:
        report = report_to([], environment)
        report.is_made(MadeWheel(name, "any", 1234, ("48.0.0", "47.0.0", "48.0.0")))
        report.show_wheels(folder or workspace / "dist")
    return summary.read_text("utf-8") if summary.exists() else ""


def test_the_summary_is_one_table_of_all_wheels(tmp_path: Path):
    (tmp_path / "summary.md").write_text("# Mine\n")
    *head, first, second = summary_of(tmp_path, "a-1.whl", "b-1.whl").splitlines()
    assert head == [
        "# Mine", "", "### Wheels made by hatch-wazcache", "",
        "| wheel | target | wasmtime | artifacts | size |", "| --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    assert first.startswith("| a-1")
    assert second.startswith("| b-1")
    with (tmp_path / "summary.md").open("a") as file:
        file.write("\nsomething else\n")
    assert summary_of(tmp_path, "c-1.whl").count("### Wheels made by") == 2


def test_a_name_is_no_markup_in_the_summary(tmp_path: Path):
    name = "a|b`c`<b>*d*\n[x](http://x) www.x.org __y__ \\|.whl"
    shown = summary_of(tmp_path, name)
    row = shown.splitlines()[-1]
    assert row.count("|") == 6
    assert not set(row) & set("`<>*[]()_\\.")
    assert re.sub(r"&#(\d+);", lambda code: chr(int(code[1])), row).startswith(
        f"| {' '.join(name.split())} | any | 48.0.0, 47.0.0 | 3 | 1.2 kB |"
    )


def test_a_wheel_outside_of_the_workspace_is_in_no_summary(tmp_path: Path):
    assert summary_of(tmp_path, "a.whl", folder=tmp_path / "elsewhere") == ""


def test_a_summary_that_cannot_be_written_is_no_error(tmp_path: Path):
    (tmp_path / "summary.md").mkdir()
    report = report_to(
        [],
        {**GITHUB, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"), "GITHUB_WORKSPACE": "/"},
    )
    report.is_made(MadeWheel("a.whl", "any", 1, ()))
    report.show_wheels(tmp_path)
    assert os.listdir(tmp_path / "summary.md") == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_summary_that_is_a_pipe_without_a_reader_stops_no_build(tmp_path: Path):
    os.mkfifo(tmp_path / "summary.md")
    code = (
        "from pathlib import Path\n"
        "from hatch_wazcache.util.ci_log import ci_log\n"
        "ci_log().add_table('wheels', ['wheel'], [['a.whl']])\n"
    )
    environment = {**os.environ, **GITHUB, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, timeout=30, check=False)
    assert done.returncode == 0


def test_a_huge_summary_gets_a_table_without_being_read_whole(tmp_path: Path):
    """The file is larger than the memory of most machines."""
    summary = tmp_path / "summary.md"
    with summary.open("wb") as file:
        file.truncate(1 << 40)  # holds no data, so it takes no room
    environment = {
        **GITHUB, "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_WORKSPACE": str(tmp_path)
    }  # fmt: skip
    for name in ("a.whl", "b.whl"):
        report = report_to([], environment)
        report.is_made(MadeWheel(name, "any", 1, ()))
        report.show_wheels(tmp_path)
    with summary.open("rb") as file:
        file.seek(1 << 40)
        added = file.read().decode()
    assert added.count("### Wheels made by") == 1
    assert added.count("| any |") == 2
