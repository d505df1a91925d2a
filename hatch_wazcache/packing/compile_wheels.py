"""Makes platform wheels from finished wheels of any build backend, as the hook would have.

The stranger's wheel takes the place of the wheel that a build backend makes for the hook. It is
read without trust, and nothing in it is run.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.engine.targets import TARGETS
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.build import Build
from hatch_wazcache.packing.check_wheel import check_contents, check_wheel
from hatch_wazcache.packing.committed_loader import is_current, old_loader
from hatch_wazcache.packing.entries import Entries
from hatch_wazcache.packing.entries_options import EntriesOptions
from hatch_wazcache.packing.publication import Publication
from hatch_wazcache.packing.wheel import begin_wheel, finish_wheel
from hatch_wazcache.packing.wheel_project import project_of, shown
from hatch_wazcache.packing.wheel_targets import WheelTargets
from hatch_wazcache.util.signals import ended_cleanly
from hatch_wazcache.wheels.companion_files import version_problem
from hatch_wazcache.wheels.wheel_tag import tagged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.packing.from_wheel import FinishedWheel
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.project import Project
    from hatch_wazcache.report import Report

__all__ = ["compile_wheels"]

_SIGNATURES = ("RECORD.jws", "RECORD.p7s")
"""The files of the .dist-info folder that sign RECORD, which is written anew."""


class _Order(NamedTuple):
    """One wheel to compile. Nothing is written yet."""

    wheel: FinishedWheel
    project: Project
    targets: WheelTargets
    directory: Path
    """The folder of the new wheels."""

    @property
    def own_targets(self) -> tuple[Target, ...]:
        """The targets of the package's own wheels: `any` alone, if it has companions."""
        if self.project.config.companion is not None:
            return (TARGETS["any"],)
        return self.targets.targets

    @property
    def outputs(self) -> list[Path]:
        """The package's own new wheels."""
        return [self.directory / self.targets.name_for(target) for target in self.own_targets]


def compile_wheels(
    wheels: Sequence[FinishedWheel],
    config_for: Callable[[FinishedWheel], Config],
    directory: Path | None,
    report: Report,
) -> list[Path]:
    """Compile the assets of wheels, and write new wheels with the artifacts: all, or none.

    Args:
        wheels: open wheels.
        config_for: returns the options for a wheel; raises WazcacheError.
        directory: the folder of the new wheels; it is created if it is missing. None: the new
            wheels replace those that they are made from.
        report: shows progress and warnings, and counts.

    Returns:
        The new wheels.

    Raises:
        WazcacheError: a wheel cannot be compiled, or a new one cannot be written. Nothing has
            changed then.
    """
    with ended_cleanly(), Publication() as publication:
        orders, problems = [], []
        for wheel in wheels:
            try:
                config = config_for(wheel)
                with _named(wheel):
                    orders.append(_order(wheel, config, directory, report))
            except WazcacheError as error:
                problems += str(error).split("\n")
        problems += _output_problems(orders, in_place=directory is None)
        if problems:
            raise WazcacheError("\n".join(dict.fromkeys(problems)))
        made = [path for order in orders for path in _make(order, publication, report)]
        replaced = (
            [] if directory else [one.wheel.path for one in orders if one.wheel.path not in made]
        )
        for order in orders:
            order.wheel.reader.close()  # Windows does not replace an open file
        publication.publish(replaced)
    made = list(dict.fromkeys(made))
    if len(made) > 1:
        report.is_done(f"{len(made)} wheels")
    return made


def _order(wheel: FinishedWheel, config: Config, directory: Path | None, report: Report) -> _Order:
    """Check a wheel and its options. Its assets are unpacked."""
    check_wheel(wheel)
    project = project_of(wheel, config)  # reads the assets, so their digests are known
    check_contents(wheel)
    assets = {file.relative for file in project.layout.declared or ()}
    others = [name for name in wheel.reader.names if name.endswith(".wasm") and name not in assets]
    if others:
        report.say(
            f"{wheel.path.name}: not compiled, because no glob of assets matches them in a "
            f"package: {shown(others)}"
        )
    targets = WheelTargets.of(wheel, project.config, report)
    problems = [problem for one in targets.targets for problem in project.config.misfits(one)]
    if project.config.companion is not None and (problem := version_problem(wheel.version)):
        problems.append(problem)
    if not assets and not project.config.loader:
        problems.append("has no asset, and no loader is named")
    if problems:
        raise WazcacheError("\n".join(f"{wheel.path}: {one}" for one in dict.fromkeys(problems)))
    return _Order(wheel, project, targets, directory or wheel.path.parent)


@contextmanager
def _named(wheel: FinishedWheel) -> Iterator[None]:
    """Let each line of an error name the wheel."""
    try:
        yield
    except WazcacheError as error:
        prefix = f"{wheel.path}: "
        lines = (prefix + line.removeprefix(prefix) for line in str(error).split("\n"))
        raise WazcacheError("\n".join(lines)) from error


def _output_problems(orders: Sequence[_Order], *, in_place: bool) -> Iterator[str]:
    """Yield the reasons why new wheels cannot have their names, one line each."""
    inputs = [order.wheel.path for order in orders]
    makers: dict[Path, Path] = {}
    reported: set[tuple[Path, Path]] = set()
    for order in orders:
        for output in order.outputs:
            pair = makers.setdefault(output, order.wheel.path), order.wheel.path
            if pair[0] != pair[1] and pair not in reported:
                reported.add(pair)
                yield (
                    f"{pair[0]} and {pair[1]}: both would become {output}; give one of them, or "
                    "other targets"
                )
            if output.is_dir():
                yield f"{output}: is a directory, so no wheel can have this name"
            elif not in_place and output.exists() and any(map(output.samefile, inputs)):
                yield (
                    f"{output}: would be replaced by its own new wheel; name another folder with "
                    "-w, or replace it with --in-place"
                )


def _make(order: _Order, publication: Publication, report: Report) -> Iterator[Path]:
    """Make the new wheels of a wheel, and yield their final paths."""
    project, targets = order.project, order.targets.targets
    folder = publication.folder(order.directory)
    for name in _signatures(order.wheel):
        report.say(f"{order.wheel.path.name}: {name} is left out: it signs the old RECORD")
    for loader in order.wheel.without_manifest:
        if not is_current(order.wheel.text(loader)):
            report.say(old_loader(loader))
    entries = Entries(EntriesOptions.of(project), None, report)
    with _unchanged(order.wheel), _named(order.wheel), closing(entries):
        if any(target.systems for target in targets) and not project.config.engines:
            entries.engines.find_wasmtime(project.requirement, targets)
        first: Build | None = None
        for target in order.own_targets:
            build = Build(project, target, report, first, entries)
            _check_members(order.wheel, build)
            build.check_sbom()
            if first is None:
                build.make_entries(order.own_targets[1:])
                first = build
            made = _write(order, build, target, folder)
            yield publication.add(made, order.directory)
        assert first is not None
        companions: tuple[Target, ...] = ()
        if project.config.companion is not None:
            companions = targets
            for one in _make_companions(order, first, made, folder):
                yield publication.add(one, order.directory)
        first.record_and_prune(companions)


@contextmanager
def _unchanged(wheel: FinishedWheel) -> Iterator[None]:
    """Check at the end that nobody has written the wheel meanwhile.

    If somebody has, this is the reason of every other exception.
    """
    try:
        yield
    except Exception:
        wheel.check_unchanged()
        raise
    wheel.check_unchanged()


def _check_members(wheel: FinishedWheel, build: Build) -> None:
    """Refuse to replace members of the wheel that are not from hatch-wazcache."""
    for package in build.plan.packages:
        for name in (package.manifest, package.loader):
            if (
                name
                and (path := package.file(name)) in wheel.reader
                and path not in wheel.old_members
            ):
                raise WazcacheError(
                    f"{wheel.path}: {path}: is not from hatch-wazcache, and would be replaced; "
                    "choose another name with the option loader"
                )


def _signatures(wheel: FinishedWheel) -> list[str]:
    paths = (f"{wheel.info}/{name}" for name in _SIGNATURES)
    return [path for path in paths if path in wheel.reader]


def _write(order: _Order, build: Build, target: Target, folder: Path) -> Path:
    """Write the new wheel for a target into the temporary folder."""
    wheel, info = order.wheel, order.wheel.info
    final = folder / order.targets.name_for(target)
    pure = not order.targets.is_native and target.name == "any" and wheel.is_pure
    assets = [asset.distribution for asset in build.plan.assets]
    left_out = {*_signatures(wheel), *wheel.old_members, *assets}
    new = tagged(wheel.text(f"{info}/WHEEL"), order.targets.tag_for(target), pure=pure)
    made = begin_wheel(build, folder, wheel.date_time, reproducible=True)
    try:
        finish_wheel(
            build,
            made,
            wheel.path,
            final,
            left_out,
            {f"{info}/WHEEL": new},
            is_one_of_several=True,
        )
    finally:
        made.abandon()
    return final


def _make_companions(order: _Order, build: Build, package: Path, folder: Path) -> list[Path]:
    """Make the companions of a new wheel in the temporary folder."""
    from hatch_wazcache.packing.companions import make_companions, say_what_to_publish
    from hatch_wazcache.packing.from_wheel import FinishedWheel

    targets, config = order.targets.targets, order.project.config
    build.check_companions(targets)
    engines = build.entries.engines.find(config.engines)
    with FinishedWheel(package) as wheel:
        made = make_companions(wheel, engines, targets, folder, build.entries, build.report)
    say_what_to_publish(made, build.report)
    return made
