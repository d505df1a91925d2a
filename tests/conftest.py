"""What the tests share: projects, real builds of them, real environments to install into."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import corpus
import pytest
import tomllib

ROOT = Path(__file__).parent.parent
WORK = ROOT / ".work"
EXAMPLE = ROOT / "example_project"

PYPROJECT = """\
[build-system]
requires = ["hatchling", "hatch-wazcache"]
build-backend = "hatchling.build"

[project]
name = "demo"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["wasmtime>=48,<49"]

[tool.hatch.build.hooks.wazcache]
assets = ["demo/*.wasm"]
"""

ARGON = "argon2-browser__argon2.wasm"
"""25 kB: compiles in a few milliseconds."""


@dataclass
class Built:
    """What a build came to."""

    status: int
    output: str
    """Standard output and error."""
    wheel: Path | None = None

    @property
    def names(self) -> list[str]:
        assert self.wheel is not None, self.output
        return sorted(zipfile.ZipFile(self.wheel).namelist())

    def read(self, name: str) -> bytes:
        assert self.wheel is not None, self.output
        return zipfile.ZipFile(self.wheel).read(name)


@dataclass
class Project:
    """A project in a folder of its own, with a cache of its own."""

    root: Path
    cache: Path
    environment: dict[str, str] = field(default_factory=dict)
    python: Path = Path(sys.executable)

    def write(self, path: str, content: str | bytes = "") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def wasm(self, path: str, name: str = ARGON) -> Path:
        return self.write(path, corpus.fetch(name).read_bytes())

    def options(self, text: str, table: str = "tool.hatch.build.hooks.wazcache") -> None:
        """Give the hook other options than the default."""
        head = PYPROJECT.partition("[tool.hatch")[0]
        self.write("pyproject.toml", f"{head}[{table}]\n{text}\n")
        tomllib.loads((self.root / "pyproject.toml").read_text("utf-8"))

    def append(self, text: str) -> None:
        file = self.root / "pyproject.toml"
        file.write_text(file.read_text("utf-8") + text, "utf-8")

    def env(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("WAZCACHE_", "HATCH_"))}
        return {**kept, "WAZCACHE_DIR": str(self.cache), **self.environment, **more}

    def hatchling(self, *words: str, **env: str) -> Built:
        """Run hatchling in this environment, without isolation: the quickest real build."""
        before = set((self.root / "dist").glob("*"))
        done = subprocess.run(
            [self.python, "-m", "hatchling", "build", *words],
            cwd=self.root, env=self.env(**env), text=True, encoding="utf-8", check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        made = sorted(set((self.root / "dist").glob("*.whl")), key=lambda p: p.stat().st_mtime_ns)
        wheel = made[-1] if made and (done.returncode == 0 or made[-1] not in before) else None
        return Built(done.returncode, done.stdout, wheel)

    def build(self, **env: str) -> Built:
        """Build the wheel."""
        return self.hatchling("-t", "wheel", **env)

    def editable(self, **env: str) -> Built:
        """Build the editable wheel."""
        return self.hatchling("-t", "wheel:editable", **env)

    def tree(self) -> list[str]:
        """List the files of the project, without dist."""
        files = (p.relative_to(self.root).as_posix() for p in self.root.rglob("*") if p.is_file())
        return sorted(file for file in files if not file.startswith("dist/"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A flat project with the package `demo` and one small asset, `demo/a.wasm`."""
    made = Project(tmp_path / "project", tmp_path / "cache")
    made.write("pyproject.toml", PYPROJECT)
    made.write("demo/__init__.py")
    made.wasm("demo/a.wasm")
    return made


def environment_with(wasmtime: str, python: Path = Path(sys.executable)) -> Path:
    """Return the Python of an environment that holds one wasmtime; made once, then shared."""
    version = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    folder = WORK / f"python{version}-wasmtime{wasmtime}"
    WORK.mkdir(exist_ok=True)
    with (WORK / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            uv = [sys.executable, "-m", "uv"]
            subprocess.run([*uv, "venv", "-q", "--clear", "-p", str(python), folder], check=True)
            made = folder / "bin" / "python"
            packages = [f"wasmtime=={wasmtime}"] if wasmtime else []
            packages += ["hatchling", "deflate", "filelock", "platformdirs"]
            subprocess.run([*uv, "pip", "install", "-q", "-p", made, *packages], check=True)
            subprocess.run([*uv, "pip", "install", "-q", "-p", made, "-e", ROOT], check=True)
            (folder / "done").touch()
    return folder / "bin" / "python"


def unpack(wheel: Path, folder: Path) -> Path:
    """Unpack a wheel, which is how its files lie once it is installed."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_python(code: str, path: Path, python: Path = Path(sys.executable), **env: str) -> Built:
    """Run code with a folder or a wheel at the head of its path."""
    done = subprocess.run(
        [python, "-c", code],
        env={**os.environ, "PYTHONPATH": str(path), **env}, text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    return Built(done.returncode, done.stdout)
