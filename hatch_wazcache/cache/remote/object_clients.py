"""Makes obstore's clients: the URL, the environment, the timeouts.

obstore reads credentials out of the environment, and asks AWS, Google or Azure for tokens. It
panics at values that it cannot send, so they are checked before. `aws_profiles.py` reads the files
of AWS, which obstore does not know.
"""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from hatch_wazcache.cache.remote.stores import CONNECT_TIMEOUT, SILENCE_TIMEOUT, RemoteError
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obstore.store import AzureStore, ClientConfig, GCSStore, RetryConfig, S3Store

    from hatch_wazcache.cache.remote.aws_profiles import Profile
    from hatch_wazcache.cache.remote.options import RemoteOptions

__all__ = ["ASK", "DOWNLOAD", "PART", "UPLOAD", "ObjectClients", "ObjectPlace", "Use"]

PART = 5 << 20
"""The bytes of a part of a large upload: S3 takes no smaller ones."""


class Use(NamedTuple):
    """How long a client waits, in seconds. Each use has a client of its own."""

    whole: float
    """For a request and its answer."""
    silence: float
    """For the next bytes of an answer."""
    retry: float
    """After the first failure, until the last attempt begins."""


ASK = Use(whole=7, silence=7, retry=3)
"""For small objects: together at most 10 seconds."""
DOWNLOAD = Use(whole=24 * 3600, silence=SILENCE_TIMEOUT, retry=SILENCE_TIMEOUT)
UPLOAD = Use(whole=60, silence=60, retry=SILENCE_TIMEOUT)
"""For one part. The answer begins when the whole part has arrived, so its silence is no sign."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PREFIX = re.compile(r"[A-Za-z0-9._~+=@-]+(/[A-Za-z0-9._~+=@-]+)*|")

_VARIABLES = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
"""How the variables of a scheme begin."""

_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
"""The variables that name another server, the strongest first."""

_NOT_EMPTY = re.compile(r"(KEY|KEY_ID|TOKEN|SECRET|ENDPOINT|URL|URL_S3|ACCOUNT|NAME|CREDENTIALS)$")

_JSON = "SERVICE_ACCOUNT_KEY"
"""How the name of a variable ends that holds JSON, which may have line breaks."""


class ObjectPlace(NamedTuple):
    """Where the objects are."""

    scheme: str
    bucket: str
    prefix: str

    @classmethod
    def of(cls, options: RemoteOptions) -> ObjectPlace:
        """Take a URL apart.

        Raises:
            WazcacheError: it is not `SCHEME://BUCKET/PREFIX`.
        """
        scheme, _, rest = options.url.partition("://")
        bucket, _, prefix = rest.partition("/")
        prefix = prefix.rstrip("/")
        if not _BUCKET.fullmatch(bucket) or not _PREFIX.fullmatch(prefix) or ".." in prefix:
            example = f"{scheme.lower()}://bucket/prefix"
            raise WazcacheError(
                f"{options.where}: the URL must be like {example!r}, without a user"
            )
        return cls(scheme.lower(), bucket, prefix)

    def __str__(self) -> str:
        """Return the URL."""
        return f"{self.scheme}://{self.bucket}{'/' if self.prefix else ''}{self.prefix}"


class ObjectClients:
    """The clients of one store, made when they are first used."""

    def __init__(self, place: ObjectPlace, environment: Mapping[str, str]) -> None:
        """Read nothing yet.

        Args:
            place: where the objects are.
            environment: the environment of this process, which obstore reads, too.
        """
        self._place = place
        self._environment = environment
        self._made: dict[Use, S3Store | GCSStore | AzureStore] = {}
        self._problem: RemoteError | None = None
        self._lock = threading.Lock()

    def get(self, use: Use) -> S3Store | GCSStore | AzureStore:
        """Return the client for a use. It has asked for nothing yet.

        Raises:
            RemoteError: the environment or a profile of AWS has what cannot be used.
            obstore.exceptions.BaseError: obstore says so.
        """
        with self._lock:
            if self._problem:
                raise RemoteError(str(self._problem), refuses=True)
            if use not in self._made:
                try:
                    self._made[use] = self._make(use)
                except RemoteError as error:
                    self._problem = error
                    raise
            return self._made[use]

    def forget(self) -> None:
        """Let go of all clients. Connections end when no transfer uses them."""
        with self._lock:
            self._made.clear()

    @cached_property
    def _profile(self) -> Profile:
        """What the files of AWS add; one profile gives its keys to all clients."""
        from hatch_wazcache.cache.remote.aws_profiles import read_profile

        return read_profile(self._environment)

    def _make(self, use: Use) -> S3Store | GCSStore | AzureStore:
        from obstore.store import AzureStore, GCSStore, S3Store

        scheme, bucket, prefix = self._place
        _check(scheme, self._environment)
        endpoint = _endpoint(scheme, self._environment)
        options: ClientConfig = {
            "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT),
            "timeout": timedelta(seconds=use.whole),
            "read_timeout": timedelta(seconds=use.silence),
            "user_agent": "hatch-wazcache",
            "allow_http": endpoint.startswith("http://"),
        }
        retry: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=use.retry)}
        if scheme == "s3":
            config, provider = self._profile
            if config.get("endpoint", "").startswith("http://"):
                options["allow_http"] = True
            return S3Store(
                bucket, prefix=prefix or None, config=config, client_options=options,
                retry_config=retry, credential_provider=provider,
            )  # fmt: skip
        made = GCSStore if scheme == "gs" else AzureStore
        return made(bucket, prefix=prefix or None, client_options=options, retry_config=retry)


def _endpoint(scheme: str, environment: Mapping[str, str]) -> str:
    """Return the server that the environment names, if it names one.

    Raises:
        RemoteError: it is not a URL of a server.
    """
    name = next((name for name in _ENDPOINTS[scheme] if name in environment), None)
    if name is None:
        return ""
    endpoint = environment[name]
    try:
        parts = urlsplit(endpoint)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or "@" in endpoint or not endpoint.isascii() or " " in endpoint:
        raise RemoteError(f"{name} must be like 'https://host:port', without a user", refuses=True)
    # S3's requests are signed; tokens of the others would be readable on the way.
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme == "http" and scheme != "s3" and not loopback:
        raise RemoteError(f"{name} must begin with https://", refuses=True)
    return endpoint


def _check(scheme: str, environment: Mapping[str, str]) -> None:
    """Find values that obstore cannot send. A secret of a CI system often ends with a line break.

    Raises:
        RemoteError: there is one; names the variable, never its value.
    """
    for name, value in environment.items():
        if not name.startswith(_VARIABLES[scheme]):
            continue
        if any(ord(letter) < 32 for letter in value) and not name.endswith(_JSON):
            raise RemoteError(f"{name} has a line break or another control character", refuses=True)
        if not value and _NOT_EMPTY.search(name):
            raise RemoteError(f"{name} is set, and empty", refuses=True)
