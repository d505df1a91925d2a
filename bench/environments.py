"""The environments in which contenders run: made once, each with what it alone needs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["OURS", "STOCK", "WORK", "YOWASP", "Environment", "own_wheel"]

ROOT = Path(__file__).parent.parent
WORK = ROOT / ".work" / "bench"


class Environment:
    """A virtual environment, by its name below `.work/bench`."""

    def __init__(self, name: str, *packages: str, with_ours: bool = False) -> None:
        self.folder = WORK / "env" / name
        self.python = self.folder / "bin" / "python"
        self._packages = packages
        self._with_ours = with_ours

    def prepare(self) -> None:
        """Make it, or bring it up to this source tree."""
        packages = [*self._packages, *([str(own_wheel())] if self._with_ours else [])]
        note = self.folder / "packages"
        if note.exists() and note.read_text() == "\n".join(packages):
            return
        uv = [sys.executable, "-m", "uv"]
        subprocess.run(
            [*uv, "venv", "-q", "--clear", "-p", sys.executable, self.folder], check=True
        )
        install = [*uv, "pip", "install", "-q", "--compile-bytecode", "-p", self.python]
        subprocess.run([*install, *packages], check=True)
        note.write_text("\n".join(packages))

    def versions(self) -> dict[str, str]:
        """Tell what is installed."""
        words = [sys.executable, "-m", "uv", "pip", "freeze", "-q", "-p", self.python]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
        pairs = (line.split("==") for line in done.stdout.splitlines() if "==" in line)
        return {name: version for name, version in pairs}

    def env(self, **more: str) -> dict[str, str]:
        """Return environment variables, without those that would change what is measured."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WAZCACHE_", "HATCH_", "WASMTIME_", "PYTHON"))
        }
        return {**kept, **more}


STOCK = Environment("stock", "hatchling", "wasmtime==48.0.0", "deflate")
OURS = Environment("ours", "hatchling", "wasmtime==48.0.0", with_ours=True)
YOWASP = Environment("yowasp", "yowasp-runtime")


def own_wheel() -> Path:
    """Build hatch-wazcache out of this source tree; under a path of its own for each content."""
    out = WORK / "own" / "new"
    shutil.rmtree(out, ignore_errors=True)
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out]
    subprocess.run(words, cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    (made,) = out.glob("*.whl")
    folder = out.parent / hashlib.sha256(made.read_bytes()).hexdigest()[:16]
    folder.mkdir(exist_ok=True)
    return made.replace(folder / made.name)
