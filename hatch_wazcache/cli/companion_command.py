"""The command that makes the companions of a package out of its wheel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.cli.compiler_options import command_field, compiler_option, timeout_option
from hatch_wazcache.cli.context import Context
from hatch_wazcache.cli.display import compiling
from hatch_wazcache.cli.result import Result
from hatch_wazcache.packing.build import record
from hatch_wazcache.packing.companions import companion_of, make_companions, say_what_to_publish
from hatch_wazcache.packing.entries import Entries
from hatch_wazcache.packing.entries_options import EntriesOptions
from hatch_wazcache.packing.from_wheel import FinishedWheel
from hatch_wazcache.project.distribution_fields import read_engines
from hatch_wazcache.project.target_fields import read_targets
from hatch_wazcache.util.problems import Problems

if TYPE_CHECKING:
    from argparse import Namespace

    from hatch_wazcache.compile.wasmtime_cli_places import Compiler
    from hatch_wazcache.engine.targets import Target

__all__ = ["companion"]


class _Options(NamedTuple):
    """The checked options of the command."""

    engines: tuple[str, ...]
    targets: tuple[Target, ...]
    compiler: Compiler
    timeout: float


def companion(options: Namespace) -> Result:
    """Make the companions of a package out of its wheel."""
    checked = _check(options)
    context = Context(options.project)
    directory = Path(options.wheel_dir)
    with compiling(strict=False) as report, FinishedWheel(Path(options.wheel)) as wheel:
        name = companion_of(wheel).name
        entries = Entries(
            EntriesOptions(context.cache, checked.compiler, checked.timeout, context.remote),
            None,
            report,
        )
        try:
            engines = entries.engines.find(checked.engines)
            made = make_companions(wheel, engines, checked.targets, directory, entries, report)
            record(entries, report, name, checked.targets, context.max_size)
        finally:
            entries.close()
        say_what_to_publish(made, report)
        report.show_wheels(directory)
    data = {
        "wheels": [str(path) for path in made],
        "engines": [engine.version for engine in engines],
        "compiled": report.compiled,
        "found": report.found,
        **report.remote_counts(),
    }
    return Result(data, [str(path) for path in made])


def _check(options: Namespace) -> _Options:
    """Check the options of the command.

    Raises:
        WazcacheError: all their problems, one line each.
    """
    problems = Problems(str)
    # In "wasmtime>=51,<52", the comma is part of the requirement.
    engines = [engine for text in options.engine for engine in re.split(r",\s*(?=\d)", text)]
    targets = read_targets(command_field("--targets", options.targets.split(","), problems))
    if targets and not any(target.systems for target in targets):
        problems.wrong("--targets", options.targets, "targets with wasmtime")
    checked = _Options(
        read_engines(command_field("--engine", engines, problems)),
        targets,
        compiler_option(options.compiler, problems),
        timeout_option(options.timeout, problems),
    )
    problems.raise_all()
    return checked
