"""The commands of the README and of the pages with its topics, and their output."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import corpus
from tests.support.pages import alike, blocks, commands, messages, read_page
from tests.support.paths import ROOT
from tests.support.projects import Project, run_python
from tests.support.wasm import SMALL
from tests.support.wheels import unpack

README = read_page("README.md")
CACHE = read_page("docs/cache.md")
CONTRIBUTING = read_page("CONTRIBUTING.md")
LOADER = read_page("docs/loader.md")
IN_A_PROCESS = read_page("docs/compilation-cache.md")
TARGETS = read_page("docs/targets.md")
WHEELS = read_page("docs/wheels.md")
ANY_BACKEND = read_page("docs/any-backend.md")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it is now, somewhere else, with an empty environment active."""
    folder = tmp_path_factory.mktemp("clone") / "hatch-wazcache"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, text=True, capture_output=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    subprocess.run([sys.executable, "-m", "venv", folder.parent / "venv"], check=True)
    return folder


def shell(command: str, clone: Path, folder: Path | None = None, **env: str) -> str:
    path = f"{clone.parent / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=folder or clone, text=True, check=False,
        env={**os.environ, "PATH": path, "WAZCACHE_DIR": str(clone.parent / "cache"), **env},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def test_the_commands_behind_make_example(clone: Path):
    block = next(block for block in blocks("console", CONTRIBUTING) if "demo.py" in block)
    outputs = [shell(command, clone) for command in commands(block)]
    assert len(outputs) == 5
    assert "precompiled" in outputs[-1]
    assert "factor" in outputs[-1]


def test_a_build_says_what_the_page_shows(clone: Path):
    block = next(block for block in blocks("console", WHEELS) if "-m build" in block)
    (command,) = commands(block)
    shell("python -m pip install -q build", clone)
    shell("python -m pip wheel -q --no-deps -w links .", clone)
    links = f"{clone / 'links'} {os.environ.get('PIP_FIND_LINKS', '')}"
    cache = str(clone.parent / "another-cache")
    example = clone / "example_project"
    output = shell(command, clone, example, PIP_FIND_LINKS=links, WAZCACHE_DIR=cache)
    shown, said = messages(block), messages(output)
    assert said == shown


def test_the_builder_says_what_the_page_of_targets_shows(clone: Path, wasmtime_cli: Path):
    block = next(
        block for block in blocks("console", TARGETS) if "$ hatch build -t wazcache" in block
    )
    (command,) = commands(block)
    cache = str(clone.parent / "cache-for-all")
    project = Path(shutil.copytree(clone / "example_project", clone.parent / "for all"))
    text = (project / "pyproject.toml").read_text("utf-8")
    (project / "pyproject.toml").write_text(text.replace("assets", 'targets = "all"\nassets'))
    shell("python -m pip install -q hatch", clone)
    shell("python -m pip wheel -q --no-deps -w links .", clone)
    links = f"{clone / 'links'} {os.environ.get('PIP_FIND_LINKS', '')}"
    uv_links = links.strip().replace(" ", ",")
    output = shell(
        command, clone, project, PIP_FIND_LINKS=links, UV_FIND_LINKS=uv_links,
        WAZCACHE_DIR=cache, WAZCACHE_WASMTIME=str(wasmtime_cli),
        HATCH_DATA_DIR=str(clone.parent / "hatch"),
    )  # fmt: skip
    shown, said = messages(block), messages(output)
    assert said[-7:] == shown[-7:]
    assert set(shown) <= set(said)


@pytest.fixture(scope="module")
def path_with_command(clone: Path) -> str:
    """A PATH with `hatch-wazcache`, installed with the example's wasmtime."""
    environment = clone.parent / "cli"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    shell("python -m pip install -q . 'wasmtime>=48,<49'", clone, PATH=path)
    return path


def test_the_cache_answers_as_its_page_shows(clone: Path, path_with_command: str):
    first, changed, cleared, installed = blocks("console", CACHE)
    path = path_with_command
    cache = str(clone.parent / "cache-of-its-own")
    project = Path(shutil.copytree(clone / "example_project", clone.parent / "warmed"))

    def answers(block: str) -> str:
        said = ""
        for command in commands(block):
            key = re.search(r"^([0-9a-f]{12})  48", said, re.MULTILINE)
            here = re.sub(r"(?<=show )\w+", key[1], command) if key else command
            output = shell(here, clone, project, PATH=path, WAZCACHE_DIR=cache)
            said += f"$ {command}\n{output}"
        said = said.replace(cache, "/home/me/.cache/wazcache")
        return alike(said.replace(str(project), "/home/me/gofmt"))

    assert answers(first) == alike(first)
    pyproject = (project / "pyproject.toml").read_text("utf-8")
    option = "profiles.default.consume-fuel = true"
    assert option in CACHE
    (project / "pyproject.toml").write_text(pyproject.replace("assets", f"{option}\nassets"))
    for block in (changed, cleared, installed):
        assert answers(block) == alike(block)


def test_the_plan_is_what_the_page_of_targets_shows(clone: Path, path_with_command: str):
    block = next(block for block in blocks("console", TARGETS) if "wazcache plan" in block)
    (command,) = commands(block)
    path, cache = path_with_command, str(clone.parent / "cache-of-the-plan")
    project = Path(shutil.copytree(clone / "example_project", clone.parent / "planned"))
    (targets,) = re.findall(r"`(targets = [^`]*)`\s+and was built for this machine", TARGETS)
    text = (project / "pyproject.toml").read_text("utf-8")
    (project / "pyproject.toml").write_text(text.replace("\nassets", f"\n{targets}\nassets"))
    shell("hatch-wazcache warm", clone, project, PATH=path, WAZCACHE_DIR=cache)
    said = shell(command, clone, project, PATH=path, WAZCACHE_DIR=cache)
    assert alike(f"$ {command}\n{said}") == alike(block)


def test_the_page_of_the_cache_has_every_command():
    shown = " ".join(commands("".join(blocks("console", CACHE + TARGETS))))
    listed = re.findall(r"^\| `(\w+)", CACHE, re.MULTILINE)
    assert len(set(listed)) == 11
    assert all(f"hatch-wazcache {name}" in shown for name in listed)


def test_a_wheel_is_read_as_the_page_shows(clone: Path, path_with_command: str):
    block = next(block for block in blocks("console", WHEELS) if "hatch-wazcache audit" in block)
    project = Path(shutil.copytree(clone / "example_project", clone.parent / "read"))
    shell("python -m hatchling build -t wheel", clone, project, PATH=path_with_command)
    said = ""
    for command in commands(block):
        said += f"$ {command}\n{shell(command, clone, project, PATH=path_with_command)}"
    assert alike(said) == alike(block)


def test_finished_wheels_are_compiled_as_the_page_of_any_backend_shows(
    clone: Path, path_with_command: str
):
    with_uv, alone, with_setuptools = blocks("console", ANY_BACKEND)
    home = clone.parent / "home"
    project = home / "gofmt"
    shutil.copytree(clone / "example_project", project)
    shell("python -m pip wheel -q --no-deps -w links .", clone)
    path = f"{path_with_command}{os.pathsep}{Path(sys.executable).parent}"  # there is uv
    links = f"{clone / 'links'} {os.environ.get('PIP_FIND_LINKS', '')}"
    environment = {
        "PATH": path, "PIP_FIND_LINKS": links, "UV_FIND_LINKS": links.strip().replace(" ", ","),
        "WAZCACHE_DIR": str(clone.parent / "cache-of-any-backend"),
    }  # fmt: skip

    def answer(block: str) -> str:
        command = " && ".join(commands(block)).replace("~", str(home))
        said = shell(command, clone, project, **environment)
        wheels = " ".join(re.findall(r"^/.*\.whl$", said, re.MULTILINE))
        audited = shell(f"hatch-wazcache audit {wheels}", clone, PATH=path)
        assert audited.endswith(" 0 findings\n")
        return said.replace(str(home), "/home/me")

    (options,) = blocks("toml", ANY_BACKEND)
    (project / "pyproject.toml").write_text(options)
    said, made = answer(with_uv), 7
    assert set(messages(with_uv)) <= set(messages(said))
    assert said.splitlines()[-made:] == with_uv.splitlines()[-made:]

    said = answer(alone)
    (wheel,) = (home / "wheels").iterdir()
    assert said.splitlines()[-1] == f"/home/me/wheels/{wheel.name}"

    shell("python -m pip install -q build", clone, PATH=path)
    shutil.rmtree(project / "dist")
    matrix = json.loads(shell("hatch-wazcache plan --matrix github", clone, project, **environment))
    for job in matrix["include"][2:4]:  # a workflow uploads `dist/*.whl`
        shell(job["command"], clone, project, **environment)
        (wheel,) = (project / "dist").iterdir()
        assert "macosx" in wheel.name
        wheel.unlink()

    shutil.rmtree(project / "wheelhouse")
    shutil.move(project / "setuptools.toml", project / "pyproject.toml")
    said = answer(with_setuptools)
    assert said.splitlines()[-made:] == with_uv.splitlines()[-made:]


def test_the_commands_behind_make_test(clone: Path):
    block = next(block for block in blocks("console", CONTRIBUTING) if "pytest" in block)
    *install, test = commands(block)
    for command in install:
        shell(command, clone)
    assert "tests/wheels/test_platform_wheel.py" in shell(f"{test} --collect-only -q", clone)


def test_every_link_of_the_readme_resolves_on_pypi_and_leads_to_a_file():
    links = re.findall(r"\]\(([^)]+)\)|^\[[^\]]+\]: (\S+)", README, re.MULTILINE)
    project = re.compile(
        r"https://(?:github|raw\.githubusercontent)\.com/hatch-wazcache/hatch-wazcache/"
        r"(?:blob/)?main/([^#]+)"
    )
    assert len(links) > 10
    for link in map("".join, links):
        assert link.startswith("https://"), link
        if match := project.match(link):
            assert (ROOT / match[1]).exists(), link


def test_the_configuration_is_all_that_a_project_needs(project: Project):
    (configuration,) = (block for block in blocks("toml", README) if "hatchling.build" in block)
    project.write("pyproject.toml", configuration)
    project.write("src/gofmt/__init__.py")
    project.write(
        "src/gofmt/gofmt.wasm", (ROOT / "example_project/src/gofmt/gofmt.wasm").read_bytes()
    )
    built = project.build()
    assert built.status == 0, built.output
    assert "warning" not in built.output


def test_the_code_for_loading_runs(project: Project, tmp_path: Path):
    project.write(
        "pyproject.toml",
        (project.root / "pyproject.toml").read_text().replace('"demo"', '"gofmt"')
        + "[tool.hatch.build.hooks.wazcache.profiles]\n"
        "default = {}\nfuel = {consume-fuel = true}\n",
    )
    shutil.move(project.root / "demo", project.root / "gofmt")
    text = (project.root / "pyproject.toml").read_text().replace("demo/*", "gofmt/*")
    project.write("pyproject.toml", text)
    (project.root / "gofmt/a.wasm").rename(project.root / "gofmt/gofmt.wasm")
    component = next(name for name in corpus.ROWS if "component" in name)
    project.wasm("gofmt/tool.wasm", component)
    built = project.build()
    assert built.status == 0, built.output
    (first,) = blocks("python", README)
    loading = blocks("python", LOADER)[0]
    names = f"my_engine = wasmtime.Engine()\npath = {str(corpus.fetch(SMALL))!r}\n"
    code = f"{first}\nimport wasmtime\n{names}{loading}"
    ran = run_python(code, unpack(built.wheel, tmp_path / "site"))
    assert ran.status == 0, ran.output


def test_the_code_for_a_process_runs(tmp_path: Path):
    code = blocks("python", IN_A_PROCESS)[0]
    shutil.copy(corpus.fetch(SMALL), tmp_path / "tool.wasm")
    check = "    assert again is module is not metered\n"
    ran = run_python(f"import os\nos.chdir({str(tmp_path)!r})\n{code}{check}", ROOT)
    assert ran.status == 0, ran.output


def test_every_command_of_these_pages_is_run_here():
    known = ("demo.py", "-m build", "pytest", "hatch-wazcache", "-t wazcache", "uv build")
    for page in (README, ANY_BACKEND, CACHE, CONTRIBUTING, TARGETS, WHEELS):
        for block in blocks("console", page):
            assert any(word in block for word in known), block
