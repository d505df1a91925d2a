"""An entry belongs to its key: its inputs make the key, and its data is what they describe."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from hatch_wazcache.cache import maintenance
from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.entry import write_entry
from hatch_wazcache.cache.key import ArtifactKey, SourceKey
from tests.support.entries import artifact_of, cache_at

KEY = ArtifactKey(
    "0" * 64,
    "48.0.0",
    "x86_64-linux",
    "x86_64-unknown-linux-gnu",
    "x86-64-v2",
    ("has_sse3", "has_ssse3"),
    {"consume-fuel": True},
)


def plant(
    cache: CacheDirectory, key: ArtifactKey | SourceKey, inputs: dict[str, object], data: bytes
) -> Path:
    path = cache.path(key)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with path.open("wb") as file:
        write_entry(file, key.digest, inputs, "artifact.cwasm", data, 1.0)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> CacheDirectory:
    return cache_at(tmp_path / "cache")[0]


def test_an_entry_with_its_own_inputs_and_artifact_is_a_hit(cache: CacheDirectory):
    plant(cache, KEY, KEY.inputs(), artifact_of(KEY))
    assert cache.get(KEY) is not None
    assert maintenance.verify(cache.root) == []


@pytest.mark.parametrize("inputs", [{"x": "y"}, {}, {**KEY.inputs(), "wasm": "1" * 64}])
def test_an_entry_with_inputs_of_another_key_is_a_miss(
    cache: CacheDirectory, inputs: dict[str, object]
):
    path = plant(cache, KEY, inputs, artifact_of(KEY))
    assert cache.get(KEY) is None
    ((item, why),) = maintenance.verify(cache.root)
    assert (item.path, why) == (path, f"{path} has the inputs of another key")


def test_an_entry_of_a_wasm_with_other_bytes_is_a_miss(cache: CacheDirectory):
    key = SourceKey(hashlib.sha256(b"right").hexdigest())
    plant(cache, key, key.inputs(), b"right")
    assert cache.get(key) is not None
    plant(cache, key, key.inputs(), b"wrong")
    assert cache.get(key) is None
    assert len(maintenance.verify(cache.root)) == 1


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (
            {"triple": "aarch64-unknown-linux-gnu", "target": "aarch64-linux", "cpu_flags": ()},
            "an artifact for aarch64-linux, but its entry.json says x86_64-linux",
        ),
        ({"triple": "x86_64-unknown-linux-musl"}, "x86_64-unknown-linux-musl, but its entry.json"),
        ({"engine": "47.0.0"}, "of wasmtime 47, but its entry.json says 48.0.0"),
        ({"cpu_flags": ("has_sse3",)}, "with the CPU features ['has_sse3'], but its entry.json"),
    ],
)
def test_verify_finds_an_artifact_of_another_key(
    cache: CacheDirectory, other: dict[str, object], why: str
):
    path = plant(cache, KEY, KEY.inputs(), artifact_of(dataclasses.replace(KEY, **other)))
    ((item, problem),) = maintenance.verify(cache.root)
    assert item.path == path
    assert why in problem


def test_verify_finds_an_artifact_with_other_settings(cache: CacheDirectory):
    key = dataclasses.replace(KEY, settings={"address-map": False})
    plant(cache, key, key.inputs(), artifact_of(KEY))
    ((_item, problem),) = maintenance.verify(cache.root)
    assert "with address-map = True, but its entry.json says False" in problem


def test_verify_finds_an_entry_without_an_artifact(cache: CacheDirectory):
    plant(cache, KEY, KEY.inputs(), b"data")
    ((_item, problem),) = maintenance.verify(cache.root)
    assert "does not hold an artifact" in problem
