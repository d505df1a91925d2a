"""The options that hatchling passes to the hook."""

from __future__ import annotations

import pytest

from tests.support.options import TABLE, requirements
from tests.support.projects import Project


def test_the_table_of_the_wheel_target_is_named(project: Project):
    project.options("cpu = 1\nassests = []", "tool.hatch.build.targets.wheel.hooks.wazcache")
    built = project.build()
    assert built.status != 0
    table = "tool.hatch.build.targets.wheel.hooks.wazcache"
    assert f"wazcache: {table}.cpu = 1: must be" in built.output
    assert f"wazcache: {table}.assests: there is no such option; did you mean" in built.output
    assert f"wazcache: {table}.assets is missing" in built.output
    assert "Traceback" not in built.output


def test_the_table_of_the_wheel_target_replaces_the_global_one(project: Project):
    project.append('[tool.hatch.build.targets.wheel.hooks.wazcache]\nassets = ["demo/b.wasm"]\n')
    project.wasm("demo/b.wasm")
    names = project.build().names
    assert "demo/b.x86_64-linux.cwasm" in names
    assert "demo/a.x86_64-linux.cwasm" not in names


@pytest.mark.parametrize("words", [("-t", "wheel"), ("-t", "wheel:editable"), ("-t", "sdist")])
def test_wrong_options_stop_every_kind_of_build(project: Project, words):
    project.append("cpu = 1\nstrict = 1\n")
    built = project.hatchling(*words)
    assert built.status != 0
    assert f"wazcache: {TABLE}.cpu = 1: must be" in built.output
    assert f"wazcache: {TABLE}.strict = 1: must be" in built.output
    assert "Traceback" not in built.output


def test_the_options_of_hatchling_are_accepted(project: Project):
    project.append(
        'dependencies = ["wasmtime"]\nenable-by-default = true\n'
        "require-runtime-dependencies = true\nrequire-runtime-features = []\n"
    )
    built = project.build()
    assert built.status == 0, built.output


def test_wrong_options_stop_a_front_end_that_asks_for_requirements(project: Project):
    project.append("cpu = 1\n")
    asked = requirements(project)
    assert asked.status != 0
    assert f"wazcache: {TABLE}.cpu = 1: must be" in asked.output
    assert "Traceback" not in asked.output
