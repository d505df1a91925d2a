"""Machines that build one project and share nothing but a server."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.projects import Built, Project
from tests.support.remote_servers import PASSWORD, WRONG, Access
from tests.support.signatures import SIGNER

WRITES = {"WAZCACHE_REMOTE_MODE": "read-write", "WAZCACHE_SIGNING_KEY": SIGNER.text}
"""What a machine has that may fill the shared cache."""

NOTES_PROCESSES = """\
import os, sys

def note(event, arguments):
    if event == "subprocess.Popen":
        with open(os.environ["NOTES"], "a") as file:
            print(arguments[1], file=file)

sys.addaudithook(note)
"""


class Machine:
    """A machine with its own home, cache and project. It notes the processes that it starts."""

    def __init__(self, folder: Path, project: Project, access: Access, **env: str) -> None:
        home, site = folder / "home", folder / "site"
        for path in (home, site):
            path.mkdir(parents=True)
        (site / "sitecustomize.py").write_text(NOTES_PROCESSES)
        self._notes = folder / "processes"
        self._notes.touch()
        shutil.copytree(project.root, folder / "project")
        self.project = Project(folder / "project", folder / "cache", python=project.python)
        self.project.environment = {
            **access.environment,
            "HOME": str(home),
            "XDG_CACHE_HOME": "",
            "XDG_CONFIG_HOME": "",
            "NOTES": str(self._notes),
            "PYTHONPATH": str(site),
            "WAZCACHE_REMOTE": access.url,
            "WAZCACHE_TRUSTED_KEYS": SIGNER.public,
            **env,
        }

    @property
    def processes(self) -> list[str]:
        """The processes that builds have started; compilers are processes."""
        return self._notes.read_text().splitlines()

    def build(self, *words: str) -> Built:
        built = self.project.hatchling(*words or ("-t", "wheel"))
        assert built.status == 0, built.output
        for secret in (PASSWORD, WRONG, SIGNER.text, *self._secrets()):
            assert secret not in built.output
        return built

    def _secrets(self) -> list[str]:
        words = ("SECRET", "KEY", "TOKEN")
        return [
            value
            for name, value in self.project.environment.items()
            if any(word in name for word in words) and "TRUSTED" not in name
            and name != "AWS_ACCESS_KEY_ID"
        ]  # fmt: skip
