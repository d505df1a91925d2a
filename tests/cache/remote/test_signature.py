"""A signature vouches for one entry of one key; everything else is refused."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_wazcache.cache.entry import BrokenEntryError, Entry, read_entry
from hatch_wazcache.cache.key import ArtifactKey, digest_of
from hatch_wazcache.cache.remote.key_texts import base64_text
from hatch_wazcache.cache.remote.keys import SigningKey, TrustedKeys
from hatch_wazcache.cache.remote.signature import (
    LARGEST,
    Signature,
    UntrustedError,
    check_downloaded,
    read_signature,
)
from tests.support.signatures import ARTIFACT, SIGNER, STRANGER, entry_at, trusting

OTHER_KEYS = {
    "wasm": replace(ARTIFACT, wasm="34" * 32),
    "engine": replace(ARTIFACT, engine="48.0.1"),
    "target": replace(ARTIFACT, target="aarch64-linux", triple="aarch64-unknown-linux-gnu"),
    "settings": replace(ARTIFACT, settings={"opt-level": "none", "epoch-interruption": True}),
    "cpu": replace(ARTIFACT, cpu_flags=()),
    "strip": replace(ARTIFACT, strip=("name",)),
}


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return entry_at(tmp_path / "entry.zip")


@pytest.fixture(scope="module")
def signature(tmp_path_factory: pytest.TempPathFactory) -> Signature:
    return Signature.of(entry_at(tmp_path_factory.mktemp("signed") / "entry.zip"), SIGNER)


@pytest.fixture(scope="module")
def trusted() -> TrustedKeys:
    return trusting(SIGNER.public)


def refused(data: bytes, trusted: TrustedKeys | None, key: ArtifactKey = ARTIFACT) -> str:
    with pytest.raises(UntrustedError) as caught:
        read_signature(data, key, trusted)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250
    return str(caught.value)


def sign_anything(fields: dict[str, Any], key: SigningKey = SIGNER) -> bytes:
    """Sign any fields, as the owner of a key can who writes his own program."""
    fields = {**fields, "public-key": key.public}
    fields.pop("signature", None)

    def canonical() -> bytes:
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    fields["signature"] = base64_text(key.sign(b"hatch-wazcache signature 1\n" + canonical()))
    return canonical()


def changed(signature: Signature, **changes: object) -> dict[str, Any]:
    fields = json.loads(signature.to_bytes())
    return {**fields, **{name.replace("_", "-"): value for name, value in changes.items()}}


# what is accepted


def test_a_signature_that_was_made_can_be_read_and_vouches_for_its_entry(
    entry: Entry, trusted: TrustedKeys
):
    before = int(time.time())
    made = Signature.of(entry, SIGNER)
    again = read_signature(made.to_bytes(), ARTIFACT, trusted)
    assert again == made
    assert check_downloaded(entry.path, again) == entry
    assert (again.key, again.inputs) == (ARTIFACT.digest, ARTIFACT.inputs())
    assert again.entry_size == entry.path.stat().st_size
    assert again.public == SIGNER.public
    assert before <= again.signed_at <= time.time()


def test_a_signature_is_one_line_of_json_that_shows_no_private_key(signature: Signature):
    text = signature.to_bytes().decode("ascii")
    assert json.loads(text)["inputs"]["engine"] == "48.0.0"
    assert "\n" not in text
    assert SIGNER.text.removeprefix("wazcache-private-") not in text


def test_anything_that_was_signed_by_another_program_is_no_signature(
    signature: Signature, trusted: TrustedKeys
):
    without = json.loads(signature.to_bytes())
    del without["signature"]
    message = json.dumps(without, sort_keys=True, separators=(",", ":")).encode()
    foreign = signature._replace(signature=base64_text(SIGNER.sign(message)))
    assert "did not make" in refused(foreign.to_bytes(), trusted)
    assert read_signature(sign_anything(without), ARTIFACT, trusted) == signature


def test_every_field_is_signed(signature: Signature, trusted: TrustedKeys):
    for name in signature._fields:
        value = getattr(signature, name)
        other = {
            int: lambda value: value - 1,
            float: lambda value: value + 1,
            str: lambda value: value[:-1] + ("0" if value[-1] != "0" else "1"),
            dict: lambda value: {**value, "more": 1},
        }[type(value)](value)
        refused(signature._replace(**{name: other}).to_bytes(), trusted)


# without trust


def test_without_trust_a_description_needs_no_signature(entry: Entry):
    made = Signature.of(entry, None)
    assert "public-key" not in json.loads(made.to_bytes())
    assert read_signature(made.to_bytes(), ARTIFACT, None) == made
    assert check_downloaded(entry.path, made) == entry


def test_without_trust_a_signed_entry_is_used_too(signature: Signature):
    assert read_signature(signature.to_bytes(), ARTIFACT, None) == signature


def test_without_trust_the_description_must_fit_the_key_all_the_same(entry: Entry):
    made = Signature.of(entry, None)
    assert "another key" in refused(made.to_bytes(), None, OTHER_KEYS["engine"])
    assert "out of bounds" in refused(made._replace(size=-1).to_bytes(), None)


# who signed


def test_an_entry_that_is_not_signed_is_refused(entry: Entry, trusted: TrustedKeys):
    made = Signature.of(entry, None)
    assert refused(made.to_bytes(), trusted) == "is not signed"
    assert refused(made._replace(public=SIGNER.public).to_bytes(), trusted) == "is not signed"
    signed = Signature.of(entry, SIGNER)
    assert refused(signed._replace(public="").to_bytes(), trusted) == "is not signed"


def test_an_entry_that_a_stranger_signed_is_refused(entry: Entry, trusted: TrustedKeys):
    made = Signature.of(entry, STRANGER)
    assert refused(made.to_bytes(), trusted) == (
        f"is signed by {STRANGER.public}, which is not one of the trusted keys"
    )
    assert "did not make" in refused(made._replace(public=SIGNER.public).to_bytes(), trusted)


@pytest.mark.parametrize(("days", "ok"), [(-2, False), (2, True)])
def test_an_entry_of_a_revoked_key_is_refused_whatever_date_it_was_signed_on(
    entry: Entry, days: int, ok: bool
):
    day = date.today() + timedelta(days)  # noqa: DTZ011
    trusted = trusting(f"{SIGNER.public} revoked={day}", STRANGER.public)
    for signed_at in (0, int(time.time()) - 10**8, int(time.time())):
        fields = changed(Signature.of(entry, SIGNER), signed_at=signed_at)
        data = sign_anything(fields)
        if ok:
            assert read_signature(data, ARTIFACT, trusted).signed_at == signed_at
        else:
            assert refused(data, trusted).endswith(f"was revoked on {day}")


def test_after_a_rotation_entries_of_both_keys_are_used(entry: Entry):
    trusted = trusting(SIGNER.public, STRANGER.public)
    for key in (SIGNER, STRANGER):
        assert read_signature(Signature.of(entry, key).to_bytes(), ARTIFACT, trusted).key


# for which entry


@pytest.mark.parametrize("name", OTHER_KEYS)
def test_a_signature_that_is_replayed_under_another_key_is_refused(
    tmp_path: Path, signature: Signature, trusted: TrustedKeys, name: str
):
    other = OTHER_KEYS[name]
    assert refused(signature.to_bytes(), trusted, other) == "has the signature of another key"
    its = Signature.of(entry_at(tmp_path / "entry.zip", other), SIGNER)
    assert read_signature(its.to_bytes(), other, trusted) == its
    assert refused(its.to_bytes(), trusted) == "has the signature of another key"


@pytest.mark.parametrize("name", OTHER_KEYS)
def test_the_inputs_of_another_engine_or_setting_under_this_key_are_refused(
    signature: Signature, trusted: TrustedKeys, name: str
):
    """Even if the owner of a trusted key signs it: the digest of the inputs is the key."""
    fields = changed(signature, inputs=OTHER_KEYS[name].inputs())
    assert "inputs of another key" in refused(sign_anything(fields), trusted)


def test_inputs_that_differ_only_in_a_type_are_refused(signature: Signature, trusted: TrustedKeys):
    settings = {**ARTIFACT.settings, "epoch-interruption": 1}
    inputs = {**ARTIFACT.inputs(), "settings": settings}
    assert inputs == ARTIFACT.inputs()  # in Python
    assert digest_of(inputs) != ARTIFACT.digest
    refused(sign_anything(changed(signature, inputs=inputs)), trusted)


# damage and attacks on the text


def test_a_change_of_any_bit_is_refused(signature: Signature, trusted: TrustedKeys):
    data = signature.to_bytes()
    for place in range(len(data)):
        for bit in range(8):
            wrong = bytearray(data)
            wrong[place] ^= 1 << bit
            refused(bytes(wrong), trusted)


def test_a_signature_that_is_cut_short_anywhere_is_refused(
    signature: Signature, trusted: TrustedKeys
):
    data = signature.to_bytes()
    for size in range(len(data)):
        refused(data[:size], trusted)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_edit_is_refused(signature: Signature, trusted: TrustedKeys, data: st.DataObject):
    text = signature.to_bytes()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    edited = text[:start] + data.draw(st.binary(max_size=40)) + text[end:]
    if edited != text:
        refused(edited, trusted)
        refused(edited, trusting())


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_refused(trusted: TrustedKeys, data: bytes):
    refused(data, trusted)
    refused(data, None)


def test_the_same_json_written_in_another_way_is_refused(
    signature: Signature, trusted: TrustedKeys
):
    data = signature.to_bytes()
    fields = json.loads(data)
    for other in (
        json.dumps(fields), json.dumps(fields, indent=1), data.decode() + "\n", f" {data.decode()}",
        data.decode().replace('"key"', '"\\u006bey"'), json.dumps(dict(reversed(fields.items()))),
    ):  # fmt: skip
        assert json.loads(other) == fields
        assert "not written as signatures are" in refused(other.encode(), trusted)
    assert json.loads(data.decode().encode("utf-16")) == fields
    refused(data.decode().encode("utf-16"), trusted)
    refused(b"\xef\xbb\xbf" + data, trusted)


@pytest.mark.parametrize("first", [True, False])
def test_a_field_that_stands_there_twice_is_refused(
    signature: Signature, trusted: TrustedKeys, first: bool
):
    text = signature.to_bytes().decode()
    for name in json.loads(text):
        more = f'"{name}":null'
        wrong = f"{{{more},{text[1:]}" if first else f"{text[:-1]},{more}}}"
        refused(wrong.encode(), trusted)
        same = f'"{name}":{json.dumps(json.loads(text)[name])}'
        refused(f"{{{same},{text[1:]}".encode(), trusted)
        refused(f"{{{same},{text[1:]}".encode(), None)


def test_a_field_that_is_unknown_is_refused_even_if_it_is_signed(
    signature: Signature, trusted: TrustedKeys
):
    assert "unknown field" in refused(sign_anything(changed(signature, more=1)), trusted)


def test_a_signature_of_a_newer_schema_is_refused(signature: Signature, trusted: TrustedKeys):
    for schema in (2, 0, "1", True, 1.0, None, [1]):
        refused(sign_anything(changed(signature, schema=schema)), trusted)
    assert "newer" in refused(sign_anything(changed(signature, schema=2)), trusted)


def huge() -> Iterable[bytes]:
    yield b"[" * LARGEST
    yield b'{"a":' * 10000
    yield b'{"inputs":' * 6000 + b"1" + b"}" * 6000
    yield b"9" * LARGEST
    yield b'"' + b"x" * (LARGEST - 2) + b'"'
    yield b" " * LARGEST
    yield b"{}" * (LARGEST // 2)
    yield b"x" * (LARGEST + 1)
    yield b"\0" * LARGEST
    yield b"\xff" * 1000


def test_json_that_is_huge_or_deep_is_refused(trusted: TrustedKeys):
    for data in huge():
        refused(data, trusted)
        refused(data, None)


def test_inputs_that_are_deep_are_refused_even_if_they_are_signed(
    signature: Signature, trusted: TrustedKeys
):
    text = signature.to_bytes().decode()
    deep = re.sub(r'"inputs":\{.*?\}(?=,"key")', f'"inputs":{"[" * 20000}{"]" * 20000}', text)
    assert len(deep) > 40000
    refused(deep.encode(), trusted)
    deep = deep.replace('"inputs":', '"inputs":{"a":').replace(',"key"', '},"key"')
    refused(deep.encode(), trusted)


def test_a_signature_that_is_longer_than_the_bound_is_refused(
    signature: Signature, trusted: TrustedKeys
):
    inputs = {**ARTIFACT.inputs(), "strip": ["x" * LARGEST]}
    data = sign_anything(changed(signature, inputs=inputs))
    assert refused(data, trusted) == "has a signature that is too long"


WRONG_NUMBERS = {
    "size": (-1, 1 << 32, 1 << 64, 10**400),
    "crc32": (-1, 1 << 32),
    "stream-size": (-1, 1 << 32, 10**400),
    "entry-size": (-1, 0, 1 << 33, 10**400),
    "seconds": (-0.1, 1e6, float("inf"), float("nan"), 1e300),
    "signed-at": (-1, 1 << 40, 10**400),
}


@pytest.mark.parametrize("name", WRONG_NUMBERS)
def test_a_number_that_is_out_of_bounds_is_refused_even_if_it_is_signed(
    signature: Signature, trusted: TrustedKeys, name: str
):
    for number in WRONG_NUMBERS[name]:
        data = sign_anything({**changed(signature), name: number})
        for trust in (trusted, None):
            assert f"{name} is out of bounds" in refused(data, trust)


def test_an_entry_size_that_does_not_fit_the_stream_is_refused(
    signature: Signature, trusted: TrustedKeys
):
    for size in (signature.stream_size, signature.stream_size + (1 << 17) + 1):
        assert "entry-size is out" in refused(
            sign_anything(changed(signature, entry_size=size)), trusted
        )


@pytest.mark.parametrize("name", ["key", "sha256", "stream-sha256", "entry-sha256"])
@pytest.mark.parametrize(
    "text",
    ["", "../../passwd", "ab" * 31, "ab" * 33, "AB" * 32, "/" + "ab" * 31 + "a", "ab" * 31 + "\n"],
)
def test_a_digest_that_could_be_another_name_is_refused_even_if_nothing_is_signed(
    signature: Signature, trusted: TrustedKeys, name: str, text: str
):
    data = sign_anything({**changed(signature), name: text})
    for trust in (trusted, None):
        assert f"{name} is not a SHA-256" in refused(data, trust)


def test_a_number_with_thousands_of_digits_is_refused(signature: Signature, trusted: TrustedKeys):
    text = signature.to_bytes().decode()
    wrong = re.sub(r'"size":\d+', f'"size":{"9" * 60000}', text)
    refused(wrong.encode(), trusted)


VALUES = (None, True, 0, 1.5, "", "x", [], {}, [1])


@pytest.mark.parametrize("name", [*Signature._fields])
def test_a_field_of_a_wrong_type_is_refused_even_if_it_is_signed(
    signature: Signature, trusted: TrustedKeys, name: str
):
    name = {"public": "public-key"}.get(name, name.replace("_", "-"))
    fields = changed(signature)
    for value in VALUES:
        if type(value) is type(fields[name]):
            continue
        if name in {"public-key", "signature"}:
            data = json.dumps({**fields, name: value}, sort_keys=True, separators=(",", ":"))
            refused(data.encode(), trusted)
        else:
            assert f"{name} is missing, or of a wrong type" in refused(
                sign_anything({**fields, name: value}), trusted
            )


@pytest.mark.parametrize("name", [*Signature._fields])
def test_a_field_that_is_missing_is_refused_even_if_the_rest_is_signed(
    signature: Signature, trusted: TrustedKeys, name: str
):
    name = {"public": "public-key"}.get(name, name.replace("_", "-"))
    fields = changed(signature)
    del fields[name]
    if name in {"public-key", "signature"}:
        data = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
        assert refused(data, trusted) == "is not signed"
    else:
        assert f"{name} is missing" in refused(sign_anything(fields), trusted)


def test_base64_that_is_written_in_another_way_is_refused(
    signature: Signature, trusted: TrustedKeys
):
    text = signature.signature
    for other in (
        f"{text}==", f"{text}A", text[:-1], f"{text[:40]}\n{text[40:]}", f"{text[:-1]}{text[-1]}=",
        text.replace("-", "+").replace("_", "/") + "==", f" {text}", f"{text}\N{DIGIT ONE}",
        f"{text[:-1]}\N{ARABIC-INDIC DIGIT ONE}", f"{text[:-1]}{chr(ord(text[-1]) + 1)}", "A" * 86,
    ):  # fmt: skip
        refused(signature._replace(signature=other).to_bytes(), trusted)


@pytest.mark.parametrize("public", ["\x1b]0;x\x07", "a\nb", "\ud800", "x" * 30000, "\u202e"])
def test_a_strangers_text_is_not_in_the_reason(
    signature: Signature, trusted: TrustedKeys, public: str
):
    for wrong in (
        signature._replace(public=public), signature._replace(signature=public),
        signature._replace(key=public), signature._replace(sha256=public),
    ):  # fmt: skip
        assert public not in refused(wrong.to_bytes(), trusted)


# the downloaded file


def downloaded_is_refused(path: Path, signature: Signature) -> str:
    with pytest.raises(UntrustedError) as caught:
        check_downloaded(path, signature)
    return str(caught.value)


def test_a_download_in_which_any_byte_is_changed_is_refused(entry: Entry, tmp_path: Path):
    signature = Signature.of(entry, SIGNER)
    data = entry.path.read_bytes()
    path = tmp_path / "download"
    for place in range(len(data)):
        wrong = bytearray(data)
        wrong[place] ^= 1 << place % 8
        path.write_bytes(wrong)
        assert "other bytes" in downloaded_is_refused(path, signature)


def test_a_download_of_another_length_is_refused(entry: Entry, tmp_path: Path):
    signature = Signature.of(entry, SIGNER)
    data = entry.path.read_bytes()
    path = tmp_path / "download"
    for wrong in (b"", data[:-1], data[:100], data + b"\0", data + data):
        path.write_bytes(wrong)
        assert "another size" in downloaded_is_refused(path, signature)


def test_an_older_entry_of_the_same_key_is_refused_under_a_newer_signature(tmp_path: Path):
    """The two differ in the seconds that the compiler needed, and in the moment of signing."""
    old, new = entry_at(tmp_path / "1", seconds=1), entry_at(tmp_path / "2", seconds=2)
    of_old, of_new = Signature.of(old, SIGNER), Signature.of(new, SIGNER)
    assert old.path.stat().st_size == new.path.stat().st_size
    assert "other bytes" in downloaded_is_refused(old.path, of_new)
    assert "other bytes" in downloaded_is_refused(new.path, of_old)


def test_a_digest_that_was_computed_while_downloading_is_compared(entry: Entry):
    signature = Signature.of(entry, SIGNER)
    assert check_downloaded(entry.path, signature, signature.entry_sha256) == entry
    with pytest.raises(UntrustedError, match="other bytes"):
        check_downloaded(entry.path, signature, "00" * 32)


NUMBERS = {
    "size": 5, "sha256": "00" * 32, "crc32": 5, "stream_size": 50, "stream_sha256": "00" * 32,
    "seconds": 1.0,
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_a_download_with_other_fields_than_those_that_were_signed_is_refused(
    entry: Entry, name: str
):
    signature = Signature.of(entry, None)._replace(**{name: NUMBERS[name]})
    assert "than its signature says" in downloaded_is_refused(entry.path, signature)


def test_a_download_of_another_key_or_without_a_directory_is_refused(entry: Entry, tmp_path: Path):
    """Who signs nothing can describe any file, so the file itself is checked too."""
    other = entry_at(tmp_path / "other.zip", OTHER_KEYS["engine"])
    described = Signature.of(other, None)._replace(key=ARTIFACT.digest)
    assert "is signed, but broken" in downloaded_is_refused(other.path, described)
    data = entry.path.read_bytes()
    path = tmp_path / "cut.zip"
    for wrong in (data[:-1], data + b"PK", data[: entry.stream_offset + entry.stream_size]):
        path.write_bytes(wrong)
        signature = whole(path, Signature.of(entry, None))
        assert "is signed, but broken" in downloaded_is_refused(path, signature)
    assert zipfile.is_zipfile(entry.path)


def whole(path: Path, signature: Signature) -> Signature:
    """Describe the file as it is."""
    data = path.read_bytes()
    return signature._replace(entry_size=len(data), entry_sha256=hashlib.sha256(data).hexdigest())


def test_a_download_that_is_a_link_is_refused(entry: Entry, tmp_path: Path):
    link = tmp_path / "link"
    link.symlink_to(entry.path)
    assert "not a regular file" in downloaded_is_refused(link, Signature.of(entry, SIGNER))


# signing


def test_an_entry_that_changed_since_it_was_compiled_is_not_signed(entry: Entry):
    data = entry.path.read_bytes()
    for place in range(len(data)):
        wrong = bytearray(data)
        wrong[place] ^= 1
        entry.path.write_bytes(wrong)
        if is_signed(entry):
            # zip programs do not compare the names and dates before the data with those at the end
            assert not entry.stream_offset <= place < entry.stream_offset + entry.stream_size
            assert read_entry(entry.path, entry.key) == entry
    for wrong in (data[:-1], data + b"\0", data[: entry.stream_offset + 3], b""):
        entry.path.write_bytes(wrong)
        assert not is_signed(entry)
    entry.path.unlink()
    assert not is_signed(entry)


def is_signed(entry: Entry) -> bool:
    try:
        Signature.of(entry, SIGNER)
    except BrokenEntryError:
        return False
    return True


def test_a_folder_in_place_of_an_entry_is_not_signed(entry: Entry):
    entry.path.unlink()
    os.mkdir(entry.path)
    assert not is_signed(entry)
