"""Profiles of AWS: the files `credentials` and `config` in `~/.aws`, which obstore does not read.

A profile with keys is read here. All others (single sign-on, assumed roles, `credential_process`)
are left to the AWS CLI, which prints temporary keys.
"""

from __future__ import annotations

import configparser
import json
import os
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.cache.remote.stores import RemoteError
from hatch_wazcache.util.environment import SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obstore.store import S3Config, S3Credential

__all__ = ["Profile", "read_profile"]

_STRONGER = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
"""Variables with other credentials. Only the first is stronger than a profile in `AWS_PROFILE`."""

_CLI_TIMEOUT = 20.0
"""Seconds for the AWS CLI: it may have to ask a server for a new token."""

_SPARE = timedelta(minutes=2)
"""Keys that are valid for less are replaced."""


class Profile(NamedTuple):
    """What a profile adds to the environment."""

    config: S3Config
    provider: Callable[[], S3Credential] | None


def read_profile(environment: Mapping[str, str]) -> Profile:
    """Read the profile that `AWS_PROFILE` names, or the profile `default` if there is one.

    Args:
        environment: the environment of this process.

    Raises:
        RemoteError: the profile that is named does not exist, or its file cannot be read.
    """
    named = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE") or ""
    if any(name in environment for name in (_STRONGER[:1] if named else _STRONGER)):
        return Profile({}, None)
    options = _options(environment, named or "default")
    if not options:
        if named:
            raise RemoteError(f"AWS has no profile {named!r}", refuses=True)
        return Profile({}, None)
    config: S3Config = {}
    if "region" in options and not {"AWS_REGION", "AWS_DEFAULT_REGION"} & environment.keys():
        config["region"] = options["region"]
    if "endpoint_url" in options and not any(
        name.startswith("AWS_ENDPOINT") for name in environment
    ):
        config["endpoint"] = options["endpoint_url"]
    if {"aws_access_key_id", "aws_secret_access_key"} <= options.keys():
        config["access_key_id"] = options["aws_access_key_id"]
        config["secret_access_key"] = options["aws_secret_access_key"]
        if "aws_session_token" in options:
            config["session_token"] = options["aws_session_token"]
        return Profile(config, None)
    if named or {"credential_process", "sso_session", "sso_start_url", "role_arn"} & options.keys():
        return Profile(config, _KeysOfCli(named or "default", environment))
    return Profile(config, None)


def _options(environment: Mapping[str, str], name: str) -> dict[str, str]:
    """Read the options of a profile out of both files; those of `credentials` are stronger."""
    home = Path(environment.get("HOME") or os.path.expanduser("~"), ".aws")
    section = name if name == "default" else f"profile {name}"
    found: dict[str, str] = {}
    for variable, file, title in (
        ("AWS_CONFIG_FILE", "config", section),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
    ):
        path = Path(environment.get(variable) or home / file).expanduser()
        parser = configparser.RawConfigParser(default_section="", strict=False)
        try:
            parser.read(path, "utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            # An error of configparser shows the line, which may be a key.
            raise RemoteError(f"{path} cannot be read as a file of AWS", refuses=True) from None
        if parser.has_section(title):
            found |= parser.items(title)
    return found


class _KeysOfCli:
    """Temporary keys of the AWS CLI. obstore asks again when they expire."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        """Run the CLI at once: an error of it would not pass through obstore.

        Raises:
            RemoteError: it is not installed, or it fails.
        """
        self._name = name
        kept = environment.keys() - set(SECRETS)
        self._environment = {key: environment[key] for key in kept}
        self._keys = _ask_aws_cli(name, self._environment)

    def __call__(self) -> S3Credential:
        """Return keys that are valid for some minutes."""
        expires = self._keys["expires_at"]
        if expires is not None and expires < datetime.now(timezone.utc) + _SPARE:
            self._keys = _ask_aws_cli(self._name, self._environment)
        return self._keys


def _ask_aws_cli(name: str, environment: Mapping[str, str]) -> S3Credential:
    words = ["aws", "configure", "export-credentials", "--profile", name, "--format", "process"]
    try:
        done = subprocess.run(
            words, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=_CLI_TIMEOUT,
            env=dict(environment),
        )  # fmt: skip
        keys = json.loads(done.stdout)
        expires = keys.get("Expiration")
        return {
            "access_key_id": str(keys["AccessKeyId"]),
            "secret_access_key": str(keys["SecretAccessKey"]),
            "token": keys.get("SessionToken"),
            "expires_at": datetime.fromisoformat(expires.replace("Z", "+00:00"))
            if expires
            else None,
        }
    except FileNotFoundError:
        said = f"the profile {name!r} of AWS has no keys, and the AWS CLI is not installed"
        raise RemoteError(said, refuses=True) from None
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, AttributeError, TypeError):
        advice = f"run `aws configure export-credentials --profile {name}` to see why"
        said = f"the AWS CLI gave no keys for the profile {name!r}; {advice}"
        raise RemoteError(said, refuses=True) from None
