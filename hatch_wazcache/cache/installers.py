"""Runs uv or pip to unpack one wheel into a folder. Their own configuration applies.

So the index, the proxy, the credentials and folders of wheels are the ones that the user has set.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.util.child_process import kill_tree, python_executable
from hatch_wazcache.util.environment import without_secrets
from hatch_wazcache.util.search_path import find_program

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["InstallError", "Installer", "can_fetch", "find_installer"]

_TIMEOUT = 900.0
"""Seconds that one installation may need."""

_LONGEST_REASON = 600
"""Characters."""

_FRAME = " \t\u00d7\u2502\u2570\u2500\u25b6\u251c"
"""What older versions of uv draw around their messages: a cross, lines, and an arrow."""

_OF_PIP = (
    "EDITABLE",
    "PREFIX",
    "PYTHON",
    "REPORT",
    "REQUIREMENT",
    "REQUIRE_VIRTUALENV",
    "ROOT",
    "TARGET",
)
"""Variables `PIP_…` that would send the wheel elsewhere, or install other packages."""


class InstallError(Exception):
    """The installer has failed; the text is its reason, on one line."""


class Installer(NamedTuple):
    """uv or pip."""

    name: str
    """`uv` or `pip`."""
    command: tuple[str, ...]

    @property
    def variable(self) -> str:
        """The environment variable that names folders with wheels."""
        return f"{self.name.upper()}_FIND_LINKS"

    def install(self, requirement: Requirement, folder: Path, inherited: int = -1) -> None:
        """Unpack the wheel of a requirement, without its dependencies, into a folder.

        Args:
            requirement: which wheel.
            folder: an existing, empty folder.
            inherited: a file descriptor to keep open while the installer runs, even if this
                process is killed; -1 for none. Windows keeps none.

        Raises:
            InstallError: it has failed, or needs more than 15 minutes.
        """
        if not str(requirement).isprintable():  # no program can be given a null character
            raise InstallError("no version is named like that")
        words = [*self.command, "--no-deps", "--target", str(folder)]
        process = None
        try:
            process = subprocess.Popen(
                [*words, f"{requirement.name}{requirement.specifier}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                env=_environment(),
                pass_fds=() if inherited < 0 or sys.platform == "win32" else (inherited,),
                start_new_session=True,
            )
            output, _ = process.communicate(timeout=_TIMEOUT)
        except OSError as error:
            raise InstallError(f"{words[0]} cannot be started: {error.strerror or error}") from None
        except subprocess.TimeoutExpired:
            raise InstallError(f"it has not ended after {_TIMEOUT / 60:.0f} minutes") from None
        finally:
            if process is not None and process.poll() is None:
                kill_tree(process)
                process.wait()
        if process.returncode != 0:
            raise InstallError(_reason(output) or f"it ended with status {process.returncode}")


def find_installer(requirement: Requirement) -> Installer | None:
    """Return uv if there is one, else pip if this Python has it; None if there is neither.

    Args:
        requirement: the wheel to install.

    Raises:
        OSError: there is no temporary directory.
    """
    python = python_executable() or sys.executable
    if uv := _find_uv():
        words = [uv, "pip", "install", "-q", "--python", python, "--no-compile-bytecode"]
        words += ["--link-mode", "copy", "--only-binary", requirement.name]
        return Installer("uv", tuple(words))
    if _has_pip():
        words = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"]
        # The root of the file system, because pip's configuration may set another one. pip unpacks
        # into the temporary directory first. Windows may have that on another drive than the cache.
        root = Path(tempfile.gettempdir()).absolute().anchor
        words += ["--no-compile", "--only-binary", ":all:", "--root", root]
        return Installer("pip", tuple(words))
    return None


def can_fetch() -> bool:
    """Say whether there is a uv, or a pip in this Python."""
    return _find_uv() is not None or _has_pip()


def _has_pip() -> bool:
    # importlib.util.find_spec would ask the finder of setuptools, too. Before Python 3.12, it takes
    # the question for a start of pip, and then setuptools cannot be imported any more.
    return PathFinder.find_spec("pip") is not None


def _find_uv() -> str | None:
    """Return the path of the uv that runs this build, else of the one on PATH; None if none."""
    path = os.environ.get("UV", "")
    if os.path.isabs(path) and os.path.isfile(path) and os.access(path, os.X_OK):
        return path
    return find_program("uv")


def _environment() -> dict[str, str]:
    """Return the environment without secrets, and without settings for another place."""
    unwanted = {f"PIP_{name}" for name in _OF_PIP} | {"CLICOLOR_FORCE", "FORCE_COLOR"}
    unwanted.add("UV_COMPILE_BYTECODE")  # uv refuses it beside --no-compile-bytecode
    kept = {name: text for name, text in without_secrets().items() if name.upper() not in unwanted}
    # 0 also overrides pip's configuration files.
    off = dict.fromkeys(("PIP_DRY_RUN", "PIP_REQUIRE_VIRTUALENV", "PIP_USER"), "0")
    return {**kept, **off, "NO_COLOR": "1"}


def _reason(output: str) -> str:
    """Make one line of an installer's messages.

    uv gives an error and its causes, a line each. pip gives warnings about the network, and then
    an error that lists every version that there is.
    """
    reasons: list[str] = []
    for line in filter(None, (line.strip(_FRAME) for line in output.splitlines())):
        network = re.search(r"connection broken by '(.*)': /", line)
        reason = network[1] if network else re.sub(r"^(error|cause|ERROR|WARNING): ", "", line)
        reason = _shortened_versions(reason).rstrip(".:")
        if reasons and line[0].islower() and not re.match("[a-z]+: ", line):
            reasons[-1] += f" {reason}"  # older versions of uv break long lines
        elif not reason.startswith(("Ignored the following", "No matching distribution")):
            reasons.append(reason)
    text = "; ".join(dict.fromkeys(reasons))
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."


def _shortened_versions(line: str) -> str:
    """Leave only the newest of a list of a hundred versions."""
    return re.sub(r"\(from versions: [^()]*, ([^(), ]+)\)", r"(the newest is \1)", line)
