"""The keys of the shared cache: one private key signs entries, public keys say which to trust.

Ed25519 (RFC 8032), by PyNaCl. It needs a public key to read and a private key to write, so a reader
cannot sign. `signature.py` says what is signed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import date, datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hatch_wazcache.cache.remote.key_texts import (
    KEY_BYTES,
    PRIVATE,
    PUBLIC,
    add_keys,
    base64_text,
    earlier,
    existing_path,
    key_bytes,
    read_text_file,
    short,
    text_of_variable,
    without_comment,
)
from hatch_wazcache.cache.trust import Trust
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util.environment import SIGNING_KEY, TRUSTED_KEYS, read_variable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SigningKey", "TrustedKeys", "user_keys_file"]


class SigningKey:
    """A private key. Nothing shows it but `text`, and it cannot be pickled."""

    __slots__ = ("_seed", "public")

    def __init__(self, seed: bytes) -> None:
        """Make the key of a seed: 32 random bytes.

        Raises:
            WazcacheError: PyNaCl is not installed.
        """
        _need_library()
        from nacl.signing import SigningKey as Ed25519Key

        self._seed = seed
        self.public = PUBLIC + base64_text(bytes(Ed25519Key(seed).verify_key))
        """The public key, as readers have it."""

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new key, of random numbers of the operating system."""
        return cls(os.urandom(KEY_BYTES))

    @classmethod
    def read(cls, text_or_path: str) -> SigningKey:
        """Read the value of `WAZCACHE_SIGNING_KEY`.

        Args:
            text_or_path: the private key, or the path of a file that holds it. Empty lines and
                comments that begin with `#` may be in the file.

        Raises:
            WazcacheError: it is not a private key, or PyNaCl is not installed. The message does not
                show the value, which may be a mistyped key.
        """
        text = text_or_path.strip()
        where = SIGNING_KEY
        if not text.startswith((PRIVATE, PUBLIC)):
            path = existing_path(text)
            if path is None:
                raise WazcacheError(
                    f"{SIGNING_KEY} must be a private key, {PRIVATE}…, or the path of a file with "
                    "one; its value is neither, and is not shown because it may be a secret"
                )
            where = f"{SIGNING_KEY}: {path}"
            text = " ".join(
                filter(None, map(without_comment, read_text_file(path, where).split("\n")))
            )
        seed = key_bytes(text, PRIVATE)
        if seed is None:
            raise WazcacheError(
                f"{where} must hold one private key: {PRIVATE} and 43 letters, digits, - or _; "
                "`hatch-wazcache keygen` makes one"
            )
        return cls(seed)

    @property
    def text(self) -> str:
        """The private key itself. Only for the person who has asked for a new key."""
        return PRIVATE + base64_text(self._seed)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message: 64 bytes."""
        from nacl.signing import SigningKey as Ed25519Key

        return Ed25519Key(self._seed).sign(message).signature

    def __repr__(self) -> str:
        return f"<SigningKey of {self.public}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not given to another process")


class TrustedKeys:
    """The public keys whose signatures count. False if no key is left that can sign."""

    def __init__(self, keys: Mapping[str, date | None], today: date) -> None:
        """Use keys that were read already.

        Args:
            keys: each key, and the day on which it was revoked.
            today: the day by this machine's clock, in UTC. The date in a signature cannot decide:
                who has a leaked key can write any date into what it signs.
        """
        self._keys = dict(keys)
        self._today = today

    @classmethod
    def read(
        cls,
        environment: Mapping[str, str],
        user_file: Path | None,
        project: Sequence[str] = (),
        where: str = "trusted-keys",
        *,
        today: date | None = None,
    ) -> TrustedKeys:
        """Collect the keys of this machine, and those of the project beside them.

        Args:
            environment: has `WAZCACHE_TRUSTED_KEYS`: keys, or the path of a file.
            user_file: the result of `user_keys_file`; it may be missing.
            project: the lines of the project. Its keys count only if this machine trusts a key
                already; what it revokes always counts.
            where: the TOML path of these lines.
            today: the day that counts; by default, that of this machine's clock, in UTC.

        Raises:
            WazcacheError: a key is wrong; a file cannot be read, or others can write the user's
                file; or PyNaCl is not installed.
        """
        of_machine: dict[str, date | None] = {}
        if (value := read_variable(TRUSTED_KEYS, environment)) and value.strip():
            add_keys(of_machine, *text_of_variable(value))
        if user_file is not None and os.path.lexists(user_file):
            text = read_text_file(user_file, str(user_file))  # a link may lead nowhere
            if problem := Trust(user_file).problem():
                raise WazcacheError(f"{user_file} {problem}")
            add_keys(of_machine, text, str(user_file))
        of_project: dict[str, date | None] = {}
        for number, line in enumerate(project):
            add_keys(of_project, line, f"{where}[{number}]")
        for key, revoked in of_project.items():
            if key in of_machine and revoked is not None:
                of_machine[key] = earlier(of_machine[key], revoked)
        made = cls(of_machine, today or datetime.now(timezone.utc).date())
        if made:
            made = cls({**of_project, **of_machine}, made._today)
            for key in made._keys:
                _check_point(key)
        return made

    @property
    def days(self) -> dict[str, date | None]:
        """All keys, and the day on which each was revoked."""
        return dict(self._keys)

    def __bool__(self) -> bool:
        return any(revoked is None or self._today < revoked for revoked in self._keys.values())

    def problem(self, public: str) -> str:
        """Say why what a key has signed is not trusted; empty if it is trusted."""
        if key_bytes(public, PUBLIC) is None:
            return "is signed by something that is not a public key"
        if public not in self._keys:
            return f"is signed by {public}, which is not one of the trusted keys"
        revoked = self._keys[public]
        if revoked is not None and revoked <= self._today:
            return f"is signed by {public}, which was revoked on {revoked}"
        return ""

    def verify(self, public: str, message: bytes, signature: bytes) -> str:
        """Check a signature.

        libsodium also refuses keys of a low order, and the second form that other libraries accept
        of each signature.

        Returns:
            Why it is refused, as the end of a sentence; empty if a trusted key has made it.
        """
        if problem := self.problem(public):
            return problem
        from nacl.exceptions import BadSignatureError
        from nacl.signing import VerifyKey

        try:
            VerifyKey(key_bytes(public, PUBLIC) or b"").verify(message, signature)
        except (BadSignatureError, ValueError):
            return f"has a signature that {public} did not make"
        return ""


def user_keys_file() -> Path | None:
    """Return the path of the user's file of trusted keys; None for a user without a home."""
    import platformdirs

    with suppress(RuntimeError):  # HOME is not set, and no user has this uid
        path = Path(platformdirs.user_config_dir("hatch-wazcache", appauthor=False), "trusted-keys")
        if path.is_absolute():
            return path
    return None


def _check_point(public: str) -> None:
    """Refuse 32 bytes that are not a public key: whoever knows a low order can sign with it.

    Raises:
        WazcacheError: it is not one, or PyNaCl is not installed.
    """
    _need_library()
    from nacl import bindings

    if bindings.has_crypto_core_ed25519 and not bindings.crypto_core_ed25519_is_valid_point(
        key_bytes(public, PUBLIC) or b""
    ):
        raise WazcacheError(
            f"{short(public)} is not a public key of Ed25519; is a character wrong?"
        )


def _need_library() -> None:
    try:
        import nacl.bindings  # noqa: F401
    except ImportError as error:
        raise WazcacheError(
            "signatures of the shared cache need PyNaCl: run `pip install "
            '"hatch-wazcache[remote]"`, or write "hatch-wazcache[remote]" into '
            f"build-system.requires ({error})"
        ) from None
