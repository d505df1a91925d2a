"""Writes what is made from the code: tables, pictures, the JSON schema, recipes `wheels.yml`.

`make docs-tables` runs it; a test fails if something that it writes is out of date.
"""

from __future__ import annotations

import json
from pathlib import Path

from docs.drawings import pictures
from docs.reference import api, commands, exit_statuses, markdown_table
from hatch_wazcache.adoption.ci_file import CI_SYSTEMS, ci_file
from hatch_wazcache.engine.settings import SETTINGS, Setting
from hatch_wazcache.project.options import OPTIONS, Option, read_config
from hatch_wazcache.project.pyproject import choose_table, hook_tables, read_pyproject
from hatch_wazcache.project.schema import SCHEMA_FILE, make_schema
from hatch_wazcache.util import environment
from hatch_wazcache.util.toml_text import toml_value

__all__ = ["generated"]

DOCS = Path(__file__).resolve().parent


def generated() -> dict[Path, str]:
    """Return the whole text of each file that has generated parts."""
    page = DOCS / "options.md"
    schema = json.dumps(make_schema(), indent=2, ensure_ascii=False) + "\n"
    in_page = {"options": _options(), "variables": _variables(), "settings": _settings()}
    return {
        page: _between(page.read_text(encoding="utf-8"), in_page),
        SCHEMA_FILE: schema,
        DOCS / SCHEMA_FILE.name: schema,
        **_reference(),
        **{DOCS / "pictures" / name: picture for name, picture in pictures().items()},
        **_recipes(),
    }


def _recipes() -> dict[Path, str]:
    """Return what `hatch-wazcache generate-ci` prints for the example."""
    root = DOCS.parent / "example_project"
    pyproject = read_pyproject(root)
    config = read_config(*choose_table(pyproject, hook_tables(root, pyproject)), {}, root)
    return {
        DOCS / "recipes" / system / "wheels.yml": ci_file(system, root, pyproject, config)
        for system in CI_SYSTEMS
    }


def _reference() -> dict[Path, str]:
    """Return the text of the pages about the commands, the loader and `CompilationCache`."""
    package = DOCS.parent / "hatch_wazcache"
    functions = ("load_module", "load_component", "engine", "status", "assets")
    loader = (*functions, "Status", "LoadError", "WazcacheWarning")
    parts = {
        "command-line.md": {"statuses": exit_statuses(), "commands": commands()},
        "loader.md": {"api": api(package / "resources" / "loader.py", loader)},
        "compilation-cache.md": {
            "api": api(package / "compilation_cache" / "cache.py", ("CompilationCache",)),
        },
    }
    pages = {DOCS / name: tables for name, tables in parts.items()}
    return {page: _between(page.read_text("utf-8"), tables) for page, tables in pages.items()}


def _between(text: str, tables: dict[str, str]) -> str:
    """Put tables between the comments that name their places."""
    for name, table in tables.items():
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        _old, end, after = rest.partition(f"<!-- {name}: end -->")
        assert end, name
        text = before + begin + table + end + after
    return text


def _options() -> str:
    def row(option: Option) -> list[str]:
        default = option.default_text or f"`{toml_value(option.default)}`"
        return [f"`{option.name}`", option.description, default]

    return markdown_table(("option", "meaning", "default"), map(row, OPTIONS))


def _variables() -> str:
    meanings = dict(environment.WITHOUT_OPTION)
    for option in OPTIONS:
        if option.variable:
            meanings[option.variable] = f"replaces the option `{option.name}`"
    meanings[environment.ENGINE] += " or `engines`, and the requirements of the project on wasmtime"
    return markdown_table(
        ("variable", "meaning"), [[f"`{name}`", meanings[name]] for name in sorted(meanings)]
    )


def _settings() -> str:
    def row(setting: Setting) -> list[str]:
        if setting.type is bool:
            values = "`true`, `false`"
        elif setting.type is int:
            values = f"`{setting.minimum}` to `{setting.maximum}`"
        else:
            values = ", ".join(f'`"{choice}"`' for choice in setting.choices)
        since = "the wasmtime CLI" if setting.cli_only else str(setting.since)
        used = "compiling" if setting.in_code else "loading"
        return [f"`{setting.name}`", setting.description, values, used, since]

    head = ("setting", "does", "values", "used when", "since wasmtime")
    return markdown_table(head, map(row, SETTINGS.values()))


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
