"""The settings of an engine, with the spelling of each for the wasmtime CLI; and CPU levels."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CPU_LEVELS",
    "PROFILE_NAME",
    "SETTINGS",
    "Profile",
    "Setting",
    "SettingValue",
    "code_settings",
    "settings_text",
]

SettingValue = bool | int | str


PROFILE_NAME = r"[a-z0-9]+([_-][a-z0-9]+)*"
"""The names that a profile can have: they are part of the names of files."""


class Profile(NamedTuple):
    """A named set of engine settings."""

    name: str
    settings: Mapping[str, SettingValue] = MappingProxyType({})


class Setting(NamedTuple):
    """One engine setting, named as wasmtime-py's `Config` attribute in kebab-case."""

    name: str
    description: str
    """A few words for the docs: what `true`, or the value, does."""
    type: type[bool] | type[int] | type[str] = bool
    choices: tuple[str, ...] = ()
    """For a string: the allowed values."""
    minimum: int = 0
    maximum: int = 0
    """For an integer: the limits within which wasmtime neither wraps nor aborts."""
    in_code: bool = True
    """Whether an artifact's bytes depend on it. The others matter only when it is loaded."""
    option: str = ""
    """Its option of `wasmtime compile`; empty if that is `-W` and the name without `wasm-`."""
    words: Mapping[object, str] = MappingProxyType({})
    """Values that the wasmtime CLI spells differently.

    An empty string means the CLI's default, so nothing is passed.
    """
    since: int = 36
    """The first major version of wasmtime-py whose `Config` has it, from 36 on."""
    cli_only: bool = False
    """Whether only the wasmtime CLI has it. Artifacts made with it load in any engine."""

    @property
    def attribute(self) -> str:
        return self.name.replace("-", "_")

    def arguments(self, value: SettingValue) -> list[str]:
        """Return the wasmtime CLI's arguments for a value."""
        flag, _, option = (self.option or f"-W {self.name.removeprefix('wasm-')}").partition(" ")
        word = ("y" if value else "n") if isinstance(value, bool) else str(value)
        word = self.words.get(value, word)
        return [flag, f"{option}={word}"] if word else []

    def needs_wasmtime_cli(self, value: SettingValue) -> bool:
        """Say whether wasmtime-py cannot compile with this value; both have the same defaults."""
        return self.cli_only and bool(self.arguments(value))

    def allowed(self) -> str:
        """Describe the allowed values, for a message."""
        if self.type is bool:
            return "true or false"
        if self.type is int:
            return f"an integer from {self.minimum} to {self.maximum} (bytes)"
        return ", ".join(f'"{choice}"' for choice in self.choices)

    def accepts(self, value: object) -> bool:
        if self.type is int:
            return type(value) is int and self.minimum <= value <= self.maximum
        if self.type is str:
            return value in self.choices
        return isinstance(value, bool)


# Half of a process's address space of 2**47 bytes: wasmtime adds such sizes, and wraps silently.
_MOST_MEMORY = 1 << 46

SETTINGS = {
    setting.name: setting
    for setting in (
        Setting(
            "address-map",
            "keep the map from machine code to wasm; without it, backtraces of traps lack offsets",
            option="-D address-map",
            words={True: ""},
            cli_only=True,
        ),
        # The number is the fuel of a run; the code is the same for every number.
        Setting(
            "consume-fuel",
            "count fuel while wasm runs, so that a run can be limited",
            option="-W fuel",
            words={True: "1", False: ""},
        ),
        Setting(
            "cranelift-debug-verifier",
            "check the compiler's intermediate code; compiling gets slower",
            option="-C cranelift-debug-verifier",
        ),
        Setting(
            "cranelift-nan-canonicalization",
            "give every NaN the same bits, on every machine",
            option="-W nan-canonicalization",
            since=45,
        ),
        Setting(
            "cranelift-opt-level",
            "how much to optimize",
            str,
            choices=("none", "speed", "speed_and_size"),
            option="-O opt-level",
            words={"none": "0", "speed": "2", "speed_and_size": "s"},
        ),
        Setting(
            "debug-info",
            "translate the debug information of the `.wasm` for native debuggers and profilers",
            option="-D debug-info",
        ),
        Setting("epoch-interruption", "stop running wasm when the engine's epoch changes"),
        Setting("gc-support", "support garbage-collected references", since=45),
        Setting(
            "macos-use-mach-ports",
            "catch traps through Mach ports on macOS, instead of Unix signals",
            in_code=False,
            since=45,
        ),
        Setting(
            "max-wasm-stack",
            "the largest stack that wasm may use, in bytes",
            int,
            minimum=1,
            maximum=2 << 20,
            in_code=False,
            since=45,
        ),
        Setting(
            "memory-guard-size",
            "the size of the guard region behind a linear memory, in bytes",
            int,
            maximum=_MOST_MEMORY,
            option="-O memory-guard-size",
            since=45,
        ),
        Setting(
            "memory-init-cow",
            "initialize linear memories by copy-on-write mappings",
            option="-O memory-init-cow",
            since=45,
        ),
        Setting(
            "memory-may-move",
            "let a linear memory move when it grows",
            option="-O memory-may-move",
            since=45,
        ),
        Setting(
            "memory-reservation",
            "the address space to reserve for a linear memory, in bytes",
            int,
            maximum=_MOST_MEMORY,
            option="-O memory-reservation",
            since=45,
        ),
        Setting(
            "memory-reservation-for-growth",
            "the address space to reserve for growth when a linear memory moves, in bytes",
            int,
            maximum=_MOST_MEMORY,
            option="-O memory-reservation-for-growth",
            since=45,
        ),
        Setting(
            "native-unwind-info",
            "write unwind information for native debuggers and profilers",
            option="-C native-unwind-info",
            since=45,
        ),
        Setting(
            "parallel-compilation",
            "compile the functions of a module on several threads",
            in_code=False,
        ),
        Setting(
            "profiler",
            "the native profiler that gets the loaded code",
            str,
            choices=("none", "jitdump", "vtune", "perfmap"),
            in_code=False,
        ),
        Setting("shared-memory", "allow the creation of shared memories", in_code=False, since=40),
        Setting(
            "signals-based-traps",
            "detect traps by signals; without it, the code contains explicit checks",
            option="-O signals-based-traps",
            since=45,
        ),
        Setting(
            "strategy",
            "the compiler; `auto` is Cranelift",
            str,
            choices=("auto", "cranelift"),
            option="-C compiler",
            words={"auto": ""},
        ),
        Setting("wasm-bulk-memory", "bulk memory operations"),
        Setting("wasm-component-model", "the component model", since=45),
        Setting("wasm-component-model-implements", "`implements` in the component model", since=49),
        Setting("wasm-component-model-map", "map types in the component model", since=45),
        Setting("wasm-custom-page-sizes", "memories with other page sizes than 64 KiB", since=45),
        Setting("wasm-exceptions", "exception handling", since=39),
        Setting("wasm-function-references", "typed function references", since=45),
        Setting("wasm-gc", "garbage-collected structs and arrays", since=45),
        Setting("wasm-memory64", "64-bit memories"),
        Setting("wasm-multi-memory", "several memories in one module"),
        Setting("wasm-multi-value", "several results of functions and blocks"),
        Setting("wasm-reference-types", "reference types"),
        Setting("wasm-relaxed-simd", "relaxed SIMD"),
        Setting(
            "wasm-relaxed-simd-deterministic",
            "make relaxed SIMD give the same results on every machine",
        ),
        Setting("wasm-simd", "SIMD"),
        Setting("wasm-stack-switching", "stack switching", since=45),
        Setting("wasm-tail-call", "tail calls"),
        Setting("wasm-threads", "threads: atomics and shared memories"),
        Setting(
            "wasm-wide-arithmetic", "wide arithmetic: 128-bit addition and multiplication", since=45
        ),
    )
}

_V2 = ("has_sse3", "has_ssse3", "has_cmpxchg16b", "has_sse41", "has_sse42", "has_popcnt")
_V3 = (*_V2, "has_avx", "has_avx2", "has_bmi1", "has_bmi2", "has_lzcnt", "has_fma")
_V4 = (*_V3, "has_avx512f", "has_avx512dq", "has_avx512vl")

CPU_LEVELS: dict[str, tuple[str, ...]] = {
    # Cranelift's flags for https://gitlab.com/x86-psABIs/x86-64-ABI, one by one: not every version
    # from 36 on has Cranelift's presets of these names.
    "x86-64-v2": _V2,
    "x86-64-v3": _V3,
    "x86-64-v4": _V4,
}


def code_settings(settings: Mapping[str, SettingValue]) -> dict[str, SettingValue]:
    """Return the settings that an artifact's bytes depend on, sorted by name."""
    return {name: settings[name] for name in sorted(settings) if SETTINGS[name].in_code}


def settings_text(settings: Mapping[str, SettingValue]) -> str:
    """Return " with NAME = VALUE, …" for a message; an empty string for no settings."""
    values = ", ".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    return f" with {values}" if values else ""
