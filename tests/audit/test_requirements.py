"""Whether users get a wasmtime that loads the artifacts: METADATA against the artifacts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.audits import answer, findings, inspected, notes, on_x86_64_linux, run
from tests.support.doctored import Wheel
from tests.support.projects import Project
from tests.support.wheels import TARGET

METADATA = "demo-1.0.dist-info/METADATA"


def requires(wheel: Wheel, *lines: str, python: str | None = ">=3.9") -> Wheel:
    """Write METADATA anew."""
    fields = ["Metadata-Version: 2.4", "Name: demo", "Version: 1.0", "Provides-Extra: fast"]
    fields += [f"Requires-Python: {python}"] if python else []
    fields += [f"Requires-Dist: {line}" for line in lines]
    wheel.members[METADATA] = "\n".join([*fields, "", "Requires-Dist: no field", ""]).encode()
    return wheel


def test_a_wheel_that_does_not_require_wasmtime_is_found(wheel: Wheel, tmp_path: Path):
    path = requires(wheel).write(tmp_path)
    text = (
        "does not require wasmtime, so the installed package cannot import it; add "
        '"wasmtime>=48,<49" to the project\'s dependencies'
    )
    assert findings(path) == [(METADATA, text)]
    assert inspected(path)["notes"] == [f"{METADATA}: {text}"]
    assert f"note: {METADATA}: does not require wasmtime" in run("inspect", path).stdout


def test_a_wheel_that_may_get_wasmtime_through_another_requirement_is_noted(
    wheel: Wheel, tmp_path: Path
):
    path = requires(wheel, "yowasp-runtime~=1.93", "Wasmtime_Extras").write(tmp_path)
    assert findings(path) == []
    ((member, text),) = notes(path)
    assert member == METADATA
    assert text.startswith("does not require wasmtime: the installed package can import it only if")
    assert "(yowasp-runtime, wasmtime-extras)" in text


def test_a_wheel_without_a_loader_need_not_require_wasmtime(project: Project):
    """Another distribution may load its artifacts."""
    project.options('assets = ["demo/*.wasm"]\nloader = false')
    path = requires(Wheel(project.build().wheel)).write(project.root)
    assert (findings(path), notes(path)) == ([], [])


@pytest.mark.parametrize(
    "lines",
    [
        ["wasmtime>=48,<49"],
        ["wasmtime (>=48,<49)"],
        ["WASMTIME==48.*"],
        ["wasmtime~=48.0"],
        ["wasmtime==48.0.0"],
        ["wasmtime>=47", "wasmtime!=47.*,<49"],
        ["wasmtime>=48,<49; python_version >= '3.12'", "wasmtime~=48.0; python_version < '3.12'"],
        ["wasmtime>=48,<49; extra == 'fast'"],
        ["wasmtime>=47,<48; sys_platform == 'cygwin'", "wasmtime>=48,<49"],
    ],
)
def test_requirements_that_admit_the_artifacts_wasmtime_alone_are_right(
    wheel: Wheel, tmp_path: Path, lines: list[str]
):
    path = requires(wheel, *lines).write(tmp_path)
    assert (findings(path), notes(path)) == ([], [])


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["wasmtime>=47,<48"], "requires wasmtime<48,>=47 on {target}, but artifacts for {target}"),
        (["wasmtime>48.999.999"], "requires wasmtime>48.999.999 on {target}, but artifacts for"),
        (["wasmtime>=47", "wasmtime<48"], "requires wasmtime>=47 and wasmtime<48 on {target}, but"),
        (["wasmtime~=47.0; extra == 'fast'"], "requires wasmtime~=47.0 on {target}, but artifacts"),
        (
            ["wasmtime~=48.0; python_version < '3.14'", "wasmtime~=50.0; python_version>='3.14'"],
            "requires wasmtime~=50.0 on {target} with Python 3.14, 3.15, but artifacts",
        ),
        (
            ["wasmtime~=48.0; python_version < '3.11'"],
            "does not require wasmtime on {target} with Python 3.11, 3.12, 3.13, 3.14, 3.15",
        ),
        (
            ["wasmtime~=48.0; os_name == 'vms'"],
            "does not require wasmtime on {target}: no artifact",
        ),
    ],
)
def test_requirements_that_do_not_admit_the_artifacts_wasmtime_are_found(
    wheel: Wheel, tmp_path: Path, lines: list[str], text: str
):
    ((member, found),) = findings(requires(wheel, *lines).write(tmp_path))
    assert member == METADATA
    assert found.startswith(text.format(target=TARGET))


def test_only_the_pythons_that_the_wheel_admits_count(wheel: Wheel, tmp_path: Path):
    lines = ["wasmtime~=48.0; python_version < '3.13'"]
    assert findings(requires(wheel, *lines, python=">=3.9,<3.13").write(tmp_path)) == []


@on_x86_64_linux
def test_markers_count_for_the_system_of_the_artifacts(
    project: Project, wasmtime_cli: Path, tmp_path: Path
):
    """A wheel for Windows, built and audited on Linux."""
    lines = [
        "wasmtime>=48,<49; sys_platform != 'win32'",
        "wasmtime>=47,<48; platform_machine == 'AMD64'",
    ]
    project.environment = {"WAZCACHE_WASMTIME": str(wasmtime_cli)}
    project.append('targets = ["x86_64-linux", "x86_64-windows"]\n')
    built = project.run("hatchling", "build", "-t", "wazcache")
    assert built.status == 0, built.output
    found = {
        path.name.rpartition("-")[2]: findings(requires(Wheel(path), *lines).write(tmp_path))
        for path in (project.root / "dist").glob("*.whl")
    }
    ((member, text),) = found.pop("win_amd64.whl")
    assert member == METADATA
    assert text == (
        "requires wasmtime<48,>=47 on x86_64-windows, but artifacts for x86_64-windows are "
        "compiled by wasmtime 48: they never load there"
    )
    assert list(found.values()) == [[]]


@pytest.mark.parametrize("line", ["wasmtime", "wasmtime>=48", "wasmtime<49", "wasmtime!=50.*"])
def test_a_requirement_that_admits_other_wasmtimes_is_noted_and_no_finding(
    wheel: Wheel, tmp_path: Path, line: str
):
    path = requires(wheel, line).write(tmp_path)
    assert findings(path) == []
    ((member, text),) = notes(path)
    assert member == METADATA
    assert text.startswith(
        f"requires {line}, which admits other major versions than the artifacts'"
    )
    assert text.endswith('require "wasmtime>=48,<49" instead')


def test_a_wheel_that_says_nothing_of_pythons_has_no_note(wheel: Wheel, tmp_path: Path):
    path = requires(wheel, "wasmtime~=48.0", python=None).write(tmp_path)
    assert (findings(path), notes(path)) == ([], [])


def test_pythons_that_the_loader_does_not_run_on_are_noted(wheel: Wheel, tmp_path: Path):
    text = "Requires-Python >=3.7 admits Python 3.8, but the loader needs Python 3.9; set requires-"
    path = requires(wheel, "wasmtime~=48.0", python=">=3.7").write(tmp_path)
    done = run("audit", path)
    assert done.returncode == 0
    line, summary = done.stdout.splitlines()
    assert line.startswith(f"{path}: {METADATA}: note: {text}")
    assert summary == "1 wheel audited, 1 artifact: 0 findings, 1 note"
    (note,) = answer("audit", path)["notes"]
    assert (note["wheel"], note["member"]) == (str(path), METADATA)
    assert note["note"].startswith(text)


def test_a_wheel_that_pypi_refuses_for_its_size_is_noted(wheel: Wheel, tmp_path: Path):
    path = wheel.write(tmp_path)
    data = path.read_bytes()
    with path.open("r+b") as file:  # zip files may begin with anything; this is a hole
        file.truncate(100 << 20)
        file.seek(0, 2)
        file.write(data)
    assert notes(path) == [
        (None, "has 104.9 MB; PyPI refuses files over 104.9 MB unless you ask for more")
    ]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["wasmtime>>48"], "has a line that is not valid ("),
        (["wasmtime; " + "(" * 400], "has a line that is not valid ("),
        (["wasmtime" + ">=1," * 9999], "has a line that is too long: wasmtime>=1,>=1"),
        (["wasmtime"] * 11, "has more than 10 requirements on wasmtime, or extras"),
        (["wasmtime; nothing > '1'"], "has a line that is not valid ("),
        (["wasmtime; os_name ~= '1'"], "has a requirement that cannot be evaluated ("),
    ],
)
def test_a_requirement_that_cannot_be_read_is_one_short_finding(
    wheel: Wheel, tmp_path: Path, lines: list[str], text: str
):
    ((member, found),) = findings(requires(wheel, *lines).write(tmp_path))
    assert member == METADATA
    assert found.startswith(text)
    assert len(found) < 5000


def test_a_wheel_without_metadata_is_found(wheel: Wheel, tmp_path: Path):
    del wheel.members[METADATA]
    path = wheel.write(tmp_path)
    assert findings(path) == [(METADATA, "is missing")]
    assert inspected(path)["notes"] == [f"{METADATA}: is missing"]


WORDS = (
    *("wasmtime", ">=", "48", "<49", ",", ";", " ", "python_version", "'3.9'", "extra", "==", "*"),
    *("'fast'", "and", "or", "(", ")", "not in", "os_name", "~=", "!=", "@", "[a]", "-", "'", '"'),
    *("\n", "\nRequires-Dist: ", "\nRequires-Python: ", "\nProvides-Extra: ", "\0", "é", "9" * 30),
    *("48.*", "1!48", "platform_release", "implementation_version", "sys_platform", "==="),
)


@given(st.lists(st.sampled_from(WORDS), max_size=20))
@settings(max_examples=100, deadline=None)
def test_no_metadata_makes_the_audit_fail(
    good: Path, tmp_path_factory: pytest.TempPathFactory, words: list[str]
):
    wheel = requires(Wheel(good), "wasmtime" + "".join(words))
    for member, text in findings(wheel.write(tmp_path_factory.mktemp("metadata"))):
        assert member == METADATA
        assert text
