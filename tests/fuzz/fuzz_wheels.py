"""Hostile wheels, for as long as you like: each is audited and described quickly, without a crash.

A good wheel is changed in one place at a time: metadata, RECORD, manifest, artifact, names, the
archive's own bytes, or a count that multiplies. Some are a package or its companion: they are
compared, or companions are planned. Some are compiled: that makes a good wheel, or nothing. A
failure prints the seed that repeats it.

    python tests/fuzz/fuzz_wheels.py --seconds 3600
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
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from hatch_wazcache.audit.audit_wheel import audit_wheel
from hatch_wazcache.audit.companion_comparison import compare_companions
from hatch_wazcache.audit.inspection import Here, inspect_wheel
from hatch_wazcache.engine.installed import installed_wasmtime
from hatch_wazcache.engine.targets import native_target
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.companions import make_companions
from hatch_wazcache.packing.compile_wheels import compile_wheels
from hatch_wazcache.packing.from_wheel import FinishedWheel
from hatch_wazcache.packing.wheel_options import options_of
from hatch_wazcache.project.options import read_config
from hatch_wazcache.report import Report
from hatch_wazcache.wheels.sbom import serial_number
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError, WheelReader
from tests.support.audits import ARTIFACT, MANIFEST, artifact, asset
from tests.support.doctored import SECTION, Wheel, sections
from tests.support.projects import PYPROJECT, Project
from tests.support.sboms import FILE
from tests.support.sections import producers
from tests.support.wheels import TARGET

SBOM = f"demo-1.0.dist-info/{FILE}"
SLOW = 5.0
"""Seconds of CPU time that no wheel may take, on a slow machine too."""

REQUIREMENT = (
    *("wasmtime", ">=48", "<49", "==48.*", "~=", "===", "!=", "@ https://x", "[a]", ",", ";", " "),
    *("python_version", "os_name", "extra", "platform_release", "'3.9'", "'fast'", "==", "in"),
    *(" and ", " or ", "(", ")", "'", '"', "\0", "\N{LATIN SMALL LETTER E WITH ACUTE}", "9" * 40),
    *("\nRequires-Dist: ", "\nRequires-Python: ", "\nProvides-Extra: fast", "\n", "\n "),
)
TAG = (
    "py3",
    "-",
    "none",
    "any",
    "manylinux1_x86_64",
    ".",
    " ",
    "\t",
    "\n",
    "\nTag: ",
    "\0",
    ".a" * 9,
)
JSON = ("{", "}", "[", "]", ",", ":", '"', '"a"', "null", "true", "-1", "1e999", "NaN", "\\", "../")
VALUES = (
    None,
    True,
    -1,
    2**70,
    1e300,
    "",
    "a",
    "../a",
    "/a",
    "a" * 9999,
    [],
    {},
    [[]],
    ["name"] * 3,
)
COUNTS = (3, 40, 500, 20_000)


def words(rng: random.Random, known: tuple[str, ...]) -> str:
    return "".join(rng.choices(known, k=rng.randint(1, 15)))


def metadata(wheel: Wheel, rng: random.Random) -> None:
    text = "Metadata-Version: 2.4\nName: demo\nVersion: 1.0\n"
    text += f"Requires-Dist: wasmtime{words(rng, REQUIREMENT)}\n"
    wheel.members[f"{wheel.info}/METADATA"] = text.encode()


def tags(wheel: Wheel, rng: random.Random) -> None:
    wheel.members[f"{wheel.info}/WHEEL"] = f"Tag: {words(rng, TAG)}".encode()


def record(wheel: Wheel, rng: random.Random) -> None:
    cells = ("", "a", "sha256=", "sha512=a", "md5=a", "-1", "\0", ARTIFACT, "../a", "\n", '"')
    rows = [rng.choices(cells, k=rng.randint(1, 5)) for _ in range(rng.choice(COUNTS))]
    wheel.record = lambda old: old.extend(rows)


def manifest_text(wheel: Wheel, rng: random.Random) -> None:
    text = wheel.members[MANIFEST].decode()
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(text))
        text = text[:start] + rng.choice(JSON) + text[start + rng.randint(0, 20) :]
    wheel.members[MANIFEST] = text.encode()


def manifest_values(wheel: Wheel, rng: random.Random) -> None:
    def change(manifest: dict) -> None:
        table = rng.choice((manifest, asset(manifest), artifact(manifest), manifest["profiles"]))
        table[rng.choice([*table, "strip", "compiler", "editable"])] = rng.choice(VALUES)

    wheel.manifest(change)


def counts(wheel: Wheel, rng: random.Random) -> None:
    """Multiply one part of the wheel."""
    count = rng.choice(COUNTS)

    def change(manifest: dict) -> None:
        about, made = asset(manifest), artifact(manifest)
        kind = rng.randrange(5)
        if kind == 0:
            about["artifacts"] *= count
        elif kind == 1:
            manifest["assets"] |= {f"{number}.wasm": about for number in range(count)}
        elif kind == 2:
            manifest["profiles"] |= {str(number): {} for number in range(count)}
            about["artifacts"] = [{**made, "profile": number} for number in range(count)]
        elif kind == 3:
            about["artifacts"] += [{**made, "file": str(number)} for number in range(count)]
        else:
            manifest["profiles"]["default"] = {str(number): number for number in range(count)}

    wheel.manifest(change)
    if rng.random() < 0.3:
        names = [f"demo{number}/{rng.choice(('a.py', '_wazcache.json', 'a.json', 'a.cwasm'))}"
                 for number in range(min(count, 3000))]  # fmt: skip
        wheel.members |= dict.fromkeys(names, wheel.members[MANIFEST][:4000])


def sbom(wheel: Wheel, rng: random.Random) -> None:
    """Change values of the SBOM, and often give it the serial number of the new content."""
    document = json.loads(wheel.members[SBOM])
    for _ in range(rng.randint(1, 3)):
        tables = [document, document["metadata"], *document["components"]]
        table = rng.choice([one for one in tables if isinstance(one, dict)])
        key = rng.choice([*table, "pedigree", "properties", "hashes"])
        table[key] = rng.choice((*VALUES, [{}] * rng.choice(COUNTS), "\ud800\x1b" * 9))
        if not isinstance(document.get("components"), list):
            break
        if not isinstance(document.get("metadata"), dict):
            break
    if rng.random() < 0.8:
        document["serialNumber"] = serial_number(document)
    wheel.members[SBOM] = json.dumps(document).encode()


def wasm_bytes(wheel: Wheel, rng: random.Random) -> None:
    """Put sections into the `.wasm` that name tools, or look so."""
    for _ in range(rng.choice((1, 3, 1000))):
        content = producers(language=[("C" * rng.choice((0, 9, 300)), "1")] * rng.randint(0, 9))
        data = bytearray(content)
        for _change in range(rng.randint(0, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        wheel.members["demo/a.wasm"] += bytes(data)
    wheel.claim("demo/a.wasm")


def artifact_bytes(wheel: Wheel, rng: random.Random) -> None:
    """Change the parts that the audit reads: the file's header, a section's, the engine."""
    data = bytearray(wheel.members[ARTIFACT])
    at = sections(wheel.members[ARTIFACT])
    engine = SECTION.unpack_from(data, at[".wasmtime.engine"])
    places = [*range(64), *range(at[".wasmtime.engine"], at[".wasmtime.engine"] + 64)]
    places += [*range(engine[4], engine[4] + engine[5])] * 2
    for place in rng.choices(places, k=rng.randint(1, 4)):
        data[place] = rng.randrange(256)
    wheel.members[ARTIFACT] = bytes(data)
    wheel.claim(ARTIFACT)


CHANGES: tuple[Callable[[Wheel, random.Random], None], ...] = (
    metadata,
    tags,
    record,
    manifest_text,
    manifest_values,
    counts,
    artifact_bytes,
    sbom,
    wasm_bytes,
)


def change_archive(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    directory = data.rindex(b"PK\1\2")
    for _ in range(rng.randint(1, 5)):
        near = rng.random() < 0.7
        data[rng.randrange(directory if near else 0, len(data))] = rng.randrange(256)
    path.write_bytes(data)


def try_wheel(good: Path, folder: Path, seed: int) -> str:
    """Change, audit and describe a wheel.

    Returns:
        The kind of change.
    """
    rng = random.Random(seed)
    wheel = Wheel(good)
    change = rng.choice(CHANGES)
    change(wheel, rng)
    path = wheel.write(folder)
    if rng.random() < 0.2:
        change_archive(path, rng)
    start = time.process_time()
    try:
        with WheelReader(path) as opened:
            audit = audit_wheel(opened)
            for result in (*audit.findings, *audit.notes):
                assert result.text
                assert len(result.text) < 20_000
            json.dumps(inspect_wheel(opened, Here(None, None, "")), default=vars)
    except (BrokenWheelError, WazcacheError):
        pass
    seconds = time.process_time() - start
    assert seconds < SLOW, f"{seconds:.1f} s"
    return change.__name__


def names(wheel: Wheel, rng: random.Random) -> None:
    """Add members, or give a member another name."""
    parts = (
        "demo",
        "..",
        ".",
        "",
        "a",
        "C:",
        "demo-1.0.dist-info",
        "x-1.dist-info",
        "demo-1.0.data",
    )
    ends = ("a.wasm", "RECORD", "RECORD.jws", "WHEEL", "METADATA", "_wazcache.json", "_wazcache.py")
    ends += (
        f"a.{TARGET}.cwasm",
        "x.so",
        "a\nb.py",
        "a\\b.py",
        "\N{LATIN SMALL LETTER E WITH ACUTE}.py",
    )
    for _ in range(rng.randint(1, 3)):
        name = "/".join([*rng.choices(parts, k=rng.randint(1, 3)), rng.choice(ends)])
        old = rng.choice(list(wheel.members))
        data = wheel.members[old]
        if rng.random() < 0.5 and old != f"{wheel.info}/RECORD":
            del wheel.members[old]
        wheel.members.setdefault(name, data)


def wasm(wheel: Wheel, rng: random.Random) -> None:
    """Change the asset; often to something that a compiler is not even asked about."""
    data = bytearray(wheel.members["demo/a.wasm"])
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(rng.choice((8, 40, len(data))))] = rng.randrange(256)
    wheel.members["demo/a.wasm"] = rng.choice((bytes(data), b"", bytes(data[: len(data) // 2])))


def try_compiling(wheels: list[Path], folder: Path, seed: int) -> str:
    """Change a wheel with or without artifacts, and compile it.

    Returns:
        The kind of change.
    """
    rng = random.Random(seed)
    wheel = Wheel(rng.choice(wheels))
    changes = [metadata, tags, record, names, wasm]
    if MANIFEST in wheel.members:
        changes += [binding, manifest_text, manifest_values, counts]
    change = rng.choice(changes)
    change(wheel, rng)
    path = wheel.write(folder)
    if rng.random() < 0.2:
        change_archive(path, rng)
    before, here, made, message = path.read_bytes(), folder / "made", [], ""
    report = Report(lambda _: None, lambda _: None)
    start = time.process_time()
    try:
        with FinishedWheel(path) as opened:
            options = {"targets": "native", "cache-dir": str(wheels[0].parent / "cache")}
            config = read_config({**options_of(opened), **options}, "option", {}, folder)
            made = compile_wheels([opened], lambda _: config, here, report)
    except WazcacheError as error:
        message = str(error)
    assert made or 0 < len(message) < 20_000
    seconds = time.process_time() - start
    assert seconds < SLOW, f"{seconds:.1f} s"
    assert path.read_bytes() == before
    assert sorted(here.glob("*")) == sorted(made)
    for one in made:
        with WheelReader(one) as opened:
            found = audit_wheel(opened).findings
        # The requirements on wasmtime are as its author has written them.
        assert {finding.member for finding in found} <= {f"{wheel.info}/METADATA"}, found
        one.unlink()
    assert not list(Path(tempfile.gettempdir()).iterdir())
    if here.exists():
        here.rmdir()
    return f"{'compiled' if made else 'refused'} after {change.__name__}"


def binding(wheel: Wheel, rng: random.Random) -> None:
    """Change what binds a package and its companion: METADATA, or a value of the manifest."""
    name = MANIFEST if MANIFEST in wheel.members else f"demo_wasmtime/{MANIFEST}"
    if rng.random() < 0.3:
        lines = wheel.members[f"{wheel.info}/METADATA"].decode().split("\n")
        lines[rng.randrange(len(lines))] += words(rng, REQUIREMENT)
        wheel.members[f"{wheel.info}/METADATA"] = "\n".join(lines).encode()
        return

    def change(manifest: dict) -> None:
        about, tables = asset(manifest), [manifest, asset(manifest), manifest["profiles"]]
        tables += about["artifacts"]
        tables += [manifest[field] for field in ("companion", "package") if field in manifest]
        leaves = [value for table in tables for value in table.values() if isinstance(value, str)]
        for table in rng.choices(tables, k=rng.randint(1, 3)):
            fields = [*table, "companion", "package", "strip", "compiler", "profiles"]
            table[rng.choice(fields)] = rng.choice([*VALUES, *leaves])

    wheel.manifest(change, name)


def try_companion(dist: Path, folder: Path, seed: int) -> str:
    """Change a package or its companion, and compare the two.

    Returns:
        The kind of change.
    """
    rng = random.Random(seed)
    paths = sorted(path for path in dist.iterdir() if "-0-" not in path.name)
    changed = rng.randrange(2)
    wheel = Wheel(paths[changed])
    binding(wheel, rng)
    paths[changed] = wheel.write(folder)
    start = time.process_time()
    audits = []
    for path in paths:
        with WheelReader(path) as opened:
            audits.append((str(path), audit_wheel(opened)))
            json.dumps(inspect_wheel(opened, Here(None, None, "")), default=vars)
    for _, result in compare_companions(audits):
        assert result.text
        assert len(result.text) < 20_000
    seconds = time.process_time() - start
    assert seconds < SLOW, f"{seconds:.1f} s"
    return try_companion.__name__


class _Planned:
    """Entries that stop before the first compilation."""

    def make(self, jobs: list) -> None:
        raise WazcacheError(f"{len(jobs)} artifacts are planned")


def try_making(dist: Path, folder: Path, seed: int) -> str:
    """Change a package, and plan its companions.

    Returns:
        The kind of change.
    """
    rng = random.Random(seed)
    (path,) = dist.glob("demo-*.whl")
    wheel = Wheel(path)
    binding(wheel, rng)
    path = wheel.write(folder)
    if rng.random() < 0.2:
        change_archive(path, rng)
    engines, targets = [installed_wasmtime().engine()], [native_target()]
    report = Report(lambda _: None, lambda _: None)
    message = ""
    start = time.process_time()
    try:
        with FinishedWheel(path) as opened:
            make_companions(opened, engines, targets, folder / "made", _Planned(), report)
    except WazcacheError as error:
        message = str(error)
    assert 0 < len(message) < 20_000
    assert not (folder / "made").exists()
    seconds = time.process_time() - start
    assert seconds < SLOW, f"{seconds:.1f} s"
    return try_making.__name__


def companions(folder: Path) -> Path:
    """Make a package and its companion; return their folder."""
    project = Project(folder / "project", folder / "cache")
    text = PYPROJECT.replace("wasmtime>=48,<49", 'wasmtime>=44", "demo-wasmtime')
    project.write("pyproject.toml", f'{text}\ncompanion = "demo-wasmtime"\nengines = ["48"]\n')
    project.write("demo/__init__.py")
    project.wasm("demo/a.wasm")
    done = project.hatchling("-t", "wazcache")
    assert done.status == 0, done.output
    return project.root / "dist"


def good_wheel(folder: Path) -> Path:
    project = Project(folder / "project", folder / "cache")
    project.write("pyproject.toml", f"{PYPROJECT}sbom = true\n")
    project.write("demo/__init__.py")
    project.wasm("demo/a.wasm")
    return project.build().wheel


def stock_wheel(folder: Path) -> Path:
    """Make a wheel without artifacts."""
    project = Project(folder / "project", folder / "cache")
    project.write("pyproject.toml", PYPROJECT.partition("[tool.hatch")[0])
    project.write("demo/__init__.py")
    project.wasm("demo/a.wasm")
    return project.build().wheel


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    seed, end = options.seed, time.monotonic() + options.seconds
    tried: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        tempfile.tempdir = str(Path(name) / "temporary")
        Path(tempfile.tempdir).mkdir()
        good, dist = good_wheel(Path(name) / "good"), companions(Path(name) / "companions")
        wheels = [good, stock_wheel(Path(name) / "stock")]
        while time.monotonic() < end:
            try:
                changed = Path(name) / "changed"
                if seed % 2:
                    tried[try_compiling(wheels, changed, seed)] += 1
                elif seed % 8 in (2, 6):
                    tried[try_wheel(good, changed, seed)] += 1
                elif seed % 8:
                    tried[try_companion(dist, changed, seed)] += 1
                else:
                    tried[try_making(dist, changed, seed)] += 1
            except Exception:  # noqa: BLE001
                traceback.print_exc(file=sys.stdout)
                print(f"FAILED with --seed {seed}")
                return 1
            seed += 1
    print(f"{tried.total()} wheels: {dict(tried)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
