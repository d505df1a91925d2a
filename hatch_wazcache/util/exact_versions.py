"""The exact versions that a requirement names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["exact_versions"]


def exact_versions(requirement: Requirement) -> list[str]:
    """Return the versions that a requirement names with `==`, but no prefixes such as `48.*`."""
    return [
        one.version
        for one in requirement.specifier
        if one.operator == "==" and not one.version.endswith(".*")
    ]
