"""Says in plain words what went wrong between obstore and a store.

The texts of obstore are pages of debug output, and may hold URLs with credentials and anything that
a server wrote. So only a status, a code of letters, and known causes are taken out of them.
"""

from __future__ import annotations

import re

from hatch_wazcache.cache.remote.stores import RemoteError

__all__ = ["is_absent", "is_panic", "remote_error"]

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z.]{1,60})</Code>")
_SYSTEM = re.compile(r'kind: \w+,\s+message: "([\w ]{1,80})"')
_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(\w+)|invalid peer certificate: (\w+)")

_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound")
"""What stores answer, with 404, if the whole bucket is absent."""

_NO_CREDENTIALS = (
    "/latest/",  # AWS
    "computeMetadata",  # Google
    "/metadata/identity",  # Azure
    "token request",
    "get-access-token",
    "token file",
    "service account file",
)
"""Words in the first line of an error if not the store failed, but the way to its credentials."""

_REFUSALS = ("ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "AuthorizationHeaderMalformed")
"""What S3 answers with 400 to credentials that will not get better."""

_CAUSES = {
    "dns error": "the server's host has no address",
    "tcp connect error": "the server accepts no connections",
    "TimedOut": "the server was silent for too long",
    "operation timed out": "the server was silent for too long",
    "InvalidContentType": "the server does not speak TLS",
    "ProxyConnect": "the proxy does not connect",
    "tunnel error": "the proxy does not connect",
    "IncompleteMessage": "the server ended the connection",
    "UnexpectedEof": "the server ended the connection",
    "ConnectionReset": "the server ended the connection",
    "Account must be specified": "AZURE_STORAGE_ACCOUNT_NAME is not set",
    "Invalid Access Key": "the account's key is not in Base64",
    "ContentLength": "the server does not say how long the object is",
    "body": "the answer ended too early",
}
"""Words of obstore, and what they mean. The first one that is found counts."""

_USELESS_AGAIN = (
    "Account must be specified",
    "Invalid Access Key",
    "TimedOut",
    "operation timed out",
)
"""Causes that will not get better, or that have cost a timeout."""


def is_absent(error: BaseException) -> bool:
    """Say whether a store has no such object, but has the bucket."""
    if not isinstance(error, FileNotFoundError) or error.errno is not None:  # a local file
        return False
    return not any(f"<Code>{code}</Code>" in str(error) for code in _NO_BUCKET)


def is_panic(error: BaseException) -> bool:
    """Say whether Rust code has panicked: its exception derives from no `Exception`."""
    return type(error).__name__ == "PanicException"


def remote_error(error: Exception, *, reading: bool) -> RemoteError:
    """Make the error that a store raises.

    Args:
        error: what obstore raised, or the system for a local file.
        reading: whether an object was to be read.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return RemoteError(f"a local file: {error.strerror}")
    text = str(error)
    head = text.partition("\n\nDebug source")[0]
    if not isinstance(error, FileNotFoundError) and any(
        word in head.partition("\n")[0] for word in _NO_CREDENTIALS
    ):
        said = "no credentials were found: not in the environment, nor in files, nor by a metadata"
        return RemoteError(f"{said} service", refuses=True)
    if status := _STATUS.search(head):
        return _answer(int(status[1]), head, reading=reading)
    return _no_answer(text)


def _no_answer(text: str) -> RemoteError:
    if found := _CERTIFICATE.search(text):
        said = f"the server's certificate is not trusted ({found[1] or found[2]})"
        return RemoteError(said, refuses=True)
    if (system := _SYSTEM.search(text)) and system[1] != "Connection refused":
        return RemoteError(f"the server cannot be reached: {system[1]}")
    for words, meaning in _CAUSES.items():
        if words in text:
            return RemoteError(meaning, refuses=words in _USELESS_AGAIN)
    return RemoteError("the server's answer was not understood")


def _answer(status: int, head: str, *, reading: bool) -> RemoteError:
    code = found[1] if (found := _CODE.search(head)) else ""
    if code in _NO_BUCKET or (status == 404 and not reading):
        return RemoteError("there is no such bucket or container", refuses=True)
    text = f"the server answered {status} ({code})" if code else f"the server answered {status}"
    if status == 403 and code == "AccessDenied" and reading:
        # Without this right, S3 and Google also answer 403 for an object that is absent.
        text += "; readers need the right to list the bucket, too"
    return RemoteError(text, refuses=status in (401, 403) or code in _REFUSALS)
