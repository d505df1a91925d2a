"""Runs the recipes for a CI on this machine: each `run:` and `script:`, in order, in a shell.

The actions of GitHub that recipes use are done here in a few lines each. What cannot run here, such
as a container, is replaced by the test, by name.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.fake_pypi import identity
from tests.support.paths import ROOT

RECIPES = ROOT / "docs" / "recipes"

SIGN = """\
if [ "$1 $2 $3" = "-m pypi_attestations sign" ]; then
  for file in "${@:4}"; do echo '{"signed": "not here"}' > "$file.publish.attestation"; done
else
  exec "$(dirname "$0")/../python/bin/python" "$@"
fi
"""
"""A `python` for jobs of GitLab: only Sigstore can sign, and this machine does not reach it."""


def releases_of_wasmtime(cli: Path, log: Path) -> str:
    """Return a `curl` that serves wasmtime's releases on GitHub.

    Args:
        cli: the wasmtime CLI. The archive holds a link to it, so that it is small.
        log: gets the URLs, one on each line.
    """
    return f"""\
url="${{@: -1}}"
name=$(basename "$url" .tar.xz)
echo "$url" >> {log}
folder=$(mktemp -d)
mkdir "$folder/$name"
ln -s {cli} "$folder/$name/wasmtime"
tar -C "$folder" -cJ "$name"
"""


@dataclass
class Machine:
    """The machine of a CI: each job gets a new folder on it, and a new Python."""

    folder: Path
    project: Path | None = None
    """What a checkout brings; None for a recipe without one."""
    environment: Mapping[str, str] = field(default_factory=dict)
    publishing: Mapping[str, str] = field(default_factory=dict)
    """Further variables of a job that may publish."""
    replaced: Mapping[str, str] = field(default_factory=dict)
    """Scripts of bash in the place of programs that cannot run here, by their names."""
    output: str = ""
    """What all steps have printed."""
    stored: dict[str, Path] = field(default_factory=dict)
    """What jobs have stored: caches by their keys, and the artifacts of the last run."""
    ran: list[str] = field(default_factory=list)
    """The jobs that ran."""
    _count: int = 0

    def github(self, recipe: str | Path, **github: str) -> None:
        """Run all jobs of a workflow.

        Args:
            recipe: the text, or a file.
            github: the context `github` of the run, such as `ref_type`.
        """
        workflow = self._begin(recipe)
        done: dict[str, Any] = {}
        for name, job in workflow["jobs"].items():
            needed = job.get("needs", [])
            needs = {one: done[one] for one in ([needed] if isinstance(needed, str) else needed)}
            run = _GithubJob(self, workflow, job, {"github": github, "needs": needs})
            if all(needs.values()) and run.applies(job):
                self.ran.append(name)
                done[name] = run.run()
            else:
                done[name] = None

    def gitlab(self, recipe: str | Path, **variables: str) -> None:
        """Run all jobs of a pipeline.

        Args:
            recipe: the text, or a file.
            variables: those that GitLab sets, such as `CI_COMMIT_TAG`.
        """
        pipeline = self._begin(recipe)
        names = ("stages", "workflow", "variables")
        jobs = {name: job for name, job in pipeline.items() if name not in names}
        order = pipeline.get("stages", ["test"])
        for name in sorted(jobs, key=lambda name: order.index(jobs[name].get("stage", "test"))):
            if _rules_apply(jobs[name].get("rules"), variables):
                self.ran.append(name)
                is_later = jobs[name].get("stage", "test") != order[0]
                _gitlab_job(self, pipeline, jobs[name], variables, gets_artifacts=is_later)

    def _begin(self, recipe: str | Path) -> dict[str, Any]:
        """Read a recipe, and forget the artifacts of an earlier run."""
        for key in [key for key in self.stored if key.startswith("artifact ")]:
            shutil.rmtree(self.stored.pop(key))
        text = recipe.read_text("utf-8") if isinstance(recipe, Path) else recipe
        read: dict[str, Any] = yaml.safe_load(text)
        return read

    def place(self) -> tuple[Path, dict[str, str]]:
        """Make the folder of a job, with a Python; return it and the environment."""
        self._count += 1
        folder = self.folder / f"job{self._count}"
        (folder / "work").mkdir(parents=True)
        programs = folder / "replaced"
        programs.mkdir()
        for name, script in self.replaced.items():
            (programs / name).write_text(f"#!/bin/bash\nset -e\n{script}\n")
            (programs / name).chmod(0o755)
        uv = [sys.executable, "-m", "uv", "venv", "-q", "--seed", "-p", sys.executable]
        subprocess.run([*uv, folder / "python"], check=True)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WAZCACHE_", "HATCH_", "XDG_", "GITHUB_", "CI", "TWINE_"))
        }
        real = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        path = [programs, folder / "python" / "bin", os.environ["PATH"]]
        home = folder / "home"
        home.mkdir()
        return folder / "work", {
            "UV_CACHE_DIR": str(real / "uv"),
            "PIP_CACHE_DIR": str(real / "pip"),
            **kept,
            **self.environment,
            "HOME": str(home),
            "PATH": os.pathsep.join(map(str, path)),
        }

    def shell(self, script: str, work: Path, environment: Mapping[str, str]) -> None:
        """Run a script, which must succeed."""
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script], cwd=work, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        self.output += f"$ {script}\n{done.stdout}"
        assert done.returncode == 0, self.output

    def store(self, key: str, path: Path, *, add: bool = False) -> None:
        """Keep a copy of a folder for later jobs, instead of what the key had, or added to it."""
        kept = self.folder / "stored" / re.sub(r"[^\w.-]", "_", key)
        if kept.exists() and not add:
            shutil.rmtree(kept)
        shutil.copytree(path, kept, dirs_exist_ok=True)
        self.stored[key] = kept

    def bring(self, key: str, to: Path) -> None:
        """Copy what was stored to its place."""
        shutil.copytree(self.stored[key], to, dirs_exist_ok=True)

    def check_out(self, work: Path) -> None:
        assert self.project is not None
        shutil.copytree(self.project, work, dirs_exist_ok=True)


class _GithubJob:
    """One job of a workflow."""

    def __init__(
        self,
        machine: Machine,
        workflow: dict[str, Any],
        job: dict[str, Any],
        values: dict[str, Any],
    ) -> None:
        self.machine = machine
        self.job = job
        matrix = job.get("strategy", {}).get("matrix", {})
        first = {name: choices[0] for name, choices in matrix.items()}  # others run elsewhere
        self.values = {**values, "matrix": first, "steps": {}}
        self.variables = {**workflow.get("env", {}), **job.get("env", {})}

    def run(self) -> dict[str, Any]:
        """Run all steps; return the job's outputs."""
        machine = self.machine
        self.work, environment = machine.place()
        self.may_publish = self.job.get("permissions", {}).get("id-token") == "write"
        self.environment = {**environment, "GITHUB_WORKSPACE": str(self.work)}
        self.values["github"] = {**self.values["github"], "workspace": str(self.work)}
        self.variables = {name: self.filled(str(text)) for name, text in self.variables.items()}
        self.values["env"] = self.variables
        for step in self.job["steps"]:
            if self.applies(step):
                self._step(step)
        outputs = self.job.get("outputs", {})
        return {"outputs": {name: self.filled(text) for name, text in outputs.items()}}

    def _step(self, step: dict[str, Any]) -> None:
        if "uses" in step:
            inputs = {name: self.filled(str(text)) for name, text in step.get("with", {}).items()}
            _ACTIONS[step["uses"].partition("@")[0]](self, inputs)
            return
        output, more = (self.work.parent / name for name in ("output", "more"))
        for file in (output, more):
            file.write_text("")
        variables = {**self.variables, **step.get("env", {})}
        environment = {
            **self.environment,
            **{name: self.filled(str(text)) for name, text in variables.items()},
            "GITHUB_OUTPUT": str(output),
            "GITHUB_ENV": str(more),
        }
        assert "${{" not in step["run"], "an expression in a script can inject commands"
        self.machine.shell(step["run"], self.work, environment)
        self.environment.update(_pairs(more))
        if "id" in step:
            self.values["steps"][step["id"]] = {"outputs": _pairs(output)}

    def applies(self, part: dict[str, Any]) -> bool:
        """Evaluate an `if:` of a step or a job."""
        path, _, literal = str(part.get("if", "'yes' == 'yes'")).partition(" == ")
        if not literal:
            return bool(self._value(path))
        return self._value(path) == literal.strip("'")

    def filled(self, text: str) -> str:
        """Replace the expressions in a text."""
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: str(self._value(found[1])), text)

    def _value(self, path: str) -> Any:
        if path.startswith("'"):
            return path.strip("'")
        found: Any = self.values
        for name in path.split("."):
            found = (found or {}).get(name, "")
        return found

    # the actions

    def check_out(self, inputs: dict[str, str]) -> None:
        assert inputs["persist-credentials"] == "False"
        self.machine.check_out(self.work)

    def set_up_python(self, inputs: dict[str, str]) -> None:
        assert inputs["python-version"]  # the job has the Python of the tests

    def upload_artifact(self, inputs: dict[str, str]) -> None:
        self.machine.store(f"artifact {inputs['name']}", self.work / inputs["path"])

    def download_artifact(self, inputs: dict[str, str]) -> None:
        wanted = f"artifact {inputs.get('name') or inputs['pattern']}"
        for name in fnmatch.filter(self.machine.stored, wanted):
            self.machine.bring(name, self.work / inputs["path"])

    def restore_cache(self, inputs: dict[str, str]) -> None:
        keys = [key for key in self.machine.stored if key.startswith(inputs["restore-keys"])]
        if keys:
            self.machine.bring(keys[-1], self._cache(inputs))

    def save_cache(self, inputs: dict[str, str]) -> None:
        self.machine.store(inputs["key"], self._cache(inputs))

    def _cache(self, inputs: dict[str, str]) -> Path:
        return Path(inputs["path"].replace("~", self.environment["HOME"]))

    def publish(self, inputs: dict[str, str]) -> None:
        """Upload with twine, as the action does. No attestations: nobody here can sign them."""
        assert self.may_publish
        environment = {**self.environment, **self.machine.publishing, "GITHUB_ACTIONS": "true"}
        flags = ["--skip-existing"] if inputs.get("skip-existing") == "True" else []
        folder = inputs.get("packages-dir", "dist/").rstrip("/")
        command = f"{sys.executable} -m twine upload {' '.join(flags)} {folder}/*"
        self.machine.shell(command, self.work, environment)


_ACTIONS: dict[str, Callable[[_GithubJob, dict[str, str]], None]] = {
    "actions/checkout": _GithubJob.check_out,
    "actions/setup-python": _GithubJob.set_up_python,
    "actions/upload-artifact": _GithubJob.upload_artifact,
    "actions/download-artifact": _GithubJob.download_artifact,
    "actions/cache/restore": _GithubJob.restore_cache,
    "actions/cache/save": _GithubJob.save_cache,
    "pypa/gh-action-pypi-publish": _GithubJob.publish,
}


def _pairs(file: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in file.read_text().splitlines())
    return {name: value for name, _, value in lines}


def _rules_apply(rules: list[dict[str, str]] | None, variables: Mapping[str, str]) -> bool:
    if rules is None:
        return True
    for rule in rules:
        name, operator, value = rule["if"].lstrip("$").split(" ", 2)
        found = variables.get(name, "")
        if operator == "=~" and re.search(value.strip("/"), found):
            return True
        if operator == "==" and found == variables.get(value.lstrip("$"), value.strip('"')):
            return True
    return False


def _gitlab_job(
    machine: Machine,
    pipeline: dict[str, Any],
    job: dict[str, Any],
    given: Mapping[str, str],
    *,
    gets_artifacts: bool,
) -> None:
    work, environment = machine.place()
    variables = {**pipeline.get("variables", {}), **job.get("variables", {})}
    environment |= given | {"CI": "true", "GITLAB_CI": "true", "CI_PROJECT_DIR": str(work)}
    for name, text in variables.items():
        environment[name] = re.sub(r"\$(\w+)", lambda found: environment[found[1]], str(text))
    for name, token in job.get("id_tokens", {}).items():
        environment[name] = identity("gitlab", token["aud"])
        environment |= machine.publishing
    if variables.get("GIT_STRATEGY") != "none":
        machine.check_out(work)
    for name in machine.stored:
        if gets_artifacts and name.startswith("artifact "):
            machine.bring(name, work / name.partition(" ")[2])
    cache = job.get("cache", {"paths": []})
    for path in cache["paths"]:
        if f"cache {path}" in machine.stored:
            machine.bring(f"cache {path}", work / path)
    machine.shell("\n".join(job["script"]), work, environment)
    for path in cache["paths"]:
        machine.store(f"cache {path}", work / path)
    for path in job.get("artifacts", {}).get("paths", []):
        machine.store(f"artifact {path}", work / path, add=True)
