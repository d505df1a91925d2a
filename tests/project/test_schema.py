"""The JSON schema of the options, and the docs that are made from the same model."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from docs.tables import generated
from hatch_wazcache.engine.settings import SETTINGS
from hatch_wazcache.project.options import OPTIONS
from hatch_wazcache.project.schema import SCHEMA_FILE
from hatch_wazcache.util import environment
from tests.project.test_options import WRONG
from tests.support.paths import ROOT

VALIDATOR = jsonschema.Draft7Validator(json.loads(SCHEMA_FILE.read_text()))

BEYOND_A_SCHEMA = re.compile(
    r"glob relative|path such as|requirement such as|no such user|does not contain|another order"
    r"|= (nan|inf|\"5\"):|must be one of \"default\"|exactly one major|36 or later, the"
    r"|without|wasmtime 48 is listed"
)
"""The messages for values that a schema of types and names cannot refuse."""


def check(path: Path, text: str) -> subprocess.CompletedProcess[str]:
    path.write_text(text)
    words = [sys.executable, "-m", "validate_pyproject", str(path)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", generated(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_made_from_the_code_is_up_to_date(path: Path):
    assert path.read_text(encoding="utf-8") == generated()[path], "run `make docs-tables`"


def test_the_docs_have_every_environment_variable():
    page = (ROOT / "docs/options.md").read_text(encoding="utf-8")
    table = page.partition("<!-- variables -->")[2].partition("<!-- variables: end -->")[0]
    names = {name for name in vars(environment).values() if str(name).startswith("WAZCACHE_")}
    assert names == set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))


def test_validate_pyproject_finds_a_mistake_in_the_options(tmp_path: Path):
    project = '[project]\nname = "p"\nversion = "1"\n[tool.wazcache]\n'
    wrong = check(tmp_path / "pyproject.toml", f'{project}assets = ["a.wasm"]\nasets = 3\n')
    assert wrong.returncode != 0
    assert "tool.wazcache" in wrong.stdout + wrong.stderr
    assert "asets" in wrong.stdout + wrong.stderr
    right = check(tmp_path / "pyproject.toml", f'{project}assets = ["a.wasm"]\ntimeout = 3\n')
    assert right.returncode == 0, right.stdout + right.stderr


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_schema_accepts_each_default(option):
    if option.default is not None:
        VALIDATOR.validate({"assets": "a.wasm", option.name: option.default})


@pytest.mark.parametrize(
    "table",
    [
        {"assets": "a.wasm", "targets": "all", "cpu": ["x86-64-v3", "baseline"], "strip": "name"},
        {"assets": [{"path": "a", "profiles": "fuel"}, "b"], "profiles": {"fuel": {}}},
        {"assets": ["a"], "max-size": False, "loader": False, "engine": "wasmtime==48.*"},
        {"assets": ["a"], "engines": ["48", "wasmtime>=50,<51"], "companion": "a-wasmtime"},
        {"assets": ["a"], "engines": "50", "fallback": "compile"},
        {"assets": ["a"], "loader": "p/_w.py", "timeout": 0.5, "strict": True, "keep-wasm": False},
    ],
)
def test_the_schema_accepts_right_options(table):
    VALIDATOR.validate(table)


@pytest.mark.parametrize(
    ("option", "value"),
    [(option, value) for option, value, why in WRONG if not BEYOND_A_SCHEMA.search(why)],
)
def test_the_schema_refuses_what_the_reader_refuses(option, value):
    table = {"assets": ["a.wasm"], option.replace("_", "-"): value}
    assert not VALIDATOR.is_valid(table)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.name)
def test_the_schema_knows_the_values_of_each_setting(setting):
    right = {bool: True, int: setting.minimum, str: "".join(setting.choices[:1])}[setting.type]
    for value in (True, 1.5, -1, 1 << 47, "x", [right], right):
        table = {"assets": ["a"], "profiles": {"p": {setting.name: value}}}
        assert VALIDATOR.is_valid(table) == setting.accepts(value), value
