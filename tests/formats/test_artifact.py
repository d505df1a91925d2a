"""An artifact's header: wasmtime's are read, and all other files are refused."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_wazcache.engine.installed import installed_wasmtime
from hatch_wazcache.engine.settings import CPU_LEVELS
from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.formats.artifact import ArtifactHeader, BrokenArtifactError, read_artifact
from tests.support.doctored import SECTION, engine_of, of_aarch64, said, sections, with_engine
from tests.support.wasm import ANSWER, COMPONENT

_COMPILE = """
import json, sys, wasmtime
from hatch_wazcache.engine.compiler_config import make_config
from wasmtime import component
for name, (kind, wasm, triple, flags, settings) in json.loads(sys.argv[1]).items():
    engine = wasmtime.Engine(make_config(triple, flags, settings, parallel=False))
    make = wasmtime.Module if kind == "module" else component.Component
    open(f"{sys.argv[2]}/{name}", "wb").write(make(engine, bytes.fromhex(wasm)).serialize())
"""

V3 = CPU_LEVELS["x86-64-v3"]
TRIPLE = native_system().triple
COMPILED = {
    "default": ("module", ANSWER.hex(), TRIPLE, (), {}),
    "component": ("component", COMPONENT.hex(), TRIPLE, (), {}),
    "native": ("module", ANSWER.hex(), None, (), {}),
    "v3": ("module", ANSWER.hex(), TRIPLE, V3 if "x86_64" in TRIPLE else (), {}),
    "opt": ("module", ANSWER.hex(), TRIPLE, (), {"cranelift-opt-level": "speed_and_size"}),
    "nan": ("module", ANSWER.hex(), TRIPLE, (), {"cranelift-nan-canonicalization": True}),
    "unwind": ("module", ANSWER.hex(), TRIPLE, (), {"native-unwind-info": False}),
    "fuel": ("module", ANSWER.hex(), TRIPLE, (), {"consume-fuel": True}),
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Real artifacts, by name."""
    folder = tmp_path_factory.mktemp("artifacts")
    words = [sys.executable, "-c", _COMPILE, json.dumps(COMPILED), folder]
    subprocess.run(words, check=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def artifact(compiled: dict[str, bytes]) -> bytes:
    return compiled["default"]


def read(artifact: bytes) -> ArtifactHeader:
    return read_artifact(io.BytesIO(artifact), len(artifact))


def refused(artifact: bytes) -> str:
    with pytest.raises(BrokenArtifactError) as raised:
        read(artifact)
    return str(raised.value)


def test_it_says_what_it_was_compiled_for(artifact: bytes):
    header, system = read(artifact), native_system()
    assert (header.kind, header.arch, header.system) == ("module", system.arch, system.os)
    assert header.triple == TRIPLE
    assert header.made_by(installed_wasmtime().engine().version)
    assert not header.made_by("1.0.0")


def test_a_component_is_told_from_a_module(compiled: dict[str, bytes]):
    assert read(compiled["component"]).kind == "component"


@pytest.mark.skipif(native_system().arch != "x86_64", reason="a level of x86_64")
def test_it_names_the_cpu_features(compiled: dict[str, bytes]):
    def features(name: str) -> set[str]:
        flags = read(compiled[name]).flags
        return {flag for flag, value in flags.items() if flag.startswith("has_") and value}

    assert features("default") == set()
    assert features("v3") == set(V3)
    assert features("native") > set()


@pytest.mark.parametrize(
    ("name", "flag", "value"),
    [
        ("opt", "opt_level", "speed_and_size"),
        ("nan", "enable_nan_canonicalization", True),
        ("unwind", "unwind_info", False),
    ],
)
def test_it_names_the_settings_of_the_code_generator(
    compiled: dict[str, bytes], name: str, flag: str, value: object
):
    assert read(compiled[name]).flags[flag] == value
    assert read(compiled["default"]).flags[flag] != value


def test_other_settings_do_not_change_what_is_read(compiled: dict[str, bytes]):
    assert read(compiled["fuel"]) == read(compiled["default"])
    assert compiled["fuel"] != compiled["default"]


@pytest.mark.parametrize(
    ("triple", "system"),
    [
        ("aarch64-unknown-linux-musl", "linux"),
        ("aarch64-linux-android", "linux"),
        ("aarch64-apple-darwin", "macos"),
        ("aarch64-pc-windows-msvc", "windows"),
        ("aarch64-unknown-freebsd", "freebsd"),
    ],
)
def test_the_triple_tells_the_system(artifact: bytes, triple: str, system: str):
    header = read(of_aarch64(artifact, triple))
    assert (header.arch, header.system, header.triple) == ("aarch64", system, triple)


def test_the_machine_and_the_triple_have_to_agree(artifact: bytes):
    doctored = bytearray(artifact)
    struct.pack_into("<H", doctored, 18, 183)
    assert refused(bytes(doctored)) == f"its code is for aarch64, but it says {TRIPLE}"


def test_a_patch_release_is_not_another_engine_where_the_header_has_the_major_alone(
    artifact: bytes,
):
    header = read(artifact)
    assert header.made_by(f"{header.version}.99.99")


def test_a_header_with_all_three_numbers_holds_for_those_alone(artifact: bytes):
    engine = engine_of(artifact).replace(said(read(artifact).version), said("36.0.1"), 1)
    header = read(with_engine(artifact, engine))
    assert header.made_by("36.0.1")
    assert not header.made_by("36.0.2")


@pytest.mark.parametrize("data", [b"", b"\x7fELF", ANSWER, b"\0" * 64, b"PK\3\4" * 64])
def test_what_is_no_elf_file_is_refused(data: bytes):
    assert "it is" in refused(data)


def test_an_elf_file_of_somebody_else_is_refused():
    python = Path(sys.executable).read_bytes()[:100_000]
    if python[:4] != b"\x7fELF":
        pytest.skip("no ELF")
    assert refused(python) == "it is an ELF file, but not from wasmtime"


def test_a_cut_artifact_is_refused_wherever_it_is_cut(artifact: bytes):
    for end in {*range(0, 2000, 7), *range(2000, len(artifact), 101), len(artifact) - 1}:
        assert refused(artifact[:end])


def test_a_cut_section_is_noticed_even_if_the_table_is_not(artifact: bytes):
    doctored = bytearray(artifact)
    at = sections(artifact)[".text"]
    header = list(SECTION.unpack_from(artifact, at))
    header[5] = 1 << 40
    SECTION.pack_into(doctored, at, *header)
    assert "beyond its end" in refused(bytes(doctored))


def test_without_a_word_of_its_engine_it_is_refused(artifact: bytes):
    assert refused(artifact.replace(b".wasmtime.engine", b".wasmtime.Engine")) == (
        "it does not name the engine that made it"
    )


@pytest.mark.parametrize(
    "engine",
    [
        b"",
        b"\x01" + said("48"),  # another format
        b"\x00" + said("48"),
        b"\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # longer than anything
        b"\x00" + b"\xff" * 30,
        b"\x00\x00" + said(TRIPLE),
        b"\x00\x02\xff\xfe" + said(TRIPLE),  # no UTF-8
        b"\x00" + said("4\n8") + said(TRIPLE) + b"\0\0",
        b"\x00" + said("48") + said(TRIPLE) + b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x00" + said("48") + said(TRIPLE) + b"\x01" + said("flag") + b"\x07",
        b"\x00" + said("48") + said(TRIPLE) + b"\x01" + said("flag") + b"\x00\x05abc",
    ],
)
def test_hostile_words_of_the_engine_are_refused(artifact: bytes, engine: bytes):
    assert "engine" in refused(with_engine(artifact, engine))


@pytest.mark.parametrize("name", [b"opt_level,cache=y", b"opt level", b"-opt", b"opt=1"])
def test_a_flag_whose_name_says_more_is_refused(artifact: bytes, name: bytes):
    """Those of an artifact for its maker's CPU are told to the compiler, to make it again."""
    engine = engine_of(artifact)
    flag = b"\x09opt_level"
    assert flag in engine
    doctored = with_engine(artifact, engine.replace(flag, bytes([len(name)]) + name))
    with pytest.raises(BrokenArtifactError, match="damaged"):
        read_artifact(io.BytesIO(doctored), len(doctored))


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_no_change_does_more_than_be_refused(artifact: bytes, data: st.DataObject):
    doctored = bytearray(artifact)
    table = struct.unpack_from("<Q", artifact, 40)[0]
    places = st.one_of(
        st.integers(0, 63), st.integers(64, 1200), st.integers(table, len(artifact) - 1)
    )
    for at in data.draw(st.lists(places, min_size=1, max_size=8)):
        doctored[at] = data.draw(st.integers(0, 255))
    with suppress(BrokenArtifactError):
        assert read(bytes(doctored)).triple.isprintable()


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_no_engine_section_does_more_than_be_refused(artifact: bytes, engine: bytes):
    with suppress(BrokenArtifactError):
        read(with_engine(artifact, b"\0" + engine))


def test_a_large_artifact_is_not_read(artifact: bytes, tmp_path: Path):
    path = tmp_path / "large.cwasm"
    path.write_bytes(artifact)
    with path.open("r+b") as file:
        size = file.truncate(4 << 30)
    tracemalloc.start()
    try:
        with path.open("rb") as file:
            assert read_artifact(file, size) == read(artifact)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_table_that_claims_to_be_huge_takes_no_memory(artifact: bytes, tmp_path: Path):
    doctored = bytearray(artifact)
    struct.pack_into("<HH", doctored, 60, 0xFFFF, 0)
    path = tmp_path / "huge.cwasm"
    path.write_bytes(doctored)
    with path.open("r+b") as file:
        size = file.truncate(1 << 30)
    tracemalloc.start()
    try:
        with path.open("rb") as file, pytest.raises(BrokenArtifactError):
            read_artifact(file, size)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
