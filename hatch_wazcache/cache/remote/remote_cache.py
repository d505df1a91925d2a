"""The shared cache of one build: asks for entries, downloads them beside it, and uploads others.

It knows keys and entries; `stores.py` moves bytes, and `signature.py` decides what is trusted. A
fault of the server never stops a build: it makes misses, and `server.py` counts it.
"""

from __future__ import annotations

import queue
import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from hatch_wazcache.cache.remote.downloads import Coming, Download, Downloads
from hatch_wazcache.cache.remote.names import engine_name, is_newer_patch, signature_name
from hatch_wazcache.cache.remote.server import Server
from hatch_wazcache.cache.remote.signature import LARGEST, UntrustedError, read_signature
from hatch_wazcache.cache.remote.stores import SMALL_OBJECT_TIMEOUT, AbsentError, RemoteError
from hatch_wazcache.cache.remote.transfers import Limit, Threads
from hatch_wazcache.cache.remote.uploads import Upload, Uploads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.cache.entry import Entry
    from hatch_wazcache.cache.key import ArtifactKey
    from hatch_wazcache.cache.remote.keys import SigningKey, TrustedKeys
    from hatch_wazcache.cache.remote.signature import Signature
    from hatch_wazcache.cache.remote.stores import RemoteStore

__all__ = ["RemoteCache"]

Answer = TypeVar("Answer")

_QUESTIONS = 8
"""Questions at a time."""

_PER_QUESTION = 0.005
"""Seconds that a build waits longer for each question, even if the server has nothing."""

_LONGEST_PER_QUESTION = 0.1
"""The same at most, if the server has entries that save as much, or if a person asks."""

_LONGEST_VERSION = 32


class RemoteCache:
    """The entries on one server, for one build."""

    def __init__(
        self,
        store: RemoteStore,
        cache: CacheDirectory,
        trusted: TrustedKeys | None,
        signing_key: SigningKey | None = None,
        *,
        bazel: bool = False,
        patient: bool = False,
    ) -> None:
        """Prepare the cache; `find` asks the server for the first time.

        Args:
            store: speaks to the server.
            cache: keeps what is downloaded.
            trusted: the keys of which one must have signed an entry; None for `trust = "unsigned"`.
            signing_key: signs what is uploaded; None for `trust = "unsigned"`.
            bazel: whether the server has the layout of Bazel's caches.
            patient: whether all may need more time than compiling, as for a command of a person.
        """
        self._patient = patient
        self._waits = SMALL_OBJECT_TIMEOUT
        """Seconds that this build still waits for answers that bring nothing."""
        self.server: Server = Server(store, bazel=bazel)
        self._trusted = trusted
        self._questions = Threads(_QUESTIONS)
        self._downloads = Downloads(self.server, cache, self._signature_now)
        self._uploads = Uploads(self.server, signing_key, self._is_new)
        self._known: dict[str, Signature] = {}
        """The last signatures that the server had, by the digests of their keys."""

    def find(self, keys: Iterable[ArtifactKey]) -> Coming:
        """Ask for the signatures of entries, and begin to download those that are there.

        Args:
            keys: of the entries.

        Returns:
            What is on its way, when all is answered or the server is given up.
        """
        wanted = {key.digest: key for key in keys if not key.is_for_one_machine}
        signatures = self.signatures(list(wanted.values()))
        found = [
            Download(wanted[digest], one, patient=self._patient)
            for digest, one in signatures.items()
        ]
        try:
            return self._downloads.begin(found)
        except RuntimeError:
            self._no_threads()
            return Coming(self.server, ())

    def signatures(self, keys: Sequence[ArtifactKey]) -> dict[str, Signature]:
        """Return the trusted signatures of entries, by the digests of their keys."""
        return self._ask(keys, self._signature, lambda signature: signature.seconds)

    def engines(self, keys: Sequence[ArtifactKey]) -> dict[str, str]:
        """Return the patch releases of the wasmtime CLI that have compiled, by digests of keys.

        Args:
            keys: with the engine's own version. The server does not have their entries.
        """
        shared = [key for key in keys if not key.is_for_one_machine]
        return self._ask(shared, self._engine, lambda _version: _LONGEST_PER_QUESTION)

    def upload(self, key: ArtifactKey, entry: Entry, asked: ArtifactKey) -> None:
        """Begin to upload an entry.

        Args:
            key: its key.
            entry: this process has compiled it.
            asked: the same key with the engine's own version, for which builds ask first.
        """
        if not key.is_for_one_machine and not self.server.is_given_up:
            try:
                self._uploads.add(Upload(key, entry, asked))
            except RuntimeError:
                self._no_threads()

    def finish(self) -> list[Upload]:
        """Wait for the uploads, for at most what their bytes need; return those done."""
        return self._uploads.finish(patient=self._patient)

    def close(self) -> None:
        """Give up everything that has not ended. Nothing waits for the server."""
        self._downloads.close()
        self._uploads.close()
        self._questions.close()
        self.server.store.close()

    def _ask(
        self,
        keys: Sequence[ArtifactKey],
        question: Callable[[ArtifactKey, float], Answer | None],
        saved: Callable[[Answer], float],
    ) -> dict[str, Answer]:
        """Ask a question about each key, all at once; return the answers by digests of keys.

        All rounds of a build together wait for the usual time, and for what their answers save:
        asking must not need more time than compiling.

        Args:
            keys: that the questions are about.
            question: asks one, in a thread, until a time by `time.monotonic`.
            saved: says how many seconds of compiling an answer saves.
        """
        server = self.server
        answers: queue.SimpleQueue[tuple[str, Answer | None]] = queue.SimpleQueue()
        latest = SMALL_OBJECT_TIMEOUT + _LONGEST_PER_QUESTION * len(keys)
        usual = latest if self._patient else self._waits + _PER_QUESTION * len(keys)
        limit = Limit(usual, latest)
        try:
            for key in keys:
                self._questions.do(partial(self._answer, question, key, limit, answers))
        except RuntimeError:
            self._no_threads()
        found = {}
        is_silent = False
        for number, _key in enumerate(keys):
            if server.is_given_up:
                return {}
            try:
                digest, answer = answers.get(timeout=max(limit.left, 0.001))
            except queue.Empty:
                limit.is_too_short = True
                is_silent = number == 0
                break
            if answer is not None:
                found[digest] = answer
                limit.extend(saved(answer))
        if limit.is_too_short and not server.is_given_up:
            server.failed(RemoteError("its answers need too long", refuses=is_silent))
        self._waits = max(min(limit.left, SMALL_OBJECT_TIMEOUT), 0.0)
        return {} if server.is_given_up else found

    def _answer(
        self,
        question: Callable[[ArtifactKey, float], Answer | None],
        key: ArtifactKey,
        limit: Limit,
        answers: queue.SimpleQueue[tuple[str, Answer | None]],
    ) -> None:
        """Ask a question, in a thread."""
        answer = None
        now = time.monotonic()
        until = min(limit.deadline, now + SMALL_OBJECT_TIMEOUT)
        try:
            if now >= until:
                limit.is_too_short = True
            elif not self.server.is_given_up:
                answer = question(key, until)
        except AbsentError:
            self.server.answered()
        except RemoteError as error:
            if until < now + SMALL_OBJECT_TIMEOUT and time.monotonic() >= until:
                limit.is_too_short = True  # this build has ended the question
            else:
                self.server.failed(error)
        except UntrustedError as error:
            self.server.refused(key.digest, str(error))
        finally:
            answers.put((key.digest, answer))

    def _signature(self, key: ArtifactKey, deadline: float) -> Signature:
        data = self._read_signature(key, deadline)
        self.server.answered()
        return self._checked(key, data)

    def _signature_now(self, key: ArtifactKey) -> Signature:
        """Ask again, which is no sign that the server works: its entries may still be wrong."""
        return self._checked(
            key, self._read_signature(key, time.monotonic() + SMALL_OBJECT_TIMEOUT)
        )

    def _read_signature(self, key: ArtifactKey, deadline: float) -> bytes:
        name = signature_name(key, bazel=self.server.bazel)
        return self.server.store.read(name, LARGEST, deadline)

    def _checked(self, key: ArtifactKey, data: bytes) -> Signature:
        found = self._known[key.digest] = read_signature(data, key, self._trusted)
        return found

    def _is_new(self, key: ArtifactKey, own: Signature | None = None) -> bool:
        """Ask whether a key has another trusted signature than before, in a thread.

        Args:
            key: the key.
            own: what this machine has just stored.
        """
        known = (self._known.get(key.digest), own)
        try:
            return self._signature_now(key) not in known
        except (AbsentError, UntrustedError):
            return False

    def _engine(self, key: ArtifactKey, deadline: float) -> str | None:
        name = engine_name(key, bazel=self.server.bazel)
        data = self.server.store.read(name, _LONGEST_VERSION, deadline)
        self.server.answered()
        text = data.decode("ascii", errors="replace")
        return text if is_newer_patch(text, key.engine) else None

    def _no_threads(self) -> None:
        self.server.failed(RemoteError("no thread can be started to ask it", refuses=True))
