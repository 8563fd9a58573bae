"""TLS of the webhook: a server context whose certificate can be replaced while connections come in."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

if TYPE_CHECKING:
    from datetime import datetime


class BadCertificateError(Exception):
    """A certificate and key cannot be used to serve; the message holds nothing of the key."""


@dataclass(frozen=True)
class Pair:
    """A certificate chain and its private key, as PEM."""

    chain_pem: bytes
    key_pem: bytes

    def __repr__(self) -> str:
        return "Pair(...)"


def expiry(chain_pem: bytes) -> datetime:
    """When the first certificate of the chain ends, in UTC. Raises BadCertificateError."""
    try:
        return x509.load_pem_x509_certificate(chain_pem).not_valid_after_utc
    except ValueError:
        raise BadCertificateError("the certificate is no PEM") from None


class SwappableContext:
    """The context to listen with. Each handshake takes the pair that was swapped in last.

    `load_cert_chain` on a context in use would break it when the pair is bad: a fresh context is built, and only one
    that works is swapped in, through the callback for the server's name, which every handshake passes.
    """

    def __init__(self, client_authority: str = "") -> None:
        """`client_authority`: PEM certificates; where they are given, a client needs a certificate of theirs."""
        self._client_authority = client_authority
        self.listening = _new_context(client_authority)
        self.listening.sni_callback = self._choose
        self._current: ssl.SSLContext | None = None
        self._pair: Pair | None = None

    @property
    def has_certificate(self) -> bool:
        """Whether a handshake can succeed."""
        return self._current is not None

    def swap(self, pair: Pair) -> bool:
        """Serve with `pair` from now on; False when that is so already. Raises BadCertificateError and keeps the last."""
        if pair == self._pair:
            return False
        context = _new_context(self._client_authority)
        _load(context, pair)
        self._current, self._pair = context, pair
        return True

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str, _context: ssl.SSLContext
    ) -> int | None:
        if self._current is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._current
        return None


def _new_context(client_authority: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if client_authority:
        context.load_verify_locations(cadata=client_authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _load(context: ssl.SSLContext, pair: Pair) -> None:
    """Load `pair`, which the ssl module takes from files only: from memory, so that no key is on a disk."""
    descriptor = os.memfd_create("certificate")
    try:
        os.write(descriptor, pair.key_pem + b"\n" + pair.chain_pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise BadCertificateError(f"certificate and key cannot be used together ({reason})") from None
    finally:
        os.close(descriptor)
