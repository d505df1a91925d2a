"""Audits of packages and their companions: each alone, and held against each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hatch_wazcache.engine.targets import TARGETS
from tests.support.audits import findings, inspected, notes, retag, run
from tests.support.doctored import Wheel
from tests.support.projects import Project
from tests.support.wasm import ANSWER, tiny
from tests.support.wheels import TARGET

NATIVE = ".".join(TARGETS[TARGET].platform_tags)
PACKAGE = "demo-1.0-py3-none-any.whl"
COMPANION = f"demo_wasmtime-48.1.0-py3-none-{NATIVE}.whl"
VERSION_0 = "demo_wasmtime-0-py3-none-any.whl"
MANIFEST = "demo/_wazcache.json"
THEIRS = "demo_wasmtime/demo/_wazcache.json"
METADATA = "demo-1.0.dist-info/METADATA"
THEIR_METADATA = "demo_wasmtime-48.1.0.dist-info/METADATA"


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with two profiles, its companion, and version 0."""
    folder = tmp_path_factory.mktemp("companions")
    project = Project(folder / "project", folder / "cache")
    project.options(
        'assets = ["demo/*.wasm"]\ncompanion = "demo-wasmtime"\nengines = ["48"]\n'
        "[tool.hatch.build.hooks.wazcache.profiles.default]\n"
        "[tool.hatch.build.hooks.wazcache.profiles.fuel]\nconsume-fuel = true"
    )
    text = (project.root / "pyproject.toml").read_text("utf-8")
    requires = 'wasmtime>=44,<50", "demo-wasmtime'
    project.write("pyproject.toml", text.replace("wasmtime>=48,<49", requires))
    project.write("demo/__init__.py")
    project.write("demo/a.wasm", ANSWER)
    project.write("demo/b.wasm", tiny("b"))
    built = project.hatchling("-t", "wazcache")
    assert built.status == 0, built.output
    made = project.root / "dist"
    assert {path.name for path in made.iterdir()} == {PACKAGE, COMPANION, VERSION_0}
    return made


@pytest.fixture
def package(dist: Path) -> Wheel:
    return Wheel(dist / PACKAGE)


@pytest.fixture
def companion(dist: Path) -> Wheel:
    return Wheel(dist / COMPANION)


def replace_line(wheel: Wheel, metadata: str, old: str, new: str) -> None:
    text = wheel.members[metadata].decode()
    assert old in text
    wheel.members[metadata] = text.replace(old, new).encode()


def together(*wheels: Path) -> tuple[list[str], list[str]]:
    """Audit wheels; return the findings and the notes, without the wheels' folders."""
    answered = json.loads(run("audit", "--json", *wheels).stdout)
    assert answered["problems"] == []
    return tuple(
        [
            ": ".join(
                part for part in (Path(one["wheel"]).name, one["member"], one[kind[:-1]]) if part
            )
            for one in answered[kind]
        ]
        for kind in ("findings", "notes")
    )


def test_a_package_its_companion_and_version_0_have_no_findings(dist: Path):
    assert together(*sorted(dist.iterdir())) == ([], [])
    for path in dist.iterdir():
        assert (findings(path), notes(path)) == ([], [])


# the package


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("", "no dependency names it, so no installer would install it; add "),
        ("Requires-Dist: demo-wasmtime>=48\n", 'the dependency "demo-wasmtime>=48" must be "demo-'),
    ],
)
def test_a_package_that_installs_no_companion_is_found(
    package: Wheel, tmp_path: Path, line: str, finding: str
):
    replace_line(package, METADATA, "Requires-Dist: demo-wasmtime\n", line)
    ((member, text),) = findings(package.write(tmp_path))
    assert member == METADATA
    assert text.startswith(f"the companion demo-wasmtime: {finding}")


def test_a_companion_of_the_packages_own_name_is_found(package: Wheel, tmp_path: Path):
    package.manifest(lambda m: m["companion"].update(name="Demo"))
    ((_, text),) = findings(package.write(tmp_path))
    assert text == "the companion Demo: must be another name than the project's own"


def test_manifests_that_name_different_companions_are_found(package: Wheel, tmp_path: Path):
    for name in [name for name in package.members if name.startswith("demo/")]:
        package.members[name.replace("demo/", "other/")] = package.members[name]
    package.manifest(lambda m: m.pop("companion"), "other/_wazcache.json")
    assert findings(package.write(tmp_path)) == [
        (None, "its manifests name different companions, or none")
    ]


def test_a_version_that_companions_cannot_have_is_found(package: Wheel, tmp_path: Path):
    package.name = package.name.replace("-1.0-", "-1.0+local-")
    for name in [name for name in package.members if ".dist-info/" in name]:
        package.members[name.replace("-1.0.", "-1.0+local.")] = package.members.pop(name)
    package.info = package.info.replace("-1.0.", "-1.0+local.")
    ((_, text),) = findings(package.write(tmp_path))
    assert text.startswith("the version 1.0+local can have no companions: ")


def test_a_package_with_artifacts_of_its_own_is_not_told_of_other_wasmtimes(
    good: Path, tmp_path: Path
):
    """The companion has the artifacts for them."""
    wheel = Wheel(good)
    wheel.manifest(lambda m: m.update(companion={"name": "demo-wasmtime", "cpu": ["baseline"]}))
    metadata = f"{wheel.info}/METADATA"
    line = "Requires-Dist: wasmtime<49,>=48\n"
    replace_line(wheel, metadata, line, "Requires-Dist: wasmtime\nRequires-Dist: demo-wasmtime\n")
    path = wheel.write(tmp_path)
    assert (findings(path), notes(path)) == ([], [])


# the companion


WRONG: dict[str, tuple[Callable[[Wheel], object], str | None, str]] = {
    "the version of another package": (
        lambda w: w.manifest(lambda m: m["package"].update(version="2.0"), THEIRS),
        None,
        "has the version 48.1.0; the companion of demo 2.0 for wasmtime 48 has the version 48.2.0",
    ),
    "a version that is none": (
        lambda w: w.manifest(lambda m: m["package"].update(version="1.0!+-"), THEIRS),
        None,
        "belongs to demo 1.0!+-, which is not a version",
    ),
    "no requirement on its package": (
        lambda w: replace_line(w, THEIR_METADATA, "Requires-Dist: demo==1.0\n", ""),
        THEIR_METADATA,
        "does not require demo==1.0: installers also take it where nothing uses it",
    ),
    "a marker": (
        lambda w: replace_line(w, THEIR_METADATA, "demo==1.0\n", "demo==1.0; os_name=='nt'\n"),
        THEIR_METADATA,
        "does not require demo==1.0: ",
    ),
    "too wide a requirement on wasmtime": (
        lambda w: replace_line(w, THEIR_METADATA, "wasmtime<49,>=48", "wasmtime>=48"),
        THEIR_METADATA,
        "does not require wasmtime>=48,<49: ",
    ),
    "another folder": (
        lambda w: w.manifest(lambda m: m["package"].update(path="other/_wazcache.json"), THEIRS),
        THEIRS,
        "must be demo_wasmtime/other/_wazcache.json, where the loader of demo looks for it",
    ),
    "no package of its own": (
        lambda w: w.members.pop("demo_wasmtime/__init__.py"),
        "demo_wasmtime/__init__.py",
        "is missing: without it the loader finds the companion only beside its package",
    ),
    "a .wasm": (
        lambda w: (
            w.members.update({"demo_wasmtime/demo/a.wasm": ANSWER}),
            w.manifest(lambda m: m["assets"]["a.wasm"].update(wasm="a.wasm"), THEIRS),
        ),
        THEIRS,
        "a.wasm has a .wasm; a companion holds artifacts only",
    ),
    "two engines": (
        lambda w: w.manifest(
            lambda m: m["assets"]["a.wasm"]["artifacts"][0].update(wasmtime="47.0.0"), THEIRS
        ),
        None,
        "is a companion, but not for one major version of wasmtime: it has 47, 48",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_companion_that_is_not_found_or_not_fit_is_named(
    companion: Wheel, tmp_path: Path, wrong: str
):
    change, member, text = WRONG[wrong]
    change(companion)
    found = findings(companion.write(tmp_path))
    assert any(one == member and said.startswith(text) for one, said in found), found


def test_manifests_of_different_packages_are_found(companion: Wheel, tmp_path: Path):
    other = "demo_wasmtime/other/_wazcache.json"
    for name in [name for name in companion.members if name.startswith("demo_wasmtime/demo/")]:
        to = name.replace("/demo/", "/other/")
        companion.members[to] = companion.members[name]
    info = {"name": "other", "version": "1.0", "path": "other/_wazcache.json"}
    companion.manifest(lambda m: m.update(package=info), other)
    assert findings(companion.write(tmp_path)) == [
        (other, "belongs to other 1.0, but another manifest to demo 1.0")
    ]
    companion.manifest(lambda m: m.pop("package"), other)
    assert findings(companion.write(tmp_path)) == [
        (other, "has no field package, which the other manifests of this companion have")
    ]


def test_a_companion_with_the_tags_of_another_system_is_found(companion: Wheel, tmp_path: Path):
    retag(companion, "win_amd64")
    found = [text for _, text in findings(companion.write(tmp_path))]
    text = "a.wasm has no artifact for x86_64-windows, but the wheel's tag win_amd64 is for it"
    assert text in found


def test_version_0_that_requires_something_is_found(dist: Path, tmp_path: Path):
    wheel = Wheel(dist / VERSION_0)
    metadata = f"{wheel.info}/METADATA"
    replace_line(wheel, metadata, "Version: 0\n", "Version: 0\nRequires-Dist: demo\n")
    assert findings(wheel.write(tmp_path)) == [
        (metadata, "requires demo; version 0 must be installable everywhere")
    ]
    retag(wheel, "win_amd64")
    text = "must have the tag py3-none-any: version 0 is for every platform"
    assert (None, text) in findings(wheel.write(tmp_path))


def test_a_wheel_of_version_0_with_files_is_no_companion(dist: Path, tmp_path: Path):
    wheel = Wheel(dist / VERSION_0)
    wheel.members["demo_wasmtime/__init__.py"] = b""
    ((_, text),) = findings(wheel.write(tmp_path))
    assert text.startswith("has no manifest of hatch-wazcache")


# both together


def their_assets(change: Callable[[dict], object]) -> Callable[[Wheel], object]:
    return lambda wheel: wheel.manifest(lambda m: change(m["assets"]), THEIRS)


UNFIT: dict[str, tuple[Callable[[Wheel], object], str, str]] = {
    "another .wasm": (
        their_assets(lambda assets: assets["a.wasm"].update(sha256="0" * 64)),
        f"{THEIRS}: ",
        f"a.wasm is another file in {PACKAGE}: its loader does not use this one",
    ),
    "an asset less": (
        their_assets(lambda assets: assets.pop("b.wasm")),
        f"{THEIRS}: ",
        f"has no artifacts of b.wasm, which {PACKAGE} has",
    ),
    "an asset more": (
        their_assets(lambda assets: assets.update({"c.wasm": assets.pop("b.wasm")})),
        f"{THEIRS}: ",
        f"has artifacts of c.wasm, which {PACKAGE} does not have",
    ),
    "a profile less": (
        their_assets(lambda assets: assets["a.wasm"]["artifacts"].pop()),
        f"{THEIRS}: ",
        f"a.wasm has no artifact for {TARGET}, profile fuel, cpu baseline",
    ),
    "other settings": (
        lambda w: w.manifest(lambda m: m["profiles"].update(fuel={}), THEIRS),
        f"{THEIRS}: ",
        f"has other settings for the profile fuel than {PACKAGE}: nothing loads",
    ),
    "other settings of the compiler": (
        lambda w: w.manifest(lambda m: m.update(compiler={"fuel": {"address-map": False}}), THEIRS),
        f"{THEIRS}: ",
        f"is compiled with other settings for the profile fuel than {PACKAGE} says",
    ),
    "other sections": (
        lambda w: w.manifest(lambda m: m.update(strip=["name"]), THEIRS),
        f"{THEIRS}: ",
        f"has another list of sections that were left out (strip) than {PACKAGE}",
    ),
    "another package": (
        lambda w: w.manifest(lambda m: m["package"].update(path="x/_wazcache.json"), THEIRS),
        "",
        f"has no manifest for {MANIFEST} of {PACKAGE}",
    ),
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_a_companion_that_does_not_fit_its_package_is_found(
    dist: Path, companion: Wheel, tmp_path: Path, unfit: str
):
    change, member, text = UNFIT[unfit]
    change(companion)
    found, _ = together(companion.write(tmp_path), dist / PACKAGE)
    assert f"{COMPANION}: {member}{text}" in found


def test_a_package_that_names_another_companion_or_none_is_found(
    dist: Path, package: Wheel, tmp_path: Path
):
    package.manifest(lambda m: m["companion"].update(name="demo-artifacts"))
    found, _ = together(dist / COMPANION, package.write(tmp_path))
    text = f"the manifest of {PACKAGE} names the companion demo-artifacts, not the one in demo_wasm"
    assert any(one.startswith(f"{COMPANION}: {THEIRS}: {text}") for one in found)
    package.manifest(lambda m: m.pop("companion"))
    found, _ = together(dist / COMPANION, package.write(tmp_path))
    text = f"the manifest of {PACKAGE} names no companion: its loader does not look for one"
    assert found == [f"{COMPANION}: {THEIRS}: {text}"]


def test_a_cpu_level_that_a_companion_lacks_is_found(dist: Path, package: Wheel, tmp_path: Path):
    package.manifest(lambda m: m["companion"].update(cpu=["x86-64-v3", "baseline"]))
    found, _ = together(dist / COMPANION, package.write(tmp_path))
    text = f"a.wasm has no artifact for {TARGET}, profile default, cpu x86-64-v3"
    assert (f"{COMPANION}: {THEIRS}: {text}" in found) == TARGET.startswith("x86_64")


def test_a_wasmtime_that_the_package_excludes_is_found(dist: Path, package: Wheel, tmp_path: Path):
    replace_line(package, METADATA, "wasmtime<50,>=44", "wasmtime<48,>=44")
    found, _ = together(dist / COMPANION, package.write(tmp_path))
    text = f"is for wasmtime 48, which the requirements of {PACKAGE} exclude"
    assert found == [f"{COMPANION}: {text}"]


def of_engine(companion: Wheel, major: int, tmp_path: Path, tag: str | None = None) -> Path:
    """Make a companion for another wasmtime. What its artifacts hold does not follow."""
    wheel = companion
    wheel.name = wheel.name.replace("-48.", f"-{major}.")
    for name in [name for name in wheel.members if ".dist-info/" in name]:
        wheel.members[name.replace("-48.", f"-{major}.")] = wheel.members.pop(name)
    wheel.info = wheel.info.replace("-48.", f"-{major}.")
    replace_line(wheel, f"{wheel.info}/METADATA", "wasmtime<49,>=48", f"wasmtime=={major}.*")

    def change(manifest: dict) -> None:
        for asset in manifest["assets"].values():
            for artifact in asset["artifacts"]:
                artifact["wasmtime"] = f"{major}.0.0"
                artifact["target"] = tag or artifact["target"]

    wheel.manifest(change, THEIRS)
    return wheel.write(tmp_path)


def test_versions_and_systems_that_some_companions_leave_out_are_noted(
    dist: Path, companion: Wheel, tmp_path: Path
):
    other = of_engine(companion, 46, tmp_path, "aarch64-macos")
    _, noted = together(dist / PACKAGE, other, dist / COMPANION)
    users = "but for other versions: users there compile the .wasm"
    others = "users of that version compile the .wasm"
    assert [one for one in noted if one.startswith(PACKAGE)] == [
        f"{PACKAGE}: has no companion for wasmtime 46 on {TARGET}, {users}",
        f"{PACKAGE}: has no companion for wasmtime 48 on aarch64-macos, {users}",
        f"{PACKAGE}: has no companion for wasmtime 47, which it admits: {others}",
    ]


def test_all_versions_that_companions_leave_out_are_one_note(
    dist: Path, companion: Wheel, tmp_path: Path
):
    _, noted = together(dist / PACKAGE, of_engine(companion, 44, tmp_path), dist / COMPANION)
    text = "has no companion for wasmtime 45, 46, 47, which it admits"
    users = "users of those versions compile the .wasm"
    assert [one for one in noted if one.startswith(PACKAGE)] == [f"{PACKAGE}: {text}: {users}"]


def test_a_companion_of_another_version_is_noted(dist: Path, companion: Wheel, tmp_path: Path):
    companion.manifest(lambda m: m["package"].update(version="0.9"), THEIRS)
    _, noted = together(dist / PACKAGE, companion.write(tmp_path))
    assert noted == [f"{COMPANION}: belongs to demo 0.9; the given wheels of it have 1.0"]


def test_a_companion_alone_is_not_compared(companion: Wheel, tmp_path: Path, dist: Path):
    companion.manifest(lambda m: m["profiles"].update(fuel={}), THEIRS)
    path = companion.write(tmp_path)
    assert together(path, dist / VERSION_0) == ([], [])


# inspect


def test_inspect_shows_what_binds_the_two(dist: Path):
    package, companion = inspected(dist / PACKAGE), inspected(dist / COMPANION)
    (one,) = package["packages"]
    assert (one["companion"], one["companion_of"]) == ("demo-wasmtime", None)
    (one,) = companion["packages"]
    assert (one["companion"], one["companion_of"]) == (None, "demo 1.0")
    shown = run("inspect", dist / PACKAGE, dist / COMPANION, dist / VERSION_0).stdout
    assert "demo: no artifacts, loader demo/_wazcache.py, companion demo-wasmtime\n" in shown
    assert "demo_wasmtime/demo: for wasmtime 48.0.0, companion of demo 1.0\n" in shown
    assert "version 0 of a companion: installers choose it where no other version fits\n" in shown


def test_inspect_tries_the_artifacts_of_a_companion(dist: Path):
    (one,) = inspected(dist / COMPANION)["packages"]
    loads = [artifact["loads"] for asset in one["assets"] for artifact in asset["artifacts"]]
    assert loads == [True] * 4
