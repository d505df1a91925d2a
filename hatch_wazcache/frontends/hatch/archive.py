"""hatchling's archive of a wheel: gets our members before hatchling gives the wheel its name.

hatchling's builder calls its own `write_data` with the archive, closes the archive, and moves the
file `archive.path` to the wheel's name. So the name never holds a wheel without our members, also
if another hook fails in `finalize`. hatchling does not document this; a builder that does otherwise
ignores `complete_before_naming`.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.wheel import WheelArchive

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchling.builders.config import BuilderConfig

__all__ = ["complete_before_naming"]


class _Archive(WheelArchive):
    """An archive whose `path` is not known before somebody asks for it."""

    base: Path
    complete: Callable[[Path], Path]

    @cached_property
    def path(self) -> str:  # type: ignore[override]
        return str(self.complete(self.base))


def complete_before_naming(config: BuilderConfig, complete: Callable[[Path], Path]) -> None:
    """Replace the file of the next archive, once hatchling has closed it.

    Args:
        config: hatchling's configuration of the wheel, which knows the builder.
        complete: gets the file that hatchling has written, and returns the file for the wheel.
    """
    builder: Any = config.builder
    if not hasattr(builder, "write_data"):
        return
    write_data = builder.write_data

    def write_data_and_replace_path(archive: Any, *rest: Any) -> None:
        del builder.write_data
        write_data(archive, *rest)
        if type(archive) is WheelArchive:
            base = Path(vars(archive).pop("path"))
            vars(archive).update(base=base, complete=complete)
            archive.__class__ = _Archive

    builder.write_data = write_data_and_replace_path
