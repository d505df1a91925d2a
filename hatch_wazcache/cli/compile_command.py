"""The command that compiles the `.wasm` files of finished wheels."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from hatch_wazcache.cli.display import compiling
from hatch_wazcache.cli.option_flags import given_flags
from hatch_wazcache.cli.result import Result
from hatch_wazcache.cli.wheel_config import WheelConfigs
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.compile_wheels import compile_wheels
from hatch_wazcache.packing.from_wheel import FinishedWheel

if TYPE_CHECKING:
    from argparse import Namespace

    from hatch_wazcache.report import MadeWheel

__all__ = ["compile_"]


def compile_(options: Namespace) -> Result:
    """Make wheels with artifacts out of finished wheels: all, or none."""
    flags = given_flags(options)
    directory = None if options.in_place else Path(options.wheel_dir)
    with compiling(strict=bool(flags.get("strict"))) as report, ExitStack() as stack:
        configs = WheelConfigs(options.project, flags, report, extend=options.extend)
        wheels = _open(dict.fromkeys(options.wheels), stack)
        made = compile_wheels(wheels, configs.of, directory, report)
        details = [_describe(path, report.made_wheels.get(path.name)) for path in made]
        for path in made:
            report.show_wheels(path.parent)
    paths = [str(path) for path in made]
    data: dict[str, Any] = {
        "wheels": paths,
        "made": details,
        "compiled": report.compiled,
        "found": report.found,
    }
    data |= report.remote_counts()
    return Result(data, paths)


def _describe(path: Path, made: MadeWheel | None) -> dict[str, Any]:
    """Describe a new wheel for programs; `made` is None for version 0 of a companion."""
    return {
        "path": str(path),
        "tag": "-".join(path.stem.split("-")[-3:]),
        "target": "any" if made is None else made.target,
        "engines": [] if made is None else sorted(set(made.engines), key=Version),
        "artifacts": 0 if made is None else len(made.engines),
        "size": path.stat().st_size,
    }


def _open(names: dict[str, None], stack: ExitStack) -> list[FinishedWheel]:
    """Open the wheels.

    Raises:
        WazcacheError: some are not wheels; one line for each problem.
    """
    wheels, problems = [], []
    for name in names:
        try:
            wheels.append(stack.enter_context(FinishedWheel(Path(name))))
        except WazcacheError as error:
            problems.append(str(error))
    if problems:
        raise WazcacheError("\n".join(problems))
    return wheels
