"""Assets that a build refuses: one message that names the asset, and no files left behind."""

from __future__ import annotations

import hashlib
import os
import re
import shutil

import pytest

import corpus
from tests.support.projects import Project
from tests.support.refusals import NATIVE, Refusing, needs_linux, of_hatchling, powerless
from tests.support.wasm import COMPONENT, SMALL

HEADER = b"\0asm\1\0\0\0"


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
    project.refused("demo/b.wasm: an ELF file", "a .cwasm artifact cannot be compiled")


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
    """As pyodide, which a slow test compiles with the whole corpus."""
    project.write("demo/b.wasm", HEADER + INVALID["legacy exceptions"])
    project.refused(
        f"demo/b.wasm: cannot be compiled for {NATIVE} by wasmtime 48.", "legacy_exceptions"
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


def test_the_message_for_a_glob_without_a_match_says_which_wasm_files_there_are(project: Refusing):
    project.options('assets = ["src/*.wasm"]')
    project.refused("generate the file before this build; there are demo/a.wasm")


def test_the_message_for_a_glob_says_so_when_there_is_no_wasm_file_at_all(project: Refusing):
    (project.root / "demo/a.wasm").unlink()
    project.refused("there is no .wasm file: generate it, or check it out, before this build")


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
    project.refused(*(f"demo/{name}.wasm: is a broken symlink" for name in "bc"))


def test_an_asset_outside_every_package_is_refused(project: Refusing):
    project.wasm("data/b.wasm")
    project.options('assets = ["data/*.wasm"]')
    project.refused("data/b.wasm: is not in a Python package")


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


@needs_linux
def test_an_unreadable_file_is_refused(project: Refusing, tmp_path):
    project.python = powerless(tmp_path)
    project.wasm("demo/b.wasm").chmod(0)
    project.refused("demo/b.wasm: cannot be read: Permission denied")


@pytest.mark.parametrize(
    "name",
    [b"b\nc.wasm", b"b\xff.wasm", b"b\x7fc.wasm", b"b\\c.wasm", "b\x85c.wasm", "b\u202ec.wasm"],
)
def test_a_name_that_no_wheel_can_hold_is_refused(project: Refusing, name):
    path = os.path.join(os.fsencode(project.root), b"demo", os.fsencode(name))
    shutil.copy(corpus.fetch(SMALL), path)
    message = project.refused("demo/b", "; rename it")
    assert len(message.splitlines()) == 1


def test_a_name_that_is_too_long_with_the_artifacts_suffix_is_refused(project: Refusing):
    project.wasm(f"demo/{'b' * 245}.wasm")
    project.refused("an artifact of demo/bbb", "but file systems allow 255; shorten the name")


@pytest.mark.parametrize("target", ["aarch64-macos", "x86_64-windows", "any"])
def test_names_that_are_one_on_windows_and_macos_are_refused_for_wheels_that_go_there(
    project: Refusing, target: str
):
    project.wasm("demo/A.wasm")
    project.refused(
        "demo/a.wasm and demo/A.wasm would be one file on Windows and macOS",
        WAZCACHE_TARGET=target,
    )


NOT_ON_WINDOWS = {
    "aux.wasm": "that is the name of a device",
    "Nul.tar.wasm": "that is the name of a device",
    "sub/com1/b.wasm": "that is the name of a device",
    "b:c.wasm": "no name may have :",
    "b?.wasm": "no name may have ?",
    "sub./b.wasm": "no name may end with a dot or a space",
}


@pytest.mark.parametrize("target", ["x86_64-windows", "any"])
def test_a_name_that_windows_cannot_have_is_refused_for_wheels_that_go_there(
    project: Refusing, target: str
):
    for name in NOT_ON_WINDOWS:
        project.wasm(f"demo/{name}")
    project.options('assets = ["demo/**/*.wasm"]')
    told = (
        f"demo/{name}: Windows cannot have a file demo/{name}: {reason}; rename it"
        for name, reason in NOT_ON_WINDOWS.items()
    )
    project.refused(*told, WAZCACHE_TARGET=target)


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
    project.refused("_wazcache.py, a file that is not from hatch-wazcache; rename that file")


def test_a_loader_beside_the_packages_is_refused(project: Refusing):
    project.append('loader = "_demo_loader.py"\n')
    project.refused(f'{project.table}.loader = "_demo_loader.py": must be inside a package')


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
        (".", '.cache-dir = ".": must be a folder that does not contain the project'),
        ("demo", ".cache-dir, or WAZCACHE_DIR: {}/demo holds other files (__init__.py); name a"),
        (
            "dist",
            ".cache-dir, or WAZCACHE_DIR: build systems write wheels and other files to {}/dist",
        ),
        (
            "build",
            ".cache-dir, or WAZCACHE_DIR: build systems write wheels and other files to {}/b",
        ),
    ],
)
def test_a_cache_among_the_projects_files_is_refused(project: Refusing, folder, why):
    project.append(f'cache-dir = "{folder}"\n')
    project.refused(project.table + why.format(project.root), WAZCACHE_DIR="")


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
