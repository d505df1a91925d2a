"""Servers for the tests of the shared cache: each is started once, when a test asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.projects import Project
from tests.support.remote_servers import SERVERS, Certificates, Server, make_certificates
from tests.support.server_programs import CannotSetUpError
from tests.support.wasm import tiny


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def start(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Callable[[str], Server]]:
    """Starts a server by its name."""
    running: dict[str, Server] = {}
    with ExitStack() as stack:

        def started(name: str) -> Server:
            if name not in running:
                folder = tmp_path_factory.mktemp(name)
                try:
                    running[name] = stack.enter_context(SERVERS[name](folder, certificates))
                except CannotSetUpError as error:
                    if "CI" in os.environ:
                        raise
                    pytest.skip(str(error))
            return running[name]

        yield started


@pytest.fixture(params=list(SERVERS))
def server(request: pytest.FixtureRequest, start: Callable[[str], Server]) -> Server:
    return start(request.param)


@pytest.fixture
def shared(project: Project, tmp_path: Path) -> Project:
    """A project with another asset in each test. It is so small that no process compresses it."""
    project.write("demo/a.wasm", tiny(tmp_path.name))
    return project
