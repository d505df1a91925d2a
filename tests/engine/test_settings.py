"""The settings of an engine, by their names."""

from __future__ import annotations

from hatch_wazcache.engine.settings import SETTINGS


def test_settings_have_the_names_of_wasmtime_in_kebab_case():
    import wasmtime

    attributes = {
        name.replace("_", "-")
        for name, value in vars(wasmtime.Config).items()
        if isinstance(value, property) and value.fset is not None
    }
    elsewhere = {"cache", "target"}
    assert attributes - elsewhere <= set(SETTINGS)
    newer = {"wasm-component-model-implements", "wasm-component-model-map"}
    assert set(SETTINGS) - attributes <= newer | {"address-map"}  # only the wasmtime CLI has it


def test_each_setting_says_since_which_wasmtime_it_exists():
    import importlib.metadata

    import wasmtime

    installed = int(importlib.metadata.version("wasmtime").partition(".")[0])
    for setting in SETTINGS.values():
        there = hasattr(wasmtime.Config, setting.attribute)
        assert there == (setting.since <= installed and not setting.cli_only), setting.name
