"""The command that says what a build would make, and names the jobs of a CI for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hatch_wazcache.cli.context import Context
from hatch_wazcache.cli.display import table
from hatch_wazcache.cli.result import Result
from hatch_wazcache.util.sizes_and_times import size_text, time_text
from hatch_wazcache.wheels import PYPI_LIMIT

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from hatch_wazcache.packing.preview import (
        ArtifactPreview,
        EnginePreview,
        Preview,
        WheelPreview,
    )
    from hatch_wazcache.project.config import Config

__all__ = ["plan"]

_UNKNOWN = "unknown until it is fetched"


def plan(options: Namespace) -> Result:
    """Say what a build would make: wheels, artifacts, and what the cache has of them."""
    context = Context(options.project)
    if options.matrix is not None:
        return _matrix(context)
    cache = context.trusted_cache
    preview = context.project.preview(cache)
    data = {
        "project": str(context.project.root),
        "cache": str(cache),
        "name": preview.name,
        "version": preview.version,
        "engines": list(map(_engine, preview.engines)),
        "wheels": list(map(_wheel, preview.wheels)),
        "warnings": list(preview.warnings),
    }
    return Result(data, list(_lines(preview)))


def _matrix(context: Context) -> Result:
    """Return the jobs for `strategy.matrix` of GitHub's workflows: one for each target.

    It needs the options alone, so the `.wasm` files may be missing, and wasmtime too.
    """
    project = context.project
    config = project.config()
    jobs = [
        {"target": target, "command": project.build_command(config, target)}
        for target in _job_targets(config)
    ]
    matrix = {"include": jobs}
    return Result(matrix, [json.dumps(matrix)])


def _job_targets(config: Config) -> list[str]:
    """Return the names of the targets. With companions, each job makes the wheel for `any`, too."""
    targets = config.possible_targets
    if config.companion is not None:
        targets = tuple(target for target in targets if target.systems) or targets
    return [target.name for target in targets]


def _engine(one: EnginePreview) -> dict[str, Any]:
    return {
        "requirement": one.requirement,
        "version": one.engine.version if one.is_known else None,
    }


def _wheel(wheel: WheelPreview) -> dict[str, Any]:
    return {
        "name": wheel.name,
        "version": wheel.version,
        "file": wheel.file,
        "tag": wheel.tag,
        "target": wheel.target.name,
        "size": wheel.size,
        "size_known": wheel.is_size_known,
        "over_limit": wheel.is_too_large,
        "assets": [
            {"asset": one.asset.relative, "path": one.asset.distribution, "size": one.size}
            for one in wheel.assets
        ],
        "artifacts": list(map(_artifact, wheel.artifacts)),
    }


def _artifact(one: ArtifactPreview) -> dict[str, Any]:
    artifact, entry = one.artifact, one.entry
    return {
        "asset": artifact.asset.relative,
        "path": one.path,
        "engine": None if one.hit is None else artifact.engine.version,
        "engine_major": artifact.engine.major or None,
        "target": artifact.system.name,
        "profile": artifact.profile.name,
        "cpu": artifact.cpu,
        "key": None if one.hit is None else (artifact.key.digest if entry is None else entry.key),
        "hit": one.hit,
        "size": one.size,
        "seconds": None if entry is None else entry.seconds,
    }


def _lines(preview: Preview) -> Iterator[str]:
    for wheel in preview.wheels:
        yield f"{_name(wheel)}: {_size(wheel)}"
        yield from table(list(map(_row, wheel.artifacts)), indent="  ")
    for engine in preview.engines:
        if not engine.is_known:
            yield f"{engine.requirement or 'wasmtime'}: {_UNKNOWN}"
    yield from (f"warning: {warning}" for warning in preview.warnings)
    yield _summary(preview)


def _name(wheel: WheelPreview) -> str:
    if wheel.file is not None:
        return wheel.file
    known = (wheel.name, wheel.version, wheel.tag)
    return f"{' '.join(filter(None, known))}, for {wheel.target.name}"


def _size(wheel: WheelPreview) -> str:
    if not (wheel.assets or wheel.artifacts):
        return "without assets and artifacts"
    if not (wheel.size or wheel.is_size_known):
        text = "size unknown"
    else:
        text = f"{'about' if wheel.is_size_known else 'at least'} {size_text(wheel.size)}"
    if wheel.is_too_large:
        text += f"; too large for PyPI, which accepts {size_text(PYPI_LIMIT)}"
    return text


def _row(one: ArtifactPreview) -> tuple[str, ...]:
    artifact, entry = one.artifact, one.entry
    details = [artifact.cpu] if artifact.cpu != "baseline" else []
    if len(artifact.asset.profiles) > 1 or artifact.profile.name != "default":
        details.append(f"profile {artifact.profile.name}")
    asset = artifact.asset.relative + (f" ({', '.join(details)})" if details else "")
    where = artifact.system.name
    if one.hit is None:
        major = artifact.engine.major
        return asset, where, f"wasmtime {major or '?'}", "unknown"
    engine = f"wasmtime {artifact.engine.version}"
    if entry is None:
        return asset, where, engine, "miss"
    size, saved = size_text(entry.stream_size), time_text(entry.seconds)
    return asset, where, engine, "hit", size, f"saves {saved}"


def _summary(preview: Preview) -> str:
    """Count the artifacts as a build does: one that is in two wheels is compiled once."""
    artifacts = [one for wheel in preview.wheels for one in wheel.artifacts]
    hits = list({one.artifact.key.digest: one.hit for one in artifacts}.values())
    counts = f"{hits.count(True)} found in the cache, {hits.count(False)} to compile"
    if unknown := hits.count(None):
        counts += f", {unknown} unknown"
    wheels = len(preview.wheels)
    return f"{wheels} wheel{'' if wheels == 1 else 's'}: {counts}"
