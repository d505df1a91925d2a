"""Hostile fetched wheels, for as long as you like: each is checked quickly, without a crash.

A good folder is changed in one or two places: RECORD, METADATA, or the files. A failure prints the
seed that repeats it.

    python tests/fuzz/fuzz_fetched.py --seconds 3600
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from hatch_wazcache.cache.fetched_wheel import folder_name, main_file, system_name
from hatch_wazcache.cache.fetching import verify_fetched
from hatch_wazcache.cache.unpacked_wheel import (
    BrokenFolderError,
    check_unpacked,
    drop_installer_files,
)

SLOW = 5.0
"""Seconds of CPU time that no folder may take, on a slow machine too."""

INFO = "wasmtime-48.0.0.dist-info"
FILES = {
    main_file("wasmtime"): b"library",
    "wasmtime/__init__.py": b"",
    f"{INFO}/METADATA": b"Name: wasmtime\nVersion: 48.0.0\nRequires-Python: >=3.9\n",
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0\n",
}
OUTSIDE = "root:x:0:0:root:/root:/bin/bash\n"
WORDS = (
    *(",", "\n", "\r", '"', '""', "\0", "../", "/", "\\", "C:", "sha256=", "md5=", "-1", "\xe9"),
    *("\ud800", "9" * 400, "RECORD", "a,b,c,d\n", "x" * 200_000, "wasmtime/__init__.py,,0\n"),
    *("bin/x,,\n", "../../bin/x,,\n", '"' * 3, "\nName: other", "\nVersion: 1", "\n\n"),
)


def make_good(folder: Path) -> None:
    """Make the folder of a fetched wheel."""
    rows = [f"{INFO}/RECORD,,\n"]
    for name, data in FILES.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o600)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.append(f"{name},sha256={digest},{len(data)}\n")
    (folder / INFO / "RECORD").write_text("".join(rows))


def outside(folder: Path) -> Path:
    """Return a file outside the folder of engines, to which links lead. Nothing may change it."""
    return folder.parent.parent / "outside"


def change(folder: Path, rng: random.Random) -> str:
    """Change the folder in one place; return the kind of change."""
    paths = sorted(folder.rglob("*"))
    how = rng.choice(("text", "text", "bit", "remove", "link", "fifo", "folders"))
    if how in {"text", "bit"}:
        path = folder / INFO / rng.choice(("RECORD", "RECORD", "METADATA"))
        data = bytearray(path.read_bytes())
        at = rng.randrange(len(data))
        if how == "bit":
            data[at] ^= 1 << rng.randrange(8)
        else:
            data[at : at + rng.choice((0, 0, 1, 50))] = rng.choice(WORDS).encode(
                "utf-8", "surrogatepass"
            )
        path.unlink()  # it may be a link to a file outside
        path.write_bytes(data)
    elif how in {"remove", "link"}:
        path = rng.choice(paths)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        if how == "link":
            path.symlink_to(rng.choice((outside(folder), "..", ".", "missing")))
    elif how == "fifo":
        os.mkfifo(folder / rng.choice(("fifo", "bin", ".lock")))
    else:
        folder.joinpath(*["a"] * rng.choice((1, 60, 200))).mkdir(parents=True)
    return how


def try_folder(engines: Path, seed: int) -> str:
    """Change a good folder, and check it.

    Returns:
        The kind of change.
    """
    rng = random.Random(seed)
    folder = engines / folder_name("wasmtime", "48.0.0", system_name())
    make_good(folder)
    outside(folder).write_text(OUTSIDE)
    assert verify_fetched(folder) is None
    kinds = set()
    for _change in range(rng.choice((1, 1, 2))):
        with suppress(OSError, ValueError):  # the second change may not be possible
            kinds.add(change(folder, rng))
    start = time.process_time()
    for check in (check_unpacked, verify_fetched, drop_installer_files):
        with suppress(BrokenFolderError, OSError):
            check(folder)
    seconds = time.process_time() - start
    assert seconds < SLOW, f"{seconds:.1f} s"
    assert outside(folder).read_text() == OUTSIDE, "a file outside the folder was changed"
    shutil.rmtree(folder)
    return " and ".join(sorted(kinds))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    seed, end = options.seed, time.monotonic() + options.seconds
    tried: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        while time.monotonic() < end:
            try:
                tried[try_folder(Path(name) / "engines", seed)] += 1
            except Exception:  # noqa: BLE001
                traceback.print_exc(file=sys.stdout)
                print(f"FAILED with --seed {seed}")
                return 1
            seed += 1
    print(f"{tried.total()} folders: {dict(tried)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
