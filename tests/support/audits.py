"""Audits of wheels."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hatch_wazcache.audit.audit_wheel import audit_wheel
from hatch_wazcache.engine.targets import native_target
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError, WheelReader
from tests.support.commands import QUICK, read_answer, run_command
from tests.support.doctored import Wheel
from tests.support.wheels import TARGET

TAGS = ".".join(native_target().platform_tags)
WHEEL = f"demo-1.0-py3-none-{TAGS}.whl"
ARTIFACT = f"demo/a.{TARGET}.cwasm"
MANIFEST = "demo/_wazcache.json"
on_x86_64_linux = pytest.mark.skipif(TARGET != "x86_64-linux", reason="names its tags")


def run(*words: str | Path, python: Path = Path(sys.executable), **env: str):
    return run_command(*words, python=python, environment={**os.environ, **QUICK, **env})


def answer(*words: str | Path, status: int = 0, **env: str) -> dict:
    """Run a command with --json."""
    return read_answer(run(*words, "--json", **env), status)


def findings(path: Path) -> list[tuple[str | None, str]]:
    """Audit one wheel in this process."""
    try:
        with WheelReader(path) as opened:
            return [(finding.member, finding.text) for finding in audit_wheel(opened).findings]
    except BrokenWheelError as error:
        return [(None, str(error))]


def notes(path: Path) -> list[tuple[str | None, str]]:
    """Audit one wheel in this process; return the notes."""
    with WheelReader(path) as opened:
        return [(note.member, note.text) for note in audit_wheel(opened).notes]


def only_finding(path: Path) -> tuple[str | None, str]:
    (found,) = findings(path)
    return found


def retag(wheel: Wheel, tags: str) -> None:
    """Change the platform in the name and in WHEEL."""
    wheel.name = f"{wheel.name.rpartition('-')[0]}-{tags}.whl"
    name = f"{wheel.info}/WHEEL"
    lines = [line for line in wheel.members[name].decode().splitlines() if "Tag:" not in line]
    lines += [f"Tag: py3-none-{tag}" for tag in tags.split(".")]
    wheel.members[name] = "\n".join(lines).encode()


def asset(manifest: dict) -> dict:
    return manifest["assets"]["a.wasm"]


def artifact(manifest: dict) -> dict:
    return asset(manifest)["artifacts"][0]


def with_artifact(wheel: Wheel, data: bytes, folder: Path) -> Path:
    """Replace an artifact by another one, with the right digests everywhere."""
    wheel.members[ARTIFACT] = data
    wheel.claim(ARTIFACT)
    return wheel.write(folder)


def inspected(path: Path, **env: str) -> dict:
    (wheel,) = answer("inspect", path, **env)["wheels"]
    return wheel


def loads(path: Path, **env: str) -> list[tuple[bool | None, str | None]]:
    """Return for each artifact whether it loads here, and if not, why."""
    return [
        (artifact["loads"], artifact["reason"])
        for package in inspected(path, **env)["packages"]
        for asset in package["assets"]
        for artifact in asset["artifacts"]
    ]
