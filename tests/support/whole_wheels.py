"""Builds of two trees into one folder, at the same time."""

from __future__ import annotations

import shutil
import time

from tests.support.projects import Built, Project, SetuptoolsProject
from tests.support.wasm import tiny

_BUILD = {
    Project: Project.build_words,
    # The backend removes the earlier wheel itself, before it moves the new one.
    SetuptoolsProject: ("-c", "import setuptools; setuptools.setup()", "bdist_wheel"),
}


def assert_whole_wheels(project: Project, rounds: int) -> None:
    """Build two trees of one name into one folder, at once; look at the wheel all the time."""
    other = type(project)(project.root.with_name("other"), project.cache, python=project.python)
    shutil.copytree(project.root, other.root)
    other.write("demo/a.wasm", tiny("other"))
    other.write("demo/__init__.py", "OTHER = True\n")
    whole = set()
    for tree in (project, other):
        built = tree.build()
        assert built.status == 0, built.output
        whole.add(built.wheel.read_bytes())
    assert len(whole) == 2
    dist = project.root / "dist"
    shutil.rmtree(other.root / "dist")
    (other.root / "dist").symlink_to(dist)
    looks = 0
    for _ in range(rounds):
        builds = [tree.begin(*_BUILD[type(project)]) for tree in (project, other)]
        while any(build.poll() is None for build in builds):
            (wheel,) = dist.glob("*.whl")
            assert wheel.read_bytes() in whole
            looks += 1
            time.sleep(0.001)  # hundreds of looks in each round, and the cores stay for the builds
        for build in builds:
            built = Built(build.returncode, build.communicate()[0])
            assert built.status == 0, built.output
        (wheel,) = dist.iterdir()
        assert wheel.read_bytes() in whole
    assert looks > 10 * rounds
