"""Finds the setting for a compiler's error.

If a WebAssembly feature is not enabled, wasmtime's error does not name the setting.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hatch_wazcache.engine.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_wazcache.engine.settings import SettingValue

__all__ = ["feature_hint"]

_IS_ABOUT_A_FEATURE = re.compile(
    r"not enabled|be enabled|disabled|\brequires?\b|feature required|without the .* feature"
    r"|multiple memories \(at"
)

# The first match counts, so `legacy exceptions` comes before `exceptions`. The words come from
# https://github.com/bytecodealliance/wasm-tools, crates/wasmparser/src/validator.
_SETTINGS = (
    (r"shared-everything", ""),
    (r"legacy[ _-]exceptions", ""),
    (r"component[ -]model[ -](async|error[ -]context|threading|values|gc|fixed)", ""),
    (r"relaxed SIMD", "wasm-relaxed-simd"),
    (r"SIMD", "wasm-simd"),
    (r"memory64|64-bit (memories|tables)", "wasm-memory64"),
    (r"multiple memories|multi-memory", "wasm-multi-memory"),
    (r"custom page sizes", "wasm-custom-page-sizes"),
    (r"threads", "wasm-threads"),
    (r"tail calls?", "wasm-tail-call"),
    (r"exceptions", "wasm-exceptions"),
    (r"stack switching|continuation", "wasm-stack-switching"),
    (r"wide arithmetic", "wasm-wide-arithmetic"),
    (r"function references", "wasm-function-references"),
    (r"\bgc\b", "wasm-gc"),
    (r"bulk memory", "wasm-bulk-memory"),
    (r"reference types", "wasm-reference-types"),
    (r"multi-value", "wasm-multi-value"),
    (r"component[ -]model", "wasm-component-model"),
)


def feature_hint(error: str, settings: Mapping[str, SettingValue], engine: str) -> str:
    """Return advice for a feature that is not enabled; an empty string for other errors.

    Args:
        error: the compiler's message.
        settings: the settings of the profile.
        engine: the version of the engine.
    """
    found = (name for pattern, name in _SETTINGS if re.search(pattern, error))
    name = next(found, None)
    if name is None or not _IS_ABOUT_A_FEATURE.search(error):
        return ""
    if not name:
        return "no setting of wasmtime-py enables that feature"
    if settings.get(name) is False:
        return f"the profile disables it: {name} = false"
    since = SETTINGS[name].since
    if int(engine.partition(".")[0]) < since:
        return f"the setting {name} enables it from wasmtime {since} on"
    if settings.get(name) is True:
        return ""
    return f"the setting {name} = true of a profile enables it"
