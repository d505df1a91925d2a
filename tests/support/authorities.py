"""A certificate authority of the tests' own, and the certificates that it gives."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

import trustme


class Authority:
    """An authority that no system knows."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.file = folder / "authority.pem"
        """Its own certificate, for SSL_CERT_FILE."""
        self._authority.cert_pem.write_to_path(self.file)

    def server_context(self, *hosts: str, expired: bool = False) -> ssl.SSLContext:
        """Return the settings of a server with a new certificate."""
        until = datetime.now(timezone.utc) + timedelta(days=-1 if expired else 1)
        certificate = self._authority.issue_cert(*hosts, not_after=until)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context

    def write_certificate(self, certificate: Path, key: Path, *hosts: str) -> None:
        """Write a new certificate and its key, for a server in another process."""
        made = self._authority.issue_cert(*hosts)
        made.cert_chain_pems[0].write_to_path(certificate)
        made.private_key_pem.write_to_path(key)
