"""The sections `producers` of a binary are read, whatever a stranger has put there."""

from __future__ import annotations

import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import corpus
from hatch_wazcache.formats.producers import FIELDS, Producer, read_producers
from tests.support.sections import custom, leb128, producers, section, text

MODULE = b"\0asm\1\0\0\0"
COMPONENT = b"\0asm\x0d\0\1\0"


def read(data: bytes) -> list[tuple[str, str, str]]:
    return [tuple(one) for one in read_producers(io.BytesIO(data), len(data))]


RUST = producers(language=[("Rust", "")], processed_by=[("rustc", "1.75.0"), ("wasm-opt", "116")])
NAMED = [
    ("language", "Rust", ""),
    ("processed-by", "rustc", "1.75.0"),
    ("processed-by", "wasm-opt", "116"),
]


def test_what_a_module_names_is_read():
    assert read(MODULE + RUST) == NAMED
    assert read(MODULE + custom("name") + RUST + section(10, b"\0")) == NAMED
    assert read(MODULE) == []


def test_what_the_modules_in_a_component_name_is_read_each_once():
    inner = section(1, MODULE + RUST)
    other = section(1, MODULE + producers(sdk=[("Emscripten", "3.1.50")]))
    nested = section(4, COMPONENT + other)
    own = producers(processed_by=[("wit-component", "0.20.1")])
    assert read(COMPONENT + inner + inner + nested + own) == [
        *NAMED[:2],
        ("processed-by", "wasm-opt", "116"),
        ("processed-by", "wit-component", "0.20.1"),
        ("sdk", "Emscripten", "3.1.50"),
    ]


def test_modules_that_are_nested_too_deep_are_left_out_without_an_error():
    data = section(1, MODULE + RUST)
    for _level in range(120):
        data = section(4, COMPONENT + data)
    assert read(COMPONENT + data) == []
    assert read(COMPONENT + data + RUST) == NAMED


def test_real_files_name_their_tools():
    file = corpus.fetch("dprint-typescript__plugin.wasm")
    with file.open("rb") as opened:
        found = read_producers(opened, file.stat().st_size)
    assert Producer("language", "Rust", "") in found
    assert {one.field for one in found} <= {*FIELDS}


GOOD = producers(language=[("C11", "")])


@pytest.mark.parametrize(
    "bad",
    [
        custom("producers"),
        custom("producers", leb128(1)),
        custom("producers", leb128(1) + text("language") + leb128(1) + text("C")),
        custom("producers", leb128(2**31) + text("language")),
        custom("producers", leb128(1) + text("language") + leb128(2**31)),
        custom("producers", b"\xff\xff\xff\xff\xff"),
        producers(language=[(b"\xff\xfe", "1")]),
        producers(language=[(b"\xed\xa0\x80", "1")]),
        producers(other=[("C", "1")]),
        producers(language=[("C" * 201, "1")]),
        producers(language=[("C", "1")]).replace(b"\x01C", b"\x7fC"),
        custom("producers", leb128(1) + text("language") + leb128(0) + b"more"),
        producers(language=[(f"{number:05}" * 20, "") for number in range(500)]),
    ],
)
def test_a_section_that_is_not_well_formed_names_nothing_and_hides_nothing(bad: bytes):
    assert read(MODULE + bad) == []
    assert read(MODULE + bad + GOOD) == [("language", "C11", "")]


def test_a_damaged_file_names_what_comes_before_the_damage():
    assert read(MODULE + GOOD + b"\0\x7f") == [("language", "C11", "")]
    assert read(b"no wasm") == []
    assert read(b"") == []


def test_a_file_that_names_very_many_tools_is_cut_and_the_result_is_the_same_each_time():
    many = b"".join(
        producers(language=[(f"{number}", f"{part}") for part in range(50)])
        for number in range(100)
    )
    found = read(MODULE + many)
    assert len(found) == 200
    assert found == sorted(found) == read(MODULE + many)


def test_a_million_empty_sections_are_not_read_to_the_end():
    few, many = (MODULE + custom("producers") * count for count in (100_000, 1_000_000))

    def seconds(data: bytes) -> float:
        begin = time.perf_counter()
        assert read(data) == []
        return time.perf_counter() - begin

    seconds(few)
    assert seconds(many) < 5 * seconds(few)


@given(st.binary(max_size=300))
def test_any_section_is_read_without_an_error(content: bytes):
    data = MODULE + custom("producers", content)
    for field, name, version in read(data):
        assert field in FIELDS
        assert len(name) <= 200
        assert len(version) <= 200


FIELD = st.sampled_from([field.replace("-", "_") for field in FIELDS])
VALUE = st.tuples(st.text(max_size=20), st.text(max_size=20))


@given(st.dictionaries(FIELD, st.lists(VALUE, max_size=4)))
def test_every_well_formed_section_is_read(fields: dict[str, list[tuple[str, str]]]):
    named = {
        (field.replace("_", "-"), name, version)
        for field, values in fields.items()
        for name, version in values
    }
    assert read(MODULE + producers(**fields)) == sorted(named)
