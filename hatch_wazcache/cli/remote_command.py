"""The commands on the shared cache of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hatch_wazcache.cli.context import Context
from hatch_wazcache.cli.display import compiling, table
from hatch_wazcache.cli.result import Result
from hatch_wazcache.errors import ExitStatus
from hatch_wazcache.util.sizes_and_times import time_text

if TYPE_CHECKING:
    from argparse import Namespace

    from hatch_wazcache.packing.remote_actions import Outcome
    from hatch_wazcache.project.project import Project
    from hatch_wazcache.report import Report

__all__ = ["remote"]


def remote(options: Namespace) -> Result:
    """Do one action with the artifacts of all targets and engines of a project."""
    from hatch_wazcache.packing import remote_actions

    actions = {
        "status": remote_actions.look,
        "pull": remote_actions.pull,
        "push": remote_actions.push,
        "verify": remote_actions.verify,
    }
    found = Context(options.project).project
    outcomes: list[tuple[dict[str, Any], Outcome]] = []

    def work(project: Project, report: Report) -> None:
        about = _about(project)
        outcomes.append((about, actions[options.action](project, report)))

    with compiling(strict=found.config().strict) as report:
        found.run(lambda project: work(project, report))
    ((about, outcome),) = outcomes
    counts = {**outcome._asdict(), "findings": list(outcome.findings)}
    lines = _status_lines(about, outcome) if options.action == "status" else []
    if options.action != "status":
        lines = [*outcome.findings, _line(options.action, about, outcome)]
    status = ExitStatus.FINDINGS if outcome.findings else ExitStatus.DONE
    problem = f"{about['url']}: {outcome.failure}" if outcome.failure else ""
    return Result({**about, **counts}, lines, status, problem)


def _about(project: Project) -> dict[str, Any]:
    """Describe the shared cache of a project, and the keys that count."""
    from hatch_wazcache.packing.open_remote import trusted_keys
    from hatch_wazcache.packing.remote_actions import remote_of

    options = remote_of(project)
    trusted = trusted_keys(options)
    days = {} if trusted is None else trusted.days
    return {
        "url": options.place,
        "from": options.where,
        "mode": "read-write" if options.writes else "read",
        "trust": "unsigned" if trusted is None else "signed",
        "trusted_keys": [
            {"key": key, "revoked": None if day is None else str(day)} for key, day in days.items()
        ],
    }


def _status_lines(about: dict[str, Any], outcome: Outcome) -> list[str]:
    rows = [
        ("server", f"{about['url']} ({about['from']})"),
        ("mode", about["mode"]),
    ]
    if about["trust"] == "unsigned":
        rows.append(("trust", "unsigned: whoever can write to the server is trusted"))
    for key in about["trusted_keys"]:
        revoked = f" revoked on {key['revoked']}" if key["revoked"] else ""
        rows.append(("trusts", f"{key['key']}{revoked}"))
    answer = "no" if outcome.failure else f"yes, in {time_text(outcome.seconds)}"
    rows += [
        ("answers", answer),
        ("artifacts", str(outcome.artifacts)),
        ("there", str(outcome.there)),
        ("here", f"{outcome.here} in the local cache"),
    ]
    if outcome.findings:
        rows.append(("refused", str(len(outcome.findings))))
    return [*table(rows), *(f"  {finding}" for finding in outcome.findings)]


def _line(action: str, about: dict[str, Any], outcome: Outcome) -> str:
    """Say what an action has done."""
    if action == "pull":
        absent = outcome.artifacts - outcome.here - outcome.there
        done = f"{outcome.done} downloaded, {outcome.here} were here, {absent} are not there"
    elif action == "push":
        done = f"{outcome.done} uploaded, {outcome.there} were there"
    else:
        done = f"{outcome.done} of {outcome.artifacts} checked, {len(outcome.findings)} findings"
    return f"{done}: {about['url']}"
