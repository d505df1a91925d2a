"""The option `strip`: it removes sections, and leaves all other bytes as they are."""

from __future__ import annotations

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_wazcache.formats.strip import STRIP, read_strip, without_sections
from tests.support.sections import binary, custom, leb128, section
from tests.support.wasm import COMPONENT

MODULE = b"\0asm\1\0\0\0"


def nested(depth: int) -> bytes:
    """Make components in one another, with a name in the innermost."""
    made = COMPONENT + custom("component-name")
    for _ in range(depth):
        made = COMPONENT + section(4, made)
    return made


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
