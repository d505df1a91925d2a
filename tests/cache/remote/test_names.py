"""The names that objects have on a server."""

from __future__ import annotations

import re

from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.cache.remote.names import engine_name, entry_name, signature_name

GNU = "x86_64-unknown-linux-gnu"
KEY = ArtifactKey("0" * 64, "48.0.0", "x86_64-linux", GNU, "baseline", (), {})
SHA256 = "f" * 64


def test_an_entry_and_its_signature_are_in_the_folder_of_their_scope():
    folder = f"wasmtime-48.0.0-x86_64-linux/{KEY.digest}"
    assert entry_name(KEY, SHA256, bazel=False) == f"{folder}.zip"
    assert signature_name(KEY, bazel=False) == f"{folder}.sig"
    assert engine_name(KEY, bazel=False) == f"{folder}.engine"


def test_bazels_layout_names_an_entry_by_its_content_and_the_rest_by_the_key():
    assert entry_name(KEY, SHA256, bazel=True) == f"cas/{SHA256}"
    assert signature_name(KEY, bazel=True) == f"ac/{KEY.digest}"


def test_all_names_in_bazels_layout_are_digests_and_no_two_are_the_same():
    names = [signature_name(KEY, bazel=True), engine_name(KEY, bazel=True)]
    assert all(re.fullmatch("ac/[0-9a-f]{64}", name) for name in names)
    assert len(set(names)) == 2
