"""Makes the wheel that an author would release: edits the released one, and compiles it."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import corpus
from bench.adopters.package import Edit, Package

__all__ = ["Changed", "Converted", "convert", "download", "edited", "lines_changed"]


class Changed(NamedTuple):
    """Lines, as `git diff --numstat` counts them."""

    added: int
    removed: int

    def __add__(self, other: object) -> Changed:
        assert isinstance(other, Changed)
        return Changed(self.added + other.added, self.removed + other.removed)


class Converted(NamedTuple):
    """A package before and after."""

    released: Path
    wheels: tuple[Path, ...]
    """The package's own wheel comes first, its companions follow."""
    changed: Changed


def download(package: Package, folder: Path) -> Path:
    """Download the released wheel, unless the folder has it."""
    found = sorted(folder.glob(f"{package.module}-{package.version}-*.whl"))
    if found:
        return found[0]
    aside = folder / package.name
    aside.mkdir(parents=True, exist_ok=True)
    wheel = corpus.download("PyPI", package.name, package.version, aside)
    return wheel.rename(folder / wheel.name)


def edited(text: str, edits: Sequence[Edit]) -> str:
    """Replace lines of a text."""
    lines = text.splitlines(keepends=True)
    for edit in sorted(edits, key=lambda edit: edit.first, reverse=True):
        lines[edit.first - 1 : edit.last] = [edit.text]
    return "".join(lines)


def lines_changed(before: Path, after: Path) -> Changed:
    """Count the lines that differ between two files or folders."""
    words = ["git", "-c", "core.autocrlf=false", "diff", "--no-index", "-M", "--numstat"]
    done = subprocess.run(
        [*words, before, after], capture_output=True, text=True, check=False
    )  # 1: they differ
    assert done.returncode in (0, 1), done.stderr
    total = Changed(0, 0)
    for line in done.stdout.splitlines():
        added, removed, _ = line.split("\t")
        if added != "-":  # a binary file that moves
            total += Changed(int(added), int(removed))
    return total


def convert(
    package: Package, work: Path, links: Path, cache: Path, engine: str | None = None
) -> Converted:
    """Edit a released wheel, and compile it.

    Args:
        package: the package.
        work: a new folder.
        links: a folder of wheels: the released ones below `released`, and the runtimes.
        cache: the cache for artifacts.
        engine: the version of wasmtime that the users get; a runtime has none.
    """
    released = download(package, links / "released")
    before, after, project = work / "before", work / "after", work / "project"
    for folder in (before, after):
        with zipfile.ZipFile(released) as wheel:
            wheel.extractall(folder)
    changed = _edit(package, before, after)
    project.mkdir()
    options = package.options
    if options.lstrip():
        text = f"[tool.wazcache]\n{options.strip()}\n"
        (project / "pyproject.toml").write_text(f'[project]\nname = "{package.name}"\n\n{text}')
        changed += Changed(sum(bool(line.strip()) for line in text.splitlines()), 0)
    plain = pack(after, work / "edited")
    out = work / "wheels"
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "hatch_wazcache",
        "compile",
        plain,
        "-w",
        out,
    ]
    command += ["--targets", "native", "--engines", engine.split(".")[0]] if engine else []
    command += ["--project", project] if options else []
    places = os.environ.get("PIP_FIND_LINKS", "").split()
    found = {"UV_FIND_LINKS": ",".join([*places, str(links)]), "UV_NO_CACHE": "1"}
    found["PIP_FIND_LINKS"] = " ".join([*places, str(links)])
    done = subprocess.run(
        command, env={**os.environ, **found, "WAZCACHE_DIR": str(cache)}, cwd=work,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    print(done.stderr, file=sys.stderr, end="")
    own = sorted(out.glob(f"{package.module}-[0-9]*.whl"))
    return Converted(released, (*own, *sorted(set(out.glob("*.whl")) - set(own))), changed)


def _edit(package: Package, before: Path, after: Path) -> Changed:
    files = {edit.file for edit in package.edits}
    for name in files:
        path = after / name
        edits = [edit for edit in package.edits if edit.file == name]
        path.write_bytes(edited(path.read_bytes().decode(), edits).encode())
    for old, new in package.moves.items():
        (after / old).rename(after / new)
    (info,) = after.glob("*.dist-info")
    metadata = info / "METADATA"
    text = metadata.read_text("utf-8")
    for old, new in package.requires.items():
        line = f"Requires-Dist: {new}\n"
        if old:
            text, count = re.subn(rf"(?m)^Requires-Dist: {old}\b.*\n", line, text)
            assert count == 1, (package.name, old)
        else:
            text = re.sub(r"(?m)^(?=Requires-Dist: )", line, text, count=1)
    metadata.write_text(text, "utf-8")
    changed = lines_changed(before, after)
    if package.new_version is not None:
        renamed = text.replace(f"Version: {package.version}\n", f"Version: {package.new_version}\n")
        metadata.write_text(renamed, "utf-8")
        info.rename(info.with_name(f"{package.module}-{package.new_version}.dist-info"))
    return changed


def pack(tree: Path, folder: Path) -> Path:
    """Pack a folder as a wheel again, with a new RECORD."""
    (info,) = tree.glob("*.dist-info")
    tag = re.findall(r"(?m)^Tag: (.+)$", (info / "WHEEL").read_text("utf-8"))[0].strip()
    folder.mkdir()
    wheel = folder / f"{info.stem}-{tag}.whl"
    record = info / "RECORD"
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(one for one in tree.rglob("*") if one.is_file() and one != record):
            data, name = path.read_bytes(), path.relative_to(tree).as_posix()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.writerow((name, f"sha256={digest}", len(data)))
            archive.write(path, name)
        rows.writerow((record.relative_to(tree).as_posix(), "", ""))
        archive.writestr(record.relative_to(tree).as_posix(), table.getvalue())
    return wheel
