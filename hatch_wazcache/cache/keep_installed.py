"""Copies an installed wheel into the cache, as if it had been fetched.

So the next build environment does not need it installed.
"""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.cache.fetched_wheel import LOCK, is_exactly, remove_leftovers, unfinished
from hatch_wazcache.cache.fetching import give_name
from hatch_wazcache.cache.install_wheel import set_modes, unfit
from hatch_wazcache.cache.location import make_directory
from hatch_wazcache.cache.lock import lock_file
from hatch_wazcache.cache.unpacked_wheel import BrokenFolderError, check_file, check_unpacked

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from packaging.requirements import Requirement

    from hatch_wazcache.cache.trust import Trust

__all__ = ["keep_installed"]


def keep_installed(engines: Path, requirement: Requirement, trust: Trust) -> Path | None:
    """Copy the files of an installed wheel, check every one, and give the folder its name.

    Only a wheel that an installer took from an index is kept: another one with the same version may
    have other files. One with changed files is not kept either, nor one with a local version that
    the requirement does not name.

    Args:
        engines: the folder `engines` of the cache; it is created if it is missing.
        requirement: on the wheel.
        trust: decides who may have written the folder.

    Returns:
        The folder; None if the wheel is not kept.

    Raises:
        OSError: the folder cannot be written.
    """
    from importlib.metadata import distributions

    distribution = next(iter(distributions(name=requirement.name)), None)
    if distribution is None or not _is_from_index(distribution):
        return None
    make_directory(engines)
    if trust.problem_of(engines):
        return None
    with lock_file(engines / LOCK, wait=False) as lock:
        if lock < 0:
            return None  # another build fetches or keeps a wheel now; this one need not wait for it
        remove_leftovers(engines, is_locked=True)
        copied = unfinished(engines)
        copied.mkdir(mode=0o700)
        try:
            _copy(distribution, copied)
            wheel = check_unpacked(copied)
            if unfit(copied, wheel, requirement) or not is_exactly(requirement, wheel.version):
                return None
            set_modes(copied, wheel.name)
            return give_name(copied, wheel, trust)
        except BrokenFolderError:
            return None
        finally:
            shutil.rmtree(copied, ignore_errors=True)


def _is_from_index(distribution: Distribution) -> bool:
    try:
        return distribution.read_text("direct_url.json") is None
    except UnicodeDecodeError:  # a damaged file
        return False


def _copy(distribution: Distribution, folder: Path) -> None:
    """Copy the files in RECORD, without the bytecode that installers and Python have written.

    Raises:
        BrokenFolderError: RECORD cannot be read, or names a file that is missing, elsewhere, or of
            another size.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    record = None
    for line in _lines(distribution):
        name = line[0]
        if name.endswith(".pyc") or name.startswith("../"):
            continue
        rows.writerow(line)
        target = folder / name
        if not target.resolve().is_relative_to(folder.resolve()):
            raise BrokenFolderError(f"RECORD names {name}, which is outside the folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".dist-info/RECORD"):
            record = target
            continue
        source = Path(str(distribution.locate_file(name)))
        try:
            check_file(name, source, None, line[-1])  # a link may lead to a file without an end
        except FileNotFoundError as error:
            raise BrokenFolderError(f"{name} is in RECORD, but missing") from error
        shutil.copyfile(source, target)
    if record is None:
        raise BrokenFolderError("it has no RECORD")
    record.write_text(text.getvalue(), "utf-8", newline="")


def _lines(distribution: Distribution) -> list[list[str]]:
    """Return the rows of RECORD.

    Raises:
        BrokenFolderError: it cannot be read.
    """
    try:
        text = distribution.read_text("RECORD") or ""
        if "\0" in text:
            raise BrokenFolderError("RECORD has a NUL, which no file name has")
        return list(filter(None, csv.reader(io.StringIO(text, newline=""))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BrokenFolderError(f"RECORD cannot be read: {error}") from error
