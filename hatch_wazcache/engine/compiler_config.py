"""Configures the two compilers: wasmtime-py for this machine's system, the wasmtime CLI for all.

Only a compiler's process calls `make_config`: the process that builds never imports wasmtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hatch_wazcache.engine.settings import SETTINGS, code_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hatch_wazcache.engine.settings import SettingValue

__all__ = ["apply_settings", "make_config", "wasmtime_cli_arguments"]


def wasmtime_cli_arguments(
    triple: str | None,
    cpu_flags: Iterable[str],
    settings: Mapping[str, SettingValue],
    *,
    parallel: bool,
) -> list[str]:
    """Return the arguments with which `wasmtime compile` makes the same bytes as wasmtime-py.

    wasmtime-py always uses the collector `drc`; the default of the CLI depends on its features.
    `cache=n` keeps the CLI from reading the user's own configuration.

    The parameters are those of `make_config`.
    """
    arguments = ["-C", "collector=drc", "-C", "cache=n"]
    arguments += ["-C", f"parallel-compilation={'y' if parallel else 'n'}"]
    if triple is not None:
        arguments += ["--target", triple]
    for flag in cpu_flags:
        arguments += ["-C", f"cranelift-{flag}"]
    for name, value in code_settings(settings).items():
        arguments += SETTINGS[name].arguments(value)
    return arguments


def make_config(
    triple: str | None,
    cpu_flags: Iterable[str],
    settings: Mapping[str, SettingValue],
    *,
    parallel: bool,
) -> Any:
    """Make the `wasmtime.Config` that a compiler uses.

    Args:
        triple: the target; None for this machine with all features of its CPU.
        cpu_flags: Cranelift's names of the CPU features to use beyond the baseline.
        settings: values by the names in `SETTINGS`.
        parallel: compile the functions of one module on several threads; the bytes are the same.

    Raises:
        ValueError: this wasmtime does not have a setting.
        wasmtime.WasmtimeError: this wasmtime does not have the target.
    """
    import wasmtime
    from wasmtime import _ffi as ffi

    config = wasmtime.Config()
    config.parallel_compilation = parallel
    # Config.target and the flags are public from 45 on; the functions below do the same in 36.
    if triple is not None:
        error = ffi.wasmtime_config_target_set(config.ptr(), triple.encode())
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)  # noqa: SLF001
    for flag in cpu_flags:
        ffi.wasmtime_config_cranelift_flag_enable(config.ptr(), flag.encode())
    apply_settings(config, code_settings(settings))
    return config


def apply_settings(config: Any, settings: Mapping[str, SettingValue]) -> None:
    """Set a `wasmtime.Config`.

    Settings that only the wasmtime CLI has are skipped, because no engine needs them.

    Raises:
        ValueError: this wasmtime does not have a setting.
    """
    for name, value in settings.items():
        if SETTINGS[name].cli_only:
            continue
        attribute = SETTINGS[name].attribute
        if not hasattr(type(config), attribute):
            raise ValueError(f"this wasmtime has no setting `{name}`")
        setattr(config, attribute, value)
