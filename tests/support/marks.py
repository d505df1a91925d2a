"""Reasons not to run a test; where an installation helps, the reason names the command."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

import pytest

NO_MOUNT = "file systems cannot be mounted here: root can, with the permission of a container"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone may do this: .ci/run runs these")
as_ordinary_user = pytest.mark.skipif(
    os.geteuid() == 0, reason="root may read every file: run these as an ordinary user"
)
needs_c_compiler = pytest.mark.skipif(
    not (shutil.which("gcc") and Path(sysconfig.get_path("include"), "Python.h").exists()),
    reason="a C compiler is needed: apt install gcc libc6-dev python3-dev",
)
