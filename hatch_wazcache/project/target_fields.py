"""Reads the options `targets` and `cpu`: the systems and the CPUs to compile for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.engine.settings import CPU_LEVELS
from hatch_wazcache.engine.targets import SYSTEMS, TARGETS, Target, find_targets
from hatch_wazcache.project.fields import nearest, read_names

if TYPE_CHECKING:
    from hatch_wazcache.project.fields import Field

__all__ = ["CPUS", "nearest_target", "read_cpus", "read_target_name", "read_targets"]

CPUS = ("baseline", *CPU_LEVELS, "native")


def nearest_target(name: object) -> str:
    """Ask for the target that a wrong name means: a platform tag, a triple, or a near name."""
    if isinstance(name, str):
        for system in SYSTEMS.values():
            triples = (system.triple, system.musl_triple)
            if name in triples or TARGETS[system.name].accepts(name.replace("-", "_")):
                return f"did you mean {system.name}?"
    return nearest(name, ("native", "all", *TARGETS))


def read_cpus(field: Field) -> tuple[str, ...]:
    """Read the CPU levels. A level after a lower one is an error: it would never be loaded."""
    cpus = read_names(field, CPUS)
    levels = [CPUS.index(cpu) for cpu in cpus if cpu != "native"]
    if levels != sorted(levels, reverse=True) or "baseline" in cpus[:-1]:
        field.wrong("in another order, the best first: the loader uses the first that loads")
    return tuple(cpus)


def read_targets(field: Field) -> tuple[Target, ...]:
    """Read the targets. A target that `native` or `all` includes may also be listed."""
    names = read_names(field, ("native", "all", *TARGETS), nearest_target)
    targets = [target for name in names for target in find_targets(name)]
    return tuple(dict.fromkeys(targets))


def read_target_name(field: Field) -> Target | None:
    """Read a variable that names one target."""
    found = find_targets(field.value) if field.value != "all" else []
    if not found:
        hint = nearest_target(field.value)
        names = ", ".join(("native", *TARGETS))
        field.wrong(f"one of {names}" + (f"; {hint}" if hint else ""))
    return found[0] if found else None
