"""Projects of every layout that hatchling supports, and the contents of their wheels."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.support.projects import PYPROJECT, Built, Project
from tests.support.wasm import tiny
from tests.support.wheels import ours


@dataclass
class Layout:
    """A project of one layout."""

    assets: str
    """The option, as TOML."""
    files: list[str]
    """Files besides pyproject.toml. A `.wasm` holds its own path; `link -> target` is a link."""
    wheel: set[str]
    """The files of the wheel, without its .dist-info."""
    at: dict[str, str]
    """Path in the wheel to the path in the project, of each asset."""
    toml: str = ""
    """More of pyproject.toml."""
    hook: str = ""
    """More of the hook's options."""
    texts: dict[str, str] = field(default_factory=dict)
    """Other files and their text."""

    def make(self, folder: Path) -> Project:
        project = Project(folder / "project", folder / "cache")
        project.options(f"assets = {self.assets}\n{self.hook}")
        project.append(self.toml)
        for file in self.files:
            path, _, target = file.partition(" -> ")
            if target:
                project.write(path).unlink()
                (project.root / path).symlink_to(target)
            else:
                project.write(path, tiny(path) if path.endswith(".wasm") else b"")
        for path, text in self.texts.items():
            project.write(path, text)
        return project


DEMO = {"demo/__init__.py", *ours("demo", "a")}
WHEEL = "[tool.hatch.build.targets.wheel]\n"

LAYOUTS = {
    "flat": Layout(
        assets='["demo/*.wasm"]',
        files=["demo/__init__.py", "demo/a.wasm"],
        wheel=DEMO,
        at={"demo/a.wasm": "demo/a.wasm"},
    ),
    "src": Layout(
        assets='["src/demo/*.wasm"]',
        files=["src/demo/__init__.py", "src/demo/a.wasm"],
        wheel=DEMO,
        at={"demo/a.wasm": "src/demo/a.wasm"},
    ),
    "namespace-found-by-hatchling": Layout(
        assets='["ns/**/*.wasm"]',
        files=["ns/demo/__init__.py", "ns/demo/a.wasm"],
        wheel={"ns/demo/__init__.py", *ours("ns/demo", "a")},
        at={"ns/demo/a.wasm": "ns/demo/a.wasm"},
    ),
    "namespace-in-src": Layout(
        assets='["src/ns/demo/a.wasm"]',
        files=["src/ns/demo/__init__.py", "src/ns/demo/a.wasm"],
        wheel={"ns/demo/__init__.py", *ours("ns/demo", "a")},
        at={"ns/demo/a.wasm": "src/ns/demo/a.wasm"},
        toml=WHEEL + 'packages = ["src/ns"]',
    ),
    "no-init-anywhere": Layout(
        assets='["ns/demo/a.wasm"]',
        files=["ns/demo/module.py", "ns/demo/a.wasm"],
        wheel={"ns/demo/module.py", *ours("ns/demo", "a")},
        at={"ns/demo/a.wasm": "ns/demo/a.wasm"},
        toml=WHEEL + 'packages = ["ns"]',
    ),
    "several-packages-a-loader-each": Layout(
        assets='["src/**/*.wasm"]',
        files=[
            "src/one/__init__.py", "src/one/a.wasm", "src/two/__init__.py", "src/two/a.wasm",
            "src/two/sub/__init__.py", "src/two/sub/b.wasm",
        ],
        wheel={
            "one/__init__.py", *ours("one", "a"), "two/__init__.py", *ours("two", "a"),
            "two/sub/__init__.py", *ours("two/sub", "b"),
        },
        at={
            "one/a.wasm": "src/one/a.wasm", "two/a.wasm": "src/two/a.wasm",
            "two/sub/b.wasm": "src/two/sub/b.wasm",
        },
        toml=WHEEL + 'packages = ["src/one", "src/two"]',
    ),
    "data-folder": Layout(
        assets='["demo/**/*.wasm"]',
        files=["demo/__init__.py", "demo/data/deep/a.wasm", "demo/data/generate.py"],
        wheel={"demo/__init__.py", "demo/data/generate.py", *ours("demo", "data/deep/a")},
        at={"demo/data/deep/a.wasm": "demo/data/deep/a.wasm"},
    ),
    "sources-list": Layout(
        assets='["python/demo/a.wasm"]',
        files=["python/demo/__init__.py", "python/demo/a.wasm"],
        wheel=DEMO,
        at={"demo/a.wasm": "python/demo/a.wasm"},
        toml=WHEEL + 'only-include = ["python/demo"]\nsources = ["python"]',
    ),
    "sources-change-a-prefix": Layout(
        assets='["lib/a.wasm"]',
        files=["lib/__init__.py", "lib/a.wasm"],
        wheel=DEMO,
        at={"demo/a.wasm": "lib/a.wasm"},
        toml=WHEEL + 'only-include = ["lib"]\n[tool.hatch.build.targets.wheel.sources]\nlib="demo"',
    ),
    "sources-add-a-prefix": Layout(
        assets='["demo/a.wasm"]',
        files=["demo/__init__.py", "demo/a.wasm"],
        wheel={"ns/demo/__init__.py", *ours("ns/demo", "a")},
        at={"ns/demo/a.wasm": "demo/a.wasm"},
        toml=WHEEL + '[tool.hatch.build.targets.wheel.sources]\n"" = "ns"',
    ),
    "include-names-no-asset": Layout(
        assets='["demo/a.wasm"]',
        files=["demo/__init__.py", "demo/a.wasm", "demo/other.txt"],
        wheel=DEMO,
        at={"demo/a.wasm": "demo/a.wasm"},
        toml=WHEEL + 'include = ["demo/*.py"]\n'
        '[tool.hatch.build.targets.sdist]\ninclude = ["/demo/*.py"]',
    ),
    "only-include-names-no-asset": Layout(
        assets='["demo/a.wasm"]',
        files=["demo/__init__.py", "demo/a.wasm", "demo/other.txt"],
        wheel=DEMO,
        at={"demo/a.wasm": "demo/a.wasm"},
        toml='[tool.hatch.build]\nonly-include = ["demo/__init__.py"]',
    ),
    "excluded": Layout(
        assets='["demo/a.wasm"]',
        files=["demo/__init__.py", "demo/a.wasm", "demo/not-declared.wasm"],
        wheel=DEMO,
        at={"demo/a.wasm": "demo/a.wasm"},
        toml='[tool.hatch.build]\nexclude = ["*.wasm"]',
    ),
    "excluded-folder-skipped": Layout(
        assets='["demo/data/*.wasm"]',
        files=["demo/__init__.py", "demo/data/a.wasm", "demo/data/other.txt"],
        wheel={"demo/__init__.py", *ours("demo", "data/a")},
        at={"demo/data/a.wasm": "demo/data/a.wasm"},
        toml='[tool.hatch.build]\nexclude = ["/demo/data"]\nskip-excluded-dirs = true',
    ),
    "gitignored": Layout(
        assets='["demo/a.wasm"]',
        files=["demo/__init__.py", "demo/a.wasm", "demo/not-declared.wasm"],
        wheel=DEMO,
        at={"demo/a.wasm": "demo/a.wasm"},
        texts={".gitignore": "*.wasm\n"},
    ),
    "gitignored-but-artifacts": Layout(
        assets='["demo/a.wasm"]',
        files=["demo/__init__.py", "demo/a.wasm", "demo/not-declared.wasm"],
        wheel={*DEMO, "demo/not-declared.wasm"},
        at={"demo/a.wasm": "demo/a.wasm"},
        toml='[tool.hatch.build]\nartifacts = ["*.wasm"]',
        texts={".gitignore": "*.wasm\n"},
    ),
    "force-include-of-a-file": Layout(
        assets='["rust/out/a.wasm"]',
        files=["demo/__init__.py", "rust/out/a.wasm"],
        wheel={"demo/__init__.py", *ours("demo", "data/renamed")},
        at={"demo/data/renamed.wasm": "rust/out/a.wasm"},
        toml=WHEEL + '[tool.hatch.build.targets.wheel.force-include]\n'
        '"rust/out/a.wasm" = "demo/data/renamed.wasm"',
    ),
    "force-include-of-a-folder": Layout(
        assets='["rust/**/*.wasm"]',
        files=["demo/__init__.py", "rust/out/a.wasm", "rust/out/deep/b.wasm", "rust/out/note.txt"],
        wheel={"demo/__init__.py", "demo/data/note.txt", *ours("demo", "data/a", "data/deep/b")},
        at={"demo/data/a.wasm": "rust/out/a.wasm", "demo/data/deep/b.wasm": "rust/out/deep/b.wasm"},
        toml=WHEEL + '[tool.hatch.build.targets.wheel.force-include]\n"rust/out" = "demo/data"',
    ),
    "force-include-with-sources": Layout(
        assets='["rust/a.wasm", "src/demo/b.wasm"]',
        files=["src/demo/__init__.py", "rust/a.wasm", "src/demo/b.wasm"],
        wheel={"demo/__init__.py", *ours("demo", "a", "b")},
        at={"demo/a.wasm": "rust/a.wasm", "demo/b.wasm": "src/demo/b.wasm"},
        toml=WHEEL + 'packages = ["src/demo"]\n'
        '[tool.hatch.build.targets.wheel.force-include]\n"rust/a.wasm" = "src/demo/a.wasm"',
    ),
    "bypass-selection": Layout(
        assets='["lib/a.wasm"]',
        files=["lib/__init__.py", "lib/a.wasm"],
        wheel=DEMO,
        at={"demo/a.wasm": "lib/a.wasm"},
        toml=WHEEL + 'bypass-selection = true\n'
        '[tool.hatch.build.targets.wheel.force-include]\nlib = "demo"',
    ),
    "hidden-folder": Layout(
        assets='["demo/.hidden/a.wasm"]',
        files=["demo/__init__.py", "demo/.hidden/a.wasm"],
        wheel={"demo/__init__.py", *ours("demo", ".hidden/a")},
        at={"demo/.hidden/a.wasm": "demo/.hidden/a.wasm"},
    ),
    "spaces-accents-and-brackets": Layout(
        assets='["demo/[x].wasm", "demo/ünï çode, \\"quoted\\" 雪.wasm", "demo/*.d/?.wasm"]',
        files=[
            "demo/__init__.py", "demo/[x].wasm", 'demo/ünï çode, "quoted" 雪.wasm',
            "demo/a b.d/y.wasm",
        ],
        wheel={
            "demo/__init__.py", *ours("demo", "[x]", 'ünï çode, "quoted" 雪', "a b.d/y"),
        },
        at={
            "demo/[x].wasm": "demo/[x].wasm",
            'demo/ünï çode, "quoted" 雪.wasm': 'demo/ünï çode, "quoted" 雪.wasm',
            "demo/a b.d/y.wasm": "demo/a b.d/y.wasm",
        },
    ),
    "links-inside-the-root": Layout(
        assets='["demo/link.wasm", "demo/data/*.wasm"]',
        files=[
            "demo/__init__.py", "vendor/a.wasm", "vendor/more/b.wasm",
            "demo/link.wasm -> ../vendor/a.wasm", "demo/data -> ../vendor/more",
        ],
        wheel={"demo/__init__.py", *ours("demo", "link", "data/b")},
        at={"demo/link.wasm": "vendor/a.wasm", "demo/data/b.wasm": "vendor/more/b.wasm"},
        toml=WHEEL + 'only-include = ["demo"]\n'
        '[tool.hatch.build.targets.sdist]\nonly-include = ["demo"]',
    ),
    "two-assets-with-the-same-bytes": Layout(
        assets='["demo/*.wasm"]',
        files=["demo/__init__.py", "demo/a.wasm", "demo/b.wasm -> a.wasm"],
        wheel={"demo/__init__.py", *ours("demo", "a", "b")},
        at={"demo/a.wasm": "demo/a.wasm", "demo/b.wasm": "demo/a.wasm"},
    ),
    "a-loader-of-another-name-and-place": Layout(
        assets='["src/demo/**/*.wasm"]',
        files=["src/demo/__init__.py", "src/demo/sub/__init__.py", "src/demo/sub/a.wasm"],
        wheel={
            "demo/__init__.py", "demo/sub/__init__.py", "demo/wasm.py", "demo/wasm.json",
            *(ours("demo", "sub/a") - ours("demo")),
        },
        at={"demo/sub/a.wasm": "src/demo/sub/a.wasm"},
        hook='loader = "src/demo/wasm.py"',
    ),
}  # fmt: skip

HATCH_TOML = Layout(
    assets='["demo/a.wasm"]',
    files=["demo/__init__.py", "demo/a.wasm"],
    wheel=DEMO,
    at={"demo/a.wasm": "demo/a.wasm"},
    texts={
        "pyproject.toml": PYPROJECT.partition("[tool.hatch")[0],
        "hatch.toml": '[build.hooks.wazcache]\nassets = ["demo/a.wasm"]\n',
    },
)
LAYOUTS["hatch.toml"] = HATCH_TOML


@cache
def built_layout(name: str) -> tuple[Project, Built]:
    """Return a project of a layout and its wheel. It is built once; tests must not change it."""
    folder = Path(tempfile.mkdtemp(prefix="layout-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    project = LAYOUTS[name].make(folder)
    return project, project.build()
