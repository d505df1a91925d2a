"""The cache's directory: finds entries and publishes them, and never stands in a build's way.

Layout: `<scope>/<key>.zip` for entries, `locks/` for compilations under way, `tmp/` for entries
that are being written, `engines/` for the versions read out of wasmtime's libraries, and for the
programs that were held against them.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from hatch_wazcache.cache.entry import BrokenEntryError, Entry, read_entry
from hatch_wazcache.cache.lock import shared
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util import temporary_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import filelock

    from hatch_wazcache.cache.key import ArtifactKey, SourceKey

    Key = ArtifactKey | SourceKey

__all__ = ["CacheDirectory", "Draft", "default_directory", "distrust", "is_cache"]

_CACHEDIR_TAG = """\
Signature: 8a477f597d28d172789f06886806bc55
# This directory is a cache of hatch-wazcache: compiled WebAssembly that can be made again.
# See https://bford.info/cachedir/
"""


def default_directory() -> Path:
    """Return the user's cache directory for `wazcache`, as the system has it.

    Raises:
        WazcacheError: the user has no home, or one that is no directory.
    """
    import platformdirs

    with suppress(RuntimeError):  # no HOME, and nobody by this uid
        path = Path(platformdirs.user_cache_path("wazcache", appauthor=False))
        there = next(parent for parent in (path, *path.parents) if os.path.lexists(parent))
        if path.is_absolute() and os.path.isdir(there):
            return path
    raise WazcacheError("you have no home directory for a cache; name another with WAZCACHE_DIR")


def is_cache(tag: Path) -> bool:
    """Say whether a file is the CACHEDIR.TAG of one of our caches."""
    try:
        return tag.read_text("utf-8") == _CACHEDIR_TAG
    except (OSError, UnicodeDecodeError):
        return False


class Draft:
    """A file in the cache that an entry is being written to, held against sweeping."""

    def __init__(self, path: Path, held: IO[bytes]) -> None:
        self.path = path
        self._held = held
        self._owner = os.getpid()

    @property
    def is_ours(self) -> bool:
        """Whether this process made it, and not one that it is a fork of."""
        return self._owner == os.getpid()

    def move(self, final: Path) -> None:
        """Put the draft in its place, at once for all who look.

        It stays open: what was written can still be copied, whatever becomes of its place.
        """
        if sys.platform == "win32":
            self._held.close()  # an open file cannot be moved there
        temporary_files.replace(self.path, final)

    def copy(self, final: Path) -> None:
        """Copy what was written, which is there even if all that is in the cache was deleted."""
        with final.open("wb") as file:
            if self._held.closed:
                file.write(self.path.read_bytes())
            else:
                self._held.seek(0)
                shutil.copyfileobj(self._held, file)

    def discard(self) -> None:
        """Remove the draft, unless it was moved."""
        self._held.close()
        if self.is_ours:
            with suppress(OSError):
                self.path.unlink()


class CacheDirectory:
    """Entries in a directory, as wazero's `NewCompilationCacheWithDir` keeps them.

    The directory is created (0700) if it is missing. Where it cannot be read, written or trusted,
    a build misses and goes on: there is one warning, and what is compiled is kept aside until
    `close`.
    """

    def __init__(self, root: Path, warn: Callable[[str], None]) -> None:
        """Open the directory.

        Args:
            root: an absolute path.
            warn: is told, once, what is wrong with the directory.

        Raises:
            WazcacheError: the path is something else than a directory.
        """
        self.root = root
        self._warn = warn
        self._warned = False
        self._aside: list[tuple[Path, int]] = []
        self._swept = False
        self._lease: Draft | None = None
        self._leasing = threading.Lock()
        self.distrusted: str | None = None
        """Why others could put native code into the directory."""
        self.usable = self._prepare()
        """Whether it can be read, and trusted."""

    def _prepare(self) -> bool:
        try:
            _make_directory(self.root)
            self.distrusted = distrust(self.root)
            if self.distrusted:
                self._trouble(self.distrusted)
                return False
            marks = {"CACHEDIR.TAG": _CACHEDIR_TAG, ".gitignore": "*\n"}
            if set(os.listdir(self.root)) <= marks.keys():  # else it may be somebody's home
                for name, text in marks.items():
                    with suppress(FileExistsError), (self.root / name).open("x") as file:
                        file.write(text)
        except OSError as error:
            self._trouble(f"cannot be written: {error.strerror or error}")
        return os.path.isdir(self.root)  # Path.is_dir raises where it may not look

    def _trouble(self, problem: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(f"the cache {self.root} {problem}; what is compiled now is not kept")

    def path(self, key: Key) -> Path:
        """Return where the key's entry lies, if there is one."""
        return self.root / key.scope / f"{key.digest}.zip"

    def get(self, key: Key) -> Entry | None:
        """Return the key's entry, its own description checked; None is a miss.

        A broken entry is a miss: what is published in its place repairs it.
        """
        return self.find([key]).get(key.digest)

    def find(self, keys: Iterable[Key]) -> dict[str, Entry]:
        """Return the entries of those keys that have one, by the keys' digests."""
        found: dict[str, Entry] = {}
        if self.usable:
            with shared(self.root):
                self._hold_lease()
                for key in keys:
                    entry = self._read(key)
                    if entry is not None:
                        found[key.digest] = entry
        return found

    def _read(self, key: Key) -> Entry | None:
        path = self.path(key)
        try:
            entry = read_entry(path, key.digest)
            self._mark_used(path)
        except (FileNotFoundError, BrokenEntryError):
            return None
        except NotADirectoryError:
            _make_directory(path.parent)  # says which path
            return None
        except OSError as error:
            self._trouble(f"cannot be read: {error.strerror or error}")
            return None
        return entry

    def _hold_lease(self) -> None:
        """Have entries that are used from now on spared by whoever prunes, until `close`."""
        with self._leasing:
            if self._lease is not None and self._lease.is_ours:
                return
            atexit.register(self.close)  # hatchling does not tell a hook that the build failed
            leases = self.root / "leases"
            with suppress(OSError):
                leases.mkdir(mode=0o700, exist_ok=True)
                self._lease = Draft(*temporary_files.create(leases))

    def _mark_used(self, path: Path) -> None:
        """Note when a file was used; whoever prunes must find that the lease is not younger."""
        with suppress(OSError):
            os.utime(path)
            if self._lease is not None:
                used = path.stat().st_mtime_ns
                if used < self._lease.path.stat().st_mtime_ns:  # the clock was set back
                    os.utime(self._lease.path, ns=(used, used))

    def draft(self) -> Draft | None:
        """Make an empty file that an entry can be written to; None if the cache takes none."""
        if self.usable:
            drafts = self.root / "tmp"
            try:
                _make_directory(drafts)
                if not self._swept:
                    temporary_files.sweep(drafts)
                    self._swept = True
                return Draft(*temporary_files.create(drafts))
            except OSError as error:
                self._trouble(f"cannot be written: {error.strerror or error}")
        return None

    def publish(self, key: Key, written: Path, draft: Draft | None, problem: str = "") -> Entry:
        """Put a written entry in its place, and return it.

        Where that fails there is one warning, and the entry stays outside the cache until `close`.

        Args:
            key: what the entry is for.
            written: where it was written: the draft, or a file of the system's temporary directory
                where the draft could not be written.
            draft: as `draft` made it.
            problem: why it was not written into the draft.

        Raises:
            BrokenEntryError: what was written is no entry of this key.
            OSError: it is gone, or there is no room to keep it.
        """
        if draft is None or written != draft.path:
            self._keep_aside(written)
            if self.usable:
                self._trouble(f"cannot be written: {problem}")
            return read_entry(written, key.digest)
        final = self.path(key)
        try:
            self._mark_used(written)
            entry = read_entry(written, key.digest)
            _make_directory(final.parent)
            if final.is_dir() and not final.is_symlink():
                final.rmdir()
            draft.move(final)
            return entry._replace(path=final)
        except OSError as error:
            self._trouble(f"cannot be written: {error.strerror or error}")
            descriptor, name = tempfile.mkstemp(".zip", "wazcache-")
            os.close(descriptor)
            final = Path(name)
            self._keep_aside(final)
            draft.copy(final)
        return read_entry(final, key.digest)

    def _keep_aside(self, path: Path) -> None:
        atexit.register(self.close)
        self._aside.append((path, os.getpid()))

    def claim(self, key: Key) -> ExitStack | None:
        """Hold the key while its artifact is compiled, by all the processes that share the cache.

        Returns:
            What gives up the hold when it is closed; None if another process has it. On a file
            system without locks everyone has it: two compile, and both are right.
        """
        import filelock

        claim = ExitStack()
        if self.usable:
            with suppress(OSError, NotImplementedError):
                _make_directory(self.root / "locks")
                lock = filelock.FileLock(self.root / "locks" / f"{key.digest}.lock", mode=0o600)
                try:
                    lock.acquire(timeout=0)
                except filelock.Timeout:
                    return None
                claim.callback(_release, lock)
        return claim

    def recall(self, name: str) -> str | None:
        """Return what was noted under a name, if it was."""
        if self.usable and name:
            with suppress(OSError, UnicodeDecodeError):
                note = (self.root / "engines" / name).read_text("utf-8")
                value, _, digest = note.partition(" ")
                if digest == _note_digest(name, value):
                    return value
        return None

    def remember(self, name: str, value: str) -> None:
        """Note a word about an engine, with a digest; without a name, nothing is noted.

        Args:
            name: what it is about: a digest of that. As a file's name, `sha256=…` or `program=…`.
            value: has no spaces.
        """
        if self.usable and name:
            with suppress(OSError):
                _make_directory(self.root / "engines")
                _make_directory(self.root / "tmp")
                text = f"{value} {_note_digest(name, value)}"
                temporary_files.write(
                    text.encode(), self.root / "engines" / name, self.root / "tmp"
                )

    def close(self) -> None:
        """Give up the hold on entries, and remove what was kept aside."""
        with self._leasing:
            if self._lease is not None:
                self._lease.discard()
                self._lease = None
        atexit.unregister(self.close)
        while self._aside:
            path, owner = self._aside.pop()
            if owner == os.getpid():  # a fork leaves its parent's alone
                with suppress(OSError):
                    path.unlink()


def _note_digest(name: str, value: str) -> str:
    return hashlib.sha256(f"{name} {value}".encode()).hexdigest()


def _release(lock: filelock.BaseFileLock) -> None:
    with suppress(OSError):  # it ends with the process
        lock.release()


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        # Not parents=True: it makes the parents as the umask says, and 000 says: for everybody.
        _make_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        blocking = next(p for p in (path, *path.parents) if os.path.lexists(p))
        raise WazcacheError(
            f"cache-dir: {blocking} is not a directory; remove it or name another cache-dir"
        ) from error


def distrust(root: Path) -> str | None:
    """Say who else could put native code into the directory; None if only its owner can."""
    if sys.platform == "win32":
        return None  # the user's profile is protected by its own access list
    status = root.stat()
    if status.st_uid != os.geteuid():
        return f"belongs to another user (uid {status.st_uid})"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"can be written by others (mode {stat.S_IMODE(status.st_mode):o}; chmod go-w)"
    for parent in dict.fromkeys((*root.parents, *root.resolve().parents)):
        status = parent.stat()
        if status.st_uid not in (0, os.geteuid()):
            return f"could be replaced by another user, who owns {parent} (uid {status.st_uid})"
        if not status.st_mode & stat.S_ISVTX and _others_write(status):
            mode = stat.S_IMODE(status.st_mode)
            return f"could be replaced by others, who can write {parent} (mode {mode:o})"
    return None


def _others_write(status: os.stat_result) -> bool:
    """Say whether somebody else can write; a group that has one member is nobody else."""
    if status.st_mode & stat.S_IWOTH:
        return True
    if not status.st_mode & stat.S_IWGRP:
        return False
    import grp
    import pwd

    try:
        me = pwd.getpwuid(os.geteuid()).pw_name
        members = set(grp.getgrgid(status.st_gid).gr_mem)
    except KeyError:  # a group or user without a name: nothing is known of it
        return True
    members |= {user.pw_name for user in pwd.getpwall() if user.pw_gid == status.st_gid}
    return not members <= {me, "root"}
