"""Hostile signatures and key files, for as long as you like: each is refused quickly.

A good signature is changed in some places, as text or as JSON, and signed again or not. Only the
unchanged one may be accepted. Files of keys are made of words. A failure prints the seed that
repeats it.

    python tests/fuzz/fuzz_signatures.py --seconds 3600
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from hatch_wazcache.cache.remote.key_texts import base64_text
from hatch_wazcache.cache.remote.keys import SigningKey, TrustedKeys
from hatch_wazcache.cache.remote.signature import Signature, UntrustedError, read_signature
from hatch_wazcache.errors import WazcacheError
from tests.support.signatures import ARTIFACT, SIGNER, STRANGER, entry_at, trusting

SLOW = 2.0
"""Seconds of CPU time that no file may take, on a slow machine too."""

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1 << 32, 1 << 64, 10**5000, 0.5, -0.0, 1e300, float("inf"),
    float("nan"), "", "x", "\0", "\ud800", "\u202e", "ab" * 32, "../..", "A" * 86, [], [[]], {},
    {"key": 1}, SIGNER.public, STRANGER.public, "9" * 30000,
)  # fmt: skip
PIECES = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"\\",
        b"\\u0000",
        b"\\ud800",
        b"0",
        b"1e999",
        b" ",
    ),
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"null", b"NaN", b'"key":', b'"size":1,', b"[" * 30000),
)
WORDS = (
    SIGNER.public, STRANGER.public, SIGNER.text, SIGNER.text[17:], "revoked=2026-01-01", "revoked=",
    "revoked=9999-12-31", "revoked=0000-00-00", "#", "\n", "\r\n", "\r", ",", " ", "\t", "\0",
    "\ud800", "\u2028", "\xa0", "wazcache-public-", SIGNER.public[:-1], SIGNER.public + "=", "é",
    "x" * 5000, "/etc/passwd", "/dev/null", ".", "~", "wazcache-public-" + "A" * 43,
    "revoked=2026-02-30",
)  # fmt: skip


def signed(fields: dict[str, Any], chance: random.Random) -> bytes:
    """Sign fields as the owner of the trusted key could, or a stranger."""
    key = chance.choice((SIGNER, SIGNER, STRANGER))
    fields = {**fields, "public-key": key.public}
    fields.pop("signature", None)
    message = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    fields["signature"] = base64_text(key.sign(b"hatch-wazcache signature 1\n" + message))
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def change(good: bytes, chance: random.Random) -> bytes:
    """Change a signature, as JSON or as text, or both."""
    data = good
    if chance.random() < 0.6:
        fields = json.loads(good)
        for _ in range(chance.randint(1, 3)):
            table = fields if chance.random() < 0.7 else fields["inputs"]
            if not isinstance(table, dict):
                continue
            name = chance.choice([*table, "more"])
            if chance.random() < 0.2:
                table.pop(name, None)
            else:
                table[name] = chance.choice(VALUES)
            if "inputs" not in fields:
                break
        try:
            data = signed(fields, chance) if chance.random() < 0.7 else json.dumps(fields).encode()
        except ValueError:  # a number with too many digits for this Python
            return good
    if chance.random() < 0.5:
        for _ in range(chance.randint(1, 3)):
            start = chance.randrange(len(data) + 1)
            end = min(len(data), start + chance.choice((0, 0, 1, 5, 50)))
            data = data[:start] + chance.choice(PIECES) + data[end:]
    return data


def try_signature(good: Signature, trusted: TrustedKeys, chance: random.Random) -> str:
    data = change(good.to_bytes(), chance)
    trust = chance.choice((trusted, trusted, None))
    try:
        found = read_signature(data, ARTIFACT, trust)
    except UntrustedError as error:
        reason = str(error)
    else:
        check_accepted(found, good, trust)
        return "accepted"
    assert reason.isprintable(), ascii(reason)
    assert len(reason) < 300
    return "refused"


def check_accepted(found: Signature, good: Signature, trust: TrustedKeys | None) -> None:
    assert found.inputs == good.inputs
    assert found.key == good.key
    if trust is not None:
        assert found.public == SIGNER.public


def try_keys(folder: Path, chance: random.Random) -> str:
    text = "".join(chance.choice(WORDS) for _ in range(chance.randint(0, 8)))
    path = folder / "keys"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    value = chance.choice((text, str(path)))
    try:
        trusted = TrustedKeys.read(
            {"WAZCACHE_TRUSTED_KEYS": value}, chance.choice((None, path)), today=date(2026, 5, 1)
        )
    except WazcacheError as error:
        check_message(str(error))
        return "wrong keys"
    other = f"wazcache-public-{SIGNER.text[17:]}"  # 32 bytes, as every public key
    assert not trusted or set(trusted.days) <= {SIGNER.public, STRANGER.public, other}
    try:
        SigningKey.read(value)
    except WazcacheError as error:
        check_message(str(error))
    return "keys"


def check_message(text: str) -> None:
    assert SIGNER.text[25:40] not in text
    assert "\n" not in text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, help="repeat one case")
    options = parser.parse_args()
    trusted = trusting(SIGNER.public)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = Signature.of(entry_at(folder / "entry.zip"), SIGNER)
        end = time.monotonic() + options.seconds
        seed = random.SystemRandom().randrange(1 << 40) if options.seed is None else options.seed
        while time.monotonic() < end:
            chance = random.Random(seed)
            began = time.process_time()
            try:
                if chance.random() < 0.7:
                    counts[try_signature(good, trusted, chance)] += 1
                else:
                    counts[try_keys(folder, chance)] += 1
                assert time.process_time() - began < SLOW
            except Exception:  # noqa: BLE001 - each is a finding
                traceback.print_exc()
                print(f"repeat it with --seed {seed}")
                return 1
            if options.seed is not None:
                break
            seed += 1
    print(dict(counts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
