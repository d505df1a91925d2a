"""An entry to put into a cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatch_wazcache.cache.entry import write_entry
from tests.support.entries import DATA, KEY


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    path = tmp_path / "entry.zip"
    with path.open("wb") as file:
        write_entry(file, KEY.digest, KEY.inputs(), "asset.wasm", DATA, 1.5)
    return path
