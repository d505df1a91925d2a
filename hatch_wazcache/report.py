"""The lines that a build shows, and the counts that they report."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util.ci_log import ci_log
from hatch_wazcache.util.sizes_and_times import size_text, time_text
from hatch_wazcache.util.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

__all__ = ["MadeWheel", "Report"]

_COLUMNS = ("wheel", "target", "wasmtime", "artifacts", "size")


class MadeWheel(NamedTuple):
    """A finished wheel, for the summary of a CI."""

    name: str
    """Its file name."""
    target: str
    size: int
    """Bytes."""
    engines: tuple[str, ...]
    """The version of wasmtime of each of its artifacts."""

    def row(self) -> tuple[str, ...]:
        """Return its row in a table."""
        wasmtime = ", ".join(dict.fromkeys(self.engines)) or "-"
        return self.name, self.target, wasmtime, str(len(self.engines)), size_text(self.size)


class Report:
    """Shows lines that begin with `wazcache:`, and counts entries that were compiled and found."""

    def __init__(
        self,
        say: Callable[[str], None],
        warn: Callable[[str], None],
        *,
        strict: bool = False,
        detailed: bool = False,
    ) -> None:
        """Make a report.

        Args:
            say: shows a line.
            warn: shows a warning.
            strict: whether a warning about the project is an error.
            detailed: whether to show details, too.
        """
        self._say = say
        self._warn = warn
        self._strict = strict
        self._log = ci_log()
        self._wheels: list[MadeWheel] = []
        self.is_detailed = detailed
        """Whether details are shown, so that it is worth looking for them."""
        self.to_compile = 0
        """The compilations that this build has known of so far."""
        self.compiled = 0
        self.found = 0
        self.downloaded = 0
        """Entries from the shared cache. They are not counted as found."""
        self.uploaded = 0
        self.saved = 0.0
        """Seconds that it took to compile the entries that were found or downloaded."""
        self.spent = 0.0
        """Seconds that the compilers of this build needed, added up."""

    def say(self, text: str) -> None:
        """Show a line."""
        self._say(self._log.line(f"wazcache: {printable(text)}"))

    def detail(self, text: str) -> None:
        """Show a line, if details are shown."""
        if self.is_detailed:
            self.say(text)

    def warn(self, text: str, file: Path | None = None) -> None:
        """Show a warning about the project: its author can do something about it.

        Args:
            text: the warning.
            file: the file of the project to change, if it is one.

        Raises:
            WazcacheError: such warnings are errors.
        """
        if self._strict:
            raise WazcacheError(f"{text} (an error because strict is on)")
        self._warn(self._log.warning(printable(text), file))

    def trouble(self, text: str) -> None:
        """Show a warning about this machine, such as a cache that cannot be written.

        It is never an error: the sdist contains the option `strict`, and its author does not know
        the machines that build it.
        """
        self._warn(self._log.warning(printable(text), None))

    def is_one_of_several(self, target: str, others: Iterable[str], all_of_them: str = "") -> None:
        """Say which wheel is built, if the options name several but the front end builds one.

        Args:
            target: the target of the wheel.
            others: the other targets.
            all_of_them: the command that builds all wheels, if there is one.
        """
        also = f"; `{all_of_them}` builds all" if all_of_them else ""
        self.say(
            f"building for {target}; set WAZCACHE_TARGET to build for another target "
            f"({', '.join(others)}){also}"
        )

    def is_for_one_system(self, target: str, all_of_them: str = "") -> None:
        """Say that a wheel is for one system only, if the project did not ask for that.

        Args:
            target: the target of the wheel.
            all_of_them: the command that also builds a wheel for other systems, if there is one.
        """
        command = f"`{all_of_them}`, or " if all_of_them else ""
        self.say(
            f"this wheel is for {target} only: users of other systems would build from the sdist. "
            f"For a wheel that serves them: {command}WAZCACHE_TARGET=any with pip, build or uv. "
            'For artifacts on every system: targets = "all"'
        )

    def is_no_wheel_to_publish(self, target: str, all_of_them: str = "") -> None:
        """Say that a wheel has artifacts although the project has a companion.

        Args:
            target: the target of the wheel.
            all_of_them: the command that makes the wheels to publish, if there is one.
        """
        how = "WAZCACHE_TARGET=any, then `hatch-wazcache companion` with that wheel"
        if all_of_them:
            how = f"`{all_of_them}`"
        self.say(
            f"this wheel has the artifacts for {target} in itself, for use from source. For the "
            f"wheels to publish, the package for all systems and its companions: {how}"
        )

    @contextmanager
    def compiling(self, compilations: int) -> Iterator[None]:
        """Show what happens meanwhile as a group, where a log has groups.

        Args:
            compilations: how many are to come.
        """
        self.to_compile += compilations
        several = "artifact" if compilations == 1 else "artifacts"
        begin, end = self._log.group(f"wazcache: compiling {compilations} {several}")
        if not (begin and compilations):
            yield
            return
        self._say(begin)
        try:
            yield
        finally:
            self._say(end)

    def is_made(self, wheel: MadeWheel) -> None:
        """Remember a finished wheel, for `show_wheels`."""
        self._wheels.append(wheel)

    @property
    def made_wheels(self) -> dict[str, MadeWheel]:
        """The finished wheels that `show_wheels` has not shown, by their names."""
        return {wheel.name: wheel for wheel in self._wheels}

    def show_wheels(self, folder: Path) -> None:
        """Add the finished wheels to the summary of a CI, if they are in its workspace.

        pip builds in a temporary folder: such a wheel is installed, and nobody looks for it.

        Args:
            folder: the folder that they are in.
        """
        if self._wheels and self._log.shows_tables_for(folder):
            rows = [wheel.row() for wheel in self._wheels]
            self._log.add_table("Wheels made by hatch-wazcache", _COLUMNS, rows)
            self._wheels.clear()

    def begins(self, label: str, target: str) -> None:
        self.say(f"{label}: compiling for {target}")

    def goes_on(self, label: str, target: str, seconds: float) -> None:
        self.say(f"{label}: still compiling for {target}, {seconds:.0f} s")

    def is_compiled(self, label: str, target: str, seconds: float, size: int) -> None:
        self.compiled += 1
        self.spent += seconds
        self.say(f"{label}: compiled for {target} in {time_text(seconds)}, {size_text(size)}")

    def is_found(self, seconds: float) -> None:
        self.found += 1
        self.saved += seconds

    def is_downloaded(
        self, label: str, target: str, size: int, needed: float, seconds: float
    ) -> None:
        """Show and count an entry from the shared cache.

        Args:
            label: the asset.
            target: the system that the artifact is for.
            size: bytes of the entry.
            needed: seconds of the download.
            seconds: how long it took to compile.
        """
        self.downloaded += 1
        self.saved += seconds
        text = f"{size_text(size)} in {time_text(needed)}"
        self.say(f"{label}: found in the shared cache for {target}, {text}")

    def is_uploaded(self, label: str, target: str, size: int, needed: float) -> None:
        """Show and count an entry that the shared cache has now.

        Args:
            label: the asset.
            target: the system that the artifact is for.
            size: bytes of the entry.
            needed: seconds of the upload.
        """
        self.uploaded += 1
        text = f"{size_text(size)} in {time_text(needed)}"
        self.say(f"{label}: uploaded to the shared cache for {target}, {text}")

    def is_lost(self, seconds: float) -> None:
        """Subtract an entry that was found or downloaded but cannot be used."""
        if self.found:
            self.found -= 1
        else:
            self.downloaded -= 1
        self.saved -= seconds

    def is_done(self, made: str) -> None:
        """Show the counts and the result.

        Args:
            made: what was built.
        """
        self.say(f"{self.counts()}: {made}")

    def remote_counts(self) -> dict[str, int]:
        """Return the counts of the shared cache for a command's JSON; empty if it did nothing."""
        if not self.downloaded and not self.uploaded:
            return {}
        return {"downloaded": self.downloaded, "uploaded": self.uploaded}

    def is_one_done(self, made: str, compiled: int, found: int, saved: float) -> None:
        """Show the result of one wheel of several, with its own counts.

        Args:
            made: the wheel.
            compiled: how many of its artifacts this process has compiled.
            found: how many it has not.
            saved: seconds that it took to compile those.
        """
        time = f" ({time_text(saved)} saved)" if found else ""
        self.say(f"{compiled} compiled, {found} found in the cache{time}: {made}")

    def counts(self) -> str:
        """Return how many entries were compiled and found, downloaded and uploaded."""
        counts = f"{self.compiled} compiled, {self.found} found in the cache"
        if self.downloaded:
            counts += f", {self.downloaded} from the shared cache"
        if self.found or self.downloaded:
            counts += f" ({time_text(self.saved)} saved)"
        return counts + (f", {self.uploaded} uploaded" if self.uploaded else "")
