"""The lines of `.gitignore`: it ignores the files of editable installs, and not the loaders."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.adoption.changes import Change
from hatch_wazcache.util.environment import without_secrets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

__all__ = ["change_ignore_file", "still_ignored"]

_COMMENT = "# hatch-wazcache writes these files beside the .wasm in an editable install"


class _Pattern(NamedTuple):
    """The pattern that decides whether git ignores a path."""

    file: str
    """Relative to the project's root; or absolute, or in `.git`."""
    line: str
    pattern: str

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}: {self.pattern}"


def change_ignore_file(
    root: Path, loaders: Collection[Path], generated: Mapping[str, Iterable[Path]]
) -> list[Change]:
    """Return the change of the project's `.gitignore`; none if there is nothing to add.

    Args:
        root: the project's root. Without `.git` and `.gitignore`, git is not used.
        loaders: the loaders to commit.
        generated: patterns for the files of editable installs, with paths of such files.
    """
    path = root / ".gitignore"
    if not path.is_file() and not any((one / ".git").exists() for one in (root, *root.parents)):
        return []
    before = path.read_bytes() if path.is_file() else None
    text = (before or b"").decode("utf-8", "surrogateescape")
    names = {loader.name for loader in loaders}
    paths = {loader.relative_to(root).as_posix() for loader in loaders}
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if _pattern(line) not in names | paths]
    present = set(map(_pattern, kept))
    missing = [
        pattern
        for pattern, files in generated.items()
        if pattern not in present and not all(_deciding_pattern(root, one) for one in files)
    ]
    added = [_COMMENT, *missing] if missing else []
    added += [
        f"!{name}"
        for name in sorted(names)
        if f"!{name}" not in present and _is_ignored(root, name, loaders, kept)
    ]
    after = "".join(kept)
    if added:
        line_end = "\r\n" if "\r\n" in text else "\n"
        after += line_end if after and not after.endswith("\n") else ""
        after += line_end if kept and kept[-1].strip() else ""
        after += "".join(f"{line}{line_end}" for line in added)
    if after == text:
        return []
    real = Path(os.path.realpath(path))
    return [Change(real, before, after.encode("utf-8", "surrogateescape"))]


def _pattern(line: str) -> str:
    """Return the pattern of a line without the parts that change nothing here."""
    return line.strip().removeprefix("**/").removeprefix("/")


def _is_ignored(root: Path, name: str, loaders: Iterable[Path], lines: Iterable[str]) -> bool:
    """Say whether a line of the project's file can stop git from ignoring a loader.

    It can if the pattern is in this file, and is no line that is removed; or in a file of weaker
    patterns: that of a folder above, or of the user.
    """
    for loader in loaders:
        found = _deciding_pattern(root, loader)
        if loader.name == name and found is not None:
            if found.file == ".gitignore":
                return any(line.strip() == found.pattern for line in lines)
            return found.file.startswith(("..", ".git/")) or os.path.isabs(found.file)
    return False


def still_ignored(root: Path, loaders: Iterable[Path]) -> Iterator[str]:
    """Yield a line for each loader that git ignores, with the pattern that does it."""
    for loader in loaders:
        found = _deciding_pattern(root, loader)
        if found is not None:
            yield (
                f"{loader.relative_to(root).as_posix()}: git ignores it, as {found.place} says; "
                "change that line, so that the loader can be committed"
            )


def _deciding_pattern(root: Path, path: Path) -> _Pattern | None:
    """Ask git for the pattern that ignores a path; None if none does, or there is no git."""
    words = ["git", "-c", "core.fsmonitor=false", "check-ignore", "--no-index", "-v", str(path)]
    try:
        done = subprocess.run(
            words,
            cwd=root,
            capture_output=True,
            errors="replace",
            timeout=30,
            check=False,
            env=without_secrets(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    rule = done.stdout.partition("\t")[0]
    if done.returncode != 0 or not rule:
        return None
    file, _, rest = rule.partition(":")
    line, _, pattern = rest.partition(":")
    if not file.startswith(".git/") and not os.path.isabs(file):
        # git writes it relative to the top of its tree.
        tops = (one for one in (root, *root.parents) if (one / ".git").exists())
        file = os.path.relpath(next(tops, root) / file, root)
    return None if pattern.startswith("!") else _Pattern(file, line, pattern)
