"""XML signatures of alerts: verified by a pinned certificate only, and nothing but what was signed is read."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree
from signxml import XMLSigner, methods
from signxml.algorithms import CanonicalizationMethod

from channels.codecs import bulletin_file, cap_seal
from channels.codecs.cap_seal import Seal
from tests.bulletin_kit import xml

AT = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
DS = cap_seal.DS


def certificate(name: str, *, until: datetime | None = None):
    """(key, certificate, its PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=9))
        .not_valid_after(until or now + timedelta(days=9)).sign(key, hashes.SHA256())
    )  # fmt: skip
    return key, made, made.public_bytes(serialization.Encoding.PEM).decode()


OURS, THEIRS = certificate("peer"), certificate("stranger")


def signed(body: bytes, by=OURS, c14n=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0) -> bytes:
    signer = XMLSigner(method=methods.enveloped, signature_algorithm="ecdsa-sha256", c14n_algorithm=c14n)
    return etree.tostring(signer.sign(etree.fromstring(body), key=by[0], cert=[by[1]]))


def read(body: bytes, *pinned):
    told, _ = bulletin_file.read(body, {"keys": {f"k{n}": made[2] for n, made in enumerate(pinned)}})
    return told["alerts"][0]


def state(body: bytes, *pinned) -> tuple[str, str]:
    found = read(body, *pinned)
    return found["seal"], found["seal_reason"]


BODY = xml("KSTO1055887203", AT, status="Actual")
SIGNED = signed(BODY)


def test_a_pinned_certificate_verifies_and_another_is_unknown() -> None:
    assert state(SIGNED, OURS) == ("verified", "")
    assert state(SIGNED, THEIRS, OURS) == ("verified", "")
    assert state(SIGNED, THEIRS) == ("unknown_key", "")
    assert state(SIGNED) == ("unknown_key", "")
    assert state(BODY, OURS) == ("none", "")
    assert read(SIGNED, THEIRS, OURS)["seal_key"] == "k1"


def test_a_changed_alert_is_broken_whoever_is_pinned() -> None:
    changed = SIGNED.replace(b"<severity>Severe<", b"<severity>Minor<")
    assert changed != SIGNED
    assert state(changed, OURS) == ("broken", "digest")
    assert state(changed)[0] == "broken"


def test_h65_an_expired_certificate_is_no_proof() -> None:
    old = certificate("old", until=datetime.now(UTC) - timedelta(days=1))
    assert state(signed(BODY, old), old) == ("unknown_key", "expired")


def test_h56_a_comment_in_a_signed_identifier_changes_nothing_that_is_read() -> None:
    sly = SIGNED.replace(b"KSTO1055887203", b"KSTO<!---->1055887203")
    found = read(sly, OURS)
    assert (found["seal"], found["identifier"]) == ("verified", "KSTO1055887203")
    assert "CAP-R38" in {f["rule"] for f in found["findings"]}


def test_h56_wrapping_moving_and_weakening_are_never_verified() -> None:
    root = etree.fromstring(SIGNED)
    signature = root.find(f"{{{DS}}}Signature")
    assert signature is not None
    other = etree.fromstring(xml("other", AT))
    other.append(etree.fromstring(etree.tostring(signature)))
    assert state(etree.tostring(other), OURS)[0] == "broken"  # the signature of another alert
    wrapped = etree.fromstring(xml("outer", AT))
    info = wrapped.find("{*}info")
    assert info is not None
    info.append(etree.fromstring(SIGNED))  # the signed alert deep inside another
    told, _ = bulletin_file.read(etree.tostring(wrapped), {"keys": {"k": OURS[2]}})
    assert [(a["identifier"], a["seal"]) for a in told["alerts"] if a["identifier"] == "outer"] != [
        ("outer", "verified")
    ]
    assert told["alerts"][0]["seal"] == "unsupported"
    twice = etree.fromstring(SIGNED)
    twice.append(etree.fromstring(etree.tostring(signature)))
    assert state(etree.tostring(twice), OURS) == ("unsupported", "many_signatures")
    for before, after, why in (
        (b"ecdsa-sha256", b"hmac-sha256", "algorithm"),
        (b"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", b"http://www.w3.org/2000/09/xmldsig#rsa-sha1", "algorithm"),
        (b'URI=""', b'URI="#x"', "not_the_alert"),
        (b"http://www.w3.org/2000/09/xmldsig#enveloped-signature", b"http://www.w3.org/TR/1999/REC-xslt-19991116", "transforms"),
    ):  # fmt: skip
        assert before in SIGNED
        assert state(SIGNED.replace(before, after), OURS) == ("unsupported", why)


@pytest.mark.parametrize("is_exclusive", [True, False])
def test_lifted_out_of_a_feed_only_the_exclusive_form_can_be_judged(is_exclusive: bool) -> None:
    form = (
        CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
        if is_exclusive
        else CanonicalizationMethod.CANONICAL_XML_1_1
    )
    inside = signed(BODY, c14n=form)
    feed = (
        b'<feed xmlns="http://www.w3.org/2005/Atom" xmlns:x="urn:x"><entry><content>'
        + inside
        + b"</content></entry></feed>"
    )
    assert state(feed, OURS) == (("verified", "") if is_exclusive else ("unsupported", "in_envelope"))
    _, (part,) = bulletin_file.split(feed, {})
    told, _ = bulletin_file.read(part, {"keys": {"k": OURS[2]}, "is_lifted": True})
    assert told["alerts"][0]["seal"] == ("verified" if is_exclusive else "unsupported")


def test_line_ends_and_another_encoding_leave_it_whole_and_new_blanks_do_not() -> None:
    assert state(SIGNED.replace(b"\n", b"\r\n"), OURS)[0] == "verified"
    wide = b'<?xml version="1.0" encoding="UTF-16"?>'.decode() + SIGNED.decode()
    assert state(wide.encode("utf-16"), OURS)[0] == "verified"
    assert state(SIGNED.replace(b"  <", b"    <"), OURS)[0] == "broken"
    assert Seal("verified")
