"""A small hostile wheel cannot keep the audit busy, or crash it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.audits import ARTIFACT, MANIFEST, artifact, asset, findings, run
from tests.support.doctored import Wheel

SECONDS = 5


def quick_findings(path: Path) -> list[tuple[str | None, str]]:
    start = time.process_time()
    found = findings(path)
    assert time.process_time() - start < SECONDS
    return found


@pytest.mark.parametrize("tag", ["py3-none-any.", "py3-none-.any", "py3..py2-none-any"])
def test_a_tag_with_an_empty_part_is_a_finding_and_the_other_wheels_are_audited(
    wheel: Wheel, good: Path, tmp_path: Path, tag: str
):
    wheel.members[f"{wheel.info}/WHEEL"] = f"Wheel-Version: 1.0\nTag: {tag}\n".encode()
    path = wheel.write(tmp_path)
    done = run("audit", path, good)
    assert (done.returncode, done.stderr) == (3, "")
    first, *_, last = done.stdout.splitlines()
    assert first.startswith(f"{path}: {wheel.info}/WHEEL: ")
    assert last.startswith("2 wheels audited, 2 artifacts: 1 finding")


@pytest.mark.parametrize("lines", [1, 100_000])
def test_tags_that_multiply_are_one_finding(wheel: Wheel, tmp_path: Path, lines: int):
    part = ".".join(f"a{number}" for number in range(3000 if lines == 1 else 2))
    text = "Wheel-Version: 1.0\n" + f"Tag: {part}-{part}-{part}\n" * lines
    wheel.members[f"{wheel.info}/WHEEL"] = text.encode()
    found = quick_findings(wheel.write(tmp_path))
    assert found == [(f"{wheel.info}/WHEEL", "has more than 1000 tags")]


def test_tags_that_multiply_in_a_name_are_one_finding(wheel: Wheel, tmp_path: Path):
    part = ".".join("abcdefghijklmnopqrstuvwxyz")
    wheel.name = f"demo-1.0-{part}-{part}-{part}.whl"
    assert quick_findings(wheel.write(tmp_path)) == [(None, "has more than 1000 tags")]


def many_errors(manifest: dict) -> None:
    for number in range(30_000):
        manifest["assets"][f"{number}.wasm"] = number


def one_artifact_often(manifest: dict) -> None:
    asset(manifest)["artifacts"] *= 25_000


def one_wasm_often(manifest: dict) -> None:
    for number in range(50_000):
        manifest["assets"][f"{number}.wasm"] = {**asset(manifest), "artifacts": []}


def many_profiles(manifest: dict) -> None:
    manifest["profiles"] |= {f"profile{number}": {} for number in range(20_000)}
    asset(manifest)["artifacts"] += [
        {**artifact(manifest), "file": f"{number}.cwasm", "profile": "none"}
        for number in range(20_000)
    ]


@pytest.mark.parametrize("change", [many_errors, one_artifact_often, one_wasm_often, many_profiles])
def test_a_manifest_with_very_many_errors_is_a_few_findings(wheel: Wheel, tmp_path: Path, change):
    wheel.manifest(change)
    found = quick_findings(wheel.write(tmp_path))
    assert 100 < len(found) < 110
    assert (MANIFEST, "has more problems than these") in found
    assert all(len(text) < 1000 for _member, text in found)


def test_a_record_with_very_many_errors_is_a_bounded_number_of_findings(
    wheel: Wheel, tmp_path: Path
):
    wheel.record = lambda rows: rows.extend([f"{number}", "", ""] for number in range(100_000))
    found = quick_findings(wheel.write(tmp_path))
    assert len(found) == 1001
    assert found[-1] == (None, "has more findings than these")


def test_artifacts_that_are_not_in_the_wheel_are_a_bounded_number_of_findings(
    wheel: Wheel, tmp_path: Path
):
    def change(manifest: dict) -> None:
        asset(manifest)["artifacts"] += [
            {**artifact(manifest), "file": f"{number}.cwasm"} for number in range(40_000)
        ]

    wheel.manifest(change)
    found = quick_findings(wheel.write(tmp_path))
    assert len(found) == 1001
    assert ARTIFACT not in [member for member, _text in found]


def test_long_json_files_are_not_all_parsed(wheel: Wheel, tmp_path: Path):
    """A list of empty lists is the slowest of all."""
    text = b'["schema", "profiles", "assets"' + b", []" * 1_900_000 + b"]"
    wheel.members |= {f"demo/{number}.json": text for number in range(8)}
    assert quick_findings(wheel.write(tmp_path)) == []
    wheel.members |= {f"demo{number}/_wazcache.json": text for number in range(3)}
    found = quick_findings(wheel.write(tmp_path))
    text = "is not read: the wheel's manifests are too large together"
    assert ("demo2/_wazcache.json", text) in found


def test_markers_and_extras_that_multiply_are_evaluated_in_a_moment(wheel: Wheel, tmp_path: Path):
    marker = " or ".join(f"extra == 'a{number}'" for number in range(20))
    fields = ["Metadata-Version: 2.4", "Name: demo", "Version: 1.0"]
    fields += [f"Requires-Dist: wasmtime; os_name == 'vms' and ({marker})"] * 10
    fields += [f"Provides-Extra: a{number}" for number in range(10)]
    wheel.members[f"{wheel.info}/METADATA"] = "\n".join(fields).encode()
    ((member, _text),) = quick_findings(wheel.write(tmp_path))
    assert member == f"{wheel.info}/METADATA"
