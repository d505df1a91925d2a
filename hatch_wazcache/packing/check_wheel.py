"""Refuses finished wheels from which no good wheel can be made, before anything is compiled."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from hatch_wazcache.wheels.archive_checks import check_headers, check_names
from hatch_wazcache.wheels.metadata_checks import check_name, check_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_wazcache.packing.from_wheel import FinishedWheel
    from hatch_wazcache.wheels.finding import Finding
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["check_contents", "check_wheel"]


def check_wheel(wheel: FinishedWheel) -> None:
    """Check the names in a wheel, as an audit does; its members are not read.

    Raises:
        WazcacheError: it contradicts itself, or it is no wheel to compile; one line for each
            reason.
    """
    wheel.refuse(_problems(wheel))


def check_contents(wheel: FinishedWheel) -> None:
    """Check the members of a wheel against RECORD, as an audit does.

    Raises:
        WazcacheError: they differ; one line for each reason.
    """
    wheel.refuse(_found(wheel, check_record))


def _found(
    wheel: FinishedWheel, *checks: Callable[[WheelReader], Iterator[Finding]]
) -> Iterator[str]:
    for finding in chain.from_iterable(check(wheel.reader) for check in checks):
        yield f"{finding.member}: {finding.text}" if finding.member else finding.text


def _problems(wheel: FinishedWheel) -> Iterator[str]:
    if package := next((one.package for one in wheel.manifests if one.package), None):
        yield (
            f"is a companion, that of {package.name} {package.version}; give the wheel of "
            f"{package.name}"
        )
    yield from _found(wheel, check_names, check_headers, check_name)
    for name in wheel.reader.names:
        if name.endswith(".cwasm") and name not in wheel.old_members:
            yield (
                f"{name}: is named like an artifact, but no manifest lists it; remove it from the "
                "package, or rename it"
            )
