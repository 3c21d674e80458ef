"""Signed mails: read, kept byte for byte with their signatures, and never said to be verified."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder
from cryptography.x509.oid import NameOID

from domain.report import Report
from templates.pages import word
from tests.corpus.hostile.test_mail_files import HEAD
from tests.corpus.mail_hub import MailHub

BODY = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "大坪村三组滑坡，2人被埋".encode() + b"\r\n"


def _smime(options: list[PKCS7Options]) -> bytes:
    """As a department's program signs it, with a certificate that nobody here knows."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "caller")]),
    )
    at = datetime(2026, 11, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key(), serial_number=7)
        .not_valid_before(at).not_valid_after(at + timedelta(days=90)).sign(key, hashes.SHA256())
    )  # fmt: skip
    made = PKCS7SignatureBuilder().set_data(BODY).add_signer(certificate, key, hashes.SHA256())
    return bytes(made.sign(Encoding.SMIME, options)).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


PGP = (
    b"Content-Type: multipart/signed; micalg=pgp-sha256; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n--b\r\n"
    + BODY + b"\r\n--b\r\nContent-Type: application/pgp-signature; name=signature.asc\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n"
    b"\r\niQEzBAEBCAAdFiEE\r\n-----END PGP SIGNATURE-----\r\n\r\n--b--\r\n"
)  # fmt: skip
CLEAR = (
    b"Content-Type: text/plain; charset=utf-8\r\n\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\n"
    + "大坪村三组滑坡，2人被埋".encode() + b"\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\niQEz\r\n-----END PGP SIGNATURE-----\r\n"
)  # fmt: skip
MAILS = {
    "S/MIME beside": (lambda: _smime([PKCS7Options.DetachedSignature]), "pkcs7"),
    "S/MIME around": (lambda: _smime([]), "pkcs7"),
    "S/MIME, and changed on the way": (
        lambda: _smime([PKCS7Options.DetachedSignature]).replace("2人".encode(), "9人".encode()), "pkcs7"),
    "PGP beside": (lambda: PGP, "pgp"),
    "PGP in the text": (lambda: CLEAR, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", MAILS)
def test_h14_a_signed_mail_is_read_and_kept_whole_and_its_signature_is_never_said_to_hold(
    mails: MailHub, name: str
) -> None:
    make, kind = MAILS[name]
    raw = HEAD + b"Subject: " + name.encode() + b"\r\nMIME-Version: 1.0\r\n" + make()
    report = mails.report(raw)
    assert "大坪村三组滑坡" in report.content.text
    assert "signed" in report.content.findings
    assert word("finding", "signed", "zh-CN") == "带有数字签名，系统未作验证"
    assert _kinds(report, kind)
    assert report.trust == 0 and "unverified_sender" in report.content.findings


def _kinds(report: Report, kind: str) -> bool:
    """The signature hangs on the report as a file of its own, where it came as one."""
    files = [f"{one.declared_type} {one.name} {one.media_type}" for one in report.content.attachments]
    return any(kind in file for file in files) if kind else not any("sign" in file for file in files)
