"""The recipes for the shared cache in docs/recipes: their scripts and variables, as they are.

The recipes for servers are what tests/support/remote_servers.py starts.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.aws_stand_in import TOKEN, StandIn, aws_stand_in
from tests.support.commands import artifacts, said
from tests.support.machines import Machine
from tests.support.paths import ROOT
from tests.support.projects import Project
from tests.support.remote_servers import Access, Certificates, Server
from tests.support.signatures import SIGNER

RECIPES = ROOT / "docs" / "recipes"


@pytest.fixture
def aws(certificates: Certificates) -> Iterator[StandIn]:
    with aws_stand_in(certificates) as made:
        yield made


@pytest.fixture
def s3(start: Callable[[str], Server], aws: StandIn) -> Access:
    """The bucket, without any credentials."""
    environment = start("s3").writer.environment
    kept = {name: environment[name] for name in ("AWS_ENDPOINT_URL", "SSL_CERT_FILE")}
    return Access("", {**kept, "AWS_ENDPOINT_URL_STS": aws.url})


def variables(text: str, indent: int) -> dict[str, str]:
    """Return the variables of a block of YAML, which has one on each line."""
    found = re.findall(rf"^ {{{indent}}}([A-Z_]+): (.+?)(?: #.*)?$", text, re.MULTILINE)
    return {name: value.strip('"') for name, value in found}


def github_job(recipe: str, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the scripts of a job by the names of their steps, and its variables."""
    head, _, jobs = recipe.partition("\njobs:\n")
    (job,) = (one for one in re.split(r"\n(?=  [\w-]+:\n)", jobs) if one.startswith(f"  {name}:"))
    scripts = {}
    for step in job.split("\n      - ")[1:]:
        title = re.match(r"name: (.+)", step)
        script = re.search(r"^        run: (?:\|\n((?:          .*\n?)+)|(.+))", step, re.MULTILINE)
        if title and script:
            scripts[title[1]] = textwrap.dedent(script[1] or script[2])
    *_, last = job.split("\n      - ")
    return scripts, {**variables(head, 2), **variables(last, 10)}


def run_on_github(script: str, folder: Path, aws: StandIn, certificates: Certificates) -> None:
    """Run a script as GitHub does, with a Python in the path."""
    subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
        check=True,
        env={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "RUNNER_TEMP": str(folder),
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{aws.url}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job",
            "CURL_CA_BUNDLE": str(certificates.authority),
        },
    )


def test_on_github_the_main_branch_writes_and_pull_requests_read(
    shared: Project, s3: Access, aws: StandIn, certificates: Certificates, tmp_path: Path
):
    recipe = (RECIPES / "shared-cache-s3.yml").read_text("utf-8")
    machines = {}
    for job in ("main", "pull-request"):
        scripts, environment = github_job(recipe, job)
        (ask,) = (script for name, script in scripts.items() if name.startswith("Ask GitHub"))
        folder = tmp_path / f"runner of {job}"
        folder.mkdir()
        run_on_github(ask, folder, aws, certificates)
        assert (folder / "token").stat().st_mode & 0o077 == 0
        values = {"${{ runner.temp }}": str(folder)}
        values["${{ secrets.WAZCACHE_SIGNING_KEY }}"] = SIGNER.text
        for old, new in values.items():
            environment = {name: value.replace(old, new) for name, value in environment.items()}
        environment["WAZCACHE_TRUSTED_KEYS"] = SIGNER.public
        access = Access(environment.pop("WAZCACHE_REMOTE"), {**s3.environment, **environment})
        machines[job] = Machine(tmp_path / job, shared, access)
    assert "WAZCACHE_SIGNING_KEY" not in machines["pull-request"].project.environment
    made = machines["main"].build()
    assert "1 uploaded" in made.output
    found = machines["pull-request"].build()
    assert "1 from the shared cache" in found.output
    assert found.wheel.read_bytes() == made.wheel.read_bytes()
    assert {role.rpartition("/")[2] for role in aws.roles} == {"wazcache-writer", "wazcache-reader"}


def test_on_gitlab_the_default_branch_writes_and_merge_requests_read(
    shared: Project, s3: Access, aws: StandIn, tmp_path: Path
):
    recipe = (RECIPES / "shared-cache.gitlab-ci.yaml").read_text("utf-8")
    head, _, jobs = recipe.partition("\nmain:\n")
    script = re.findall(r"^    - (.+)$", head.partition("  script:\n")[2], re.MULTILINE)
    token = [line for line in script if "AWS_WEB_IDENTITY_TOKEN_FILE" in line]
    assert len(token) == 2
    outputs = []
    for name, text in zip(("main", "merge-request"), jobs.split("merge-request:"), strict=True):
        environment = {**variables(head.partition("\n.wheels:")[0], 2), **variables(text, 4)}
        if name == "main":
            environment["WAZCACHE_SIGNING_KEY"] = SIGNER.text
        environment["WAZCACHE_TRUSTED_KEYS"] = SIGNER.public
        path = subprocess.run(
            ["bash", "-e", "-c", "\n".join([*token, 'echo "$AWS_WEB_IDENTITY_TOKEN_FILE"'])],
            env={**os.environ, "TMPDIR": str(tmp_path), "GITLAB_TOKEN_FOR_AWS": TOKEN},
            check=True, stdout=subprocess.PIPE, text=True,
        ).stdout.strip()  # fmt: skip
        environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = path
        access = Access(environment.pop("WAZCACHE_REMOTE"), {**s3.environment, **environment})
        outputs.append(Machine(tmp_path / name, shared, access).build().output)
    assert "1 uploaded" in outputs[0]
    assert "1 from the shared cache" in outputs[1]
    assert {role.rpartition("/")[2] for role in aws.roles} == {"wazcache-writer", "wazcache-reader"}


def test_the_cache_of_github_actions_holds_what_the_last_build_used(
    shared: Project, tmp_path: Path
):
    recipe = (RECIPES / "cache-of-actions.yml").read_text("utf-8")
    scripts, _ = github_job(recipe, "wheels")
    prune = scripts["Remove what this build did not use"].split()
    assert prune[0] == "hatch-wazcache"
    assert shared.build().status == 0
    old = artifacts(shared)
    shared.write("demo/a.wasm", (shared.root / "demo" / "a.wasm").read_bytes() + b"\0\2\1x")
    assert shared.build().status == 0
    said(shared, *prune[1:])
    (kept,) = artifacts(shared)
    assert kept not in old
    restored = Project(shared.root, tmp_path / "restored", python=shared.python)
    shared.cache.rename(restored.cache)
    assert "0 compiled, 1 found" in restored.build().output
