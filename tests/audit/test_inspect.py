"""`hatch-wazcache inspect`: the contents of a wheel, and the artifacts that load."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from hatch_wazcache.audit import inspection
from hatch_wazcache.wheels.wheel_reader import WheelReader
from tests.support.audits import (
    ARTIFACT,
    MANIFEST,
    TAGS,
    WHEEL,
    answer,
    artifact,
    findings,
    loads,
    on_x86_64_linux,
    run,
    with_artifact,
)
from tests.support.doctored import SECTION, Wheel, sections
from tests.support.environments import environment_with
from tests.support.projects import Project
from tests.support.wasm import ANSWER
from tests.support.wheels import TARGET


def test_inspect_says_what_is_in_a_wheel_and_what_loads(good: Path):
    answered = answer("inspect", good)
    assert answered["here"] == {"system": TARGET, "wasmtime": "48.0.0"}
    (answered,) = answered["wheels"]
    with zipfile.ZipFile(good) as archive:
        sizes = {
            info.filename: {"size": info.file_size, "packed": info.compress_size}
            for info in archive.infolist()
        }
    assert answered["tags"] == sorted(f"py3-none-{tag}" for tag in TAGS.split("."))
    assert answered["size"] == good.stat().st_size
    assert answered["requires"] == ["wasmtime<49,>=48"]
    assert answered["requires_python"] == ">=3.9"
    assert answered["notes"] == []
    assert answered["packages"] == [
        {
            "package": "demo",
            "manifest": MANIFEST,
            "loader": "demo/_wazcache.py",
            "runtime": None,
            "wasmtime": ["48.0.0"],
            "companion": None,
            "companion_of": None,
            "problems": [],
            "assets": [
                {
                    "name": "a.wasm",
                    "kind": "module",
                    "wasm": "demo/a.wasm",
                    **sizes["demo/a.wasm"],
                    "artifacts": [
                        {
                            "file": ARTIFACT,
                            "target": TARGET,
                            "cpu": "baseline",
                            "profile": "default",
                            "wasmtime": "48.0.0",
                            **sizes[ARTIFACT],
                            "loads": True,
                            "reason": None,
                        }
                    ],
                }
            ],
        }
    ]


def test_inspect_asks_for_each_profile_with_its_engine(project: Project):
    project.options(
        'assets = ["demo/*.wasm"]\n[tool.hatch.build.hooks.wazcache.profiles.default]\n'
        "[tool.hatch.build.hooks.wazcache.profiles.metered]\nconsume-fuel = true"
    )
    assert loads(project.build().wheel) == [(True, None), (True, None)]


def test_inspect_says_why_an_artifact_does_not_load(wheel: Wheel, tmp_path: Path):
    wheel.manifest(lambda m: m["profiles"]["default"].update({"consume-fuel": True}))
    ((loaded, reason),) = loads(wheel.write(tmp_path))
    assert loaded is False
    assert "fuel" in reason


def test_inspect_asks_in_the_environment_that_it_runs_in(good: Path):
    ((loaded, reason),) = loads(good, WASMTIME_BACKTRACE_DETAILS="1")
    assert loaded is False
    assert reason.startswith("the environment variable WASMTIME_BACKTRACE_DETAILS is set")


@on_x86_64_linux
def test_inspect_tells_artifacts_of_other_systems(wheel: Wheel, tmp_path: Path):
    wheel.manifest(lambda m: artifact(m).update(target="aarch64-macos"))
    assert loads(wheel.write(tmp_path)) == [(False, "for another system")]


def test_inspect_survives_an_artifact_that_ends_wasmtime(project: Project, tmp_path: Path):
    """Some changes of `.wasmtime.info` do: a table's length that is too large for it."""
    project.write("demo/a.wasm", ANSWER)
    wheel = Wheel(project.build().wheel)
    whole = wheel.members[ARTIFACT]
    header = SECTION.unpack_from(whole, sections(whole)[".wasmtime.info"])
    reasons = []
    for at in range(header[4] + header[5] - 23, header[4] + header[5]):
        changed = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        ((loaded, reason),) = loads(with_artifact(wheel, changed, tmp_path))
        if not loaded:
            assert len(reason.splitlines()) == 1
            reasons.append(reason)
        if "wasmtime ended the process" in str(reason):
            return
    pytest.fail(f"none did: {reasons}")


def test_inspect_without_wasmtime_says_so(good: Path):
    done = run("inspect", good, python=environment_with(""))
    assert done.returncode == 0
    assert "wasmtime not tried: wasmtime is not installed" in done.stdout
    assert "there is no wasmtime here to try it" in done.stdout


def test_inspect_of_what_is_no_wheel_is_one_message(tmp_path: Path):
    (tmp_path / WHEEL).write_bytes(b"text")
    done = run("inspect", tmp_path / WHEEL)
    assert done.returncode == 1
    assert done.stderr.startswith(f"hatch-wazcache: {tmp_path / WHEEL}: is not a zip file")


def test_inspect_shows_every_wheel_that_it_can_read(good: Path, wheel: Wheel, tmp_path: Path):
    wheel.name = wheel.name.replace("1.0", "1.1")
    other = wheel.write(tmp_path)
    (tmp_path / WHEEL).write_bytes(b"text")
    names = [good, tmp_path / WHEEL, tmp_path / "missing", other]
    done = run("inspect", *names)
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line.startswith("wheel ")] == [
        f"wheel  {good.name}",
        f"wheel  {other.name}",
    ]
    broken, missing = done.stderr.splitlines()
    assert broken.startswith(f"hatch-wazcache: {tmp_path / WHEEL}: is not a zip file")
    assert missing.startswith(f"hatch-wazcache: {tmp_path / 'missing'}: ")
    answered = answer("inspect", *names, status=1)
    assert [wheel["wheel"] for wheel in answered["wheels"]] == [str(good), str(other)]
    assert len(answered["problems"]) == 2


def test_inspect_shows_what_is_wrong_with_a_manifest(wheel: Wheel, tmp_path: Path):
    wheel.manifest(lambda m: artifact(m).update(cpu="z80"))
    done = run("inspect", wheel.write(tmp_path))
    assert done.returncode == 0
    assert f'{MANIFEST}: assets["a.wasm"].artifacts[0].cpu = "z80": must be' in done.stdout


def test_inspect_shows_a_manifest_that_cannot_be_unpacked(good: Path, tmp_path: Path):
    doctored = bytearray(good.read_bytes())
    doctored[doctored.rindex(MANIFEST.encode()) - 46 + 8] |= 1
    (tmp_path / good.name).write_bytes(doctored)
    done = run("inspect", tmp_path / good.name)
    assert done.returncode == 0
    assert f"{MANIFEST}: is encrypted" in done.stdout
    assert [member for member, _text in findings(tmp_path / good.name)].count(MANIFEST) == 1


def test_inspect_writes_nothing_to_a_terminal_but_letters(wheel: Wheel, tmp_path: Path):
    wheel.manifest(lambda m: m["assets"].update({"\x1b[2J\n.wasm": m["assets"].pop("a.wasm")}))
    wheel.members["demo/\x1b[2J.py"] = b""
    path = wheel.write(tmp_path)
    for command in ("audit", "inspect"):
        done = run(command, path)
        assert "\x1b" not in done.stdout


def test_inspect_tries_artifacts_for_a_limited_time(good: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inspection, "_PATIENCE", -1.0)
    with WheelReader(good) as wheel:
        (package,) = inspection.inspect_wheel(wheel, inspection.Here.find()).packages
    (artifact,) = package.assets[0].artifacts
    assert artifact.loads is None
    assert artifact.reason.startswith("not tried: the wheel's other artifacts needed ")
