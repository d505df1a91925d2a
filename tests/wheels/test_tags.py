"""The wheel's tags: wasmtime-py's for the target, with the Python and ABI of an earlier hook."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest

from hatch_wazcache.engine.targets import native_target
from tests.support.layouts import DEMO
from tests.support.projects import Project, unpack_sdist
from tests.support.wheels import members

OURS = ".".join(native_target().platform_tags)
HERE = f"cp{sys.version_info[0]}{sys.version_info[1]}"


@pytest.fixture
def project(project: Project, warm: Callable[[Project], None]) -> Project:
    warm(project)
    return project


def earlier_hook(project: Project, line: str) -> None:
    """Add another hook to the project that runs first."""
    project.options(
        '[tool.hatch.build.hooks.wazcache]\nassets = ["demo/*.wasm"]',
        "tool.hatch.build.hooks.custom",
    )
    hook(project, line)


def later_hook(project: Project, line: str) -> None:
    """Add another hook to the project that runs last, in the table of a target."""
    project.append("[tool.hatch.build.targets.wheel.hooks.custom]\n")
    hook(project, line)


def hook(project: Project, line: str) -> None:
    project.write(
        "hatch_build.py",
        "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n"
        "class Hook(BuildHookInterface):\n"
        f"    def initialize(self, version, build_data):\n        {line}\n",
    )


def tag(built) -> str:
    assert members(built) == DEMO
    in_wheel = re.findall(
        "^Tag: (.*)$", built.read("demo-1.0.dist-info/WHEEL").decode(), re.MULTILINE
    )
    in_name = built.wheel.stem.removeprefix("demo-1.0-")
    pythons, abis, platforms = (part.split(".") for part in in_name.split("-"))
    expanded = {f"{p}-{a}-{s}" for p in pythons for a in abis for s in platforms}
    assert set(in_wheel) == expanded
    return in_name


def test_a_wheel_is_for_every_python_3_on_the_systems_of_wasmtime_py(project):
    assert tag(project.build()) == f"py3-none-{OURS}"


def test_without_requires_python_it_is_not_for_python_2(project):
    text = (project.root / "pyproject.toml").read_text().replace('requires-python = ">=3.9"\n', "")
    project.write("pyproject.toml", text)
    assert tag(project.build()) == f"py3-none-{OURS}"


def test_the_wheel_is_not_pure(project):
    assert b"Root-Is-Purelib: false" in project.build().read("demo-1.0.dist-info/WHEEL")


@pytest.mark.parametrize(
    ("earlier", "combined"),
    [
        ("cp311-cp311-linux_x86_64", "cp311-cp311-linux_x86_64"),
        ("cp311-abi3-manylinux_2_28_x86_64", "cp311-abi3-manylinux_2_28_x86_64"),
        ("py2.py3-none-any", f"py2.py3-none-{OURS}"),
        ("cp311-none-any", f"cp311-none-{OURS}"),
    ],
)
@pytest.mark.skipif(native_target().name != "x86_64-linux", reason="names its tags")
def test_an_earlier_hooks_tag_stays_and_gets_our_platform_where_it_has_none(
    project, earlier, combined
):
    earlier_hook(project, f"build_data['tag'] = '{earlier}'")
    assert tag(project.build()) == combined


def test_an_earlier_hook_that_has_the_tag_inferred_gets_this_python_and_abi(project):
    earlier_hook(project, "build_data['infer_tag'] = True")
    assert tag(project.build()).startswith(f"{HERE}-{HERE}-")


@pytest.mark.parametrize("earlier", ["py3-none-win32", "cp311-cp311-macosx_11_0_ppc", "py3"])
def test_an_earlier_tag_that_does_not_fit_is_an_error(project, earlier):
    earlier_hook(project, f"build_data['tag'] = '{earlier}'")
    built = project.build()
    assert built.status != 0
    assert f'another build hook tagged the wheel "{earlier}", which' in built.output
    assert "Traceback" not in built.output
    assert built.wheel is None


@pytest.mark.parametrize("line", ["build_data['tag'] = 'py3-none-any'",
                                  "build_data['infer_tag'] = True",
                                  "del build_data['tag']"])  # fmt: skip
def test_a_later_hook_that_changes_the_tag_is_an_error_and_leaves_nothing(project, line):
    later_hook(project, line)
    built = project.build()
    assert built.status != 0
    assert "wazcache must run last" in built.output
    assert "Traceback" not in built.output
    assert list((project.root / "dist").iterdir()) == []


ARRANGED = """\
[tool.hatch.build.targets.sdist.hooks.wazcache]
[tool.hatch.build.targets.wheel.hooks.custom]
[tool.hatch.build.targets.wheel.hooks.wazcache]
[tool.wazcache]
assets = ["demo/*.wasm"]
"""


def test_behind_a_hook_of_the_wheel_target_the_message_names_tables_that_work(project):
    later_hook(project, "build_data['infer_tag'] = True")
    text = (project.root / "pyproject.toml").read_text()
    mine, _, _ = text.partition("[tool.hatch.build.hooks.wazcache]")
    refused = project.build()
    assert refused.status != 0
    assert "a build hook that runs later (custom) has set the wheel's tag" in refused.output
    named = [line for line in ARRANGED.splitlines() if "wazcache]" in line]
    assert all(table in refused.output for table in named), refused.output
    project.write("pyproject.toml", mine + ARRANGED)
    built = project.build()
    assert tag(built).startswith(f"{HERE}-{HERE}-")
    assert "this wheel is for" not in built.output  # a wheel for any could not be built
    sdist = unpack_sdist(project.sdist(), project.root.parent / "sdist", project.cache)
    assert "demo/a.wasm" in sdist.tree()
    built.wheel.unlink()
    again = project.hatchling("-t", "wazcache")
    assert tag(again) == tag(built)
    assert again.output.count("no wheel for any: a build hook makes files for one platform") == 1
    asked = project.hatchling("-t", "wazcache:any")
    assert "does not fit the target any" in asked.output


def test_an_editable_wheel_is_for_any_system(project):
    project.append('[tool.hatch.build]\ndev-mode-dirs = ["."]\n')
    built = project.editable()
    assert built.status == 0, built.output
    assert built.wheel.name == "demo-1.0-py3-none-any.whl"
