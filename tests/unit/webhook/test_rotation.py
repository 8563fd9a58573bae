"""Renewal in steps: at no moment is a certificate served whose authority the API server does not trust yet."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from webhook.issue import LIFETIME, issue, serves
from webhook.rotation import PROPAGATION, RENEW_BEFORE, Kept, step

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
HOST = "dbupgrade-webhook.dbupgrade-system.svc"
FRESH = issue(HOST, NOW)
OLD = issue(HOST, NOW - LIFETIME + RENEW_BEFORE)


def authorities(kept: Kept) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(kept.trusted())


def test_the_first_pair_is_made_at_once_and_trusted() -> None:
    kept = step(Kept(), b"", HOST, NOW)
    assert kept.current is not None
    assert serves(kept.current.cert_pem, HOST)
    assert kept.trusted() == kept.current.ca_pem
    assert step(kept, kept.trusted(), HOST, NOW) == kept


def test_a_certificate_is_signed_by_its_authority_and_valid_a_little_earlier() -> None:
    authority = x509.load_pem_x509_certificate(FRESH.ca_pem)
    certificate = x509.load_pem_x509_certificate(FRESH.cert_pem)
    certificate.verify_directly_issued_by(authority)
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc == NOW + LIFETIME


@pytest.mark.parametrize("left", [RENEW_BEFORE + timedelta(seconds=1), LIFETIME])
def test_nothing_is_renewed_long_before_the_end(left: timedelta) -> None:
    kept = Kept(issue(HOST, NOW - LIFETIME + left))
    assert step(kept, kept.trusted(), HOST, NOW) == kept


def test_a_renewal_first_makes_the_next_pair_known() -> None:
    kept = step(Kept(OLD), OLD.ca_pem, HOST, NOW)
    assert kept.current == OLD
    assert kept.upcoming is not None
    assert kept.trusted() == OLD.ca_pem + kept.upcoming.ca_pem


def test_the_next_pair_is_not_used_before_it_is_trusted() -> None:
    kept = Kept(OLD, FRESH)
    later = NOW + timedelta(days=1)
    assert step(kept, OLD.ca_pem, HOST, later) == kept


def test_the_next_pair_is_not_used_before_all_api_servers_have_heard_of_it() -> None:
    kept = Kept(OLD, FRESH)
    assert step(kept, kept.trusted(), HOST, NOW + PROPAGATION - timedelta(seconds=1)) == kept


def test_then_it_is_promoted_and_the_authority_before_stays_trusted() -> None:
    kept = Kept(OLD, FRESH)
    promoted = step(kept, kept.trusted(), HOST, NOW + PROPAGATION)
    assert promoted == Kept(FRESH, previous_ca=OLD.ca_pem)
    assert len(authorities(promoted)) == 2


def test_an_authority_that_has_expired_is_not_trusted_any_more() -> None:
    kept = Kept(FRESH, previous_ca=OLD.ca_pem)
    assert step(kept, kept.trusted(), HOST, NOW + RENEW_BEFORE) == Kept(FRESH)


def test_a_pair_that_has_expired_is_replaced_at_once() -> None:
    kept = step(Kept(FRESH), FRESH.ca_pem, HOST, NOW + LIFETIME)
    assert kept.current is not None
    assert kept.current != FRESH
    assert kept.previous_ca == b""


def test_a_pair_for_another_host_is_replaced_and_its_authority_stays_trusted() -> None:
    kept = step(Kept(FRESH), FRESH.ca_pem, "other.svc", NOW)
    assert kept.current is not None
    assert serves(kept.current.cert_pem, "other.svc")
    assert kept.previous_ca == FRESH.ca_pem


@pytest.mark.parametrize("broken", [b"", b"junk", FRESH.key_pem])
def test_a_pair_that_cannot_be_read_is_replaced(broken: bytes) -> None:
    kept = step(Kept(FRESH.__class__(b"junk", broken, b"junk"), previous_ca=b"junk"), b"", HOST, NOW)
    assert kept.current is not None
    assert serves(kept.current.cert_pem, HOST)
    assert kept.trusted() == kept.current.ca_pem


def test_a_next_pair_that_cannot_be_used_is_made_anew() -> None:
    kept = step(Kept(OLD, issue("other.svc", NOW)), b"", HOST, NOW)
    assert kept.upcoming is not None
    assert serves(kept.upcoming.cert_pem, HOST)


def test_an_address_is_a_host_too() -> None:
    assert serves(issue("127.0.0.1", NOW).cert_pem, "127.0.0.1")
    assert not serves(FRESH.cert_pem, "127.0.0.1")


def test_no_key_is_shown() -> None:
    assert "PRIVATE" not in repr(Kept(OLD, FRESH))
