"""XML signatures of CAP alerts: enveloped, over the whole alert, by a certificate that was pinned beforehand.

A state is never guessed: ``verified`` needs a pinned certificate; ``broken`` is said only when the bytes are
provably not what was signed, or not signed by whom the signature names among the pinned; what cannot be judged
is ``unsupported``, and a signature of somebody we do not know is ``unknown_key`` (PROMISES H56, H65).
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidCertificate, InvalidDigest, SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from channels.codecs.cap_xml import CAP_11, CAP_12

DS = "http://www.w3.org/2000/09/xmldsig#"
_ENVELOPED = f"{DS}enveloped-signature"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_CANONICAL = (
    _EXCLUSIVE,
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/2006/12/xml-c14n11",
)
_METHODS = frozenset(
    m for m in SignatureMethod if m.name.startswith(("RSA_SHA", "ECDSA_SHA")) and not m.name.endswith("SHA1")
)
_DIGESTS = frozenset((DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512))


class Seal(StrEnum):
    """What is known of a signature."""

    NONE = "none"
    VERIFIED = "verified"
    UNKNOWN_KEY = "unknown_key"
    BROKEN = "broken"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look at the signature found; `signed` holds the bytes that were signed, and is read in place of the rest."""

    seal: Seal
    key: str = ""  # id of the pinned key, or the fingerprint of the certificate that we do not know
    reason: str = ""
    signed: bytes = b""


def look(
    alert: etree._Element, pinned: Mapping[str, str], *, at: datetime | None = None, is_lifted: bool = False
) -> Looked:
    """The signature of `alert`, whose comments are kept.

    `pinned`: id -> certificate in PEM. `at`: when certificates must be in force, now if None. `is_lifted`: the
    alert stood in a feed, whose namespaces an inclusive canonical form has lost.
    """
    found = list(alert.iter(f"{{{DS}}}Signature"))
    if not found:
        return Looked(seal=Seal.NONE)
    if why := _not_judged(alert, found, is_lifted=is_lifted):
        return Looked(seal=Seal.UNSUPPORTED, reason=why)
    own = _named_in(found[0])
    for name, pem in pinned.items():
        looked = _tried(alert, name, pem, at, is_named=own is not None and own == _certificate(pem))
        if looked is not None:
            return looked
    return _stranger(alert, own)


def fingerprint(pem: str) -> str:
    """SHA-256 of the certificate in hex. Raises ValueError when it is none."""
    return x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256()).hex()


def _not_judged(alert: etree._Element, found: Sequence[etree._Element], *, is_lifted: bool) -> str:
    """Why this signature is of a kind that is not looked at; '' when it is.

    Exactly one, a child of the alert, over the whole alert, without any transform but the two that take the
    signature out and bring the rest into one form: everything else lets other bytes be signed than are read.
    """
    if len(found) > 1:
        return "many_signatures"
    signature = found[0]
    if signature.getparent() is not alert or etree.QName(alert).namespace not in (CAP_11, CAP_12):
        return "not_the_alert"
    references = signature.findall(f"{{{DS}}}SignedInfo/{{{DS}}}Reference")
    if len(references) != 1 or references[0].get("URI") != "":
        return "not_the_alert"
    forms = [t.get("Algorithm") for t in references[0].iter(f"{{{DS}}}Transform")]
    if _ENVELOPED not in forms or any(form not in (_ENVELOPED, *_CANONICAL) for form in forms):
        return "transforms"
    methods = [_algorithm(signature, "SignatureMethod"), _algorithm(references[0], "DigestMethod")]
    if methods[0] not in {m.value for m in _METHODS} or methods[1] not in {d.value for d in _DIGESTS}:
        return "algorithm"  # SHA-1 among them: it proves nothing any more
    canonical = _algorithm(signature, "CanonicalizationMethod")
    if canonical not in _CANONICAL:
        return "algorithm"
    if is_lifted and any(form != _EXCLUSIVE for form in (canonical, *(f for f in forms if f != _ENVELOPED))):
        return "in_envelope"
    return ""


def _tried(
    alert: etree._Element, name: str, pem: str, at: datetime | None, *, is_named: bool
) -> Looked | None:
    """What this certificate says of it; None when another may say more."""
    try:
        signed = _verified(alert, pem, at)
    except InvalidCertificate:
        return Looked(seal=Seal.UNKNOWN_KEY, key=name, reason="expired") if is_named else None
    except InvalidDigest:
        return Looked(seal=Seal.BROKEN, key=name if is_named else "", reason="digest")
    except (SignXMLException, InvalidSignature, ValueError, TypeError, etree.LxmlError):
        return Looked(seal=Seal.BROKEN, key=name, reason="signature") if is_named else None
    return Looked(seal=Seal.VERIFIED, key=name, signed=signed)


def _stranger(alert: etree._Element, own: x509.Certificate | None) -> Looked:
    """Signed by a key that is not pinned: whether the bytes are at least those that this key signed."""
    if own is None:
        return Looked(seal=Seal.UNKNOWN_KEY, reason="no_certificate")
    name = own.fingerprint(hashes.SHA256()).hex()
    try:
        _verified(alert, own, own.not_valid_before_utc)
    except InvalidCertificate:
        return Looked(seal=Seal.UNKNOWN_KEY, key=name)
    except InvalidSignature as error:
        is_digest = isinstance(error, InvalidDigest)
        return Looked(seal=Seal.BROKEN, key=name, reason="digest" if is_digest else "signature")
    except (SignXMLException, ValueError, TypeError, etree.LxmlError):
        return Looked(seal=Seal.UNSUPPORTED, key=name, reason="unreadable")
    return Looked(seal=Seal.UNKNOWN_KEY, key=name)


def _verified(alert: etree._Element, certificate: str | x509.Certificate, at: datetime | None) -> bytes:
    """The bytes that were signed. Raises what signxml raises."""
    config = SignatureConfiguration(
        location="./", expect_references=1, signature_methods=_METHODS, digest_algorithms=_DIGESTS,
        ignore_ambiguous_key_info=True, verification_time=at,
    )  # fmt: skip
    # validate_schema: Canada's signatures have an Id with a blank, which the schema refuses
    result = XMLVerifier().verify(alert, x509_cert=certificate, validate_schema=False, expect_config=config)
    if isinstance(result, list) or result.signed_xml is None or result.signed_xml.tag != alert.tag:
        raise InvalidSignature("something else was signed")
    return etree.tostring(result.signed_xml)


def _named_in(signature: etree._Element) -> x509.Certificate | None:
    """The first certificate that the signature carries."""
    text = signature.findtext(f".//{{{DS}}}X509Certificate") or ""
    try:
        return x509.load_der_x509_certificate(base64.b64decode("".join(text.split()), validate=True))
    except (ValueError, binascii.Error):
        return None


def _certificate(pem: str) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return None


def _algorithm(parent: etree._Element, name: str) -> str:
    found = next(parent.iter(f"{{{DS}}}{name}"), None)
    return (found.get("Algorithm") or "") if found is not None else ""
