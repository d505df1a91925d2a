"""A wheel held against its own claims: name, WHEEL, RECORD, manifests, and what the files say.

What an artifact was compiled for is read from the artifact itself. Its header names the flags of
the code generator; the other settings (fuel, epochs, memory, wasm features) stand there without
names, so only compiling again tells them. wasmtime holds most of those against the engine's when it
loads the artifact.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_wazcache.engine.settings import CPU_LEVELS
from hatch_wazcache.engine.targets import TARGETS
from hatch_wazcache.formats.artifact import ArtifactHeader, BrokenArtifactError, read_artifact
from hatch_wazcache.formats.wasm import WASM_HEADERS
from hatch_wazcache.wheels.manifest_reader import check_manifest
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_wazcache.engine.settings import SettingValue
    from hatch_wazcache.wheels.manifest_reader import Manifest, ManifestArtifact, ManifestAsset
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["Audit", "Finding", "cpu_flags"]

_UNSIGNED = ("RECORD", "RECORD.jws", "RECORD.p7s")
"""Files of the .dist-info folder that RECORD does not give a digest of."""

_ALGORITHMS = ("sha256", "sha384", "sha512")

# The settings that an artifact tells in all versions of wasmtime: Cranelift's flag and what it is
# without the setting. They are just those that wasmtime does not check as it loads.
_FLAGS = {
    "cranelift-debug-verifier": ("enable_verifier", False),
    "cranelift-nan-canonicalization": ("enable_nan_canonicalization", False),
    "cranelift-opt-level": ("opt_level", "speed"),
    "native-unwind-info": ("unwind_info", True),
}


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be."""

    member: str | None
    """The file in the wheel; None for the wheel as a whole."""
    text: str
    """What is, and what should be."""


class Audit:
    """One audit of one wheel: `findings` is filled as it is made, and so is `claims`."""

    def __init__(self, wheel: WheelReader) -> None:
        """Audit a wheel that could be opened."""
        self.wheel = wheel
        self.findings: list[Finding] = []
        self.claims: list[Manifest] = []
        """What the manifests claim, as far as it can be believed."""
        self.headers: dict[str, ArtifactHeader] = {}
        """Of the artifacts that could be read, by their paths."""
        for name, why in (*wheel.bad_names(), *wheel.conflicting_headers()):
            self._find(name, why)
        self._check_name()
        self._check_record()
        self._read_claims()
        for claims in self.claims:
            for asset in claims.assets:
                self._check_asset(asset)
                for artifact in asset.artifacts:
                    self._check_artifact(claims, asset, artifact)
        self._check_tags()
        self._check_unclaimed()

    def _find(self, member: str | None, text: str) -> None:
        self.findings.append(Finding(member, text))

    def _find_once(self, member: str, text: str) -> None:
        """Note what may have been met before, when the member was held against RECORD."""
        if Finding(member, text) not in self.findings:
            self._find(member, text)

    def _check_name(self) -> None:
        """Hold the wheel's name against WHEEL and the name of the .dist-info folder."""
        try:
            project, version, tags = self.wheel.name_parts()
            folder = self.wheel.info_folder()
        except BrokenWheelError as error:
            self._find(None, str(error))
            return
        name, _, number = folder.removesuffix(".dist-info").rpartition("-")
        try:
            same = canonicalize_name(name) == project and Version(number) == Version(version)
        except InvalidVersion:
            same = False
        if not same:
            self._find(None, f"its name says {project} {version}, its files are {folder}")
        try:
            said = self.wheel.tags()
        except BrokenWheelError as error:
            self._find(f"{folder}/WHEEL", str(error))
            return
        if said != tags:
            named, words = (", ".join(sorted(map(str, both))) for both in (tags, said))
            self._find(f"{folder}/WHEEL", f"says {words}; the wheel's name says {named}")

    def _check_record(self) -> None:
        """Hold every member against RECORD, and RECORD against the members."""
        try:
            folder = self.wheel.info_folder()
        except BrokenWheelError:
            return  # said of the wheel's name
        try:
            rows = self.wheel.record()
        except BrokenWheelError as error:
            self._find(f"{folder}/RECORD", str(error))
            return
        recorded: dict[str, list[str]] = {}
        for row in rows:
            if row[0] in recorded:
                self._find(row[0], "has two rows in RECORD")
            elif row[0] not in self.wheel:
                self._find(row[0], "is in RECORD, but not in the wheel")
            recorded[row[0]] = row
        unsigned = {f"{folder}/{name}" for name in _UNSIGNED}
        for name in dict.fromkeys(self.wheel.names):
            if name in unsigned:
                continue
            if name not in recorded:
                self._find(name, "is in the wheel, but not in RECORD")
            elif problem := self._unlike_row(name, recorded[name]):
                self._find(name, problem)

    def _unlike_row(self, name: str, row: list[str]) -> str | None:
        """Say what a member's row in RECORD is wrong about."""
        said, size = (*row[1:], "", "")[:2]
        algorithm, _, value = said.partition("=")
        if algorithm not in _ALGORITHMS:
            return f"has {f'the digest {said!r}' if said else 'no digest'} in RECORD, not sha256=…"
        try:
            digest = self.wheel.digest(name, algorithm)
        except BrokenWheelError as error:
            return str(error)
        encoded = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if encoded != value:
            return f"has the digest {algorithm}={encoded}; RECORD says {said}"
        if size and size != str(self.wheel.size_of(name)):
            return f"has {self.wheel.size_of(name)} bytes; RECORD says {size}"
        return None

    def _read_claims(self) -> None:
        """Read the manifests; a wheel without any has nothing that could be held against it."""
        manifests = self.wheel.manifests()
        for name in manifests:
            claims, problems = check_manifest(self.wheel, name)
            for problem in problems:
                self._find_once(name, problem)
            if claims is not None:
                self.claims.append(claims)
        if not manifests:
            self._find(
                None,
                "has no manifest of hatch-wazcache: it was built without it, or the build was "
                "ended before it was done; build it again",
            )

    def _check_asset(self, asset: ManifestAsset) -> None:
        """Hold the `.wasm` in the wheel against the one that was compiled."""
        if asset.member is None:
            return
        if asset.member not in self.wheel:
            self._find(asset.member, "is missing: the manifest lists it")
            return
        self._check_digest(asset.member, asset.sha256, asset.size)
        try:
            with self.wheel.open(asset.member) as file:
                kind = WASM_HEADERS.get(file.read(8))
        except BrokenWheelError:
            return  # said already
        if kind != asset.kind:
            is_what = f"a WebAssembly {kind}" if kind else "no WebAssembly"
            self._find(asset.member, f"is {is_what}; the manifest says {asset.kind}")

    def _check_digest(self, member: str, sha256: str, size: int) -> None:
        try:
            found = self.wheel.digest(member).hex()
        except BrokenWheelError as error:
            self._find_once(member, str(error))
            return
        if found != sha256:
            self._find(member, f"has the SHA-256 {found}; the manifest says {sha256}")
        if self.wheel.size_of(member) != size:
            self._find(member, f"has {self.wheel.size_of(member)} bytes; the manifest says {size}")

    def _check_artifact(
        self, claims: Manifest, asset: ManifestAsset, artifact: ManifestArtifact
    ) -> None:
        """Hold an artifact against the manifest, and its own header too."""
        if artifact.member not in self.wheel:
            self._find(artifact.member, "is missing: the manifest lists it")
            return
        self._check_digest(artifact.member, artifact.sha256, artifact.size)
        try:
            with self.wheel.open(artifact.member) as file:
                header = read_artifact(file, self.wheel.size_of(artifact.member))
        except BrokenWheelError:
            return  # said already
        except BrokenArtifactError as error:
            self._find(artifact.member, f"is no artifact: {error}")
            return
        self.headers[artifact.member] = header
        settings = claims.settings(artifact)
        for found, claimed in _unlike(header, claims.engine, asset, artifact, settings):
            self._find(artifact.member, f"{found}; the manifest says {claimed}")

    def _check_tags(self) -> None:
        """Hold the wheel's tags against the systems of its artifacts.

        An installer goes by the name. For each system that a tag is for, every asset must have an
        artifact; and for each artifact there must be a tag.
        """
        try:
            _project, _version, tags = self.wheel.name_parts()
        except BrokenWheelError:
            return  # said already
        platforms = sorted({tag.platform for tag in tags})
        wanted = {system: tag for tag in reversed(platforms) for system in _systems(tag)}
        for claims in self.claims:
            for asset in claims.assets:
                there = {self._system(artifact): artifact for artifact in asset.artifacts}
                for system, artifact in there.items():
                    if system not in wanted:
                        self._find(
                            artifact.member,
                            f"is for {system}; the wheel's tags ({', '.join(platforms)}) are not",
                        )
                for system, tag in wanted.items():
                    if system not in there:
                        self._find(
                            claims.member,
                            f"{asset.name} has no artifact for {system}; the wheel's tag {tag} is "
                            "for that",
                        )

    def _system(self, artifact: ManifestArtifact) -> str:
        """Return what an artifact is for: by its own words, else by the manifest's."""
        header = self.headers.get(artifact.member)
        return artifact.system if header is None else f"{header.arch}-{header.system}"

    def _check_unclaimed(self) -> None:
        claimed = {
            artifact.member
            for claims in self.claims
            for asset in claims.assets
            for artifact in asset.artifacts
        }
        for name in dict.fromkeys(self.wheel.names):
            if name.endswith(".cwasm") and name not in claimed:
                self._find(name, "is an artifact that no manifest lists: nothing loads it")


def cpu_flags(header: ArtifactHeader) -> frozenset[str]:
    """Return the CPU features that an artifact uses."""
    return frozenset(name for name, value in header.flags.items() if name[:4] == "has_" and value)


def _unlike(
    header: ArtifactHeader,
    engine: str,
    asset: ManifestAsset,
    artifact: ManifestArtifact,
    settings: Mapping[str, SettingValue],
) -> Iterator[tuple[str, str]]:
    """Yield what an artifact says of itself, and what is claimed instead."""
    if header.kind != asset.kind:
        yield f"is compiled from a {header.kind}", f"a {asset.kind}"
    system = f"{header.arch}-{header.system}"
    if system != artifact.system:
        yield f"holds code for {system} ({header.triple})", artifact.system
    if not header.made_by(engine):
        yield f"is compiled by wasmtime {header.version}", engine or "none"
    flags = cpu_flags(header)
    if header.arch == "x86_64" and artifact.cpu != "native":
        level = frozenset(CPU_LEVELS.get(artifact.cpu, ()))
        if flags != level:
            yield _flags("uses", flags), _flags(f"cpu {artifact.cpu}, which uses", level)
    elif header.arch == "aarch64" and artifact.cpu == "baseline" and flags:
        yield _flags("uses", flags), _flags("cpu baseline, which uses", frozenset())
    told = {name: (header.flags.get(flag), default) for name, (flag, default) in _FLAGS.items()}
    told["address-map"] = header.address_map, True
    for name, (value, default) in told.items():
        claimed = settings.get(name, default)
        if value not in (None, claimed):
            yield (
                f"is compiled with {name} = {json.dumps(value)}",
                f"{json.dumps(claimed)} (profile {artifact.profile})",
            )


def _flags(uses: str, flags: frozenset[str]) -> str:
    names = ", ".join(sorted(flag.removeprefix("has_") for flag in flags))
    return f"{uses} {names or 'no CPU features beyond the baseline'}"


def _systems(platform_tag: str) -> list[str]:
    """Name the systems that a platform tag is for, of those that artifacts are made for."""
    return [
        system.name
        for target in TARGETS.values()
        if target.accepts(platform_tag)
        for system in target.systems
    ]
