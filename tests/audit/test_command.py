"""`hatch-wazcache audit`: its exit status, and files that cannot be read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hatch_wazcache.errors import WazcacheError
from tests.support.audits import ARTIFACT, answer, findings, run
from tests.support.doctored import Wheel
from tests.support.marks import as_ordinary_user


def test_what_cannot_be_read_is_an_error_that_names_it_and_the_others_are_audited(
    good: Path, tmp_path: Path
):
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "round").symlink_to("round")
    names = [folder, *(tmp_path / name for name in ("pipe", "nowhere", "round", "missing"))]
    done = run("audit", *names, good)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"hatch-wazcache: {folder}: is a directory, not a wheel",
        f"hatch-wazcache: {tmp_path}/pipe: is not a regular file",
        f"hatch-wazcache: {tmp_path}/nowhere: is a symlink whose target does not exist",
        f"hatch-wazcache: {tmp_path}/round: is a symlink whose target does not exist",
        f"hatch-wazcache: {tmp_path}/missing: No such file or directory",
    ]
    assert done.stdout == "1 wheel audited, 1 artifact: 0 findings\n"


def test_the_exit_status_tells_findings(wheel: Wheel, good: Path, tmp_path: Path):
    del wheel.members[ARTIFACT]
    path = wheel.write(tmp_path)
    done = run("audit", good, path)
    assert done.returncode == 3
    assert done.stdout.splitlines() == [
        f"{path}: {ARTIFACT}: is missing: the manifest lists it",
        "2 wheels audited, 1 artifact: 1 finding",
    ]
    assert answer("audit", good, path, status=3) == {
        "wheels": 2,
        "artifacts": 1,
        "recompiled": 0,
        "findings": [
            {
                "wheel": str(path),
                "member": ARTIFACT,
                "finding": "is missing: the manifest lists it",
            }
        ],
        "notes": [],
        "problems": [],
    }


@as_ordinary_user
def test_a_file_that_may_not_be_read_is_an_error(good: Path, tmp_path: Path):
    path = Path(shutil.copy(good, tmp_path))
    path.chmod(0)
    with pytest.raises(WazcacheError, match="Permission denied"):
        findings(path)
