"""Writes the reference pages from the code: the commands from argparse, Python from docstrings.

The text is plain Markdown, so that it can be read on GitHub, too.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
from typing import TYPE_CHECKING

from hatch_wazcache.cli.arguments import make_parser
from hatch_wazcache.errors import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["api", "commands", "exit_statuses", "markdown_table"]

_SECTIONS = ("Args", "Raises", "Returns", "Yields")


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def exit_statuses() -> str:
    """Return the table of the exit statuses."""
    rows = ([str(status.value), status.meaning] for status in ExitStatus)
    return markdown_table(("exit status", "meaning"), rows)


def commands() -> str:
    """Return a section for the options that all commands have, and one for each command."""
    parser = make_parser()
    (adding,) = (
        action
        for action in parser._actions  # noqa: SLF001 - argparse has no public way to read a parser
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    )
    common = _rows(parser)
    made = "### All commands\n\n" + markdown_table(("option", "meaning"), common)
    for name, command in adding.choices.items():
        text = _prose(command.description or "")
        made += f"\n### {name}\n\n{text}\n"
        if rows := [row for row in _rows(command) if row not in common]:
            made += "\n" + markdown_table(("option", "meaning"), rows)
    return made


def _rows(parser: argparse.ArgumentParser) -> list[list[str]]:
    """Return a row for each argument and option of a command, and a value's name behind it."""
    rows = []
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            continue
        value = action.metavar if isinstance(action.metavar, str) else ""
        if action.choices and not value:
            value = "{" + ",".join(map(str, action.choices)) + "}"
        names = list(action.option_strings) or [f"{value}…" if action.nargs == "+" else value]
        shown = ", ".join(f"`{name}`" for name in names)
        if action.option_strings and value and action.nargs != 0:
            shown += f" `{value}`"
        rows.append([shown, _prose(action.help or "")])
    return rows


def _prose(text: str) -> str:
    """Return a text of argparse as Markdown, with the characters escaped that mean something."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.replace("%%", "%").split()))
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_<>|\[\]])", r"\\\1", part)
        for part in parts
    )


def api(module: Path, names: Sequence[str]) -> str:
    """Return the signatures and docstrings of functions and classes.

    The source is read, not imported: the loader belongs into other packages.

    Args:
        module: the source file.
        names: what to show, in this order.
    """
    found = {
        node.name: node
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    return "\n".join(_entry(found[name]) for name in names)


def _entry(node: ast.FunctionDef | ast.ClassDef) -> str:
    if isinstance(node, ast.FunctionDef):
        return f"### `{node.name}`\n\n{_signature(node, node.name)}\n{_docstring(node)}"
    made = f"### `{node.name}`\n\n{_docstring(node)}"
    for part, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(part, ast.FunctionDef) and (part.name[0] != "_" or part.name == "__init__"):
            name = node.name if part.name == "__init__" else f"{node.name}.{part.name}"
            made += f"\n#### `{name}()`\n\n{_signature(part, name)}\n{_docstring(part)}"
        elif isinstance(part, ast.AnnAssign):
            meaning = f": {ast.literal_eval(after.value)}" if isinstance(after, ast.Expr) else ""
            made += f"\n- `{ast.unparse(part.target)}: {ast.unparse(part.annotation)}`{meaning}"
    return made.rstrip("\n") + "\n"


def _signature(node: ast.FunctionDef, name: str) -> str:
    """Return a call with all parameters, each on its line if they are many."""
    arguments = ast.unparse(node.args)
    words = re.sub(r"^(self|cls)(, )?", "", arguments)
    words = re.sub(r"(: [^=,]+)=", r"\1 = ", words)  # as formatters write a default
    result = f" -> {ast.unparse(node.returns)}" if node.returns and node.name[0] != "_" else ""
    line = f"{name}({words}){result}"
    if len(line) > 80:
        parts = re.split(r", (?=\*|\w+:)", words)
        line = f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){result}"
    return f"```python\n{line}\n```\n"


def _docstring(node: ast.FunctionDef | ast.ClassDef) -> str:
    text = inspect.cleandoc(ast.get_docstring(node) or "")
    return "".join(_paragraphs(text)).rstrip("\n") + "\n"


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a docstring; its sections, such as `Args:`, become lists."""
    pattern = rf"^({'|'.join(_SECTIONS)}):\n((?:    .*\n?|\n)*)"
    end = 0
    for section in re.finditer(pattern, text, re.MULTILINE):
        yield text[end : section.start()]
        end = section.end()
        yield f"{section[1]}:\n\n"
        body = inspect.cleandoc(section[2])
        for item in re.split(r"\n(?! )", body):
            words = " ".join(item.split())
            name, colon, rest = words.partition(": ")
            is_named = colon and section[1] in ("Args", "Raises") and " " not in name
            yield f"- `{name}`: {rest}\n" if is_named else f"- {words}\n"
        yield "\n"
    yield text[end:]
