"""The targets: one table of names, triples and wheel tags; and the target of this machine."""

from __future__ import annotations

import platform
import sys
import sysconfig
from typing import NamedTuple

__all__ = [
    "SYSTEMS",
    "TARGETS",
    "System",
    "Target",
    "find_targets",
    "native_system",
    "native_target",
]


class System(NamedTuple):
    """An architecture and an operating system. An artifact is compiled for one."""

    name: str
    """`<arch>-<os>`."""
    triple: str
    """The compiler's name for it: https://doc.rust-lang.org/rustc/platform-support.html."""
    musl_triple: str | None = None
    """The triple that a musl build of wasmtime-py has instead. Its artifacts load on both."""

    @property
    def arch(self) -> str:
        return self.name.partition("-")[0]

    @property
    def os(self) -> str:
        return self.name.partition("-")[2]


class Target(NamedTuple):
    """The machines that a wheel is for: usually one system, which gives the target its name."""

    name: str
    systems: tuple[System, ...]
    """The systems to compile for. Without any, the wheel holds only the `.wasm` files."""
    platform_tags: tuple[str, ...]
    tag_systems: tuple[str, ...]
    """The beginnings of platform tags for this target."""
    tag_machines: tuple[str, ...]
    """The endings of platform tags for this target."""
    note: str = ""
    """Why there are no artifacts, for a target where users may expect them."""

    def accepts(self, platform_tag: str) -> bool:
        """Say whether a wheel with this platform tag is for this target.

        Args:
            platform_tag: one tag, as `linux_x86_64`; not `any`, not a compressed set.
        """
        return platform_tag.startswith(self.tag_systems) and platform_tag.endswith(
            self.tag_machines
        )


SYSTEMS = {
    system.name: system
    for system in (
        System("x86_64-linux", "x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"),
        System("aarch64-linux", "aarch64-unknown-linux-gnu", "aarch64-unknown-linux-musl"),
        System("x86_64-macos", "x86_64-apple-darwin"),
        System("aarch64-macos", "aarch64-apple-darwin"),
        System("x86_64-windows", "x86_64-pc-windows-msvc"),
        System("aarch64-windows", "aarch64-pc-windows-msvc"),
    )
}

_LINUX = ("linux_", "manylinux", "musllinux_", "android_")


def _for_system(
    name: str, tags: tuple[str, ...], tag_systems: tuple[str, ...], tag_machines: tuple[str, ...]
) -> Target:
    return Target(name, (SYSTEMS[name],), tags, tag_systems, tag_machines)


def _without_wasmtime(name: str, tags: tuple[str, ...], tag_machine: str) -> Target:
    note = f"wasmtime-py has no wheels for {name}, so nothing there could load an artifact"
    return Target(name, (), tags, _LINUX, (tag_machine,), note)


# The platform tags are those of wasmtime-py's own wheels (on PyPI, 36 to 50), sorted as PEP 425
# requires. An artifact depends on no libc, so it loads wherever wasmtime itself can be installed.
# Android uses Linux's artifacts: wasmtime compares the architecture and the operating system of the
# triples, and the operating system of aarch64-linux-android is Linux (tried on x86_64).
TARGETS = {
    target.name: target
    for target in (
        _for_system(
            "x86_64-linux",
            ("android_26_x86_64", "manylinux1_x86_64", "musllinux_1_2_x86_64"),
            _LINUX,
            ("_x86_64",),
        ),
        _for_system(
            "aarch64-linux",
            ("android_26_arm64_v8a", "manylinux2014_aarch64", "musllinux_1_2_aarch64"),
            _LINUX,
            ("_aarch64", "_arm64_v8a"),
        ),
        _for_system("x86_64-macos", ("macosx_10_13_x86_64",), ("macosx_",), ("_x86_64",)),
        _for_system("aarch64-macos", ("macosx_11_0_arm64",), ("macosx_",), ("_arm64",)),
        Target(
            "universal2-macos",
            (SYSTEMS["aarch64-macos"], SYSTEMS["x86_64-macos"]),
            ("macosx_10_13_universal2",),
            ("macosx_",),
            ("_universal2",),
        ),
        _for_system("x86_64-windows", ("win_amd64",), ("win_",), ("_amd64",)),
        _for_system("aarch64-windows", ("win_arm64",), ("win_",), ("_arm64",)),
        _without_wasmtime(
            "riscv64-linux", ("manylinux_2_31_riscv64", "musllinux_1_2_riscv64"), "_riscv64"
        ),
        _without_wasmtime("s390x-linux", ("manylinux2014_s390x", "musllinux_1_2_s390x"), "_s390x"),
        Target("any", (), ("any",), (), ()),
    )
}

_ALL = (*SYSTEMS, "any")
"""The targets of `"all"`: all systems that wasmtime-py has wheels for, and `any` for the others."""


def find_targets(name: str) -> list[Target]:
    """Return the targets of a name: none, one, or several for `all`."""
    if name == "all":
        return [TARGETS[one] for one in _ALL]
    if name == "native":
        return [native_target()]
    return [TARGETS[name]] if name in TARGETS else []


def native_system() -> System | None:
    """Return the system that this Python runs on, or None where wasmtime-py has no wheels."""
    if sys.platform == "win32":
        # platform.machine() describes the machine, but an x86_64 Python can run on Arm.
        machine = sysconfig.get_platform().rpartition("-")[2]
    else:
        machine = platform.machine()
    arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine.lower(), machine.lower())
    system = {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform)
    return SYSTEMS.get(f"{arch}-{system}") if sys.maxsize > 2**32 else None


def native_target() -> Target:
    """Return the target of wheels for this machine: `any` where wasmtime-py has no wheels."""
    system = native_system()
    return TARGETS[system.name] if system else TARGETS["any"]
