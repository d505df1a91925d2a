"""What holds of the options, whatever TOML values they have."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_wazcache.engine.settings import SETTINGS
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.options import OPTIONS, read_config
from tests.support.options import TABLE

NAMES = [option.name for option in OPTIONS]

TEXTS = st.text() | st.sampled_from(
    ["native", "all", "baseline", "default", "src/*.wasm", "../a", "~nobody/a", "5 GiB", "a\0b",
     "9" * 400, "48", "wasmtime==48.*", "wasmtime>=48", "wasmtime @ https://example.org/a.whl",
     "loader.py"]
)  # fmt: skip
KEYS = st.sampled_from([*NAMES, *SETTINGS, "path", "profiles"]) | st.text()
SCALARS = st.booleans() | st.integers() | st.floats() | st.datetimes() | st.times() | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=5
)
TABLES = st.dictionaries(st.sampled_from(NAMES) | KEYS, VALUES, max_size=4)
ASSETS = st.just(["src/*.wasm"]) | VALUES


@settings(max_examples=500, deadline=None, derandomize=True)
@given(TABLES, ASSETS)
def test_every_value_is_read_or_a_message_with_its_path(table: dict[str, object], assets: object):
    message = ""
    try:
        read_config({**table, "assets": assets}, TABLE, {}, Path("/project"))
    except WazcacheError as error:
        message = str(error)
    assert message == "" or message.startswith(f"{TABLE}.")
