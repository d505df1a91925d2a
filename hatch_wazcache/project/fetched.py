"""Wheels in the cache of a project: found, or fetched now."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.cache.fetching import find_fetched
from hatch_wazcache.cache.location import default_directory
from hatch_wazcache.cache.trust import Trust
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.requirements import Requirement

    from hatch_wazcache.project.config import Config

__all__ = ["fetched_now", "find_in_cache"]


def find_in_cache(
    config: Config, root: Path, requirement: Requirement, *, mark: bool = True
) -> Path | None:
    """Return the folder of a fetched wheel; None if a build would fetch it.

    Args:
        config: the options.
        root: the project's root.
        requirement: on the wheel.
        mark: whether to mark it as used.
    """
    try:
        cache = config.cache_dir or default_directory()
        trust = Trust(cache, root)
        if trust.problem() or Trust(Path(os.path.realpath(cache)), root).problem():
            return None  # a build does not use it either
        return find_fetched(cache / "engines", requirement, trust, mark=mark)
    except (OSError, WazcacheError):  # a build says why there is no cache
        return None


@contextmanager
def fetched_now(
    config: Config, root: Path, requirement: Requirement, needed_for: str
) -> Iterator[Path]:
    """Give the folder of the newest wheel, as users get it; without an index, of one in the cache.

    If the cache cannot store it, the folder lasts until the end of the context.

    Args:
        config: the options.
        root: the project's root.
        requirement: on the wheel.
        needed_for: what needs the wheel, for messages.

    Raises:
        WazcacheError: it cannot be fetched.
    """
    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.util.temporary_folder import TemporaryFolder

    with TemporaryFolder() as folder:
        try:
            place = config.cache_dir or default_directory()
        except WazcacheError:  # the build warns about it
            place = Path(folder)
        cache = CacheDirectory(place, lambda _text: None, root)
        try:
            yield cache.fetch_wheel(requirement, needed_for, newest=True)
        finally:
            cache.close()
