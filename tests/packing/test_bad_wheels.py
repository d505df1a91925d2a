"""Bad wheels, given to `hatch-wazcache compile`: each has a message, and nothing is written."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hatch_wazcache.cli import main
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.compile_wheels import compile_wheels
from hatch_wazcache.packing.from_wheel import FinishedWheel
from hatch_wazcache.project.options import read_config
from hatch_wazcache.report import Report
from tests.support.audits import ARTIFACT, MANIFEST, artifact, asset, findings
from tests.support.disks import mounted
from tests.support.doctored import Wheel
from tests.support.marks import as_ordinary_user, as_root
from tests.support.projects import PYPROJECT, Project
from tests.support.wasm import ANSWER, tiny
from tests.support.wheels import unpack, wheel_contents

INFO = "demo-1.0.dist-info"
ANY = "demo-1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose wheel was built without a hook, and compiled once."""
    project = Project(tmp_path_factory.mktemp("bad") / "project", tmp_path_factory.mktemp("cache"))
    project.write("pyproject.toml", PYPROJECT.partition("[tool.hatch")[0])
    project.write("demo/__init__.py", "data = 1\n" * 99)
    project.write("demo/a.wasm", ANSWER)
    assert project.hatchling("-t", "wheel").status == 0
    project.environment["PATH"] = os.environ["PATH"]
    words = ["compile", f"dist/{ANY}", "--targets", "native", "-w", "compiled"]
    assert project.run("hatch_wazcache", *words).status == 0
    return project


@pytest.fixture
def stock(built: Project) -> Path:
    return built.root / "dist" / ANY


@pytest.fixture
def ours(built: Project) -> Path:
    """The compiled wheel."""
    return next((built.root / "compiled").iterdir())


class Refuses:
    """Runs the command in this process, and checks that it only says why it does nothing."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.folder = root / "wheelhouse"
        self.temporary = root / "temporary"
        self.capsys = capsys

    def __call__(self, *wheels: str | Path, more: tuple[str, ...] = ()) -> list[str]:
        before = tree(self.root)
        where = more or ("-w", str(self.folder))
        status = main(["compile", *map(str, wheels), *where, "--targets", "native"])
        out, errors = self.capsys.readouterr()
        assert (status, out) == (1, ""), errors
        assert tree(self.root) == before
        lines = [line for line in errors.splitlines() if line.startswith("hatch-wazcache: ")]
        assert lines == errors.splitlines()  # nothing was compiled: there is no progress
        assert all(line.isprintable() for line in lines)
        return [line.removeprefix("hatch-wazcache: ") for line in lines]

    def one(self, wheel: Path) -> str:
        (line,) = self(wheel)
        assert line.startswith(f"{wheel}: ")
        return line.removeprefix(f"{wheel}: ")


@pytest.fixture
def refuses(
    built: Project,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Refuses:
    monkeypatch.setenv("WAZCACHE_DIR", str(built.cache))
    monkeypatch.chdir(tmp_path)
    made = Refuses(tmp_path, capsys)
    made.temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made.temporary))
    return made


def tree(folder: Path) -> dict[str, object]:
    """Return all files and folders, with what would change if they were written."""
    return {
        str(path.relative_to(folder)): (
            (status := path.lstat()).st_mode,
            status.st_ino,
            status.st_mtime_ns if not path.is_dir() else None,
            status.st_size if not path.is_dir() else None,
        )
        for path in folder.rglob("*")
    }


# all that an audit refuses


def edit(path: str, data: bytes | None) -> Callable[[Wheel], object]:
    def change(wheel: Wheel) -> None:
        if data is None:
            del wheel.members[path]
        else:
            wheel.members[path] = data

    return change


def row(number: int, *cells: str) -> Callable[[Wheel], object]:
    return lambda wheel: setattr(
        wheel, "record", lambda rows: rows.__setitem__(number, [*rows[number][:1], *cells])
    )


def rows(change: Callable[[list[list[str]]], object]) -> Callable[[Wheel], object]:
    return lambda wheel: setattr(wheel, "record", change)


def named(name: str) -> Callable[[Wheel], object]:
    return lambda wheel: setattr(wheel, "name", name)


CHANGES = {
    "no WHEEL": edit(f"{INFO}/WHEEL", None),
    "no METADATA": edit(f"{INFO}/METADATA", None),
    "no RECORD": edit(f"{INFO}/RECORD", None),
    "nonsense tag": edit(f"{INFO}/WHEEL", b"Tag: nonsense\n"),
    "empty part of a tag": edit(f"{INFO}/WHEEL", b"Tag: py3-none-any.\n"),
    "another tag": edit(f"{INFO}/WHEEL", b"Tag: py3-none-win32\n"),
    "very many tags": edit(f"{INFO}/WHEEL", b"Tag: " + b"a." * 2000 + b"a-none-any\n"),
    "another platform in the name": named("demo-1.0-py3-none-win_amd64.whl"),
    "no version in the name": named("demo.whl"),
    "a version that is none": named("demo-x-py3-none-any.whl"),
    "two .dist-info folders": edit("other-1.0.dist-info/METADATA", b"Name: other\nVersion: 1.0\n"),
    "a digest that is wrong": row(0, "sha256=AAAA", "1"),
    "a digest that is none": row(0, "", ""),
    "a weak digest": row(0, "md5=x", ""),
    "a size that is wrong": rows(lambda all_: all_[0].__setitem__(2, "7")),
    "a row too few": rows(lambda all_: all_.pop(0)),
    "a row too many": rows(lambda all_: all_.append(["demo/gone.py", "sha256=x", "1"])),
    "a row twice": rows(lambda all_: all_.append(all_[0])),
    "a requirement that is none": edit(
        f"{INFO}/METADATA", b"Name: demo\nVersion: 1.0\nRequires-Dist: wasmtime>>48\n"
    ),
    "a marker that cannot be evaluated": edit(
        f"{INFO}/METADATA",
        b"Name: demo\nVersion: 1.0\nRequires-Dist: wasmtime; os_name ~= '1'\n",
    ),
    "a file named like an artifact": edit("demo/data.x86_64-linux.cwasm", b"data"),
}


def told_by_the_audit(path: Path) -> set[str]:
    """Return the findings about a wheel, without those that any wheel without artifacts has."""
    return {
        f"{member}: {text}" if member else text
        for member, text in findings(path)
        if "has no manifest of hatch-wazcache" not in text
    }


@pytest.mark.parametrize("change", CHANGES)
def test_a_wheel_that_an_audit_refuses_is_refused(stock: Path, refuses: Refuses, change: str):
    wheel = Wheel(stock)
    CHANGES[change](wheel)
    path = wheel.write(refuses.root)
    assert all(line.startswith(f"{path}: ") for line in refuses(path))


SAME_WORDS = sorted(set(CHANGES) - {
    # There the METADATA is read first, or what hatch-wazcache could do about it is said.
    "no METADATA", "two .dist-info folders", "a requirement that is none",
    "a marker that cannot be evaluated", "a file named like an artifact",
})  # fmt: skip


@pytest.mark.parametrize("change", SAME_WORDS)
def test_the_reason_is_the_one_that_the_audit_gives(stock: Path, refuses: Refuses, change: str):
    wheel = Wheel(stock)
    CHANGES[change](wheel)
    path = wheel.write(refuses.root)
    lines = {line.removeprefix(f"{path}: ") for line in refuses(path)}
    assert lines
    assert lines <= told_by_the_audit(path)


@pytest.mark.parametrize("end", [0, 1, 30, 1000, -22, -1])
def test_a_wheel_that_is_not_there_completely_is_refused(stock: Path, refuses: Refuses, end: int):
    """Another program may still be writing it."""
    (refuses.root / ANY).write_bytes(stock.read_bytes()[:end])
    reason = refuses.one(refuses.root / ANY)
    assert reason.startswith("is not a zip file, or is cut short or damaged")


@pytest.mark.parametrize("data", [b"text", b"\x7fELF" + b"\0" * 100, ANSWER, b"\x1f\x8b\x08"])
def test_a_file_of_another_format_is_refused(refuses: Refuses, data: bytes):
    (refuses.root / ANY).write_bytes(data)
    assert refuses.one(refuses.root / ANY).startswith("is not a zip file")


@pytest.mark.parametrize(
    "name",
    [
        *("/etc/x.py", "../x.py", "demo/../../x.py", "C:/x.py", "demo\\x.py"),
        *("demo/x\n.py", "a\0b.py", "demo/\x1b[2J.py"),
        *("demo//x.py", "demo/./x.py", "./x.py", "demo/."),
    ],
)
def test_a_hostile_name_is_refused_in_one_line_that_is_safe_to_show(
    stock: Path, refuses: Refuses, name: str
):
    path = Path(shutil.copy(stock, refuses.root))
    placeholder = "x" * len(name.encode())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(placeholder), "")
    path.write_bytes(path.read_bytes().replace(placeholder.encode(), name.encode()))
    reason = refuses.one(path)
    assert "leads out of the folder" in reason or "read its name differently" in reason


def test_a_member_that_is_there_twice_is_refused(stock: Path, refuses: Refuses):
    path = Path(shutil.copy(stock, refuses.root))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("demo/a.wasm", tiny("other"))
    assert refuses.one(path).startswith("demo/a.wasm: is in the archive twice")


@pytest.mark.parametrize(
    ("at", "value"),
    [(6, b"\1"), (8, b"\0"), (14, b"\0\0\0\0"), (18, b"\1"), (22, b"\1")],
    ids=["encrypted", "stored", "crc", "compressed size", "size"],
)
def test_a_member_with_two_descriptions_is_refused(
    stock: Path, refuses: Refuses, at: int, value: bytes
):
    data = bytearray(stock.read_bytes())
    start = zipfile.ZipFile(stock).getinfo("demo/__init__.py").header_offset
    data[start + at : start + at + len(value)] = value
    path = refuses.root / ANY
    path.write_bytes(data)
    expected = "demo/__init__.py: its own header differs from the archive's directory"
    assert refuses.one(path) == expected


def test_an_encrypted_member_is_refused(stock: Path, refuses: Refuses):
    data = bytearray(stock.read_bytes())
    with zipfile.ZipFile(stock) as archive:
        at = data.rindex(b"PK\1\2", 0, data.rindex(b"demo/a.wasm"))
        start = archive.getinfo("demo/a.wasm").header_offset
    data[at + 8] |= 1
    data[start + 6] |= 1
    path = refuses.root / ANY
    path.write_bytes(data)
    assert refuses.one(path) == "demo/a.wasm: is encrypted"


def claim(data: bytearray, name: str, size: int) -> None:
    """Claim another size in the archive's directory."""
    struct.pack_into("<I", data, data.rindex(name.encode()) - 46 + 24, size)


def test_a_zip_bomb_is_refused_before_it_is_inflated(stock: Path, refuses: Refuses):
    data = bytearray(stock.read_bytes())
    claim(data, "demo/__init__.py", 0xFFFFFFF0)
    (refuses.root / ANY).write_bytes(data)
    reason = refuses.one(refuses.root / ANY)
    assert reason.startswith("is a zip bomb: ")
    assert reason.endswith(" and 4.3 GB unpacked")


def test_members_that_share_their_bytes_are_refused(stock: Path, refuses: Refuses):
    data = bytearray(stock.read_bytes())
    first = data.index(b"PK\1\2", zipfile.ZipFile(stock).start_dir)
    second = data.index(b"PK\1\2", first + 4)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    (refuses.root / ANY).write_bytes(data)
    assert "share their bytes" in refuses.one(refuses.root / ANY)


def test_a_wasm_of_empty_sections_is_refused_in_a_moment(stock: Path, refuses: Refuses):
    """They are 32 million. Without a bound, this takes a minute."""
    wheel = Wheel(stock)
    wheel.members["demo/a.wasm"] = b"\0asm\1\0\0\0" + bytes(64 << 20)
    wheel.members["demo/padding"] = os.urandom(1 << 20)  # so that it is no zip bomb
    reason = refuses.one(wheel.write(refuses.root))
    assert reason == "demo/a.wasm: truncated or damaged: it has more than 100000 sections"


# compiled wheels


MANIFESTS = {
    "no JSON": edit(MANIFEST, b"{"),
    "deep": edit(MANIFEST, b"[" * 100_000),
    "another schema": edit(MANIFEST, b'{"schema": 1}'),
    "a path": lambda wheel: wheel.manifest(lambda m: artifact(m).update(file="../x")),
    "a setting": lambda wheel: wheel.manifest(lambda m: m.update(profiles={"default": {"no": 1}})),
    "an editable install": lambda wheel: wheel.manifest(lambda m: m.update(editable={})),
    "a wasm elsewhere": lambda wheel: wheel.manifest(lambda m: asset(m).update(wasm="/etc/x")),
}


@pytest.mark.parametrize("change", MANIFESTS)
def test_a_manifest_that_an_audit_refuses_is_refused(ours: Path, refuses: Refuses, change: str):
    wheel = Wheel(ours)
    MANIFESTS[change](wheel)
    path = wheel.write(refuses.root)
    lines = {line.removeprefix(f"{path}: ") for line in refuses(path)}
    assert lines <= told_by_the_audit(path)
    assert all(line.startswith(f"{MANIFEST}: ") for line in lines)


DAMAGE = {
    "artifact": edit(ARTIFACT, b"\x7fELF damaged"),
    "no artifact": edit(ARTIFACT, None),
    "digest": lambda wheel: wheel.manifest(lambda m: artifact(m).update(sha256="0" * 64)),
    "engine": lambda wheel: wheel.manifest(lambda m: artifact(m).update(wasmtime="47.0.1")),
    "another .wasm": edit("demo/a.wasm", tiny("new")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files_of_an_earlier_build_are_made_anew(ours: Path, refuses: Refuses, damage: str):
    wheel = Wheel(ours)
    DAMAGE[damage](wheel)
    path = wheel.write(refuses.root)
    assert main(["compile", str(path), "-w", str(refuses.folder), "--targets", "native"]) == 0
    made = Path(refuses.capsys.readouterr().out.strip())
    assert findings(made) == []
    if damage != "another .wasm":
        assert wheel_contents(made) == wheel_contents(ours)


# no wheels


def test_an_sdist_and_a_folder_are_refused(built: Project, refuses: Refuses):
    sdist = Path(shutil.copy(built.sdist(), refuses.root))
    assert refuses.one(sdist) == "is not a wheel; if it is an sdist, build its wheel first"
    folder = unpack(built.root / "dist" / ANY, refuses.root / "unpacked.whl")
    assert refuses.one(folder) == "is a directory, not a wheel"


def test_files_that_are_no_files_are_refused(refuses: Refuses):
    (refuses.root / "link.whl").symlink_to("nothing.whl")
    os.mkfifo(refuses.root / "pipe.whl")
    reasons = {
        "link.whl": "is a symlink whose target does not exist",
        "pipe.whl": "is not a regular file",
        "/dev/null": "is not a regular file",
        "missing.whl": "No such file or directory",
        "": "is a directory, not a wheel",
    }
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("socket.whl")
        lines = refuses(*reasons, "socket.whl")
    reasons["socket.whl"] = "is not a regular file"
    assert lines == [f"{name or '.'}: {reason}" for name, reason in reasons.items()]


@as_ordinary_user
def test_a_wheel_that_may_not_be_read_is_refused(stock: Path, refuses: Refuses):
    path = Path(shutil.copy(stock, refuses.root))
    path.chmod(0)
    assert refuses.one(path) == "cannot be read: Permission denied"


def test_one_bad_wheel_among_good_ones_leaves_nothing(stock: Path, refuses: Refuses):
    good = Path(shutil.copy(stock, refuses.root))
    wheel = Wheel(stock)
    CHANGES["a digest that is wrong"](wheel)
    bad = wheel.write(refuses.root / "bad")
    assert all(line.startswith(f"{bad}: ") for line in refuses(good, bad))
    assert all(line.startswith(f"{bad}: ") for line in refuses(bad, good, more=("--in-place",)))


# a wheel that somebody writes meanwhile


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def overwrite(path: Path) -> None:
    """Write other bytes of the same length."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(os.urandom(size))


def damage_directory(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(data.index(b"PK\1\2"), len(data), 7):
        data[at] ^= 0xFF
    path.write_bytes(data)


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(os.urandom(1000))
    other.replace(path)


@pytest.mark.parametrize(
    "write", [truncate, empty, overwrite, damage_directory, replace, Path.unlink]
)
@pytest.mark.parametrize(
    ("line", "in_place"),
    [("compiling for", False), ("compiled for", False), ("found in the cache", True)],
)
def test_a_wheel_that_is_written_meanwhile_is_an_error(
    stock: Path, built: Project, tmp_path: Path, write, line: str, in_place: bool
):
    path = Path(shutil.copy(stock, tmp_path))
    folder, cache = tmp_path / "wheelhouse", tmp_path / "cache"
    if line == "found in the cache":
        shutil.copytree(built.cache, cache)
    written = []

    def say(text: str) -> None:
        if line in text and not written:
            written.append(text)
            write(path)

    table = {"assets": ["demo/*.wasm"], "cache-dir": str(cache), "targets": ["native", "any"]}
    config = read_config(table, "option", {}, tmp_path)
    with FinishedWheel(path) as wheel, pytest.raises(WazcacheError) as caught:
        compile_wheels([wheel], lambda _: config, None if in_place else folder, Report(say, say))
    assert written, caught.value
    assert str(path) in str(caught.value)
    assert not folder.exists()
    left = {one.name for one in tmp_path.iterdir()} - {"cache"}
    assert left == ({ANY} if path.exists() else set())


# disks


@as_root
@pytest.mark.parametrize("in_place", [False, True])
def test_a_disk_that_is_full_after_any_number_of_writes_has_no_half_wheel(
    ours: Path, stock: Path, refuses: Refuses, in_place: bool
):
    """The same for the folder of the new wheels, and for the wheel that is replaced."""
    words = ["compile", "--targets", "native"]
    full = 0
    for size in range(8, 60, 4):
        with mounted(refuses.root / "disk", f"size={size}k"):
            path = refuses.root / ANY
            shutil.copy(stock, path)
            if in_place:
                path = Path(shutil.copy(stock, refuses.root / "disk"))
            folder = refuses.root / "disk"
            where = ["--in-place"] if in_place else ["-w", str(folder)]
            status = main([*words, str(path), *where])
            _out, errors = refuses.capsys.readouterr()
            names = [one.name for one in folder.iterdir()]
            if status == 0:
                assert names == [ours.name]
                assert (folder / ours.name).read_bytes() == ours.read_bytes()
                continue
            full += 1
            assert "No space left on device" in errors
            assert errors.count("hatch-wazcache: ") == 1
            assert names == ([ANY] if in_place else [])
            assert path.read_bytes() == stock.read_bytes()
    assert full > 1
    assert status == 0, "the largest is still too small"


@as_root
def test_a_full_folder_for_temporary_files_is_named(stock: Path, refuses: Refuses):
    wheel = Wheel(stock)
    wheel.members["demo/a.wasm"] = tiny("x") + b"\0\xff\xff\3\1x" + os.urandom(65533)
    path = wheel.write(refuses.root)
    with mounted(refuses.temporary, "size=16k"):
        (line,) = refuses(path)
    assert "No space left on device; see TMPDIR" in line


@as_ordinary_user
def test_a_folder_that_may_not_be_written_is_named(stock: Path, refuses: Refuses):
    path = Path(shutil.copy(stock, refuses.root))
    refuses.folder.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    (line,) = refuses(path)
    assert line.endswith(f"{refuses.folder}: cannot be written: Permission denied")


def test_a_file_in_the_place_of_the_folder_is_named(stock: Path, refuses: Refuses):
    path = Path(shutil.copy(stock, refuses.root))
    refuses.folder.write_text("")
    (line,) = refuses(path)
    assert f"{refuses.folder}: cannot be written: " in line
