"""Opens the shared cache of a build: with which keys, and whether it is only read.

Nothing of it is imported by a build that finds everything in its local cache.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hatch_wazcache.cache.remote.keys import SigningKey, TrustedKeys, user_keys_file
from hatch_wazcache.cache.remote.open_store import open_store
from hatch_wazcache.cache.remote.remote_cache import RemoteCache
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.remote_entries import RemoteEntries
from hatch_wazcache.util.environment import SIGNING_KEY, TRUSTED_KEYS, read_variable

if TYPE_CHECKING:
    from hatch_wazcache.cache.directory import CacheDirectory
    from hatch_wazcache.cache.remote.options import RemoteOptions
    from hatch_wazcache.report import Report

__all__ = ["connect", "open_remote", "trusted_keys"]


class _NoKeysError(WazcacheError):
    """Says that this machine trusts no key."""


def open_remote(
    options: RemoteOptions, cache: CacheDirectory, report: Report
) -> RemoteEntries | None:
    """Open the shared cache of a build. Nothing is asked yet.

    Args:
        options: where it is.
        cache: the local cache, which keeps what is downloaded.
        report: says why there is none, or why it is only read.

    Returns:
        None if this machine cannot use what the project names: strangers build it, too.

    Raises:
        WazcacheError: this machine cannot use what `WAZCACHE_REMOTE` names.
    """
    try:
        return connect(options, cache, report)
    except _NoKeysError as error:
        if options.url_from_environment:
            raise
        report.say(str(error))
    except WazcacheError as error:
        if options.url_from_environment:
            raise
        report.trouble(f"{error}; the build goes on without its shared cache")
    return None


def connect(
    options: RemoteOptions, cache: CacheDirectory, report: Report, *, patient: bool = False
) -> RemoteEntries:
    """Open a shared cache that must be usable. Nothing is asked yet.

    Args:
        options: where it is.
        cache: keeps what is downloaded.
        report: shows what is found and uploaded, and warnings.
        patient: whether all may need more time than compiling, as for a command of a person.

    Raises:
        WazcacheError: this machine trusts no key, a key or a credential is wrong, or an extra is
            not installed.
    """
    trusted = trusted_keys(options)
    if trusted is not None and not trusted:
        revoked = ": all that it has are revoked" if trusted.days else ""
        raise _NoKeysError(
            f"{options.where}: the shared cache {options.place} is not used, because this machine "
            f"trusts no key{revoked}: set {TRUSTED_KEYS} to the public keys of your team"
        )
    signing_key = _signing_key(options, report)
    writes = options.writes and (trusted is None or signing_key is not None)
    if signing_key is not None and trusted is not None:
        _check_own_key(signing_key, trusted, report)
    store = open_store(options, os.environ)
    remote = RemoteCache(store, cache, trusted, signing_key, bazel=options.bazel, patient=patient)
    return RemoteEntries(remote, cache, report, writes=writes, patient=patient)


def trusted_keys(options: RemoteOptions) -> TrustedKeys | None:
    """Return the keys of which one must have signed; None if nothing need be signed.

    A machine that trusts keys takes nothing unsigned, whatever a project says: what it takes stays
    in the local cache, where other projects find it.

    Raises:
        WazcacheError: a key is wrong, or PyNaCl is not installed.
    """
    where = f"{options.table}.trusted-keys"
    trusted = TrustedKeys.read(os.environ, user_keys_file(), options.trusted_keys, where)
    return None if options.unsigned and not trusted else trusted


def _signing_key(options: RemoteOptions, report: Report) -> SigningKey | None:
    """Return the private key; None if nothing is uploaded, or nothing need be signed."""
    if not options.writes:
        return None
    text = read_variable(SIGNING_KEY)
    if text is not None:
        return SigningKey.read(text)
    if not options.unsigned:
        # A project's file says it to everybody, and most have no private key, as it should be.
        tell = report.trouble if options.mode_from_environment else report.detail
        tell(
            f"the shared cache {options.place} is only read, although its mode is read-write: "
            f"{SIGNING_KEY} is not set, so nothing can be signed"
        )
    return None


def _check_own_key(signing_key: SigningKey, trusted: TrustedKeys, report: Report) -> None:
    """Say that others will not use what this build uploads, as far as this machine can know."""
    if problem := trusted.problem(signing_key.public):
        report.trouble(
            f"{SIGNING_KEY}: what this build uploads {problem}; neither this machine nor others "
            "with its keys use that"
        )
