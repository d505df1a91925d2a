"""A compiler ends with the build that has started it, however that ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

BOOT = "from hatch_wazcache.compile.worker import main; main()"


@pytest.mark.parametrize(
    "last", [b"", b'{"import": "/no', b"\xff"], ids=["", "half a line", "no text"]
)
def test_a_compiler_says_nothing_when_the_build_ends_in_the_middle_of_a_line(last: bytes):
    ended = subprocess.run(
        [sys.executable, "-c", BOOT], input=last, capture_output=True, timeout=60, check=False,
        start_new_session=True,
    )  # fmt: skip
    assert ended.returncode != 0
    assert (ended.stdout, ended.stderr) == (b"", b"")
