"""The folders of this repository that tests use."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".work"
EXAMPLE = ROOT / "example_project"
