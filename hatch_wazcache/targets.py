"""The targets: one table of names, triples and wheel tags, and which of them this machine is."""

from __future__ import annotations

import platform
import sys
import sysconfig
from dataclasses import dataclass

__all__ = ["TARGETS", "Target", "native_target"]


@dataclass(frozen=True)
class Target:
    """A system that a wheel can be for.

    The platform tags are those of wasmtime-py's own wheels, oldest first: an artifact depends on
    no libc, so it loads wherever wasmtime itself can be installed (read off PyPI for 36 to 50).
    """

    name: str
    """`<arch>-<os>`."""
    triple: str
    """What the compiler is told: https://doc.rust-lang.org/rustc/platform-support.html."""
    musl_triple: str | None
    """The triple that a musl build of wasmtime-py knows instead; its artifacts load on both."""
    platform_tags: tuple[str, ...]
    tag_systems: tuple[str, ...]
    """How any platform tag for this system begins."""
    tag_machine: str
    """How any platform tag for this architecture ends."""

    @property
    def arch(self) -> str:
        return self.name.partition("-")[0]

    @property
    def os(self) -> str:
        return self.name.partition("-")[2]

    def accepts(self, platform_tag: str) -> bool:
        """Say whether a wheel with this platform tag is for this target.

        Args:
            platform_tag: one tag, as `linux_x86_64`; not `any`, not a compressed set.
        """
        return platform_tag.startswith(self.tag_systems) and platform_tag.endswith(
            f"_{self.tag_machine}"
        )


_LINUX = ("linux_", "manylinux", "musllinux_")

TARGETS = {
    target.name: target
    for target in (
        Target(
            "x86_64-linux",
            "x86_64-unknown-linux-gnu",
            "x86_64-unknown-linux-musl",
            ("manylinux1_x86_64", "musllinux_1_2_x86_64"),
            _LINUX,
            "x86_64",
        ),
        Target(
            "aarch64-linux",
            "aarch64-unknown-linux-gnu",
            "aarch64-unknown-linux-musl",
            ("manylinux2014_aarch64", "musllinux_1_2_aarch64"),
            _LINUX,
            "aarch64",
        ),
        Target(
            "x86_64-macos",
            "x86_64-apple-darwin",
            None,
            ("macosx_10_13_x86_64",),
            ("macosx_",),
            "x86_64",
        ),
        Target(
            "aarch64-macos",
            "aarch64-apple-darwin",
            None,
            ("macosx_11_0_arm64",),
            ("macosx_",),
            "arm64",
        ),
        Target(
            "x86_64-windows",
            "x86_64-pc-windows-msvc",
            None,
            ("win_amd64",),
            ("win_",),
            "amd64",
        ),
        Target(
            "aarch64-windows",
            "aarch64-pc-windows-msvc",
            None,
            ("win_arm64",),
            ("win_",),
            "arm64",
        ),
    )
}


def native_target() -> Target | None:
    """Return the target that this Python runs on, or None where wasmtime-py has no wheels."""
    if sys.platform == "win32":
        # platform.machine() is the machine's, not the process's: an x86_64 Python runs on Arm.
        machine = sysconfig.get_platform().rpartition("-")[2]
    else:
        machine = platform.machine()
    arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine.lower(), machine.lower())
    system = {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform)
    return TARGETS.get(f"{arch}-{system}") if sys.maxsize > 2**32 else None
