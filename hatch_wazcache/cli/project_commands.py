"""The commands that need a project: they compile its assets, or compare them with the cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache import search
from hatch_wazcache.cache.entry import BrokenEntryError
from hatch_wazcache.cache.explain import difference_text
from hatch_wazcache.cache.items import entries
from hatch_wazcache.cli.context import Context
from hatch_wazcache.cli.display import ago_text, compiling
from hatch_wazcache.cli.result import Result
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.all_artifacts import warm_shard
from hatch_wazcache.packing.build import warm as warm_project
from hatch_wazcache.packing.make_preview import stored_key
from hatch_wazcache.project.fields import nearest
from hatch_wazcache.util.sizes_and_times import size_text, time_text

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from hatch_wazcache.cache.items import EntryItem
    from hatch_wazcache.cache.search import Difference
    from hatch_wazcache.packing.plan import Artifact, Asset, Plan
    from hatch_wazcache.report import Report

__all__ = ["install", "warm", "why"]


def warm(options: Namespace) -> Result:
    """Compile a project's assets without building a wheel."""
    context = Context(options.project)
    project, cache = context.project, context.trusted_cache
    with compiling(strict=project.config().strict) as report:
        if options.shard is None:
            project.run(lambda read: warm_project(read, report))
        else:
            project.run(lambda read: warm_shard(read, report, options.shard))
    return Result(_counts(report, project.root, cache), [f"{report.counts()}: {cache}"])


def install(options: Namespace) -> Result:
    """Bring the artifacts of an editable install up to date."""
    context = Context(options.project)
    project = context.project
    with compiling(strict=project.config().strict) as report:
        project.refresh_editable(report)
    data = _counts(report, project.root, context.cache)
    return Result(data, [f"{report.counts()}: beside the .wasm files of {project.root}"])


def _counts(report: Report, project: Path, cache: Path) -> dict[str, Any]:
    return {
        "project": str(project),
        "cache": str(cache),
        "compiled": report.compiled,
        "found": report.found,
        "seconds_compiled": report.spent,
        "seconds_saved": report.saved,
        **report.remote_counts(),
    }


def why(options: Namespace) -> Result:
    """Say whether a build would find an asset's artifacts; for a miss, show the differences."""
    context = Context(options.project)
    cache = context.trusted_cache
    plan = context.project.plan()
    asset = _asset(plan, options.asset, context.project.root)
    items = entries(cache)
    artifacts = [artifact for artifact in plan.artifacts if artifact.asset == asset]
    verdicts = [_Verdict(artifact, items) for artifact in artifacts]
    data = {
        "cache": str(cache),
        "asset": asset.relative,
        "artifacts": [verdict.data() for verdict in verdicts],
    }
    return Result(data, [line for verdict in verdicts for line in verdict.lines()])


def _asset(plan: Plan, named: str, root: Path) -> Asset:
    """Find an asset by its path, from the working directory or the root, or by the path's end.

    Raises:
        WazcacheError: there is none, or there are several; the message lists the candidates.
    """
    path = Path(os.path.abspath(named))
    for asset in plan.assets:
        if path == asset.source or Path(os.path.normpath(root / named)) == asset.source:
            return asset
    parts = Path(named).parts
    matches = [a for a in plan.assets if parts and Path(a.relative).parts[-len(parts) :] == parts]
    if len(matches) == 1:
        return matches[0]
    candidates = ", ".join(asset.relative for asset in matches or plan.assets)
    count = f"{len(matches)} assets are" if matches else "no asset is"
    hint = "" if matches else nearest(named, [asset.relative for asset in plan.assets])
    raise WazcacheError(
        f"{count} called {named!r}; the project has {candidates}{f'; {hint}' if hint else ''}"
    )


class _Verdict:
    """Whether an artifact is in the cache, and the entry that is most similar to it."""

    def __init__(self, artifact: Artifact, items: Sequence[EntryItem]) -> None:
        self._artifact = artifact
        by_key = {item.key: item for item in items}
        self._key = stored_key(artifact, by_key)
        self._item = by_key.get(self._key.digest)
        self._problem = self._broken()
        self.is_hit = self._item is not None and self._problem is None
        self._inputs = self._key.inputs()
        others = [item for item in items if item != self._item]
        self._nearest = search.nearest(others, self._inputs)
        self._unlike: list[Difference] = []
        if self._nearest is not None:
            self._unlike = search.differences(self._inputs, self._nearest.inputs)

    def _broken(self) -> str | None:
        """Say why a build could not use the artifact's own entry; None if it could."""
        if self._item is not None:
            try:
                for _chunk in self._item.read().stream():
                    pass
            except (BrokenEntryError, OSError) as error:
                return str(error)
        return None

    def data(self) -> dict[str, Any]:
        nearest = None
        if self._nearest is not None:
            differences = [
                {"input": unlike.name, "here": unlike.wanted, "there": unlike.stored}
                for unlike in self._unlike
            ]
            nearest = {"key": self._nearest.key, "differences": differences}
        return {
            "profile": self._artifact.profile.name,
            "target": self._artifact.system.name,
            "key": self._key.digest,
            "hit": self.is_hit,
            "problem": self._problem,
            "inputs": self._inputs,
            "nearest": nearest,
        }

    def lines(self) -> list[str]:
        label, key = self._artifact.job.label, self._key.digest[: search.SHORT]
        if self._item is not None and self._problem is None:
            entry = self._item.read()
            size, saved = size_text(entry.size), time_text(entry.seconds)
            used = ago_text(self._item.used)
            version = self._key.engine
            by_cli = "" if self._key == self._artifact.key else f" by the wasmtime CLI {version}"
            return [f"{label}: hit{by_cli}: {key}, {size}, saves {saved}, used {used}"]
        if self._problem is not None:
            return [f"{label}: miss: the entry is broken: {self._problem}"]
        if self._nearest is None:
            return [f"{label}: miss: {key}; the cache has no similar entry"]
        nearest = self._nearest.key[: search.SHORT]
        return [
            f"{label}: miss: {key}; the nearest entry, {nearest}, differs in",
            *(f"  {unlike.name}: {difference_text(unlike)}" for unlike in self._unlike),
        ]
