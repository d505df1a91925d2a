"""The private key and the credentials of a shared cache reach no other process and no output."""

from __future__ import annotations

import ast
import base64
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hatch_wazcache.cache.remote.http_url import Origin, find_proxy
from hatch_wazcache.cache.remote.open_store import open_store
from hatch_wazcache.cache.remote.stores import RemoteError
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.remote_fields import remote_without_project
from hatch_wazcache.util.child_process import clean_environment
from hatch_wazcache.util.environment import SECRETS
from tests.support.commands import run
from tests.support.environments import UNMEASURED
from tests.support.paths import ROOT
from tests.support.projects import Project
from tests.support.remotes import folder_server
from tests.support.signatures import SIGNER

TOKEN = "token-of-the-server"
PASSWORD = "password-in-the-url"
SECRET = {
    "WAZCACHE_SIGNING_KEY": SIGNER.text,
    "WAZCACHE_REMOTE_TOKEN": TOKEN,
    "WAZCACHE_REMOTE": f"http://user:{PASSWORD}@127.0.0.1:9/cache",  # where nobody answers
    "WAZCACHE_REMOTE_MODE": "read-write",
    "WAZCACHE_TRUSTED_KEYS": SIGNER.public,
}
TEXTS = (SIGNER.text.removeprefix("wazcache-private-"), TOKEN, PASSWORD)

WATCH = """
import os, sys
def watch(event, arguments):
    if event in {"subprocess.Popen", "os.posix_spawn", "os.exec", "os.system"}:
        given = os.environ if len(arguments) < 3 or arguments[-1] is None else arguments[-1]
        with open(os.environ["WATCHED"], "a") as file:
            file.write(ascii((event, arguments[:2], dict(given))) + chr(10))
sys.addaudithook(watch)
"""
"""Notes each process that Python starts, with its arguments and its whole environment."""


@pytest.fixture
def watched(project: Project, tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WATCH)
    note = tmp_path / "processes"
    project.environment = {
        **SECRET,
        **UNMEASURED,
        "PYTHONPATH": str(tmp_path / "site"),
        "WATCHED": str(note),
    }
    return note


def without_secrets(note: Path, *outputs: str) -> list[str]:
    """Check what the processes were given and what was printed; return the processes."""
    started = note.read_text().splitlines()
    for text in (*started, *outputs):
        assert not [secret for secret in TEXTS if secret in text], text
    for line in started:
        _event, _words, environment = ast.literal_eval(line)
        assert not {name.encode() for name in SECRETS} & {os.fsencode(name) for name in environment}
    return started


def files_without_secrets(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [secret for secret in TEXTS if secret.encode() in data], path


def test_the_note_would_show_a_secret(watched: Path, project: Project):
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''])"
    assert project.run_python("-c", code).status == 0
    with pytest.raises(AssertionError):
        without_secrets(watched)


def test_the_processes_and_files_of_a_build_have_no_secrets(watched: Path, project: Project):
    built = project.build()
    assert built.status == 0, built.output
    assert len(without_secrets(watched, built.output)) >= 1
    for folder in (project.root, project.cache):
        files_without_secrets(folder)


def test_a_build_that_uploads_leaves_no_secret_on_the_server_either(
    watched: Path, project: Project, tmp_path: Path
):
    with folder_server(tmp_path / "server") as server:
        url = server.url.replace("//", f"//user:{PASSWORD}@")
        first = project.build(WAZCACHE_REMOTE=url)
        assert "1 uploaded" in first.output
        shutil.rmtree(project.cache)
        second = project.build(WAZCACHE_REMOTE=url)
        assert "1 from the shared cache" in second.output
        status = run(project, "remote", "status", WAZCACHE_REMOTE=url)
        info = run(project, "info", "--json", WAZCACHE_REMOTE=url)
        assert f"user:{PASSWORD}" in decoded(server.tokens)
    without_secrets(watched, first.output, second.output, status.stdout, info.stdout)
    for folder in (project.root, project.cache, server.folder):
        files_without_secrets(folder)


def decoded(headers: set[str]) -> str:
    (header,) = headers
    return base64.b64decode(header.removeprefix("Basic ")).decode()


def test_an_installer_that_fetches_an_engine_gets_no_secrets(watched: Path, project: Project):
    project.requires("wasmtime>=47,<49")
    project.append('engines = ["47", "48"]\n')
    built = project.build()
    assert built.status == 0, built.output
    started = without_secrets(watched, built.output)
    assert [line for line in started if "--no-deps" in line]
    assert len(started) > 2


def test_an_artifact_that_a_command_loads_gets_no_secrets(watched: Path, project: Project):
    assert project.build().status == 0
    before = len(without_secrets(watched))
    done = run(project, "inspect", *project.root.glob("dist/*.whl"))
    assert "loads" in done.stdout
    assert len(without_secrets(watched, done.stdout, done.stderr)) > before


def test_no_command_shows_a_secret(watched: Path, project: Project):
    commands = (
        ["warm", "-v"], ["info"], ["info", "--json"], ["plan", "-v"], ["list", "--json"],
        ["why", "a.wasm", "--json"], ["verify", "-v"], ["prune", "--dry-run", "-v"],
    )  # fmt: skip
    for words in commands:
        done = run(project, *words)
        assert done.returncode == 0, done.stderr
        without_secrets(watched, done.stdout, done.stderr)
    for action in ("status", "pull", "push", "verify"):
        done = run(project, "remote", action, "-v")
        assert "http://127.0.0.1:9/cache" in done.stdout + done.stderr
        without_secrets(watched, done.stdout, done.stderr)
    files_without_secrets(project.cache)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is needed")
def test_git_gets_no_secrets(watched: Path, project: Project):
    subprocess.run(["git", "init", "-q", project.root], check=True)
    done = run(project, "init", "--dry-run")
    assert [line for line in without_secrets(watched, done.stdout, done.stderr) if "git" in line]


# messages about wrong URLs


@pytest.mark.parametrize(
    "url",
    [
        "https:/u:{}@h/", "u:{}@h", "https://u:{}@h:99999/", "https://u:{}@h/?x", "https://h/?t={}",
        "https://h/#{}", "https://u:{} @h/", "https://u:[{}]@h/", "https://u:a/{}@h/", "{}",
        "ftp://u:{}@h/", "s3://u:{}@bucket/x", "https://u:{}", "https://u:{}é@h/", "https://{}@h\\x",
        "https://u:a#{}@h/", "https://u:a?{}@h/", "HTTPS://u:{}@h/", "\nhttps://u:{}@h",
        "gs://bucket:{}/x", "https://u:{}@/", "https://u:{}\u2100@h/", "https://u:{}@[h/",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_wrong_url_in_the_variable_is_one_message_that_does_not_show_it(url: str, tmp_path: Path):
    with pytest.raises(WazcacheError, match=r"^WAZCACHE_REMOTE: must be a URL such as") as caught:
        remote_without_project({"WAZCACHE_REMOTE": url.format(PASSWORD)}, tmp_path)
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://u:{}@h/a", "https://{}@h/a", "http://{}:x@h/a", "bazel+https://u:{}@h/a"]
)
def test_the_place_that_messages_show_has_no_credentials(url: str, tmp_path: Path):
    remote = remote_without_project({"WAZCACHE_REMOTE": url.format(PASSWORD)}, tmp_path)
    assert remote is not None
    assert open_store(remote, {}).place in {"https://h/a", "http://h/a", "bazel+https://h/a"}


@pytest.mark.parametrize(
    "proxy",
    [
        "http://u:a[{}]b@proxy:1", "http://u:{}\u2100@proxy:1", "http://u:{}", "http://u:a/{}@proxy:1",
        "ftp://u:{}@proxy:1", "http://u:a#{}@proxy:1", "http://u:{}@proxy:x", "u:{}@proxy:x",
        "http://u:{}@", "http://u:{}@\u2100",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_wrong_proxy_is_one_message_that_does_not_show_its_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTPS_PROXY", proxy.format(PASSWORD))
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(RemoteError, match="the URL of the proxy for https is wrong: it") as caught:
        find_proxy(Origin("https", "example.org", 443))
    assert PASSWORD not in str(caught.value)


# all of the code


def test_all_code_that_starts_a_process_chooses_its_environment():
    """But compile/compilers.py: it runs in a child that has no secrets."""
    calls = {"run", "Popen", "check_output", "check_call", "call"}
    found = []
    for path in sorted((ROOT / "hatch_wazcache").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if ast.unparse(node.func) in {f"subprocess.{call}" for call in calls}:
                has = "env" in {keyword.arg for keyword in node.keywords}
                found.append((path.relative_to(ROOT / "hatch_wazcache").as_posix(), has))
    assert len(found) > 5
    assert [path for path, has in found if not has] == ["compile/compilers.py"]


def test_a_compiler_in_this_process_sees_no_secrets(monkeypatch: pytest.MonkeyPatch):
    """Where no process can be started, `compile/worker_thread.py` hides the same variables."""
    for name, text in SECRET.items():
        monkeypatch.setenv(name, text)
    assert set(SECRETS) < set(os.environ)
    assert not set(SECRETS) & set(clean_environment())
