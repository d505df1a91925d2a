"""What is in the wheel."""

from __future__ import annotations

from conftest import Project, run_python, unpack

TAGS = "android_26_x86_64.manylinux1_x86_64.musllinux_1_2_x86_64"


def test_the_wheel_holds_wasm_artifact_loader_and_manifest(project: Project):
    built = project.build()
    assert built.status == 0, built.output
    assert built.names == [
        "demo-1.0.dist-info/METADATA",
        "demo-1.0.dist-info/RECORD",
        "demo-1.0.dist-info/WHEEL",
        "demo/__init__.py",
        "demo/_wazcache.json",
        "demo/_wazcache.py",
        "demo/a.wasm",
        "demo/a.x86_64-linux.cwasm",
    ]
    assert built.wheel is not None
    assert built.wheel.name == f"demo-1.0-py3-none-{TAGS}.whl"


def test_the_artifact_loads_from_the_installed_wheel(project: Project, tmp_path):
    wheel = project.build().wheel
    ran = run_python(
        "from demo._wazcache import *; print(load_module('a.wasm', strict=True), status('a.wasm'))",
        unpack(wheel, tmp_path / "site"),
    )
    assert ran.status == 0, ran.output
    assert "precompiled=True" in ran.output
