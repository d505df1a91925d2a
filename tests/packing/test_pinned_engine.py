"""A requirement on one exact wasmtime: the cache keeps it, and builds need not install it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

from hatch_wazcache.cache.fetched_wheel import LOCK, system_name
from hatch_wazcache.cache.fetching import find_fetched, verify_fetched
from hatch_wazcache.cache.keep_installed import keep_installed
from hatch_wazcache.cache.location import mark_as_cache
from hatch_wazcache.cache.lock import lock_file
from hatch_wazcache.cache.trust import Trust
from hatch_wazcache.project.engine_requirement import EngineRequirement
from hatch_wazcache.project.installed_requirements import parse
from hatch_wazcache.project.options import read_config
from hatch_wazcache.util.digests import record_digest
from tests.support.environments import environment_with
from tests.support.fetching import LIBRARY
from tests.support.projects import Built, Project

ENGINE = "48.0.0"
PIN = f"wasmtime=={ENGINE}"
KEPT = f"wasmtime-{ENGINE}-{system_name()}"
UNINSTALLED = "wasmtime is not installed in this environment"


def pinned(*lines: str, **options: object) -> str | None:
    config = read_config({"assets": ["*.wasm"], **options}, "tool.wazcache", {}, Path("/p"))
    requirement = EngineRequirement.of(lines, {}, config.engine)
    return requirement.pinned(config)


@pytest.mark.parametrize(
    ("lines", "options"),
    [
        ([PIN], {}),
        (["Wasmtime == 48.0.0", "numpy"], {}),
        (["wasmtime>=48,<49", "wasmtime==48.0.0; python_version >= '3.9'"], {}),
        (["wasmtime>=48,<49"], {"engine": PIN}),
        (["wasmtime==48.*,==48.0.0"], {}),
        (["wasmtime==48.0.0", "wasmtime==47.0.0; python_version < '3'"], {}),
        ([], {"engine": PIN}),
    ],
)
def test_one_exact_version_leaves_an_installer_no_choice(lines: list[str], options: dict):
    assert pinned(*lines, **options) == PIN


@pytest.mark.parametrize(
    ("lines", "options"),
    [
        ([], {}),
        (["wasmtime"], {}),
        (["wasmtime>=48,<49"], {}),
        (["wasmtime~=48.0.0"], {}),
        (["wasmtime==48.*"], {}),
        (["wasmtime==48.0.0; python_version < '3'"], {}),
        (["wasmtime==48.0.0", "wasmtime!=48.0.0"], {}),
        (["wasmtime==48.0.0", "wasmtime==47.0.0"], {}),
        (["wasmtime @ https://example.org/wasmtime-48.0.0-py3-none-any.whl"], {}),
        ([PIN], {"engines": ["wasmtime>=47,<48", "wasmtime>=48,<49"]}),
        ([PIN], {"runtime": "demo-runtime"}),
    ],
)
def test_an_installer_that_may_choose_decides_the_engine(lines: list[str], options: dict):
    assert pinned(*lines, **options) is None


@pytest.fixture
def kept(project: Project) -> Project:
    """A project with a pin, after a build that had the wasmtime installed."""
    project.requires(PIN)
    built = project.build()
    assert built.status == 0, built.output
    return project


def without_wasmtime(project: Project, **env: str) -> Built:
    """Build in an environment that has no wasmtime, and where nothing can fetch one."""
    project.python = environment_with("")
    shutil.rmtree(project.root / "dist")
    return project.build(**{"UV": "", "PATH": "/usr/bin:/bin", **env})


def asked(project: Project) -> list[str]:
    """Return the requirements of a build environment without wasmtime."""
    project.python = environment_with("")
    code = "import json, hatchling.build as b; print(json.dumps(b.get_requires_for_build_wheel()))"
    done = project.run_python("-c", code)
    assert done.status == 0, done.output
    return json.loads(done.output)


def test_a_build_keeps_the_installed_wasmtime_whole(kept: Project):
    folder = kept.cache / "engines" / KEPT
    assert verify_fetched(folder, Trust(kept.cache)) is None
    assert not list(folder.rglob("*.pyc"))


def test_no_wasmtime_is_kept_if_several_fit(project: Project):
    assert project.build().status == 0
    assert not (project.cache / "engines" / KEPT).exists()


def test_a_build_environment_does_not_get_a_kept_wasmtime(kept: Project):
    assert asked(kept) == []
    kept.requires("wasmtime>=48,<49")
    assert asked(kept) == ["wasmtime<49,>=48"]
    kept.requires("wasmtime==47.0.1")
    assert asked(kept) == ["wasmtime==47.0.1"]


def test_a_build_environment_gets_a_kept_wasmtime_that_is_gone(kept: Project):
    shutil.rmtree(kept.cache / "engines" / KEPT)
    assert asked(kept) == [PIN]


def test_a_build_environment_gets_a_kept_wasmtime_that_lacks_a_file(kept: Project):
    (kept.cache / "engines" / KEPT / LIBRARY).unlink()
    assert asked(kept) == [PIN]


def test_a_build_environment_gets_the_wasmtime_that_a_cache_for_everybody_keeps(kept: Project):
    kept.cache.chmod(0o777)
    assert asked(kept) == [PIN]


def test_warm_and_cold_builds_are_the_same_with_and_without_an_installed_wasmtime(kept: Project):
    (installed,) = (kept.root / "dist").glob("*.whl")
    data = installed.read_bytes()
    warm = without_wasmtime(kept)
    assert "0 compiled, 1 found" in warm.output
    assert warm.wheel is not None
    assert warm.wheel.read_bytes() == data
    for entry in kept.cache.glob("wasmtime-*/*.zip"):
        entry.unlink()
    cold = without_wasmtime(kept)
    assert "1 compiled, 0 found" in cold.output
    assert cold.wheel is not None
    assert cold.wheel.read_bytes() == data


def test_another_installed_wasmtime_does_not_replace_the_kept_one(kept: Project):
    (installed,) = (kept.root / "dist").glob("*.whl")
    data = installed.read_bytes()
    kept.use("47.0.1")
    built = kept.build()
    assert built.wheel is not None, built.output
    assert built.wheel.read_bytes() == data


def test_a_kept_wasmtime_with_a_changed_file_compiles_nothing(kept: Project):
    library = kept.cache / "engines" / KEPT / LIBRARY
    data = bytearray(library.read_bytes())
    data[len(data) // 2] ^= 1
    library.write_bytes(data)
    for entry in kept.cache.glob("wasmtime-*/*.zip"):
        entry.unlink()
    built = without_wasmtime(kept)
    assert built.status != 0
    assert f"{PIN} is needed for " in built.output
    assert "Traceback" not in built.output
    assert asked(kept) == [PIN]


def test_nothing_is_promised_of_a_wasmtime_that_is_nowhere(kept: Project):
    shutil.rmtree(kept.cache)
    built = without_wasmtime(kept)
    assert built.status != 0
    assert UNINSTALLED in built.output


def test_the_builder_makes_the_wheels_of_all_targets_with_a_kept_wasmtime(kept: Project):
    kept.options('assets = ["demo/*.wasm"]\ntargets = ["any", "native"]')
    kept.write(
        "pyproject.toml",
        (kept.root / "pyproject.toml").read_text().replace("wasmtime>=48,<49", PIN),
    )
    kept.python = environment_with("")
    built = kept.hatchling("-t", "wazcache")
    assert built.status == 0, built.output
    assert "0 compiled, 1 found" in built.output


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An installed wasmtime that a test may change."""
    folder = environment_with(ENGINE).parent.parent
    (source,) = folder.glob("lib/python*/site-packages")
    site = tmp_path / "site"
    for name in ("wasmtime", f"wasmtime-{ENGINE}.dist-info"):
        shutil.copytree(source / name, site / name)
    return site


def keep(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path | None:
    """Keep the wasmtime of a folder in a new cache; nothing else is left there."""
    root = site.parent / "cache"
    root.mkdir(mode=0o700, exist_ok=True)
    mark_as_cache(root)
    monkeypatch.syspath_prepend(site)
    made = keep_installed(root / "engines", parse("wasmtime"), Trust(root))
    left = [path for path in root.glob("engines/*") if path.name != ".lock"]
    assert left == ([] if made is None else [made])
    return made


def test_a_kept_wasmtime_has_the_files_of_its_wheel_alone(site: Path, monkeypatch):
    bytecode = site / "wasmtime" / "__pycache__" / "_ffi.pyc"
    bytecode.parent.mkdir(exist_ok=True)
    bytecode.touch()
    record(site).write_text(record(site).read_text() + "wasmtime/__pycache__/_ffi.pyc,,\n")
    made = keep(site, monkeypatch)
    assert made is not None
    assert made.name == KEPT
    assert verify_fetched(made) is None
    assert not list(made.rglob("*.pyc"))


def record(site: Path) -> Path:
    return site / f"wasmtime-{ENGINE}.dist-info" / "RECORD"


def from_a_path(site: Path) -> None:
    record(site).with_name("direct_url.json").write_text("{}")


def changed(site: Path) -> None:
    (site / "wasmtime" / "_ffi.py").write_text("")


def removed(site: Path) -> None:
    (site / "wasmtime" / "_ffi.py").unlink()


def without_record(site: Path) -> None:
    record(site).unlink()


def outside(site: Path) -> None:
    (site.parent / "outside").write_text("")
    record(site).write_text(record(site).read_text() + "wasmtime/../../outside,,0\n")


def not_csv(site: Path) -> None:
    record(site).write_text('"' + "x" * 200_000)


def add_to_record(site: Path, row: bytes) -> None:
    with record(site).open("ab") as file:
        file.write(row + b"\n")


def with_a_name_that_no_file_has(site: Path) -> None:
    add_to_record(site, b"wasmtime/\0,sha256=,0")


def with_a_name_that_is_no_text(site: Path) -> None:
    add_to_record(site, b"wasmtime/\xff,sha256=,0")


def with_a_file_without_an_end(site: Path) -> None:
    file = site / "wasmtime" / "_ffi.py"
    file.unlink()
    file.symlink_to("/dev/zero")


def with_a_direct_url_that_is_no_text(site: Path) -> None:
    record(site).with_name("direct_url.json").write_bytes(b"\xff")


@pytest.mark.parametrize(
    "damage",
    [
        from_a_path,
        changed,
        removed,
        without_record,
        outside,
        not_csv,
        with_a_name_that_no_file_has,
        with_a_name_that_is_no_text,
        with_a_file_without_an_end,
        with_a_direct_url_that_is_no_text,
    ],
)
def test_a_wasmtime_that_is_not_as_an_index_gave_it_is_not_kept(damage, site: Path, monkeypatch):
    damage(site)
    assert keep(site, monkeypatch) is None


def test_a_wasmtime_whose_files_are_links_is_kept_as_files(site: Path, monkeypatch):
    """`UV_LINK_MODE=symlink` installs it so."""
    files = [path for path in (site / "wasmtime").rglob("*") if path.is_file()]
    for number, path in enumerate(files):
        path.symlink_to(path.rename(site.parent / str(number)))
    made = keep(site, monkeypatch)
    assert made is not None
    assert verify_fetched(made) is None


def test_a_wasmtime_with_a_local_version_is_not_the_exact_one(site: Path, monkeypatch):
    """`==48.0.0` admits `48.0.0+patched`, which compiles other code."""
    text, patched = record(site).read_text(), f"{ENGINE}+patched"
    info = record(site).parent.rename(site / f"wasmtime-{patched}.dist-info")
    metadata = (info / "METADATA").read_text("utf-8")
    metadata = metadata.replace(f"Version: {ENGINE}", f"Version: {patched}").encode()
    (info / "METADATA").write_bytes(metadata)
    digest = record_digest(hashlib.sha256(metadata).hexdigest())
    text = re.sub("(?m)^(.*/METADATA),.*$", rf"\1,{digest},{len(metadata)}", text)
    text = text.replace(f"wasmtime-{ENGINE}.dist-info", info.name)
    (info / "RECORD").write_text(text)
    kept = keep(site, monkeypatch)
    assert kept is not None  # for a requirement that names no version
    assert kept.name == KEPT.replace(ENGINE, patched)
    engines, trust = kept.parent, Trust(kept.parent.parent)
    assert find_fetched(engines, parse(PIN)) is None
    assert find_fetched(engines, parse(f"{PIN}+patched")) == kept
    assert find_fetched(engines, parse("wasmtime>=48,<49")) == kept
    assert keep_installed(engines, parse(PIN), trust) is None


def test_a_build_does_not_wait_for_another_one_to_keep_a_wasmtime(site: Path, monkeypatch):
    engines = site.parent / "cache" / "engines"
    engines.mkdir(parents=True, mode=0o700)
    with lock_file(engines / LOCK) as lock:
        assert lock >= 0
        assert keep(site, monkeypatch) is None
    assert keep_installed(engines, parse(PIN), Trust(engines.parent)) == engines / KEPT


def test_what_a_killed_build_has_copied_of_a_wasmtime_is_removed_by_the_next(
    site: Path, monkeypatch
):
    left = site.parent / "cache" / "engines" / ".fetching-0123456789abcdef" / "wasmtime"
    left.mkdir(parents=True, mode=0o700)
    assert keep(site, monkeypatch) is not None
    assert not left.parent.exists()


@pytest.mark.parametrize("name", ["RECORD", "METADATA"])
def test_an_installed_wasmtime_with_a_damaged_file_is_one_message(
    name: str, site: Path, project: Project
):
    with record(site).with_name(name).open("ab") as file:
        file.write(b"\xff")
    built = project.build(PYTHONPATH=str(site))
    assert built.status != 0
    assert f"of wasmtime in {site} is damaged" in built.output
    assert "Traceback" not in built.output
