"""The command that makes a project use hatch-wazcache."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.adoption.changes import make_changes
from hatch_wazcache.adoption.ignore_file import still_ignored
from hatch_wazcache.adoption.init_plan import plan_init, plan_update
from hatch_wazcache.adoption.project_files import is_project
from hatch_wazcache.cli.context import folders_to_search
from hatch_wazcache.cli.result import Result
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util.ci_log import ci_log
from hatch_wazcache.util.terminal import printable

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator

    from hatch_wazcache.adoption.init_plan import InitPlan

__all__ = ["init"]

_WITH_TOMLKIT = "uvx --from 'hatch-wazcache[init]' hatch-wazcache init"

_NAMES_SHOWN = 5

_NEXT = "Next: build the wheel as before, then `hatch-wazcache compile dist/*.whl`"
"""For a backend that runs nothing of ours."""


def init(options: Namespace) -> Result:
    """Write what a project lacks, or renew its loaders; ask before that."""
    root = _root(options.project)
    plan = plan_update(root) if options.update else plan_init(root)
    lines, data = list(_lines(plan)), _data(plan)
    if plan.lacks_tomlkit:
        return Result(data, lines, problem=(
            "nothing was changed: tomlkit is needed to change lists in pyproject.toml. Call "
            f"`{_WITH_TOMLKIT}`, or add the lines by hand, and then call `hatch-wazcache init`"
        ))  # fmt: skip
    if not plan.changes:
        return Result(data, [*lines, f"nothing to do: {_state(plan, options.update)}"])
    if options.dry_run:
        return Result(data, [*lines, "nothing was changed (--dry-run)"])
    if not options.yes:
        if options.json or not sys.stdin.isatty():
            problem = "nothing was changed: there is no terminal to ask; --yes makes these changes"
            return Result(data, lines, problem=problem)
        _show(lines)
        lines = []
        if not _agrees(len(plan.changes)):
            return Result(data, ["nothing was changed"])
    make_changes(plan.changes)
    ignored = list(still_ignored(root, plan.loaders))
    data |= {"changed": True, "by_hand": [*plan.by_hand, *ignored]}
    lines += [*ignored, f"{_files(len(plan.changes))} written"]
    if plan.kind == "other" and not options.update:
        lines.append(_NEXT)
    return Result(data, lines)


def _root(named: str | None) -> Path:
    """Return the root of the project: the named one, or the nearest.

    Raises:
        WazcacheError: there is none.
    """
    if named is not None:
        root = Path(named).absolute()
        if not is_project(root):
            raise WazcacheError(
                f"--project {named}: there is no pyproject.toml, setup.py or setup.cfg"
            )
        return root
    for folder in folders_to_search():
        if is_project(folder):
            return folder
    raise WazcacheError(
        "there is no pyproject.toml, setup.py or setup.cfg in this folder or in one of your "
        "folders above it; go into the project, or name it with --project"
    )


def _lines(plan: InitPlan) -> Iterator[str]:
    for change in plan.changes:
        yield from change.lines(plan.root)
    if plan.by_hand:
        yield "By hand:"
        yield from (f"  {line}" for line in plan.by_hand)
    if plan.suggestions:
        yield "These lines load .wasm files without the loader. To load artifacts, replace them:"
    for one in plan.suggestions:
        yield f"  {one.call.relative}:{one.call.line}: {one.call.text}"
        yield f"    {one.import_line}"
        yield f"    {one.replacement}"
    names = dict.fromkeys(name for one in plan.suggestions for name in one.names)
    if names:
        shown = ", ".join([*names][:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
        yield f"  NAME.wasm stands for one of {shown}."
    if any(one.call.path for one in plan.suggestions):
        yield "  A path that may lead to a file of your users needs `foreign=True`."


def _data(plan: InitPlan) -> dict[str, Any]:
    return {
        "project": str(plan.root),
        "changes": [
            {"path": str(change.path), "new": change.before is None} for change in plan.changes
        ],
        "changed": False,
        "by_hand": list(plan.by_hand),
        "calls": [
            {
                "path": one.call.relative,
                "line": one.call.line,
                "text": one.call.text,
                "import": one.import_line,
                "replacement": one.replacement,
            }
            for one in plan.suggestions
        ],
    }


def _state(plan: InitPlan, update: bool) -> str:
    if update:
        return "the committed loaders are those of this release"
    return f"{plan.root} has the options, the requirements and the loader"


def _agrees(count: int) -> bool:
    """Ask the user. The end of the input means no."""
    print(f"Write {_files(count)}? [y/N] ", end="", flush=True)  # noqa: T201
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        print()  # noqa: T201
    return answer.strip().lower() in ("y", "yes")


def _files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        print(ci_log().line(printable(line)))  # noqa: T201
