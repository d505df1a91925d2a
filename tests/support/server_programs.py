"""Sets up the servers that tests of the shared cache start; `make remote-servers` runs it.

These are bazel-remote and versitygw, a server for S3 that checks signatures and rights, which Go
builds from their modules; Azurite, Microsoft's server for Azure Blob Storage, from npm; and nginx
from Debian. Each is made in a temporary folder and moved to its place when it is complete:
`.work/servers/NAME-VERSION`. nginx is installed, which needs root.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

WORK = Path(__file__).parents[2] / ".work"
SERVERS = WORK / "servers"
VERSIONS = {
    "bazel-remote": "2.6.1",
    "versitygw": "1.8.0",
    # Newer ones need Node.js 22, which Debian does not have yet.
    "azurite": "3.35.0",
}
_GO = os.environ.get("GO") or "go"
_FLAGS = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w")


class CannotSetUpError(Exception):
    """This machine cannot have it. The text says why."""


def program(name: str) -> Path:
    """Return the path of a server.

    Raises:
        CannotSetUpError: it has not been set up.
    """
    os.environ["PATH"] += os.pathsep + "/usr/sbin"  # where Debian has nginx
    found = shutil.which("nginx") if name == "nginx" else str(_folder(name) / "server")
    if not found or not Path(found).exists():
        raise CannotSetUpError(f"{name} is needed: make remote-servers")
    return Path(found)


def _folder(name: str) -> Path:
    return SERVERS / f"{name}-{VERSIONS[name]}"


def _run(*words: str | Path, cwd: Path | None = None, **env: str) -> str:
    """Run a program, and return its output.

    Raises:
        CannotSetUpError: it is not installed, or fails; has the end of its output.
    """
    try:
        done = subprocess.run(
            words, check=False, cwd=cwd, text=True, errors="replace", env={**os.environ, **env},
            stdin=subprocess.DEVNULL, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise CannotSetUpError(f"{words[0]} is not installed") from error
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
        raise CannotSetUpError(f"{' '.join(map(str, words))}\n{said}")
    return done.stdout


def _make_bazel_remote(folder: Path) -> None:
    """Build it from a copy of its module: `go install` refuses it, because it replaces a module."""
    module = f"github.com/buchgr/bazel-remote/v2@v{VERSIONS['bazel-remote']}"
    found = json.loads(_run(_GO, "mod", "download", "-json", module, cwd=folder))
    source = folder / "source"
    # Only the contents: files in Go's cache are read-only.
    shutil.copytree(found["Dir"], source, copy_function=shutil.copyfile)
    for path in (source, *source.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    _run(_GO, "build", *_FLAGS, "-o", folder / "server", ".", cwd=source)
    shutil.rmtree(source)


def _make_versitygw(folder: Path) -> None:
    module = f"github.com/versity/versitygw/cmd/versitygw@v{VERSIONS['versitygw']}"
    _run(_GO, "install", *_FLAGS, module, cwd=folder, GOBIN=str(folder))
    (folder / "versitygw").rename(folder / "server")


def _make_azurite(folder: Path) -> None:
    words = ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix")
    _run(*words, folder, f"azurite@{VERSIONS['azurite']}", cwd=folder)
    (folder / "server").symlink_to("node_modules/.bin/azurite-blob")


def _install_nginx() -> None:
    try:
        program("nginx")
    except CannotSetUpError:
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            raise CannotSetUpError("nginx is not installed, and only root can do it") from None
        print("installing nginx", flush=True)
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-qqy", "--no-install-recommends", "nginx")


_MAKERS: dict[str, Callable[[Path], None]] = {
    "bazel-remote": _make_bazel_remote,
    "versitygw": _make_versitygw,
    "azurite": _make_azurite,
}


def _set_up(name: str) -> None:
    final = _folder(name)
    if not (final / "server").exists():
        print(f"{name}: setting up {VERSIONS[name]}", flush=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=SERVERS) as temporary:
            making = Path(temporary) / name
            making.mkdir()
            _MAKERS[name](making)
            making.rename(final)
    print(f"{name}: {final}")


def main() -> int:
    """Set up all servers. One that cannot be had is an error in CI; elsewhere its tests skip."""
    failed = False
    SERVERS.mkdir(parents=True, exist_ok=True)
    with (SERVERS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in SERVERS.glob("making-*"):
            shutil.rmtree(leftover)
        steps: list[Callable[[], None]] = [_install_nginx]
        steps += [lambda name=name: _set_up(name) for name in VERSIONS]
        for step in steps:
            try:
                step()
            except CannotSetUpError as error:
                failed = True
                print(error, file=sys.stderr)
    return int(failed and "CI" in os.environ)


if __name__ == "__main__":
    sys.exit(main())
