"""The signature that Twilio puts on its webhooks, checked over the address of the settings.

Source: "Webhooks Security" (twilio.com/docs).
"""

import re

from twilio.request_validator import HMAC_SHA1, RequestValidator

from channels.codecs import twilio_form
from domain.errors import BadInput, NotAllowed

_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{27}=")  # base64 of the 20 bytes of SHA-1


def verify(url: str, raw_body: bytes, signature: str | None, auth_token: str) -> None:
    """Compare X-Twilio-Signature, as twilio's validator does, over `url` and the form in `raw_body`.

    `url` is the public address of the settings with the query as received, never one built from headers. Only
    HMAC-SHA1 and only forms: an algorithm or a bodySHA256 of the caller's choice would let him sign others.
    Raises NotAllowed(code="bad_signature") for anything else, so that strangers fill no shelf.
    """
    if signature is None or not _SIGNATURE.fullmatch(signature):
        raise NotAllowed("no signature", code="bad_signature")
    try:
        form = _Multi(twilio_form.pairs(raw_body))
        is_signed = RequestValidator(auth_token).validate(url, form, signature, HMAC_SHA1)
    except (BadInput, ValueError):  # not a form, an address with a broken port, lone surrogates
        is_signed = False
    if not is_signed:
        raise NotAllowed("the signature does not match", code="bad_signature")


def sign(url: str, form: dict[str, str], auth_token: str) -> str:
    """The signature that the provider would put on this form, for a synthetic message through our own door."""
    return str(RequestValidator(auth_token).compute_signature(url, form))


class _Multi(dict[str, str]):
    """A form as the validator wants it: `getall` gives every value of a name that came twice."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def getall(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name]
