"""Whole builds of two machines, which share nothing but a real server with TLS."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from hatch_wazcache.engine.targets import SYSTEMS
from tests.support.commands import artifacts
from tests.support.engines import with_engines
from tests.support.machines import WRITES, Machine
from tests.support.projects import Project
from tests.support.remote_servers import Access, Server
from tests.support.signatures import STRANGER


def test_a_second_machine_gets_the_same_wheel_and_starts_no_compiler(
    server: Server, shared: Project, tmp_path: Path
):
    first = Machine(tmp_path / "1", shared, server.writer, **WRITES)
    made = first.build()
    assert "1 compiled, 0 found in the cache, 1 uploaded" in made.output
    assert first.processes
    second = Machine(tmp_path / "2", shared, server.reader)
    found = second.build()
    assert "0 compiled, 0 found in the cache, 1 from the shared cache" in found.output, found.output
    assert second.processes == []
    assert found.wheel.read_bytes() == made.wheel.read_bytes()
    assert [path.name for path in artifacts(second.project)] == [
        path.name for path in artifacts(first.project)
    ]


def test_six_targets_and_three_engines_are_compiled_once_for_two_machines(
    start: Callable[[str], Server], shared: Project, tmp_path: Path
):
    server = start("s3")
    with_engines(shared, '["47", "48", "49"]')
    shared.append('targets = "all"\ncompiler = "pypi"\n')
    first = Machine(tmp_path / "1", shared, server.writer, **WRITES)
    made = first.build("-t", "wazcache")
    artifacts_made = 3 * len(SYSTEMS)
    assert (
        f"{artifacts_made} compiled, 0 found in the cache, {artifacts_made} uploaded" in made.output
    )
    second = Machine(tmp_path / "2", shared, server.reader)
    found = second.build("-t", "wazcache")
    assert f"{artifacts_made} from the shared cache" in found.output, found.output
    assert any("compile.worker" in line for line in first.processes)
    # Others fetch the engines, whose versions are part of the keys.
    assert not any("compile.worker" in line for line in second.processes)
    wheels = [
        {path.name: path.read_bytes() for path in machine.project.root.glob("dist/*.whl")}
        for machine in (first, second)
    ]
    assert len(wheels[0]) == len(SYSTEMS) + 1, "one is for all other systems"
    assert wheels[0] == wheels[1]


def test_eight_builders_at_once_make_the_same_wheel(
    start: Callable[[str], Server], shared: Project, tmp_path: Path
):
    server = start("s3")
    machines = [Machine(tmp_path / str(n), shared, server.writer, **WRITES) for n in range(8)]
    builds = [machine.project.begin() for machine in machines]
    outputs = [build.communicate(timeout=300)[0] for build in builds]
    assert [build.returncode for build in builds] == [0] * 8, outputs
    wheels = {next(one.project.root.glob("dist/*.whl")).read_bytes() for one in machines}
    assert len(wheels) == 1
    late = Machine(tmp_path / "late", shared, server.reader)
    assert late.build().wheel.read_bytes() in wheels
    assert late.processes == []


def test_a_pull_request_cannot_change_what_others_get(
    server: Server, shared: Project, tmp_path: Path
):
    trusted = Machine(tmp_path / "1", shared, server.writer, **WRITES)
    made = trusted.build()
    stranger = {"WAZCACHE_REMOTE_MODE": "read-write", "WAZCACHE_SIGNING_KEY": STRANGER.text}
    request = Machine(
        tmp_path / "2",
        shared,
        server.reader,
        **{**stranger, "WAZCACHE_TRUSTED_KEYS": STRANGER.public},
    )
    built = request.build()
    assert "1 compiled" in built.output
    assert "uploaded" not in built.output.splitlines()[-1]
    assert built.output.count("the shared cache") == 2, built.output
    reader = Machine(tmp_path / "3", shared, server.reader)
    assert "1 from the shared cache" in reader.build().output
    assert reader.project.build().wheel.read_bytes() == made.wheel.read_bytes()


def test_a_wrong_password_costs_a_warning_and_nothing_else(
    server: Server, shared: Project, tmp_path: Path
):
    machine = Machine(tmp_path / "1", shared, server.stranger, **WRITES)
    built = machine.build()
    assert "1 compiled" in built.output
    assert "the server answered 40" in built.output


def test_a_server_that_is_gone_costs_a_warning_and_nothing_else(
    server: Server, shared: Project, tmp_path: Path
):
    closed = "localhost:1"
    changes = {
        name: f"https://{closed}"
        for name, value in server.writer.environment.items()
        if value.startswith("https://")
    }
    url = re.sub(r"localhost:\d+", closed, server.writer.url)
    access = Access(url, {**server.writer.environment, **changes})
    built = Machine(tmp_path / "1", shared, access, **WRITES).build()
    assert "1 compiled" in built.output
    assert "uploaded" not in built.output.splitlines()[-1]
