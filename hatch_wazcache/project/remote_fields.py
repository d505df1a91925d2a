"""Reads the options of the shared cache: the table `remote`, and the variables that replace it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache.remote.options import SCHEMES, RemoteOptions
from hatch_wazcache.project.fields import Field, nearest
from hatch_wazcache.util import environment
from hatch_wazcache.util.problems import Problems
from hatch_wazcache.util.toml_text import toml_value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "MODES",
    "PUBLIC_KEY_PATTERN",
    "TRUSTS",
    "URL_PATTERN",
    "read_remote",
    "remote_without_project",
    "with_variables",
]

MODES = ("read", "read-write")
TRUSTS = ("signed", "unsigned")
_NAMES = ("url", "mode", "trust", "trusted-keys")

_OFF = ("", "off")
"""The values of the variable with which a build uses no shared cache."""

URL_PATTERN = rf"^({'|'.join(re.escape(scheme) for scheme in SCHEMES)})://[!-~]+$"
"""Only ASCII without spaces. The reader also checks the parts."""

PUBLIC_KEY_PATTERN = (
    r"^ *wazcache-public-[A-Za-z0-9_-]{43}( +revoked=[0-9]{4}-[0-9]{2}-[0-9]{2})? *(#.*)?$"
)

_URL = (
    'a URL such as "https://cache.example.org/wazcache", "s3://bucket/prefix", "gs://…", "az://…" '
    'or "bazel+https://…", without a query'
)


def read_remote(field: Field) -> RemoteOptions:
    """Read the table `remote`. A table without a URL waits for the variable."""
    if not isinstance(field.value, dict):
        field.wrong('a table such as {url = "s3://bucket/prefix"}')
        return RemoteOptions()
    for name in field.value:
        if name not in _NAMES:
            field.unknown(name, _NAMES)
    url, bazel = "", False
    if "url" in field.value:
        url, bazel = _read_url(field.member("url"), may_have_user=False)
    return RemoteOptions(
        url,
        bazel,
        _read_word(field.member("mode", MODES[0]), MODES) == "read-write",
        _read_word(field.member("trust", TRUSTS[0]), TRUSTS) == "unsigned",
        _read_keys(field.member("trusted-keys", [])),
        field.member("url").where if url else "",
        table=field.where,
    )


def with_variables(
    remote: RemoteOptions, variables: Mapping[str, str], whole: Field
) -> RemoteOptions | None:
    """Return the options with what the environment replaces; None if there is no shared cache.

    Args:
        remote: what the project says.
        variables: the environment. An empty `WAZCACHE_REMOTE` means that there is none.
        whole: gets the problems.
    """
    text = variables.get(environment.REMOTE)
    if text is not None:
        field = replace(whole, where=environment.REMOTE, value=text)
        url, bazel = "", False
        if text not in _OFF:
            url, bazel = _read_url(field, may_have_user=True)
        remote = remote._replace(
            url=url, bazel=bazel, where=environment.REMOTE, url_from_environment=True
        )
    mode = environment.read_variable(environment.REMOTE_MODE, variables)
    if mode is not None:
        field = replace(whole, where=environment.REMOTE_MODE, value=mode)
        writes = _read_word(field, MODES) == "read-write"
        remote = remote._replace(writes=writes, mode_from_environment=True)
    return remote if remote.url else None


def remote_without_project(variables: Mapping[str, str], root: Path) -> RemoteOptions | None:
    """Return what the environment says, for a command without a project.

    Args:
        variables: the environment.
        root: the working directory.

    Raises:
        WazcacheError: all problems, one line each.
    """
    whole = Field("", {}, {}, root, Problems(toml_value))
    remote = with_variables(RemoteOptions(), variables, whole)
    whole.problems.raise_all()
    return remote


def _read_word(field: Field, known: tuple[str, ...]) -> str:
    if field.value not in known:
        names = " or ".join(f'"{name}"' for name in known)
        hint = nearest(field.value, known)
        field.wrong(names + (f"; {hint}" if hint else ""))
        return known[0]
    return str(field.value)


def _read_url(field: Field, *, may_have_user: bool) -> tuple[str, bool]:
    """Read a URL; the result is without `bazel+`, which is the second value."""
    from urllib.parse import urlsplit  # not for projects without a shared cache

    text = field.value
    if not isinstance(text, str) or not re.match(URL_PATTERN, text):
        _wrong_url(field)
        return "", False
    try:
        parts = urlsplit(text)
        is_http = parts.scheme.endswith(("http", "https"))
        fits = bool(parts.hostname) and not (parts.query or parts.fragment or "\\" in text)
        fits = fits and (is_http or (parts.port is None and parts.username is None))
        fits = fits and "?" not in text and "#" not in text and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        _wrong_url(field)
        return "", False
    if "@" in parts.netloc and not may_have_user:
        field.problems.add(
            f"{field.where}: must not contain a user or a password, because everybody can read "
            f"this file; put them into netrc, or the URL into {environment.REMOTE}"
        )
        return "", False
    return text.removeprefix("bazel+").rstrip("/"), text.startswith("bazel+")


def _wrong_url(field: Field) -> None:
    """Report a URL, without the parts that may be secret: in a variable, that is any part."""
    if field.where == environment.REMOTE:
        field.problems.add(
            f"{field.where}: must be {_URL}; its value is not shown, because it may hold a password"
        )
        return
    shown = field.value
    if isinstance(shown, str):
        shown = re.sub(r"[?#].*", "?…", re.sub(r"//.*@", "//…@", shown, flags=re.DOTALL))
    replace(field, value=shown).wrong(_URL)


def _read_keys(field: Field) -> tuple[str, ...]:
    """Read public keys. The message does not show a wrong one: it may be a private key."""
    items = field.one_or_more() if field.value != [] else []
    if items is None:
        field.problems.add(f"{field.where}: must be a list of public keys, wazcache-public-…")
        return ()
    lines: list[str] = []
    for item in items:
        if not _is_key(item.value):
            item.problems.add(
                f"{item.where}: must be a public key such as `hatch-wazcache keygen` prints, "
                "wazcache-public-…, and perhaps revoked=YYYY-MM-DD behind it"
            )
        elif item.value in lines:
            item.problems.add(f"{item.where}: the same key is listed twice")
        else:
            lines.append(item.value)
    return tuple(lines)


def _is_key(value: Any) -> bool:
    return isinstance(value, str) and re.match(PUBLIC_KEY_PATTERN, value) is not None
