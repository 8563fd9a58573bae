"""When the operator's own certificate is renewed, and whom the API server must trust meanwhile: a pure function.

A renewal takes three steps, each of them complete before the next, however many replicas take part and wherever one stops:
the next pair is stored; its authority gets into the caBundle beside the present one; when every API server has surely
noticed, the pair is promoted. The authority of the pair before stays trusted until it expires.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509

from webhook.issue import CLOCK_SKEW, Issued, issue, serves

RENEW_BEFORE = timedelta(days=30)
PROPAGATION = timedelta(seconds=60)
"""How long API servers may take to notice a change of the webhook's configuration."""


@dataclass(frozen=True)
class Kept:
    """What is stored for all replicas: the pair in use, the next one, and the authority before (PEM, may be empty)."""

    current: Issued | None = None
    upcoming: Issued | None = None
    previous_ca: bytes = b""

    def trusted(self) -> bytes:
        """The caBundle: every authority whose certificate may be met."""
        pairs = (pair.ca_pem for pair in (self.current, self.upcoming) if pair)
        return b"".join((*pairs, self.previous_ca))


def step(kept: Kept, bundle: bytes, host: str, now: datetime) -> Kept:
    """What to keep from `now` on, the API server trusting `bundle` and calling `host`."""
    kept = replace(kept, previous_ca=_unexpired(kept.previous_ca, now))
    if kept.current is None or not _usable(kept.current, host, now):
        previous = kept.current.ca_pem if kept.current else b""
        return Kept(issue(host, now), previous_ca=_unexpired(previous, now))
    if kept.upcoming is None or not _usable(kept.upcoming, host, now):
        due = _certificate(kept.current.cert_pem).not_valid_after_utc - RENEW_BEFORE <= now
        return replace(kept, upcoming=issue(host, now) if due else None)
    if kept.upcoming.ca_pem in bundle and now - _made(kept.upcoming) >= PROPAGATION:
        return Kept(kept.upcoming, previous_ca=kept.current.ca_pem)
    return kept


def _usable(pair: Issued, host: str, now: datetime) -> bool:
    return serves(pair.cert_pem, host) and _unexpired(pair.cert_pem, now) != b""


def _made(pair: Issued) -> datetime:
    return _certificate(pair.cert_pem).not_valid_before_utc + CLOCK_SKEW


def _certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def _unexpired(pem: bytes, now: datetime) -> bytes:
    """`pem` while it is valid, else nothing."""
    try:
        return pem if now < _certificate(pem).not_valid_after_utc else b""
    except ValueError:
        return b""
