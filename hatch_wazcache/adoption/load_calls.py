"""Finds the code of a package that loads WebAssembly with wasmtime itself, and its engines.

The code is parsed, and does not run. What a name means is taken from the imports of its file.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple
from warnings import catch_warnings, simplefilter

from hatch_wazcache.engine.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from hatch_wazcache.engine.settings import SettingValue

__all__ = ["EngineUse", "LoadCall", "SourceCode", "read_code"]

_LOADERS = {
    "wasmtime.Module": "load_module",
    "wasmtime.component.Component": "load_component",
}

_METHODS = ("", "from_file", "deserialize", "deserialize_file")
"""The ways to load. The empty one is a call of the class."""

_NAME = "NAME.wasm"

_LONGEST = 100

_BY_NAME = {setting.attribute: setting.name for setting in SETTINGS.values() if setting.in_code}


class LoadCall(NamedTuple):
    """A call that compiles a `.wasm` or loads code that was compiled before."""

    relative: str
    """The file, relative to the project's root."""
    line: int
    text: str
    function: str
    """`load_module` or `load_component`."""
    path: str | None
    """The expression of the file's path; None if the call has none."""
    engine: str | None
    """The expression of the engine."""

    def replacement(self, name: str | None) -> str:
        """Return the call of the loader that does the same.

        Args:
            name: the asset's name, if there is only one.
        """
        what = self.path or f'"{name or _NAME}"'
        return f"{self.function}({', '.join(filter(None, (what, self.engine)))})"


class EngineUse(NamedTuple):
    """A call that makes an engine."""

    relative: str
    line: int
    settings: Mapping[str, SettingValue]
    """The settings that an artifact needs, too."""
    varying: tuple[str, ...]
    """The settings whose values are not in the code."""
    is_known: bool
    """Whether the code says which settings the engine has."""


class SourceCode(NamedTuple):
    """What was found in the Python files of a project."""

    calls: tuple[LoadCall, ...]
    engines: tuple[EngineUse, ...]


def read_code(root: Path, files: Iterable[Path]) -> SourceCode:
    """Find the calls in files. A file that is not Python of this version is left out.

    Args:
        root: the project's root.
        files: absolute paths.
    """
    calls: list[LoadCall] = []
    engines: list[EngineUse] = []
    for path in files:
        try:
            data = path.read_bytes()
            with catch_warnings():
                simplefilter("ignore")  # they are about the code of the project
                tree = ast.parse(data) if b"wasmtime" in data else None
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        if tree is not None:
            module = _Module(path.relative_to(root).as_posix(), tree)
            calls += module.calls()
            engines += module.engines()
    calls.sort(key=lambda call: (call.relative, call.line))
    return SourceCode(tuple(calls), tuple(engines))


class _Module:
    """One Python file."""

    def __init__(self, relative: str, tree: ast.Module) -> None:
        self._relative = relative
        self._tree = tree
        self._names = dict(_imported(tree))

    def calls(self) -> Iterator[LoadCall]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and (found := self._call(node)):
                yield found

    def _call(self, node: ast.Call) -> LoadCall | None:
        name = self._meaning(node.func)
        kind, _, method = name.rpartition(".")
        if name in _LOADERS:
            kind, method = name, ""
        if kind not in _LOADERS or method not in _METHODS:
            return None
        by_name = {keyword.arg: keyword.value for keyword in node.keywords}
        arguments = [*node.args, *(by_name[name] for name in sorted(by_name, key=_is_not_engine))]
        engine, source = (*arguments, None, None)[:2]
        path = None
        if method == "from_file":
            path = source
        elif not method:
            if source is None or self._is_text(source):
                return None
            path = _read_path(source)
        return LoadCall(
            self._relative,
            node.lineno,
            _one_line(node),
            _LOADERS[kind],
            None if path is None else ast.unparse(_without_str(path)),
            None if engine is None else ast.unparse(engine),
        )

    def _is_text(self, source: ast.expr) -> bool:
        """Say whether a module comes from WebAssembly text, which is no asset."""
        if isinstance(source, ast.Call):
            return self._meaning(source.func) == "wasmtime.wat2wasm"
        return isinstance(source, ast.Constant | ast.JoinedStr)

    def engines(self) -> Iterator[EngineUse]:
        for scope in ast.walk(self._tree):
            if isinstance(scope, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from self._engines_of(scope)

    def _engines_of(self, scope: ast.AST) -> Iterator[EngineUse]:
        configs: dict[str, dict[str, SettingValue | None]] = {"": {}}
        for node, is_conditional in _statements(scope):
            if isinstance(node, ast.Assign | ast.AnnAssign):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                self._note_assignment(target, node.value, configs, is_conditional)
            for call in _calls_in(node):
                if self._meaning(call.func) == "wasmtime.Engine":
                    config = ast.unparse(call.args[0]) if call.args else ""
                    found = configs.get(config, {})
                    yield EngineUse(
                        self._relative,
                        call.lineno,
                        {name: value for name, value in found.items() if value is not None},
                        tuple(name for name, value in found.items() if value is None),
                        config in configs,
                    )

    def _note_assignment(
        self,
        target: ast.expr,
        value: ast.expr | None,
        configs: dict[str, dict[str, SettingValue | None]],
        is_conditional: bool,
    ) -> None:
        """Note a new Config, or a setting of one; None is a value that is not in the code."""
        if isinstance(value, ast.Call) and self._meaning(value.func) == "wasmtime.Config":
            configs[ast.unparse(target)] = {}
        elif isinstance(target, ast.Attribute) and target.attr in _BY_NAME:
            settings = configs.get(ast.unparse(target.value), {})
            known = None
            if isinstance(value, ast.Constant) and not is_conditional:
                known = value.value if isinstance(value.value, bool | int | str) else None
            settings[_BY_NAME[target.attr]] = known

    def _meaning(self, node: ast.expr) -> str:
        """Return the full name of a class or function of wasmtime; else an empty string."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id, "")
        if isinstance(node, ast.Attribute) and (outer := self._meaning(node.value)):
            return f"{outer}.{node.attr}"
        return ""


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the names that a file imports from wasmtime, and their full names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "wasmtime":
                    yield alias.asname or "wasmtime", alias.name if alias.asname else "wasmtime"
        elif isinstance(node, ast.ImportFrom) and not node.level:
            module = node.module or ""
            for alias in node.names if module.partition(".")[0] == "wasmtime" else ():
                yield alias.asname or alias.name, f"{module}.{alias.name}"


def _statements(scope: ast.AST, *, is_conditional: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """Yield the statements of a scope in their order, and whether each may be skipped."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.stmt):
            yield node, is_conditional
        inner = isinstance(node, ast.If | ast.For | ast.While | ast.Match)
        if isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _statements(node, is_conditional=is_conditional or inner)


def _calls_in(node: ast.stmt) -> Iterator[ast.Call]:
    """Yield the calls in the expressions of a statement, without the statements in it."""
    waiting = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    if isinstance(node, ast.With | ast.AsyncWith):
        waiting += [item.context_expr for item in node.items]
    for expression in waiting:
        yield from (inner for inner in ast.walk(expression) if isinstance(inner, ast.Call))


def _is_not_engine(argument: str | None) -> bool:
    return argument != "engine"


def _read_path(source: ast.expr) -> ast.expr | None:
    """Return the path in `path.read_bytes()`."""
    if isinstance(source, ast.Call) and isinstance(source.func, ast.Attribute):
        return source.func.value if source.func.attr == "read_bytes" else None
    return None


def _without_str(path: ast.expr) -> ast.expr:
    """Return the path in `str(path)` and `os.fspath(path)`: the loader takes paths of any kind."""
    if isinstance(path, ast.Call) and len(path.args) == 1 and not path.keywords:
        is_text = ast.unparse(path.func) in ("str", "os.fspath", "fspath")
        return path.args[0] if is_text else path
    return path


def _one_line(node: ast.Call) -> str:
    text = ast.unparse(node)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
