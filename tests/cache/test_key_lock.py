"""The locks of keys: against threads, processes and forks, without a file for each."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_wazcache.cache.key_lock import lock_key

ONE, TWO = (hashlib.sha256(name).hexdigest() for name in (b"one", b"two"))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there each key has a file")


def is_free_elsewhere(root: Path, digest: str) -> bool:
    """Say whether another process can lock a key."""
    code = (
        "import sys; from pathlib import Path\n"
        "from hatch_wazcache.cache.key_lock import lock_key\n"
        "print(lock_key(Path(sys.argv[1]), sys.argv[2]) is not None)"
    )
    words = [sys.executable, "-c", code, root, digest]
    return subprocess.check_output(words, text=True) == "True\n"


def test_a_key_is_locked_once_in_a_process_and_among_processes(tmp_path: Path):
    held = lock_key(tmp_path, ONE)
    assert held is not None
    assert lock_key(tmp_path, ONE) is None
    assert not is_free_elsewhere(tmp_path, ONE)
    assert is_free_elsewhere(tmp_path, TWO)
    held.close()
    assert is_free_elsewhere(tmp_path, ONE)


def test_the_locks_of_two_hundred_keys_are_one_file(tmp_path: Path):
    digests = [hashlib.sha256(bytes([number])).hexdigest() for number in range(200)]
    held = [lock_key(tmp_path, digest) for digest in digests]
    assert None not in held
    assert [lock_key(tmp_path, digest) for digest in digests] == [None] * 200
    assert len(list((tmp_path / "locks").iterdir())) == 1


def test_a_key_stays_locked_when_others_are_unlocked_or_refused(tmp_path: Path):
    held, other = lock_key(tmp_path, ONE), lock_key(tmp_path, TWO)
    assert held is not None
    assert other is not None
    assert lock_key(tmp_path, ONE) is None
    other.close()
    assert not is_free_elsewhere(tmp_path, ONE)


def test_a_key_can_be_locked_in_a_cache_that_was_deleted_meanwhile(tmp_path: Path):
    before = lock_key(tmp_path / "cache", ONE)
    assert before is not None
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    (tmp_path / "cache").mkdir()
    after = lock_key(tmp_path / "cache", ONE)
    assert after is not None
    before.close()
    assert not is_free_elsewhere(tmp_path / "cache", ONE)


def test_no_file_stays_open_when_no_key_is_locked(tmp_path: Path):
    open_before = os.listdir("/dev/fd")
    held = lock_key(tmp_path, ONE)
    assert held is not None
    assert lock_key(tmp_path, ONE) is None
    held.close()
    assert os.listdir("/dev/fd") == open_before


def test_a_fork_neither_has_the_locks_of_its_parent_nor_ends_them(tmp_path: Path):
    code = (
        "import os, sys; from pathlib import Path\n"
        "from hatch_wazcache.cache.key_lock import lock_key\n"
        "root, digest = Path(sys.argv[1]), sys.argv[2]\n"
        "held = lock_key(root, digest)\n"
        "if not os.fork():\n"
        "    refused = lock_key(root, digest) is None\n"
        "    held.close()\n"
        "    os._exit(0 if refused and lock_key(root, digest) is None else 1)\n"
        "print(os.wait()[1])"
    )
    words = [sys.executable, "-c", code, tmp_path, ONE]
    assert subprocess.check_output(words, text=True) == "0\n"


def test_a_signal_handler_may_fork_while_a_key_is_being_locked(tmp_path: Path):
    code = (
        "import fcntl, os, signal, sys; from pathlib import Path\n"
        "from hatch_wazcache.cache.key_lock import lock_key\n"
        "def fork(*_):\n"
        "    if not os.fork():\n"
        "        os._exit(7)\n"
        "    print(os.waitstatus_to_exitcode(os.wait()[1]))\n"
        "def watch(event, _arguments):\n"
        "    if event == 'fcntl.lockf':\n"
        "        signal.raise_signal(signal.SIGUSR1)\n"
        "signal.signal(signal.SIGUSR1, fork)\n"
        "sys.addaudithook(watch)\n"
        "held = lock_key(Path(sys.argv[1]), sys.argv[2])\n"
        "print(lock_key(Path(sys.argv[1]), sys.argv[2]))\n"
        "held.close()\n"
    )
    words = [sys.executable, "-c", code, tmp_path, ONE]
    assert subprocess.check_output(words, text=True, timeout=60) == "7\nNone\n7\n"
