"""Makes the platform wheel of a build: the large members first, then those of the base wheel."""

from __future__ import annotations

import hashlib
import re
import stat
import time
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.zip_members import DEFAULT_MODE, Deflated, zip_time
from hatch_wazcache.report import MadeWheel
from hatch_wazcache.util.sizes_and_times import size_text
from hatch_wazcache.wheels import PYPI_LIMIT
from hatch_wazcache.wheels.platform_wheel import PlatformWheel

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from hatch_wazcache.cache.entry import Entry
    from hatch_wazcache.formats.zip_members import DateTime
    from hatch_wazcache.packing.build import Build
    from hatch_wazcache.packing.entries import Copy, Entries
    from hatch_wazcache.packing.plan import Artifact, Asset
    from hatch_wazcache.report import Report

__all__ = [
    "begin_wheel",
    "complete_wheel",
    "finish_wheel",
    "leave_room",
    "report_wheel",
    "say_if_too_large",
]


def begin_wheel(
    build: Build, directory: Path, date_time: DateTime, *, reproducible: bool
) -> PlatformWheel:
    """Begin the wheel with its assets and artifacts, and the loader and manifest of each package.

    Args:
        build: its entries are made.
        directory: the folder of the finished wheel.
        date_time: the time stamp of generated members.
        reproducible: whether assets get that time stamp too, and the mode 644 or 755. If not, they
            keep their own. The assets of a finished wheel always keep theirs.

    Raises:
        WazcacheError: the directory or the wheel cannot be written.
    """
    wheel = PlatformWheel(directory, date_time)
    plan, entries = build.plan, build.entries
    assets = plan.assets if build.project.config.keep_wasm else ()
    jobs = [asset.job for asset in assets] + [artifact.job for artifact in plan.artifacts]
    wheel.reserve(entries.stream_size(jobs))
    try:
        copies = [
            copy
            for asset in assets
            for copy in _add_asset(wheel, asset, entries, reproducible=reproducible)
        ]
        copies += [leave_room(wheel, artifact, entries) for artifact in plan.artifacts]
        entries.copy_all(copies)
        for name, data in build.generated_files():
            wheel.add_bytes(name, data)
        wheel.flush()
    except OSError as error:
        wheel.abandon()
        raise WazcacheError(
            f"the wheel cannot be written to {directory}: {error.strerror or error}"
        ) from error
    except BaseException:
        wheel.abandon()
        raise
    return wheel


def finish_wheel(
    build: Build,
    wheel: PlatformWheel,
    base: Path,
    final: Path,
    left_out: Collection[str],
    replaced: Mapping[str, bytes] = MappingProxyType({}),
    *,
    is_one_of_several: bool = False,
) -> None:
    """Complete the wheel, give it its final name, and report it.

    Args:
        build: the build that began the wheel.
        wheel: the result of `begin_wheel`.
        base: the wheel that the build system made.
        final: the final name, in the same directory. It may be the base wheel's.
        left_out: members of the base wheel to leave out.
        replaced: the new bytes of members of the base wheel.
        is_one_of_several: whether to report the counts of this wheel, not of the whole report.

    Raises:
        WazcacheError: the base wheel is not a wheel, or the wheel cannot be written.
    """
    with _writing(f"{final}: cannot be written"):
        _add_metadata(build, wheel, base)
        size = wheel.finish(base, final, left_out, build.report.say, replaced)
    report_wheel(build, final, size, is_one_of_several=is_one_of_several)


def complete_wheel(
    build: Build, wheel: PlatformWheel, base: Path, left_out: Collection[str]
) -> int:
    """Add the build system's members to the wheel, which keeps its temporary name.

    Returns:
        The wheel's size in bytes.

    Args, Raises: as for `finish_wheel`.
    """
    with _writing(f"the wheel cannot be written to {wheel.path.parent}"):
        _add_metadata(build, wheel, base)
        return wheel.complete(base, left_out, build.report.say)


def _add_metadata(build: Build, wheel: PlatformWheel, base: Path) -> None:
    """Add the files of the .dist-info folder that differ from the base wheel's, or are new."""
    config = build.project.config
    if config.companion is None and not config.sbom:
        return
    import zipfile

    from hatch_wazcache.wheels.sbom import check_place, sbom_path

    with zipfile.ZipFile(base) as archive:
        for info in archive.infolist():
            if re.fullmatch(r"[^/]+\.dist-info/METADATA", info.filename):
                metadata = archive.read(info)
                if config.companion is not None:
                    _put_companion_first(config.companion, wheel, info, metadata)
                if config.sbom:
                    from hatch_wazcache.packing.sbom import sbom_of

                    path = sbom_path(info.filename.partition("/")[0])
                    check_place(path, archive.namelist())
                    wheel.add_bytes(path, sbom_of(build, metadata).to_bytes())


def _put_companion_first(
    companion: str, wheel: PlatformWheel, info: zipfile.ZipInfo, before: bytes
) -> None:
    """Add METADATA with the requirement on the companion as the first one, if it is not yet."""
    from hatch_wazcache.wheels.companion_files import requires_first

    after = requires_first(before, companion)
    if after != before:
        sha256, mode = hashlib.sha256(after).hexdigest(), info.external_attr >> 16
        data, date_time = Deflated.of(after), info.date_time
        wheel.add_member(info.filename, data, sha256, date_time=date_time, mode=mode)


@contextmanager
def _writing(problem: str) -> Iterator[None]:
    """Turn an error of the disk into a message."""
    try:
        yield
    except OSError as error:
        raise WazcacheError(f"{problem}: {error.strerror or error}") from error


def report_wheel(build: Build, wheel: Path, size: int, *, is_one_of_several: bool = False) -> None:
    """Say that a wheel is done, and whether PyPI refuses it for its size.

    Args:
        build: the build that made it.
        wheel: the wheel.
        size: bytes.
        is_one_of_several: as for `finish_wheel`.
    """
    build.entries.remote.finish()
    text = f"{wheel.name} ({size_text(size)})"
    if is_one_of_several:
        keys = dict.fromkeys(artifact.key.digest for artifact in build.plan.artifacts)
        entries = [build.entries.by_key[key] for key in keys]
        found = [entry for entry in entries if entry.key not in build.entries.compiled]
        seconds = sum(entry.seconds for entry in found)
        build.report.is_one_done(text, len(entries) - len(found), len(found), seconds)
    else:
        build.report.is_done(text)
    engines = tuple(artifact.engine.version for artifact in build.plan.artifacts)
    build.report.is_made(MadeWheel(wheel.name, build.target.name, size, engines))
    smaller = (
        "the options strip and keep-wasm, and fewer engines, profiles, CPU levels or systems, make "
        "it smaller, and the option companion gives each engine a wheel of its own"
    )
    say_if_too_large(size, smaller, build.report)


def say_if_too_large(size: int, smaller: str, report: Report) -> None:
    """Say that PyPI refuses a wheel of this size, if it does.

    Args:
        size: bytes.
        smaller: how to make it smaller.
        report: shows the line.
    """
    if size > PYPI_LIMIT:
        # Not a warning, which `strict` would turn into an error: the limit can be raised.
        report.say(
            f"this wheel is too large for PyPI, which accepts {size_text(PYPI_LIMIT)} unless you "
            f"ask for more (https://docs.pypi.org/project-management/storage-limits/); {smaller}"
        )


def _add_asset(
    wheel: PlatformWheel, asset: Asset, entries: Entries, *, reproducible: bool
) -> list[Copy]:
    """Add a small asset, or leave room for a large one; return the copies that it needs."""
    small = Deflated.of(asset.read()) if asset.job.is_small else None
    date_time = None
    if asset.member is not None:
        date_time, mode = asset.member.date_time, asset.member.mode
    else:
        status = asset.source.stat()
        mode = status.st_mode
        if reproducible:
            mode = stat.S_IFMT(mode) | (0o755 if mode & 0o100 else 0o644)
        else:
            date_time = zip_time(time.localtime(status.st_mtime))
    if small is None:
        return [leave_room(wheel, asset, entries, date_time=date_time, mode=mode)]
    name, sha256 = asset.distribution, asset.wasm.sha256
    wheel.add_member(name, small, sha256, date_time=date_time, mode=mode)
    return []


def leave_room(
    wheel: PlatformWheel,
    what: Asset | Artifact,
    entries: Entries,
    *,
    date_time: DateTime | None = None,
    mode: int = DEFAULT_MODE,
) -> Copy:
    """Add an asset or artifact to a wheel; `Entries.copy_all` then copies its entry into the room.

    Args:
        wheel: a wheel that is being written.
        what: the asset or artifact.
        entries: have its entry.
        date_time: as for `PlatformWheel.add_member`.
        mode: as for `PlatformWheel.add_member`.
    """
    job, name = what.job, what.distribution
    entry = entries.by_key[job.key.digest]
    fill = wheel.leave_room(name, entry, entry.sha256, date_time=date_time, mode=mode)

    def copy(found: Entry) -> None:
        if not found.has_bytes_of(entry):  # it was made again; RECORD must not lie
            raise WazcacheError(
                f"{job.label}: was made again with other bytes than before; build again"
            )
        fill(found.stream())

    return job, copy
