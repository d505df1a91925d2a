"""The names that `hatch_wazcache` itself has."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hatch_wazcache
from tests.support.paths import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_the_version_is_that_of_pyproject_toml():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert hatch_wazcache.__version__ == pyproject["project"]["version"]


@pytest.mark.parametrize("name", hatch_wazcache.__all__)
def test_every_public_name_exists(name):
    assert getattr(hatch_wazcache, name) is not None


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'cache_size'"):
        _ = hatch_wazcache.cache_size


def test_the_import_alone_reads_no_metadata_and_no_cache():
    code = "import sys, hatch_wazcache; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
    ).stdout.split()  # fmt: skip
    assert not {"importlib.metadata", "hatch_wazcache.compilation_cache"} & set(loaded)
