"""Engines, settings and other hooks that a build refuses."""

from __future__ import annotations

import os

import pytest

from hatch_wazcache.engine.targets import TARGETS
from tests.support.refusals import NATIVE, Refusing, of_hatchling, state
from tests.support.wasm import COMPONENT

FOREIGN = "aarch64-linux" if NATIVE != "aarch64-linux" else "x86_64-linux"


# other build hooks


HOOK = """\
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        {}
"""


@of_hatchling
@pytest.mark.parametrize(
    "code",
    [
        "build_data['infer_tag'] = True",
        "build_data['tag'] = 'py3-none-any'",
        "del build_data['tag']",
    ],
)
def test_a_hook_that_sets_the_tag_after_ours_is_refused(project: Refusing, code):
    project.write("hatch_build.py", HOOK.format(code))
    project.append("[tool.hatch.build.hooks.custom]\n")
    project.refused(
        f"{project.table}: a build hook that runs later (custom) has set the wheel's tag"
    )


@of_hatchling
@pytest.mark.parametrize(
    ("tag", "why"),
    [
        (f"py3-none-{TARGETS[FOREIGN].platform_tags[0]}", "does not fit the target"),
        ("py3-none", "not a wheel tag"),
        ("cp311-cp311-linux-x86_64", "not a wheel tag"),
        ("", "not a wheel tag"),
        (311, "not a wheel tag"),
    ],
)
def test_an_earlier_hooks_tag_that_does_not_fit_is_refused(project: Refusing, tag, why):
    project.write("hatch_build.py", HOOK.format(f"build_data['tag'] = {tag!r}"))
    hook = "[tool.hatch.build.hooks.custom]\n"
    project.write(
        "pyproject.toml",
        project.pyproject.replace(f"[{project.table}]", f"{hook}[{project.table}]"),
    )
    project.refused(f'{project.table}: another build hook tagged the wheel "{tag}", which', why)


@of_hatchling
def test_a_later_hook_that_fails_leaves_nothing_of_ours(project: Refusing):
    project.write("hatch_build.py", HOOK.format("raise OSError('not mine')"))
    project.append("[tool.hatch.build.hooks.custom]\n")
    cache = state(project.cache)
    built = project.build()
    assert built.status != 0
    assert "OSError: not mine" in built.output
    assert os.listdir(project.root / "dist") == []
    project.left_nothing(cache)


# engines, targets, settings


def test_an_environment_without_wasmtime_is_refused(project: Refusing):
    project.use("")
    project.refused(
        "wasmtime is not installed in this environment", 'pip install "wasmtime>=48,<49"'
    )


def test_a_wasmtime_outside_the_requirement_is_refused(project: Refusing):
    project.requires("wasmtime>=36,<37")
    project.refused("wasmtime 48.", "project.dependencies says wasmtime<37,>=36; install a version")


def test_a_component_needs_a_wasmtime_that_knows_them(project: Refusing):
    project.requires("wasmtime>=36,<37")
    project.write("demo/b.wasm", COMPONENT)
    project.use("36.0.0")
    project.refused("demo/b.wasm: ", "by wasmtime 36.0.", "components need wasmtime 39 or later")


def test_a_setting_that_this_wasmtime_lacks_is_named(project: Refusing):
    project.requires("wasmtime>=36,<37")
    project.append("profiles.default.gc-support = true\n")
    project.use("36.0.0")
    project.refused("demo/a.wasm: ", "this wasmtime has no setting", "gc-support")


def test_an_unknown_target_is_refused(project: Refusing):
    project.append('targets = ["native", "ppc64le-linux"]\n')
    project.refused(f'{project.table}.targets[1] = "ppc64le-linux": must be one of "native", "all"')


def test_settings_that_make_wasmtime_abort_are_named(project: Refusing):
    project.append("profiles.default = {}\nprofiles.odd.wasm-simd = false\n")
    project.refused(
        f"demo/a.wasm (profile odd): cannot be compiled for {NATIVE} by wasmtime 48.",
        " with wasm-simd = false: the compiler died by SIGABRT: ",
        "cannot disable the simd proposal",
    )


def test_values_that_would_wrap_or_abort_are_refused(project: Refusing):
    settings = [
        "memory-reservation = -1",
        "memory-guard-size = 9223372036854775807",
        "max-wasm-stack = 0",
        'cranelift-opt-level = "fastest"',
        'strategy = "winch"',
    ]
    project.append("".join(f"profiles.odd.{setting}\n" for setting in settings))
    project.refused(*(f"{project.table}.profiles.odd.{setting}: must be " for setting in settings))
