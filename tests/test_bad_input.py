"""What a build refuses: one message that names the culprit, and nothing left behind."""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import pytest
from conftest import SMALL, Built, Project, SetuptoolsProject, run_python, unpack

import corpus
from hatch_wazcache.cache.entry import read_entry
from hatch_wazcache.targets import TARGETS, native_target

HEADER = b"\0asm\1\0\0\0"
COMPONENT = b"\0asm\x0d\0\1\0"
NATIVE = native_target().name
FOREIGN = "aarch64-linux" if NATIVE != "aarch64-linux" else "x86_64-linux"


def make_good(project: Project) -> None:
    """Make the project what the fixture made it, whatever a test has done to it."""
    for path in project.root.iterdir():
        if path.is_dir() and not path.is_symlink():
            if path.name != "dist":
                shutil.rmtree(path)
        else:
            path.unlink()
    project.write("pyproject.toml", project.pyproject)
    project.write("demo/__init__.py")
    project.wasm("demo/a.wasm")


@cache
def reference(kind: type[Project]) -> tuple[Path, bytes]:
    """Return the cache and the wheel of a good build; made once."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    good = kind(folder / "project", folder / "cache")
    good.root.mkdir()
    make_good(good)
    built = good.build()
    assert built.wheel is not None, built.output
    load = "from demo._wazcache import load_module; load_module('a.wasm', strict=True)"
    assert run_python(load, unpack(built.wheel, folder / "site")).status == 0
    return good.cache, built.wheel.read_bytes()


class Refusing(Project):
    """A project that cannot be built, beside a cache that holds what a good build needs."""

    good_wheel: bytes

    def refused(self, *told: str, front: Callable[..., Built] | None = None, **env: str) -> str:
        """Build, which must fail as every failure does.

        Args:
            told: what the message must contain.
            front: builds; `build` unless told.
            env: more environment.

        Returns:
            The message.
        """
        cache, tree = state(self.cache), state(self.root, *self.left_by_builds)
        built = (front or self.build)(**env)
        assert built.status != 0, built.output
        message = "\n".join(
            line for line in built.output.splitlines() if line.startswith("wazcache: ")
        )
        for words in told:
            assert words in message, built.output
        assert "Traceback" not in built.output
        dist = self.root / "dist"
        assert not dist.is_dir() or not os.listdir(dist)
        assert state(self.root, *self.left_by_builds) == tree
        self.left_nothing(cache)
        return message

    def left_nothing(self, cache: dict[str, object]) -> None:
        """Check that nothing of a build is left, and that a good one is as it was."""
        assert os.listdir(self.environment["TMPDIR"]) == []
        after = state(self.cache)
        assert {name: after.get(name) for name in cache} == cache
        for name in after.keys() - cache.keys():
            path = self.cache / name
            assert name.startswith(("locks/", "engines/")) or read_entry(path, path.stem)
        dist = self.root / "dist"
        if os.path.ismount(dist):
            subprocess.run(["umount", dist], check=True)
        elif dist.exists():
            dist.chmod(0o755)
        make_good(self)
        self.python = Path(sys.executable)
        good = self.build()
        assert good.wheel is not None, good.output
        assert good.wheel.read_bytes() == self.good_wheel


of_hatchling = pytest.mark.parametrize("project", ["hatchling"], indirect=True)


def state(root: Path, *without: str) -> dict[str, object]:
    """Take down every file below a folder: its bytes, or what it is."""
    found: dict[str, object] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in without]
        for name in files:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            kind: object = stat.S_IFMT(mode), path.is_symlink() and os.readlink(path)
            regular = stat.S_ISREG(mode)
            found[os.path.relpath(path, root)] = path.read_bytes() if regular else kind
    return found


class RefusingSetuptools(SetuptoolsProject, Refusing):
    """The same, built by setuptools."""


@pytest.fixture(params=["hatchling", "setuptools"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Refusing:
    """A good project with a warm cache and a temporary directory of its own, to be spoilt."""
    kind = Refusing if request.param == "hatchling" else RefusingSetuptools
    made = kind(tmp_path / "project", tmp_path / "cache")
    made.root.mkdir()
    make_good(made)
    warm, made.good_wheel = reference(kind)
    shutil.copytree(warm, made.cache)
    made.cache.chmod(0o700)
    (tmp_path / "tmp").mkdir()
    made.environment = {"TMPDIR": str(tmp_path / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
    return made


# assets that are no WebAssembly, or not all of it

ARTIFACT = f"demo/a.{NATIVE}.cwasm"
NOT_WASM = {
    "text": (b"hello", "not WebAssembly (it does not begin with \\0asm)"),
    "empty": (b"", "the file is empty"),
    "four bytes": (b"\0asm", "truncated"),
    "half a header": (b"\0asm\1\0", "truncated"),
    "another version": (b"\0asm\2\0\0\0", "WebAssembly of an unknown version (02 00 00 00)"),
    "WAT": (b"(module)", "WebAssembly text, not binary; convert it first"),
    "WAT with a comment": (b"\n  ;; mine\n(component)", "WebAssembly text, not binary"),
    "ELF": (b"\x7fELF\2\1\1\0", "an ELF file, not WebAssembly"),
    "Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "a Git LFS pointer, not WebAssembly; run `git lfs pull`",
    ),
    "a size without end": (HEADER + b"\0" + b"\x80" * 20, "truncated or damaged"),
    "a huge size": (HEADER + b"\0\xff\xff\xff\xff\x0f", "truncated or damaged"),
    "a size over 2^32": (HEADER + b"\0\xff\xff\xff\xff\x7f", "truncated or damaged"),
    "a size that is missing": (HEADER + b"\x0a", "truncated or damaged"),
    "a component with a cut module": (
        COMPONENT + b"\1\x0a" + HEADER + b"\1\5",
        "truncated or damaged",
    ),
}


def test_a_file_that_is_not_wasm_is_refused_for_what_it_is(project: Refusing):
    told = []
    for name, (content, message) in NOT_WASM.items():
        project.write(f"demo/{name}.wasm", content)
        told.append(f"demo/{name}.wasm: {message}")
    message = project.refused(*told)
    assert len(message.splitlines()) == len(NOT_WASM)


def test_an_artifact_is_not_taken_for_an_asset(project: Refusing):
    wheel = project.build()
    project.write("demo/b.wasm", wheel.read(ARTIFACT))
    shutil.rmtree(project.root / "dist")
    project.refused("demo/b.wasm: an ELF file", "a .cwasm artifact cannot be compiled again")


def test_a_truncated_wasm_is_refused(project: Refusing):
    wasm = corpus.fetch(SMALL).read_bytes()
    for number, size in enumerate((9, len(wasm) // 2, len(wasm) - 1)):
        project.write(f"demo/b{number}.wasm", wasm[:size])
    message = project.refused(*(f"demo/b{n}.wasm: truncated or damaged" for n in range(3)))
    assert "demo/a.wasm" not in message


INVALID = {
    "trailing garbage": b"\0" * 64,
    "a section of rubbish": b"\1\4rubb",
    "an unknown section": b"\x63\0",
    "sections in the wrong order": b"\3\1\0\1\1\0",
    # A function type, a function, and its code: try, end, end.
    "legacy exceptions": b"\1\4\1\x60\0\0\3\2\1\0\x0a\x07\1\5\0\6\x40\x0b\x0b",
}


def test_what_only_the_compiler_refuses_is_told_by_its_words(project: Refusing):
    for name, content in INVALID.items():
        project.write(f"demo/{name}.wasm", HEADER + content)
    message = project.refused(*(f"demo/{name}.wasm: cannot be compiled" for name in INVALID))
    for line in message.splitlines()[-len(INVALID) :]:
        assert re.fullmatch(r"wazcache: demo/.+ by wasmtime 48\.\d+\.\d+: .{20,}", line)


def test_a_module_that_needs_more_than_wasmtime_has_is_refused_by_name(project: Refusing):
    project.wasm("demo/pyodide.asm.wasm", corpus.REFUSED)
    project.refused(
        f"demo/pyodide.asm.wasm: cannot be compiled for {NATIVE} by wasmtime 48.", "exceptions"
    )


# files that are no files, or not where they should be


def test_a_glob_that_matches_nothing_is_refused(project: Refusing):
    project.options('assets = ["demo/*.wasm", "demo/*.wsam", "dmeo/a.wasm", "demo/**x"]')
    message = project.refused(
        f'{project.table}.assets: "demo/*.wsam" matches no file in {project.root}'
    )
    assert '"dmeo/a.wasm" matches no file' in message
    assert '"demo/**x" matches no file' in message
    assert '"demo/*.wasm"' not in message


def test_an_asset_outside_the_root_is_refused(project: Refusing):
    globs = ["/etc/*.wasm", "../*.wasm", "demo/../../a.wasm", "~/a.wasm"]
    project.options(f"assets = {globs}")
    project.refused(
        *(
            f'{project.table}.assets[{number}] = "{glob}": must be a glob relative to the project'
            for number, glob in enumerate(globs)
        )
    )


@pytest.mark.parametrize("link", ["demo/b.wasm", "demo/linked"])
def test_a_symlink_that_leads_out_of_the_root_is_refused(project: Refusing, tmp_path, link):
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copy(corpus.fetch(SMALL), outside / "b.wasm")
    target = outside / "b.wasm" if link.endswith("wasm") else outside
    (project.root / link).symlink_to(target)
    asset = link if link.endswith("wasm") else f"{link}/b.wasm"
    project.options(f'assets = ["demo/a.wasm", "{asset}"]')
    project.refused(f"{asset}: leads out of the project's root, to {outside / 'b.wasm'}")


@pytest.mark.parametrize("glob", ["demo/*.wasm", "demo/[bc].wasm"])
def test_a_symlink_that_leads_nowhere_is_refused(project: Refusing, glob):
    (project.root / "demo/b.wasm").symlink_to("nowhere.wasm")
    (project.root / "demo/c.wasm").symlink_to("c.wasm")
    project.options(f'assets = ["{glob}"]')
    project.refused(*(f"demo/{name}.wasm: is a symlink that leads nowhere" for name in "bc"))


def test_an_asset_outside_every_package_is_refused(project: Refusing):
    project.wasm("data/b.wasm")
    project.options('assets = ["data/*.wasm"]')
    project.refused("data/b.wasm: lies in no Python package")


@of_hatchling
def test_a_project_without_a_package_is_refused(project: Refusing):
    (project.root / "demo").rename(project.root / "other")
    project.options('assets = ["other/*.wasm"]')
    project.refused("Unable to determine which files to ship")


def test_a_directory_is_no_asset(project: Refusing):
    (project.root / "demo/b.wasm").mkdir()
    project.options('assets = ["demo/*.wasm", "demo", "."]')
    wrong = "is a directory; an asset must be a .wasm file"
    project.refused(*(f"{name}: {wrong}" for name in ("demo/b.wasm", "demo", ".")))


def test_a_fifo_is_refused_and_not_waited_for(project: Refusing):
    os.mkfifo(project.root / "demo/b.wasm")
    project.refused("demo/b.wasm: is not a regular file")


def powerless(folder: Path) -> Path:
    """Return a Python that cannot read or write what it has no permission for, even as root."""
    code = (
        "import ctypes, os, sys\n"
        "for power in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH\n"
        "    ctypes.CDLL(None).prctl(24, power)  # PR_CAPBSET_DROP\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
    )
    script = folder / "powerless"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{code}' \"$@\"\n")
    script.chmod(0o755)
    return script


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="gives up powers of Linux's root")


@needs_linux
def test_an_unreadable_file_is_refused(project: Refusing, tmp_path):
    project.python = powerless(tmp_path)
    project.wasm("demo/b.wasm").chmod(0)
    project.refused("demo/b.wasm: cannot be read: Permission denied")


@pytest.mark.parametrize("name", [b"b\nc.wasm", b"b\xff.wasm"])
def test_a_name_that_no_wheel_can_hold_is_refused(project: Refusing, name):
    shutil.copy(corpus.fetch(SMALL), os.path.join(os.fsencode(project.root), b"demo", name))
    message = project.refused("demo/b", "; rename it")
    assert len(message.splitlines()) == 1


def test_two_assets_that_would_have_the_same_artifact_are_refused(project: Refusing):
    project.wasm("demo/a")
    project.options('assets = ["demo/a*"]')
    project.refused("demo/a.wasm", "demo/a ", f"would both be {ARTIFACT} in the wheel")


def test_an_asset_with_the_name_of_the_manifest_is_refused(project: Refusing):
    project.wasm("demo/_wazcache.json")
    project.options('assets = ["demo/a.wasm", "demo/_wazcache.json"]')
    project.refused("demo/_wazcache.json and the manifest would both be demo/_wazcache.json")


def test_a_module_of_the_project_is_not_replaced_by_the_loader(project: Refusing):
    project.write("demo/_wazcache.py", "mine = True\n")
    project.refused("_wazcache.py, which is not one of hatch-wazcache's; rename that file")


def test_a_loader_beside_the_packages_is_refused(project: Refusing):
    project.append('loader = "_demo_loader.py"\n')
    project.refused(f'{project.table}.loader = "_demo_loader.py": must be inside of a package')


def test_a_loader_that_is_not_above_the_assets_is_refused(project: Refusing):
    project.write("other/__init__.py")
    project.append('loader = "other/_wazcache.py"\n')
    project.append('[tool.hatch.build.targets.wheel]\npackages = ["demo", "other"]\n')
    project.refused(
        f'{project.table}.loader = "other/_wazcache.py": demo/a.wasm is not below its folder'
    )


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        (".", '.cache-dir = ".": must be a folder of its own, not one that holds the project'),
        ("demo", ".cache-dir, or WAZCACHE_DIR: {}/demo holds other files (__init__.py); name a"),
    ],
)
def test_a_cache_among_the_projects_files_is_refused(project: Refusing, folder, why):
    project.append(f'cache-dir = "{folder}"\n')
    project.refused(project.table + why.format(project.root), WAZCACHE_DIR="")


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
    project.refused(f"{project.table}: a build hook that runs after wazcache set the wheel's tag")


@of_hatchling
@pytest.mark.parametrize(
    ("tag", "why"),
    [
        (f"py3-none-{TARGETS[FOREIGN].platform_tags[0]}", "does not fit the target"),
        ("py3-none", "no wheel tag"),
        ("cp311-cp311-linux-x86_64", "no wheel tag"),
        ("", "no wheel tag"),
        (311, "no wheel tag"),
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
    project.refused("wasmtime 48.", "project.dependencies says wasmtime<37,>=36; install one that")


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
    project.refused(
        f'{project.table}.targets[1] = "ppc64le-linux": must be one of native, all, x86_64-linux'
    )


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


# compilers that die or hang


def compilers(parent: int) -> Iterator[int]:
    """Find the compiler processes of a build; not one that is forked and not yet another program.

    Stopped then, it would be waited for by the build itself: for good.
    """
    build = Path(f"/proc/{parent}/cmdline").read_bytes()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            is_child = int(fields[1]) == parent and fields[0] != "Z"
            if is_child and (folder / "cmdline").read_bytes() not in (build, b""):
                yield int(folder.name)
        except (OSError, IndexError):
            continue


def build_and_signal(project: Project, number: signal.Signals, **env: str) -> Built:
    """Build, and send every compiler a signal as soon as it is there."""
    with subprocess.Popen(
        [sys.executable, *project.build_words],
        cwd=project.root, env=project.env(**env), text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as build:  # fmt: skip
        struck = set()
        while build.poll() is None:
            for compiler in compilers(build.pid):
                if compiler not in struck:
                    os.kill(compiler, number)
                    struck.add(compiler)
            time.sleep(0.002)
        assert struck
        return Built(build.returncode, build.stdout.read())


@needs_linux
def test_a_compiler_that_is_killed_is_told_with_the_likely_cause(project: Refusing):
    project.wasm("demo/b.wasm", "source-map__mappings.wasm")
    project.refused(
        "demo/b.wasm: cannot be compiled",
        "the compiler was killed by SIGKILL: out of memory?",
        front=lambda: build_and_signal(project, signal.SIGKILL),
    )


@needs_linux
def test_a_compiler_that_crashes_is_told_with_its_signal(project: Refusing):
    project.wasm("demo/b.wasm", "source-map__mappings.wasm")
    project.refused(
        "demo/b.wasm: cannot be compiled",
        "the compiler died by SIGSEGV",
        front=lambda: build_and_signal(project, signal.SIGSEGV),
    )


@needs_linux
def test_a_compiler_that_hangs_is_ended_after_the_timeout(project: Refusing):
    project.wasm("demo/b.wasm", "source-map__mappings.wasm")
    project.append("timeout = 0.5\n")
    project.refused(
        "demo/b.wasm: cannot be compiled",
        "not done after 0.5 s (option timeout, or WAZCACHE_TIMEOUT)",
        front=lambda: build_and_signal(project, signal.SIGSTOP),
    )


def test_a_compilation_over_the_timeout_is_ended(project: Refusing):
    project.wasm("demo/b.wasm", "sql-js__sql-wasm.wasm")
    project.refused("demo/b.wasm: ", "not done after 0.01 s", WAZCACHE_TIMEOUT="0.01")


# the environment


@pytest.mark.parametrize("value", ["", "soon", "1" * 30, "-" + "1" * 30])
def test_a_broken_source_date_epoch_is_refused(project: Refusing, value):
    project.refused(f"SOURCE_DATE_EPOCH = {value}: must be", SOURCE_DATE_EPOCH=value)


def test_a_broken_source_date_epoch_is_found_before_anything_is_compiled(project: Refusing):
    project.wasm("demo/b.wasm", "source-map__mappings.wasm")
    message = project.refused("SOURCE_DATE_EPOCH", SOURCE_DATE_EPOCH="soon")
    assert "compil" not in message


def test_variables_with_nonsense_are_named(project: Refusing):
    nonsense = {
        "WAZCACHE_TARGET": "everything",
        "WAZCACHE_STRICT": "maybe",
        "WAZCACHE_TIMEOUT": "never",
        "WAZCACHE_DIR": "~no such user",
    }
    project.refused(
        *(f'{name} = "{value}": must be ' for name, value in nonsense.items()), **nonsense
    )


@pytest.mark.parametrize("below", ["", "/cache"])
def test_a_cache_that_is_no_directory_is_named(project: Refusing, tmp_path, below):
    (tmp_path / "file").write_text("mine")
    project.refused(f"{tmp_path}/file is not a directory", WAZCACHE_DIR=f"{tmp_path}/file{below}")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_cache_in_a_folder_of_other_things_leaves_them_alone(project: Refusing, tmp_path):
    """In a home, say, where a .gitignore would hide the packages of projects below."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "mine").write_text("mine")
    built = project.build(WAZCACHE_DIR=str(home))
    assert built.status == 0, built.output
    assert project.build(WAZCACHE_DIR=str(home)).output.count("0 compiled, 1 found") == 1
    assert not (home / ".gitignore").exists()
    assert (home / "mine").read_text() == "mine"


def test_a_cache_whose_path_is_too_long_does_not_stop_a_build(project: Refusing, tmp_path):
    built = project.build(WAZCACHE_DIR=str(tmp_path / ("x" * 300)))
    assert built.status == 0, built.output
    assert "wazcache: warning: the cache " in built.output


@needs_linux
def test_a_cache_in_a_closed_folder_does_not_stop_a_build(project: Refusing, tmp_path):
    project.python = powerless(tmp_path)
    (tmp_path / "closed").mkdir(mode=0)
    built = project.build(WAZCACHE_DIR=str(tmp_path / "closed/cache"))
    assert built.status == 0, built.output
    assert "wazcache: warning: the cache " in built.output


# where the wheel is to go


@needs_linux
def test_a_dist_that_cannot_be_written_is_refused(project: Refusing, tmp_path):
    project.python = powerless(tmp_path)
    (project.root / "dist").mkdir(mode=0o555)
    front = project.build
    if isinstance(project, SetuptoolsProject):  # whose backend has its own words for it
        front = partial(project.setup, "-q", "bdist_wheel")
    project.refused(f"{project.root}/dist: cannot be written: Permission denied", front=front)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield
    finally:
        if os.path.ismount(folder):
            subprocess.run(["umount", folder], check=True)


@needs_linux
@pytest.mark.parametrize("more", [-20_000, 20_000])
def test_a_full_disk_under_the_wheel_is_told(project: Refusing, more):
    """Full while what is heavy is copied, and while the rest is added to it."""
    if more > 0 and not isinstance(project, SetuptoolsProject):
        more += 70_000  # hatchling's own wheel lies there too
    project.write("demo/large.py", f"# {os.urandom(60_000).hex()}\n")
    dist = project.root / "dist"
    with small_disk(dist, len(project.good_wheel) + more):
        wheel = "demo-1.0-py3-none-" if more > 0 else "the wheel cannot be written to "
        project.refused(str(dist), wheel, "No space left on device")


# much


def test_assets_whose_names_differ_by_case_only_are_two(project: Project):
    project.wasm("demo/A.wasm", "tree-sitter-json__tree-sitter-json.wasm")
    built = project.build()
    assert built.status == 0, built.output
    for name in "aA":
        wasm = (project.root / f"demo/{name}.wasm").read_bytes()
        assert built.read(f"demo/{name}.wasm") == wasm
    upper, lower = (built.read(f"demo/{name}.{NATIVE}.cwasm") for name in "Aa")
    assert hashlib.sha256(upper).digest() != hashlib.sha256(lower).digest()


def test_hundreds_of_profiles_are_each_an_artifact(project: Project):
    project.wasm("demo/a.wasm", "chainsafe-as-sha256__optimized.wasm")
    profiles = [f"profiles.p{n}.memory-guard-size = {n * 65536}\n" for n in range(200)]
    project.append("".join(profiles))
    built = project.build()
    artifacts = [name for name in built.names if name.endswith(".cwasm")]
    assert artifacts == sorted(f"demo/a.{NATIVE}.p{n}.cwasm" for n in range(200))
    assert len({built.read(name) for name in artifacts}) == 200
