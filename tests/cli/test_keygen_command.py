"""`hatch-wazcache keygen`: makes the two keys of a shared cache, and shows the private one once."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_wazcache.cache.remote.keys import SigningKey, TrustedKeys
from tests.support.commands import QUICK, read_answer, run_command
from tests.support.environments import UNMEASURED


def run(*words: str | Path, cwd: Path, **env: str):
    environment = {**os.environ, **QUICK, **env}
    return run_command(
        "keygen", *words, python=Path(sys.executable), environment=environment, cwd=cwd
    )


def of_a_pair(private: str, public: str) -> bool:
    """Say whether a reader with the public key trusts a job with the private key."""
    signer = SigningKey.read(private)
    trusted = TrustedKeys.read({"WAZCACHE_TRUSTED_KEYS": public}, None)
    return trusted.verify(signer.public, b"text", signer.sign(b"text")) == ""


def test_it_shows_both_keys_and_what_to_do_with_each(tmp_path: Path):
    done = run(cwd=tmp_path, XDG_CONFIG_HOME=str(tmp_path / "config"))
    assert (done.returncode, done.stderr) == (0, "")
    keys = [line.strip() for line in done.stdout.splitlines() if "  wazcache-" in line]
    assert of_a_pair(*keys)
    before, behind = done.stdout.split("public key, for everybody who reads")
    assert "WAZCACHE_SIGNING_KEY" in before
    assert "trusted jobs only" in before
    assert "WAZCACHE_TRUSTED_KEYS" in behind
    assert f"{tmp_path}/config/hatch-wazcache/trusted-keys" in behind
    assert list(tmp_path.iterdir()) == []


def test_it_shows_a_program_both_keys(tmp_path: Path):
    made = read_answer(run("--json", cwd=tmp_path), 0)
    assert list(made) == ["private", "public"]
    assert of_a_pair(made["private"], made["public"])


def test_each_pair_is_new(tmp_path: Path):
    made = [read_answer(run("--json", cwd=tmp_path), 0)["private"] for _ in range(2)]
    assert made[0] != made[1]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_with_out_the_private_key_is_in_a_file_of_this_user_and_not_shown(
    tmp_path: Path, umask: int
):
    before = os.umask(umask)
    try:
        done = run("--out", "my key", cwd=tmp_path)
    finally:
        os.umask(before)
    assert (done.returncode, done.stderr) == (0, "")
    path = tmp_path / "my key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "wazcache-private-" not in done.stdout
    assert str(path) in done.stdout
    public = next(line.strip() for line in done.stdout.splitlines() if "  wazcache-" in line)
    assert of_a_pair(str(path), public)
    assert of_a_pair(path.read_text(), public)


def test_with_out_a_program_learns_the_file_and_the_public_key(tmp_path: Path):
    done = run("--json", "--out", tmp_path / "key", cwd=tmp_path)
    made = read_answer(done, 0)
    assert list(made) == ["file", "public"]
    assert "wazcache-private-" not in done.stdout
    assert of_a_pair(made["file"], made["public"])


def test_a_file_that_exists_is_never_overwritten(tmp_path: Path):
    (tmp_path / "key").write_text("in use")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("key", "folder", "link"):
        done = run("--out", name, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"hatch-wazcache: {tmp_path / name} exists, and may hold a key that is in use; "
            "name a new file\n"
        )
    assert (tmp_path / "key").read_text() == "in use"
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_cannot_be_written_is_one_message(tmp_path: Path):
    done = run("--out", tmp_path / "no" / "key", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"hatch-wazcache: {tmp_path}/no/key: No such file or directory\n"


def test_it_needs_no_project_no_home_and_no_cache(tmp_path: Path):
    done = run("--json", cwd=tmp_path, HOME="/nonexistent", WAZCACHE_DIR=str(tmp_path / "cache"))
    assert read_answer(done, 0)
    assert not (tmp_path / "cache").exists()


def test_without_pynacl_there_is_one_message_that_says_how_to_install_it(tmp_path: Path):
    (tmp_path / "nacl.py").write_text("raise ImportError('there is none')")
    done = run("--out", "key", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert 'pip install "hatch-wazcache[remote]"' in done.stderr
    assert not (tmp_path / "key").exists()


def test_a_key_that_cannot_be_written_as_a_whole_leaves_no_file(tmp_path: Path):
    command = f'ulimit -f 0; exec "{sys.executable}" -B -m hatch_wazcache keygen --out key'
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path, env=os.environ | UNMEASURED, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("File too large\n")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
