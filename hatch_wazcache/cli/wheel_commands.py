"""The commands that read wheels: is one what it claims to be, and what is in it."""

from __future__ import annotations

import posixpath
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.audit.checks import Audit, Finding
from hatch_wazcache.audit.load_check import why_not_loaded
from hatch_wazcache.cli.display import compiling, table
from hatch_wazcache.cli.result import Result
from hatch_wazcache.engine.installed import installed_wasmtime
from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import ExitStatus, WazcacheError
from hatch_wazcache.project.environment import COMPILER, read_variable
from hatch_wazcache.util.sizes_and_times import size_text
from hatch_wazcache.wheels.manifest_reader import check_manifest
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError, WheelReader

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from hatch_wazcache.audit.recompile import Recompiler
    from hatch_wazcache.wheels.manifest_reader import Manifest, ManifestArtifact, ManifestAsset

__all__ = ["audit", "inspect"]


def audit(options: Namespace) -> Result:
    """Hold wheels against their own claims, and compile their artifacts again if asked to."""
    if options.compiler is not None and not options.recompile:
        raise WazcacheError("--compiler is for --recompile")
    found: list[dict[str, str | None]] = []
    problems: list[str] = []
    wheels = artifacts = 0
    with ExitStack() as resources:
        again = None
        if options.recompile:
            from hatch_wazcache.audit.recompile import Recompiler

            report = resources.enter_context(compiling(strict=False))
            again = resources.enter_context(Recompiler(report, _compiler(options.compiler)))
        for name in options.wheels:
            try:
                findings, untried, count = _audit(Path(name), again)
            except WazcacheError as error:
                problems.append(str(error))
                continue
            wheels += 1
            artifacts += count
            found += [{"wheel": name, "member": f.member, "finding": f.text} for f in findings]
            problems += [f"{_place(name, f.member)}: {f.text}" for f in untried]
    lines = [f"{_place(f['wheel'], f['member'])}: {f['finding']}" for f in found]
    lines.append(
        f"{_count(wheels, 'wheel')} audited, {_count(artifacts, 'artifact')}"
        f"{f', {again.compared} compiled again' if again else ''}: {_count(len(found), 'finding')}"
    )
    data = {
        "wheels": wheels,
        "artifacts": artifacts,
        "recompiled": again.compared if again else 0,
        "findings": found,
        "problems": problems,
    }
    problem = "\n".join(map(_one_line, problems))
    status = ExitStatus.FINDINGS if found else ExitStatus.DONE
    return Result(data, [*map(_one_line, lines)], status, problem)


def _audit(path: Path, again: Recompiler | None) -> tuple[list[Finding], list[Finding], int]:
    """Audit one wheel.

    Returns:
        What is wrong with it, what could not be told, and the number of its artifacts.
    """
    try:
        with WheelReader(path) as wheel:
            made = Audit(wheel)
            differing, untried = again.findings(made) if again else ([], [])
            return [*made.findings, *differing], untried, len(made.headers)
    except BrokenWheelError as error:
        return [Finding(None, str(error))], [], 0


def _compiler(named: str | None) -> Path | None:
    given = named or read_variable(COMPILER)
    try:
        return Path(given).expanduser().absolute() if given else None
    except RuntimeError as error:
        where = "--compiler" if named else COMPILER
        raise WazcacheError(f"{where} {given}: there is no such user") from error


def _place(wheel: str | None, member: str | None) -> str:
    return f"{wheel}: {member}" if member else f"{wheel}"


def inspect(options: Namespace) -> Result:
    """Say what is in a wheel, and which of its artifacts load here."""
    path = Path(options.wheel)
    try:
        with WheelReader(path) as wheel:
            return _Inspection(wheel).answer()
    except BrokenWheelError as error:
        raise WazcacheError(f"{path}: {error}") from error


class _Inspection:
    """What there is to say of a wheel."""

    def __init__(self, wheel: WheelReader) -> None:
        self._wheel = wheel
        self._system = native_system()
        self._engine: str | None = None
        self._no_engine = ""
        try:
            self._engine = installed_wasmtime().version
        except WazcacheError as error:
            self._no_engine = str(error)

    def answer(self) -> Result:
        _project, _version, tags = self._wheel.name_parts()
        names = list(dict.fromkeys(self._wheel.names))
        data: dict[str, Any] = {
            "wheel": str(self._wheel.path),
            "tags": sorted(map(str, tags)),
            "size": self._wheel.size,
            "unpacked": sum(map(self._wheel.size_of, names)),
            "files": len(names),
            "here": {"system": self._system and self._system.name, "wasmtime": self._engine},
            "packages": [self._package(*found) for found in self._wheel.manifests().items()],
        }
        return Result(data, [*map(_one_line, self._lines(data))])

    def _package(self, manifest: str, loader: str | None) -> dict[str, Any]:
        claims, problems = check_manifest(self._wheel, manifest)
        assets = claims.assets if claims else ()
        return {
            "package": posixpath.dirname(manifest),
            "manifest": manifest,
            "loader": loader,
            "wasmtime": claims and claims.engine,
            "problems": problems,
            "assets": [self._asset(claims, asset) for asset in assets if claims],
        }

    def _asset(self, claims: Manifest, asset: ManifestAsset) -> dict[str, Any]:
        return {
            "name": asset.name,
            "kind": asset.kind,
            "wasm": asset.member,
            **self._sizes(asset.member),
            "artifacts": [
                {
                    "file": artifact.member,
                    "target": artifact.system,
                    "cpu": artifact.cpu,
                    "profile": artifact.profile,
                    **self._sizes(artifact.member),
                    **self._loads(claims, asset, artifact),
                }
                for artifact in asset.artifacts
            ],
        }

    def _sizes(self, member: str | None) -> dict[str, int | None]:
        if member is None or member not in self._wheel:
            return {"size": None, "packed": None}
        return {"size": self._wheel.size_of(member), "packed": self._wheel.stored_size(member)}

    def _loads(
        self, claims: Manifest, asset: ManifestAsset, artifact: ManifestArtifact
    ) -> dict[str, bool | str | None]:
        """Say whether an artifact loads here: None where there is nobody to ask."""
        if self._system is None or artifact.system != self._system.name:
            return {"loads": False, "reason": "for another system"}
        if self._engine is None:
            return {"loads": None, "reason": "there is no wasmtime here to ask"}
        if artifact.member not in self._wheel:
            return {"loads": False, "reason": "it is missing"}
        try:
            reason = why_not_loaded(self._wheel, claims, asset, artifact)
        except BrokenWheelError as error:
            reason = str(error)
        return {"loads": reason is None, "reason": reason}

    def _lines(self, data: dict[str, Any]) -> Iterator[str]:
        sizes = f"{size_text(data['size'])}, {size_text(data['unpacked'])} unpacked"
        system = self._system.name if self._system else "a system without wasmtime-py"
        yield from table(
            [
                ("wheel", self._wheel.path.name),
                ("tags", ", ".join(data["tags"])),
                ("size", f"{sizes}, {_count(data['files'], 'file')}"),
                ("here", f"{system}, wasmtime {self._engine or f'not asked: {self._no_engine}'}"),
            ]
        )
        if not data["packages"]:
            yield "no package in it has a manifest of hatch-wazcache"
        for package in data["packages"]:
            loader = f"loader {package['loader']}" if package["loader"] else "no loader"
            yield ""
            yield f"{package['package']}: for wasmtime {package['wasmtime'] or '-'}, {loader}"
            yield from (f"{package['manifest']}: {problem}" for problem in package["problems"])
            rows = [("FILE", "TARGET", "CPU", "PROFILE", "SIZE", "PACKED", "HERE")]
            yield from table([*rows, *map(_row, _files(package))], indent="  ")


def _files(package: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for asset in package["assets"]:
        yield asset
        yield from asset["artifacts"]


def _row(about: dict[str, Any]) -> tuple[str, ...]:
    """Make a row for an asset or an artifact."""
    sizes = ["-" if about[n] is None else size_text(about[n]) for n in ("size", "packed")]
    if "artifacts" in about:
        return about["wasm"] or f"{about['name']} (not here)", about["kind"], "", "", *sizes
    here = "loads" if about["loads"] else about["reason"]
    return about["file"], about["target"], about["cpu"], about["profile"], *sizes, here


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _one_line(text: str) -> str:
    """Write out what would break a line, or do something else to a terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "replace").decode()
        for letter in text
    )
