"""Opaque S/MIME signatures: their words and files are read, the proof is kept, nothing is claimed."""

import base64
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from channels.codecs import mail
from channels.codecs.cms import signed_content
from tests.channels.smtp_house import certificate_and_key

INNER = (
    "Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\nContent-Type: text/plain; charset=gb2312\r\n\r\n青龙镇险情\r\n"
    "--i\r\nContent-Type: application/octet-stream; name=a.bin\r\n\r\n12345\r\n--i--\r\n"
).encode("gbk")


@pytest.fixture(scope="module")
def signed() -> bytes:
    made, key = certificate_and_key()
    builder = pkcs7.PKCS7SignatureBuilder().set_data(INNER).add_signer(made, key, hashes.SHA256())
    return builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


def in_pieces(content: bytes, size: int = 10) -> bytes:
    """As Outlook writes it: indefinite lengths all the way, the content in pieces (X.690 §8.1.3.6, §8.7)."""
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    octets = b"\x24\x80" + b"".join(b"\x04" + bytes([len(p)]) + p for p in pieces) + b"\0\0"
    data = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
    inner = b"\x30\x80" + data + b"\xa0\x80" + octets + b"\0\0" + b"\0\0"
    signed_data = b"\x30\x80" + b"\x02\x01\x01" + b"\x31\x00" + inner + b"\x31\x00" + b"\0\0"
    return b"\x30\x80" + data[:-1] + b"\x02" + b"\xa0\x80" + signed_data + b"\0\0" + b"\0\0"


def test_the_content_of_a_signature_is_found_in_both_forms(signed: bytes) -> None:
    assert signed_content(signed) == INNER
    assert signed_content(in_pieces(INNER)) == INNER


def test_words_and_files_of_a_signed_mail_are_read_and_the_signature_is_kept(signed: bytes) -> None:
    raw = b"From: a@b.cn\r\nContent-Type: application/pkcs7-mime; name=smime.p7m\r\n" + (
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(signed)
    )
    value, blobs = mail.read(raw, {})
    assert value["text"] == "青龙镇险情"
    assert [a["name"] for a in value["attachments"]] == ["smime.p7m", "a.bin"]
    assert blobs == [signed, b"12345"]
    assert "signed" in value["findings"] and "encrypted" not in value["findings"]


def test_what_is_cut_off_encrypted_or_noise_has_no_content(signed: bytes) -> None:
    pieces = in_pieces(INNER)
    for whole in (signed[:400], pieces):
        for cut in range(len(whole) - 20):
            assert signed_content(whole[:cut]) in (b"", INNER)
    enveloped = pieces.replace(b"\x01\x07\x02", b"\x01\x07\x03", 1)
    for data in (
        b"",
        b"0",
        b"0\x80" * 50_000,
        b"\x30\x80" + b"\x04\x00" * 100_000,
        enveloped,
        b"\x30\x84\xff\xff\xff\xff",
    ):
        assert signed_content(data) == b""


REAL = ["pkcs7_smime-onepart-signed.eml", "protected-headers_smime-onepart-signed.eml"]


@pytest.mark.skipif(
    not os.environ.get("TOCSIN_CORPUS") and not os.environ.get("CI"), reason="TOCSIN_CORPUS is unset"
)
@pytest.mark.parametrize("name", REAL)
def test_a_real_signed_mail_is_read(name: str) -> None:
    path = Path(os.environ["TOCSIN_CORPUS"]) / "email" / "notmuch__notmuch" / name
    value, _ = mail.read(path.read_bytes(), {})
    assert value["text"].startswith("Bob, we need to cancel this contract.")
