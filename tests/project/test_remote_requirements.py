"""What a build environment gets for the shared cache."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hatch_wazcache.cache.remote.options import RemoteOptions
from hatch_wazcache.project import remote_requirements
from hatch_wazcache.project.remote_requirements import needed_for_remote
from tests.support.signatures import SIGNER

S3 = RemoteOptions("s3://bucket")
HTTPS = RemoteOptions("https://example.org")


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without keys, whose build environment has nothing."""
    monkeypatch.delenv("WAZCACHE_TRUSTED_KEYS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(remote_requirements, "find_spec", lambda _name: None)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that the machine trusts."""
    monkeypatch.setenv("WAZCACHE_TRUSTED_KEYS", SIGNER.public)


def names(remote: RemoteOptions) -> list[str]:
    lines = needed_for_remote(remote)
    assert all(re.fullmatch(r"[a-z]+>=[0-9.]+", line) for line in lines), lines
    return [line.partition(">")[0] for line in lines]


def test_a_machine_without_keys_needs_nothing():
    assert names(S3) == []
    assert names(HTTPS) == []


@pytest.mark.usefixtures("keys")
def test_a_machine_with_keys_needs_what_the_extra_has():
    assert names(HTTPS) == ["pynacl"]
    assert names(S3) == ["pynacl", "obstore"]


def test_keys_in_the_users_configuration_count(tmp_path: Path):
    file = tmp_path / "config" / "hatch-wazcache" / "trusted-keys"
    file.parent.mkdir(parents=True)
    file.write_text(SIGNER.public)
    assert names(HTTPS) == ["pynacl"]


def test_without_signatures_only_object_stores_need_something():
    assert names(HTTPS._replace(unsigned=True)) == []
    assert names(S3._replace(unsigned=True)) == ["obstore"]


@pytest.mark.usefixtures("keys")
def test_what_is_installed_is_not_needed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote_requirements, "find_spec", lambda name: name)
    assert names(S3) == []
