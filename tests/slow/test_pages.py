"""The console blocks of the smaller pages; `test_readme.py` has those of the README's topics."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.environments import environment_of
from tests.support.pages import Shell, alike, blocks, check_output, commands, outputs, read_page
from tests.support.paths import EXAMPLE


@pytest.fixture
def environment(own_wheel: Path, tmp_path: Path) -> dict[str, str]:
    """The variables of a user whose index has hatch-wazcache as it is now."""
    links = f"{own_wheel.parent} {os.environ.get('PIP_FIND_LINKS', '')}".strip()
    return {
        "PIP_FIND_LINKS": links, "UV_FIND_LINKS": links.replace(" ", ","),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # there is uv
        "WAZCACHE_DIR": str(tmp_path / "cache"), "NO_COLOR": "1",
    }  # fmt: skip


def at_a_terminal(command: str, answers: str, folder: Path, env: dict[str, str]) -> str:
    """Run a command as at a terminal, and return what the terminal shows, with the answers."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        command, shell=True, cwd=folder, env={**os.environ, **env}, stdin=its, stdout=its,
        stderr=its, start_new_session=True,
    ) as running:  # fmt: skip
        os.close(its)
        os.write(ours, answers.encode())
        shown = b""
        with suppress(OSError):  # Linux says so when nobody has the other end
            while part := os.read(ours, 65536):
                shown += part
        os.close(ours)
        assert running.wait() == 0, shown.decode()
    return shown.decode().replace("\r\n", "\n")


def test_init_asks_as_its_page_shows(environment: dict[str, str], tmp_path: Path):
    (block,) = blocks("console", read_page("docs/init.md"))
    ((command, shown),) = outputs(block)
    project = tmp_path / "gofmt"
    package = project / "src" / "gofmt"
    package.mkdir(parents=True)
    shutil.copy(EXAMPLE / "src/gofmt/gofmt.wasm", package)
    (package / "__init__.py").write_text(
        "from pathlib import Path\n\nfrom wasmtime import Engine, Module\n\n"
        'WASM = Path(__file__).with_name("gofmt.wasm")\n\n'
        "engine = Engine()\nmodule = Module.from_file(engine, str(WASM))\n"
    )
    (project / ".gitignore").write_text("dist\n")
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n\n'
        '[project]\nname = "gofmt"\nversion = "1.0.0"\ndependencies = ["wasmtime>=44"]\n'
    )
    printed = at_a_terminal(f"{command} 2>/dev/null", "y\n", project, environment)
    check_output(shown, printed.removeprefix("y\n").replace("[y/N] ", "[y/N] y\n"))
    assert (package / "_wazcache.py").is_file()


def test_validate_pyproject_checks_the_options_as_the_page_shows(
    environment: dict[str, str], tmp_path: Path
):
    (block,) = blocks("console", read_page("docs/options.md"))
    install, check = commands(block)
    packages = install.removeprefix("pip install ").split()
    python = environment_of(*[name for name in packages if name != "hatch-wazcache"])
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    shell = Shell(tmp_path, {**environment, "PATH": path})
    project = '[project]\nname = "demo"\nversion = "1"\n'
    shell.write("pyproject.toml", project + '[tool.wazcache]\nassets = ["a.wasm"]\n')
    shell.run(check)
    shell.write("pyproject.toml", project + '[tool.wazcache]\nassets = ["a.wasm"]\ncpu = 3\n')
    assert "tool.wazcache.cpu" in shell.run(f"! {check}")
    shell.close()


def test_keygen_shows_what_the_page_of_the_shared_cache_shows(tmp_path: Path):
    block = blocks("console", read_page("docs/remote-cache.md"))[0]
    ((command, shown),) = outputs(block)
    home = tmp_path / "me"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    done = subprocess.run(
        command, shell=True, cwd=home, env=environment, capture_output=True, text=True, check=True
    )
    key = re.compile(r"wazcache-public-[\w-]{43}$", re.MULTILINE)
    printed = done.stdout.replace(str(home), "/home/me")
    assert key.sub("KEY", printed).strip() == key.sub("KEY", shown).strip()


def test_the_manifest_and_the_files_of_the_cache_are_as_their_pages_say(tmp_path: Path):
    (shown,) = blocks("json", read_page("docs/manifest.md"))
    project = shutil.copytree(EXAMPLE, tmp_path / "gofmt")
    env = {**os.environ, "WAZCACHE_DIR": str(tmp_path / "cache")}
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(build, cwd=project, env=env, check=True, capture_output=True)
    (wheel,) = (project / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        written = archive.read("gofmt/_wazcache.json").decode()

    def same(text: str) -> str:  # another patch release of wasmtime writes another artifact
        return re.sub(r'"size": 9\d{6}', '"size": N', alike(text))

    assert same(written).split() == same(shown).split()
    layout = read_page("docs/cache.md").partition("\n## The files of the cache\n")[2]
    named = set(re.findall(r"`([\w.-]+)/?(?:KEY.zip)?`", layout))
    made = {path.name for path in (tmp_path / "cache").iterdir()}
    assert {re.sub(r"wasmtime-[\d.]+", "wasmtime-48.0.0", name) for name in made} <= named
