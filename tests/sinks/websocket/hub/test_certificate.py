"""What a browser asks of a certificate that it takes by its hash."""

from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from mevflow.sinks.websocket.hub.certificate import RENEWED, make_certificate

NOW = datetime(2024, 1, 5, tzinfo=UTC)


def test_a_browser_takes_it():
    made = make_certificate("127.0.0.1", NOW)
    begin, end = made.certificate.not_valid_before_utc, made.certificate.not_valid_after_utc
    assert begin < NOW < end
    assert end - begin <= timedelta(days=14)
    assert isinstance(made.certificate.public_key().curve, ec.SECP256R1)
    assert len(bytes.fromhex(made.sha256)) == 32


def test_there_is_another_long_before_it_ends():
    made = make_certificate("127.0.0.1", NOW)
    assert not made.is_old(NOW)
    assert made.is_old(NOW + RENEWED)
    assert NOW + RENEWED + timedelta(days=1) < made.certificate.not_valid_after_utc
    assert make_certificate("127.0.0.1", NOW).sha256 != made.sha256
