"""Builds that share what they compile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hatch_wazcache.cache.remote.keys import SigningKey
from tests.support.projects import Built, Project
from tests.support.remotes import FolderServer, folder_server, other_machine, readers, writers
from tests.support.wasm import tiny

KEY = SigningKey.generate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FolderServer]:
    with folder_server(tmp_path / "server") as made:
        yield made


def ended(built: Built) -> str:
    """Return the output of a build that has made a wheel."""
    assert built.status == 0, built.output
    return built.output


def test_a_second_machine_gets_the_same_wheel_and_compiles_nothing(
    project: Project, server: FolderServer
):
    first = project.build(**writers(server, KEY))
    assert "1 compiled, 0 found in the cache, 1 uploaded: " in ended(first)
    assert re.search(r"a\.wasm: uploaded to the shared cache for \S+, \S+ [kM]?B in ", first.output)
    second = other_machine(project)
    built = second.build(**readers(server, KEY))
    assert "0 compiled, 0 found in the cache, 1 from the shared cache (" in ended(built)
    assert re.search(r"a\.wasm: found in the shared cache for \S+, \S+ [kM]?B in ", built.output)
    assert "compiling" not in built.output
    assert built.wheel is not None
    assert first.wheel is not None
    assert built.wheel.read_bytes() == first.wheel.read_bytes()


def test_a_second_machine_starts_no_process(project: Project, server: FolderServer):
    project.write("demo/a.wasm", tiny("a"))  # a larger one is also compressed, by another process
    ended(project.build(**writers(server, KEY)))
    second = other_machine(project)
    built = second.build(**readers(server, KEY), PYTHONPROFILEIMPORTTIME="1")
    assert "1 from the shared cache" in ended(built)
    assert "hatch_wazcache.compile.pool" not in built.output


def test_what_was_found_in_the_shared_cache_is_found_in_the_local_one_later(
    project: Project, server: FolderServer
):
    ended(project.build(**writers(server, KEY)))
    second = other_machine(project)
    ended(second.build(**readers(server, KEY)))
    asked = len(server.requests)
    built = second.build(**readers(server, KEY), PYTHONPROFILEIMPORTTIME="1")
    assert "0 compiled, 1 found in the cache (" in ended(built)
    assert len(server.requests) == asked
    imported = re.findall(r"hatch_wazcache\.cache\.remote\S*", built.output)
    assert set(imported) <= {"hatch_wazcache.cache.remote", "hatch_wazcache.cache.remote.options"}
