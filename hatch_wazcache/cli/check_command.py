"""The command that checks a project before it is committed, also as a hook of pre-commit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.adoption.project_check import check_project
from hatch_wazcache.cli.display import counted
from hatch_wazcache.cli.result import Result
from hatch_wazcache.errors import ExitStatus

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["check"]


def check(options: Namespace) -> Result:
    """Check the options, assets and committed loaders of projects."""
    checks = {}
    for name in options.projects:
        checks[name] = check_project(Path(name).absolute(), generated=options.generated)
    lines = []
    for name, found in checks.items():
        prefix = f"{name}: " if len(checks) > 1 else ""
        lines += [f"{prefix}{problem}" for problem in found.problems]
    files = counted(sum(found.assets for found in checks.values()), ".wasm file")
    loaders = counted(sum(found.loaders for found in checks.values()), "committed loader")
    lines.append(f"{files} and {loaders} checked: {counted(len(lines), 'problem')}")
    data = {
        "projects": [{"project": name, **found._asdict()} for name, found in checks.items()],
    }
    failed = any(found.problems for found in checks.values())
    return Result(data, lines, ExitStatus.FINDINGS if failed else ExitStatus.DONE)
