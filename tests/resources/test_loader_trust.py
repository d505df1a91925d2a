"""The loader never uses the artifact of a manifest that is not installed: it is native code."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from wasmtime import Engine, Module

from tests.support.companion_sites import pack
from tests.support.loading import ARTIFACT, UNICODE, change_manifest
from tests.support.projects import Project
from tests.support.runtimes import run
from tests.support.wasm import ANSWER
from tests.support.wheels import unpack

EVIL = 43
"""What the artifacts of an attacker return. The `.wasm` returns 42."""


@pytest.fixture
def evil(both: Path, tmp_path: Path) -> Path:
    """A folder with a whole installation of demo, whose artifact is not that of its `.wasm`."""
    folder = tmp_path / "evil"
    shutil.copytree(both / "demo", folder / "demo")
    (info,) = both.glob("demo-*.dist-info")
    shutil.copytree(info, folder / info.name)
    module = Module(Engine(), ANSWER.replace(b"\x41\x2a", bytes([0x41, EVIL])))
    (folder / "demo" / ARTIFACT).write_bytes(module.serialize())
    return folder


def asked(path: Path | str, site: Path, before: str = "", **env: str) -> list[str]:
    """Load a file, with and without the word that it is foreign.

    Returns:
        The answer of the module, and the error.
    """
    code = f"""
        import os, sys
        {before}
        path = {str(path)!r}
        print(call(load_module(path, foreign=True)))
        print(refused(lambda: load_module(path)))
        """
    return run(code, site, **env)


def test_the_artifact_of_the_attacks_would_run_if_it_were_installed(evil: Path, both: Path):
    """Without this, the other tests would show nothing."""
    before = f"sys.path.append({str(evil)!r})"
    assert asked(evil / "demo/answer.wasm", both, before) == [str(EVIL), "None"]


def beside(evil: Path, site: Path) -> tuple[Path, str]:
    return evil / "demo/answer.wasm", ""


def in_the_current_folder(evil: Path, site: Path) -> tuple[Path, str]:
    return Path("demo/answer.wasm"), f"os.chdir({str(evil)!r}); sys.path.insert(0, '')"


def in_the_folder_where_python_m_was_started(evil: Path, site: Path) -> tuple[Path, str]:
    return Path("demo/answer.wasm"), f"os.chdir({str(evil)!r}); sys.path.insert(0, {str(evil)!r})"


def in_the_first_folder_of_the_import_path(evil: Path, site: Path) -> tuple[Path, str]:
    return evil / "demo/answer.wasm", f"sys.path.insert(0, {str(evil)!r})"


def in_the_folder_of_a_script_that_has_put_another_entry_first(
    evil: Path, site: Path
) -> tuple[Path, str]:
    script = f"import __main__; __main__.__file__ = {str(evil / 'script.py')!r}"
    return evil / "demo/answer.wasm", f"{script}; sys.path.append({str(evil)!r})"


def in_the_current_folder_with_an_absolute_entry(evil: Path, site: Path) -> tuple[Path, str]:
    return Path("demo/answer.wasm"), f"os.chdir({str(evil)!r}); sys.path.append({str(evil)!r})"


def below_a_relative_entry(evil: Path, site: Path) -> tuple[Path, str]:
    return evil / "demo/answer.wasm", f"os.chdir({str(evil.parent)!r}); sys.path.append('evil')"


def below_an_entry_that_python_ignores(evil: Path, site: Path) -> tuple[Path, str]:
    return (
        evil / "demo/answer.wasm",
        f"import pathlib; sys.path.append(pathlib.Path({str(evil)!r}))",
    )


def below_site_packages(evil: Path, site: Path) -> tuple[Path, str]:
    (evil / "demo").rename(site / "downloads")
    return site / "downloads/answer.wasm", ""


def below_site_packages_with_its_own_metadata(evil: Path, site: Path) -> tuple[Path, str]:
    evil.rename(site / "downloads")
    return site / "downloads/demo/answer.wasm", ""


def below_an_installed_package(evil: Path, site: Path) -> tuple[Path, str]:
    (evil / "demo").rename(site / "demo/downloads")
    return site / "demo/downloads/answer.wasm", ""


def below_an_imported_package(evil: Path, site: Path) -> tuple[Path, str]:
    (evil / "demo").rename(site / "demo/downloads")
    return site / "demo/downloads/answer.wasm", "import demo"


def through_dots(evil: Path, site: Path) -> tuple[Path, str]:
    return Path(f"{site}/demo/../../evil/demo/answer.wasm"), ""


def through_a_link_out_of_a_package(evil: Path, site: Path) -> tuple[Path, str]:
    (site / "demo/link").symlink_to(evil / "demo", target_is_directory=True)
    return site / "demo/link/answer.wasm", ""


def through_a_link_and_dots(evil: Path, site: Path) -> tuple[Path, str]:
    """As text it is the installed file, and the system goes to the other."""
    (site / "link").symlink_to(evil / "demo/data", target_is_directory=True)
    (evil / "demo/answer.wasm").write_bytes(ANSWER)
    return Path(f"{site}/link/../answer.wasm"), ""


def replaced_without_its_metadata(evil: Path, site: Path) -> tuple[Path, str]:
    return _replaced(evil, site, lambda _: [])


def replaced_and_the_artifact_is_not_in_record(evil: Path, site: Path) -> tuple[Path, str]:
    return _replaced(evil, site, lambda rows: [row for row in rows if ARTIFACT not in row[0]])


def replaced_and_the_wasm_is_not_in_record(evil: Path, site: Path) -> tuple[Path, str]:
    return _replaced(evil, site, lambda rows: [row for row in rows if row[0] != "demo/answer.wasm"])


def replaced_and_the_manifest_is_not_in_record(evil: Path, site: Path) -> tuple[Path, str]:
    return _replaced(evil, site, lambda rows: [row for row in rows if ".json" not in row[0]])


def replaced_and_record_has_only_longer_names(evil: Path, site: Path) -> tuple[Path, str]:
    def longer(rows: list[list[str]]) -> list[list[str]]:
        return [[f"{name}.orig" if ARTIFACT in name else name, *rest] for name, *rest in rows] + [
            [f"other/demo/{ARTIFACT}", "", ""]
        ]

    return _replaced(evil, site, longer)


def replaced_and_record_is_of_another_distribution(evil: Path, site: Path) -> tuple[Path, str]:
    found = _replaced(evil, site, lambda rows: rows)
    (info,) = site.glob("demo-*.dist-info")
    info.rename(site / "demo_extra-1.0.dist-info")
    return found


def replaced_and_the_manifest_names_no_distribution(evil: Path, site: Path) -> tuple[Path, str]:
    found = _replaced(evil, site, lambda rows: rows)
    change_manifest(site, lambda manifest: manifest.pop("distribution"))
    return found


def replaced_and_the_manifest_names_an_odd_distribution(evil: Path, site: Path) -> tuple[Path, str]:
    found = _replaced(evil, site, lambda rows: rows)
    change_manifest(site, lambda manifest: manifest.update(distribution=["demo"]))
    return found


def _replaced(
    evil: Path, site: Path, change: Callable[[list[list[str]]], list[list[str]]]
) -> tuple[Path, str]:
    """Put the attacker's files into site-packages, and change RECORD."""
    shutil.rmtree(site / "demo")
    (evil / "demo").rename(site / "demo")
    (record,) = site.glob("demo-*.dist-info/RECORD")
    with record.open(newline="", encoding="utf-8") as file:
        rows = change(list(csv.reader(file)))
    with record.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return site / "demo/answer.wasm", ""


ATTACKS = [
    beside,
    in_the_current_folder,
    in_the_folder_where_python_m_was_started,
    in_the_first_folder_of_the_import_path,
    in_the_current_folder_with_an_absolute_entry,
    below_a_relative_entry,
    below_an_entry_that_python_ignores,
    below_site_packages,
    below_site_packages_with_its_own_metadata,
    below_an_installed_package,
    below_an_imported_package,
    through_dots,
    through_a_link_out_of_a_package,
    replaced_without_its_metadata,
    replaced_and_the_artifact_is_not_in_record,
    replaced_and_the_wasm_is_not_in_record,
    replaced_and_the_manifest_is_not_in_record,
    replaced_and_record_has_only_longer_names,
    replaced_and_record_is_of_another_distribution,
    replaced_and_the_manifest_names_no_distribution,
    replaced_and_the_manifest_names_an_odd_distribution,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_artifact_that_is_not_installed_with_its_wasm_is_never_used(
    attack: Callable[[Path, Path], tuple[Path, str]], evil: Path, both: Path
):
    path, before = attack(evil, both)
    answer, said = asked(path, both, before)[-2:]
    assert answer == "42"
    assert f"there is no asset {path}. " in said
    assert "_wazcache.json is not used: no installed distribution has it, the .wasm and" in said
    assert said.endswith("pass foreign=True")


def test_an_installation_in_the_current_folder_counts_once_its_package_was_imported(both: Path):
    """As in a function of a cloud, whose packages lie in its current folder."""
    code = f"""
        import os, sys
        os.chdir({str(both)!r})
        sys.path.insert(0, {str(both)!r})
        print((refused(lambda: status('demo/answer.wasm')) or '').count('is not used'))
        import demo
        print(status('demo/answer.wasm').precompiled)
        """
    assert run(code, both) == ["1", "True"]


def test_a_zip_counts_only_as_a_whole_entry_of_the_import_path(evil: Path, both: Path):
    archive = pack(evil, evil.parent / "evil.zip")
    code = f"""
        import os, sys, zipfile
        path = zipfile.Path({str(archive)!r}, 'demo/answer.wasm')
        os.chdir({str(archive.parent)!r})
        print(call(load_module(path, foreign=True)))
        sys.path.append('evil.zip')
        print(call(load_module(path, foreign=True)))
        sys.path[-1] = {str(archive)!r}
        try:
            import nothing  # so Python looks into the archive
        except ImportError:
            pass
        print(call(load_module(path)))
        print(status(path).artifact)
        """
    artifact = archive / "demo" / ARTIFACT
    assert run(code, both) == ["42", "42", str(EVIL), str(artifact)]


def test_a_link_into_an_installed_package_leads_to_its_asset(evil: Path, both: Path):
    """Whatever lies beside the link."""
    (evil / "demo/answer.wasm").unlink()
    (evil / "demo/answer.wasm").symlink_to(both / "demo/answer.wasm")
    code = f"print(status({str(evil / 'demo/answer.wasm')!r}).artifact)"
    assert run(code, both) == [str(both / "demo" / ARTIFACT)]


def test_an_installation_behind_a_link_is_one(both: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(both, target_is_directory=True)
    for site, other in [(both, tmp_path / "link"), (tmp_path / "link", both)]:
        code = f"""
            print(status({str(site / "demo/answer.wasm")!r}).precompiled)
            print(status({str(other / "demo/answer.wasm")!r}).precompiled)
            """
        assert run(code, site) == ["True", "True"]


def test_an_installation_of_links_into_the_cache_of_an_installer_is_one(both: Path, tmp_path: Path):
    """As `uv pip install --link-mode symlink` makes it."""
    cache = tmp_path / "cache"
    for path in [path for path in both.rglob("*") if path.is_file() and path.name != "RECORD"]:
        to = cache / path.relative_to(both)
        to.parent.mkdir(parents=True, exist_ok=True)
        path.rename(to)
        path.symlink_to(to)
    code = f"print(status({str(both / 'demo/answer.wasm')!r}).artifact)"
    assert run(code, both) == [str(both / "demo" / ARTIFACT)]


def test_record_may_be_written_in_other_ways(both: Path):
    """With carriage returns, quoted names, and another spelling of the distribution's name."""
    odd = 'a,"b".wasm'
    (record,) = both.glob("demo-*.dist-info/RECORD")
    with record.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    for row in rows:
        for old in (ARTIFACT, "answer.wasm"):
            if row[0] == f"demo/{old}":
                row[0] = f"demo/{old.replace('answer.wasm', odd).replace('answer', odd)}"
                (both / "demo" / old).rename(both / row[0])
    with record.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\r\n").writerows(rows)
    record.parent.rename(both / "Demo__X-1.0.dist-info")

    def change(manifest: dict) -> None:
        asset = manifest["assets"].pop("answer.wasm")
        asset["wasm"] = odd
        asset["artifacts"] = asset["artifacts"][:1]
        asset["artifacts"][0]["file"] = ARTIFACT.replace("answer", odd)
        manifest["assets"][odd] = asset
        manifest["distribution"] = "demo.x"

    change_manifest(both, change)
    code = f"print(status({str(both / 'demo' / odd)!r}).precompiled)"
    assert run(code, both) == ["True"]


LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_names_are_those_of_record_in_every_locale(both: Path):
    code = f"""
        import os, sys
        name = os.fsdecode({UNICODE!r}.encode())
        print(sys.getfilesystemencoding())
        print(status(os.path.join({str(both)!r}, 'demo', name)).precompiled)
        """
    assert run(ascii_only(code), both, **LOCALE)[1:] == ["True"]


def ascii_only(code: str) -> str:
    return code.encode("ascii", "backslashreplace").decode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is damaged"),
        ("[" * 100_000, "it is damaged"),
        ('{"schema": 2}', "it is damaged"),
        ('{"schema": 2, "assets": {"answer.wasm": 3}}', "it is damaged"),
        (
            '{"schema": 2, "assets": {"answer.wasm": {"wasm": 3, "artifacts": [4]}}}',
            "it is damaged",
        ),
        ('{"schema": 3}', "is of another version of hatch-wazcache than"),
    ],
)
def test_a_damaged_manifest_of_another_package_is_not_used(text: str, said: str, both: Path):
    (both / "demo/_wazcache.json").write_text(text)
    answer, error = asked(both / "demo/answer.wasm", both)[-2:]
    assert answer == "42"
    assert f"{both / 'demo/_wazcache.json'} " in error
    assert said in error


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.pop("profiles"),
        lambda manifest: manifest.update(profiles=3),
        lambda manifest: manifest.update(companion=3),
        lambda manifest: manifest["assets"]["answer.wasm"].update(kind="x"),
        lambda manifest: manifest["assets"]["answer.wasm"].pop("sha256"),
        lambda manifest: manifest["assets"]["answer.wasm"]["artifacts"][0].pop("target"),
        lambda manifest: manifest["assets"]["answer.wasm"]["artifacts"][0].update(wasmtime=3),
    ],
)
def test_a_manifest_of_another_package_that_lacks_something_is_not_used(
    change: Callable[[dict], None], both: Path
):
    change_manifest(both, change)
    answer, error = asked(both / "demo/answer.wasm", both)[-2:]
    assert answer == "42"
    assert f"{both / 'demo/_wazcache.json'} is not used: it is damaged" in error


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFO")
def test_a_manifest_that_is_no_file_is_not_read(both: Path):
    (both / "demo/_wazcache.json").unlink()
    os.mkfifo(both / "demo/_wazcache.json")
    assert asked(both / "demo/answer.wasm", both)[0] == "42"


def test_two_distributions_in_one_namespace_package_are_told_apart(runtime: Path, tmp_path: Path):
    """Both install below `ns`; only what its own RECORD lists counts."""
    site = unpack(runtime, tmp_path / "site")
    for name in ("one", "two"):
        project = Project(tmp_path / name, tmp_path / "cache")
        project.options('assets = ["ns/**/*.wasm"]\nloader = false')
        pyproject = project.root / "pyproject.toml"
        text = pyproject.read_text("utf-8").replace('"demo"', f'"{name}"')
        pyproject.write_text(text.replace(f'packages = ["{name}"]', 'packages = ["ns"]'), "utf-8")
        project.write(f"ns/{name}/__init__.py")
        project.write(f"ns/{name}/answer.wasm", ANSWER + bytes([0, 2, 1, name == "one"]))
        built = project.build()
        assert built.wheel, built.output
        unpack(built.wheel, site)
    code = f"""
        for name in ('one', 'two'):
            print(status(f'{site}/ns/{{name}}/answer.wasm')[:3])
        """
    assert run(code, site) == [
        "('ns/one/answer.wasm', 'default', True)",
        "('ns/two/answer.wasm', 'default', True)",
    ]


def test_an_editable_install_counts_if_its_package_was_imported(runtime: Path, tmp_path: Path):
    """So a file that was downloaded into the project's folder does not count."""
    site = unpack(runtime, tmp_path / "site")
    project = Project(tmp_path / "project", tmp_path / "cache")
    project.write("demo/__init__.py")
    project.write("demo/answer.wasm", ANSWER)
    project.options('assets = ["demo/*.wasm"]\nloader = false')
    project.append('[tool.hatch.build]\ndev-mode-dirs = ["."]\n')
    built = project.editable()
    assert built.wheel, built.output
    unpack(built.wheel, site)
    shutil.copytree(project.root / "demo", project.root / "downloads/demo")
    (info,) = site.glob("demo-*.dist-info")
    direct = {"url": project.root.as_uri(), "dir_info": {"editable": True}}
    path, download = (project.root / f"{folder}demo/answer.wasm" for folder in ("", "downloads/"))
    code = f"""
        import sys
        sys.path.append({str(project.root)!r})
        print((refused(lambda: status({str(path)!r})) or '').count('is not used'))
        import demo
        print(refused(lambda: status({str(path)!r})) is None)
        print((refused(lambda: status({str(download)!r})) or '').count('is not used'))
        sys.path.append({str(project.root / "downloads")!r})
        print((refused(lambda: status({str(download)!r})) or '').count('is not used'))
        """
    (info / "direct_url.json").write_text(json.dumps(direct))
    assert run(code, site) == ["1", "True", "1", "1"]
    for wrong in ({}, {"editable": False}):
        (info / "direct_url.json").write_text(json.dumps({**direct, "dir_info": wrong}))
        assert run(code, site) == ["1", "False", "1", "1"]
    elsewhere = {**direct, "url": (tmp_path / "pro").as_uri()}
    (info / "direct_url.json").write_text(json.dumps(elsewhere))
    assert run(code, site) == ["1", "False", "1", "1"]
