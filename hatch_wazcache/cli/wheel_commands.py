"""The commands that read wheels: `audit` checks them, `inspect` shows their contents."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.audit.audit_wheel import audit_wheel
from hatch_wazcache.audit.companion_comparison import compare_companions
from hatch_wazcache.audit.inspection import Here, inspect_wheel
from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.location import default_directory
from hatch_wazcache.cli.compiler_options import compiler_option, timeout_option
from hatch_wazcache.cli.display import compiling, counted, table
from hatch_wazcache.cli.result import Result
from hatch_wazcache.errors import ExitStatus, WazcacheError
from hatch_wazcache.util.environment import CACHE_DIR, read_variable
from hatch_wazcache.util.problems import Problems
from hatch_wazcache.util.sizes_and_times import size_text
from hatch_wazcache.util.terminal import printable
from hatch_wazcache.wheels.finding import Finding, Note
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError, WheelReader

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator

    from hatch_wazcache.audit.audit_wheel import AuditResult
    from hatch_wazcache.audit.inspection import (
        ArtifactInspection,
        AssetInspection,
        PackageInspection,
        WheelInspection,
    )
    from hatch_wazcache.audit.recompile import Recompiler
    from hatch_wazcache.report import Report

__all__ = ["audit", "inspect"]


def audit(options: Namespace) -> Result:
    """Check wheels; with `--recompile`, also compile their artifacts again."""
    if options.compiler is not None and not options.recompile:
        raise WazcacheError("--compiler has no effect without --recompile")
    audits = _Audits()
    with ExitStack() as resources:
        recompiler = None
        if options.recompile:
            from hatch_wazcache.audit.recompile import Recompiler

            problems = Problems(str)
            compiler = compiler_option(options.compiler, problems)
            timeout = timeout_option(None, problems)
            problems.raise_all()
            report = resources.enter_context(compiling(strict=False))
            cache = partial(_users_cache, report)
            recompiler = resources.enter_context(Recompiler(report, compiler, timeout, cache))
        for name in options.wheels:
            audits.add(name)
        if recompiler is not None:
            audits.compile_again(recompiler)
    return audits.result(recompiled=recompiler is not None)


class _Audits:
    """The results of several audits, added up."""

    def __init__(self) -> None:
        self._wheels = 0
        self._artifacts = 0
        self._compared = 0
        self._findings: list[tuple[str, Finding]] = []
        self._notes: list[tuple[str, Note]] = []
        self._problems: list[str] = []
        self._audits: list[tuple[str, AuditResult]] = []

    def add(self, name: str) -> None:
        """Audit a wheel."""
        try:
            with WheelReader(Path(name)) as wheel:
                result = audit_wheel(wheel)
                self._audits.append((name, result))
                self._findings += [(name, finding) for finding in result.findings]
                self._notes += [(name, note) for note in result.notes]
                self._artifacts += len(result.headers)
        except BrokenWheelError as error:
            self._findings.append((name, Finding(None, str(error))))
        except WazcacheError as error:
            self._problems.append(str(error))
            return
        self._wheels += 1

    def compile_again(self, recompiler: Recompiler) -> None:
        """Compile the artifacts of all wheels again."""
        for name, audit in self._audits:
            recompiler.remember_assets(Path(name), audit)
        for name, audit in self._audits:
            try:
                with WheelReader(Path(name)) as wheel:
                    comparison = recompiler.compare(wheel, audit)
            except (BrokenWheelError, WazcacheError) as error:  # it has changed meanwhile
                self._problems.append(_line(name, Finding(None, str(error))))
                continue
            self._findings += [(name, finding) for finding in comparison.findings]
            self._problems += [_line(name, problem) for problem in comparison.problems]
            self._compared += comparison.compared

    def result(self, *, recompiled: bool) -> Result:
        """Return the results of all audits.

        Args:
            recompiled: whether artifacts were compiled again.
        """
        for name, one in compare_companions(self._audits):
            if isinstance(one, Finding):
                self._findings.append((name, one))
            else:
                self._notes.append((name, one))
        lines = [_line(name, finding) for name, finding in self._findings]
        lines += [_line(name, note) for name, note in self._notes]
        counts = [counted(self._wheels, "wheel") + " audited", counted(self._artifacts, "artifact")]
        counts += [f"{self._compared} compiled again"] if recompiled else []
        found = [counted(len(self._findings), "finding")]
        found += [counted(len(self._notes), "note")] if self._notes else []
        lines.append(f"{', '.join(counts)}: {', '.join(found)}")
        data = {
            "wheels": self._wheels,
            "artifacts": self._artifacts,
            "recompiled": self._compared,
            "findings": [
                {"wheel": name, "member": finding.member, "finding": finding.text}
                for name, finding in self._findings
            ],
            "notes": [
                {"wheel": name, "member": note.member, "note": note.text}
                for name, note in self._notes
            ],
            "problems": self._problems,
        }
        status = ExitStatus.FINDINGS if self._findings else ExitStatus.DONE
        return Result(data, lines, status, _joined(self._problems))


def _users_cache(report: Report) -> CacheDirectory:
    """Return the cache for fetched wheels; a wheel belongs to no project that could name it."""
    given = os.path.expanduser(read_variable(CACHE_DIR) or "")
    root = Path(os.path.abspath(given)) if given else default_directory()
    return CacheDirectory(root, report.trouble)


def _line(wheel: str, result: Finding | Note) -> str:
    kind = "note" if isinstance(result, Note) else None
    return ": ".join(part for part in (wheel, result.member, kind, result.text) if part)


def inspect(options: Namespace) -> Result:
    """Show the contents of each wheel, and which of its artifacts load here."""
    here = Here.find()
    inspections: list[WheelInspection] = []
    problems: list[str] = []
    for name in options.wheels:
        try:
            with WheelReader(Path(name)) as wheel:
                inspections.append(inspect_wheel(wheel, here))
        except BrokenWheelError as error:
            problems.append(_line(name, Finding(None, str(error))))
        except WazcacheError as error:
            problems.append(str(error))
    lines: list[str] = []
    for inspection in inspections:
        lines += (
            ["", *_inspection_lines(inspection, here)]
            if lines
            else [*_inspection_lines(inspection, here)]
        )
    data = {
        "here": {"system": here.system, "wasmtime": here.wasmtime},
        "wheels": [asdict(inspection) for inspection in inspections],
        "problems": problems,
    }
    return Result(data, lines, problem=_joined(problems))


def _inspection_lines(inspection: WheelInspection, here: Here) -> Iterator[str]:
    sizes = f"{size_text(inspection.size)}, {size_text(inspection.unpacked)} unpacked"
    requires = " and ".join(inspection.requires)
    system = here.system or "a system without wasmtime-py"
    yield from table(
        [
            ("wheel", Path(inspection.wheel).name),
            ("tags", ", ".join(inspection.tags)),
            ("size", f"{sizes}, {counted(inspection.files, 'file')}"),
            ("needs", f"{requires or 'no wasmtime'}, Python {inspection.requires_python or 'any'}"),
            ("here", f"{system}, wasmtime {here.wasmtime or f'not tried: {here.problem}'}"),
        ]
    )
    yield from (f"note: {note}" for note in inspection.notes)
    if inspection.is_version_0:
        yield "version 0 of a companion: installers choose it where no other version fits"
    elif not inspection.packages:
        yield "no package in it has a manifest of hatch-wazcache"
    for package in inspection.packages:
        yield ""
        yield from _package_lines(package)


def _package_lines(package: PackageInspection) -> Iterator[str]:
    wasmtime = ", ".join(package.wasmtime)
    about = [f"for wasmtime {wasmtime}" if wasmtime else "no artifacts"]
    if package.companion_of:
        about.append(f"companion of {package.companion_of}")
    else:
        about.append(f"loader {package.loader}" if package.loader else "no loader")
    about += [f"loaded by {package.runtime}"] if package.runtime else []
    about += [f"companion {package.companion}"] if package.companion else []
    yield f"{package.package}: {', '.join(about)}"
    yield from (f"{package.manifest}: {problem}" for problem in package.problems)
    rows: list[tuple[str, ...]] = [
        ("FILE", "TARGET", "CPU", "PROFILE", "WASMTIME", "SIZE", "PACKED", "HERE")
    ]
    for asset in package.assets:
        name = asset.wasm or f"{asset.name} (not in the wheel)"
        rows.append((name, asset.kind, "", "", "", *_sizes(asset)))
        rows += [
            (
                artifact.file,
                artifact.target,
                artifact.cpu,
                artifact.profile,
                artifact.wasmtime,
                *_sizes(artifact),
                artifact.reason or "loads",
            )
            for artifact in asset.artifacts
        ]
    yield from table(rows, indent="  ")


def _sizes(file: AssetInspection | ArtifactInspection) -> list[str]:
    return ["-" if size is None else size_text(size) for size in (file.size, file.packed)]


def _joined(problems: Iterable[str]) -> str:
    """Join problems, one line each. Line breaks in them are escaped."""
    return "\n".join(map(printable, problems))
