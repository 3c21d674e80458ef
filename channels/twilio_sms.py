"""SMS by Twilio's Messaging API, both ways.

Sources: "Message resource", "Twilio's request to your incoming message Webhook URL", "Track the Message
Status of Outbound Messages", "Webhooks Security" (twilio.com/docs).
"""

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from channels.codecs import twilio_form, twilio_list
from channels.codecs.twilio_answer import STATES
from channels.codecs.twilio_http import HOST, Http
from channels.codecs.twilio_signature import verify
from domain.errors import BadInput, Never, Unsure
from domain.parcel import Answer, DeliveryState, Listed, Part, Receipt
from domain.report import Inbound

__all__ = ["TwilioSms", "parse_message", "parse_status", "verify"]

PAGE, PAGES = 100, 10  # a phone that we have sent a thousand messages since cannot be told apart
_SID = re.compile(r"(?:SM|MM)[0-9a-f]{32}")


class TwilioSms:
    """See `channels.contract.Wire`. One message create for each call; the library never repeats it."""

    channel = "sms"
    items_per_call = 1

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        sender: str,
        status_callback_url: str,
        reaches_the_world: bool,
        base_url: str = HOST,
        window: int = 32,
        timeout: timedelta = timedelta(seconds=10),
        name: str = "twilio_sms",
    ) -> None:
        """`sender` is a number, a sender id, or a MessagingServiceSid (MG...); `name` tells accounts apart."""
        self.name = name
        self.window = window
        self.reaches_the_world = reaches_the_world
        self._account_sid, self._auth_token = account_sid, auth_token
        is_service = re.fullmatch(r"MG[0-9a-f]{32}", sender)
        self._from = {"messaging_service_sid": sender} if is_service else {"from_": sender}
        self._status_callback_url = status_callback_url
        self._base_url, self._timeout = base_url, timeout
        self._http: Http | None = None
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def call(self, part: Part) -> Sequence[Answer]:
        """Create one message; its text is `part.payload`, byte for byte.

        Raises NotNow, Never(code="config" | "payload") or Unsure. A cancelled call is Unsure too.
        """
        (item,) = part.items
        try:
            body = part.payload.decode()
        except UnicodeDecodeError:
            raise Never("the payload is not UTF-8", code="payload") from None
        # Twilio signs the whole address: the tag comes back as we sent it, also when we never learnt the SID.
        tag = f"{self._status_callback_url}?d={item.delivery_id}&a={item.attempt}"
        try:
            made = await self._messages().create_async(
                to=item.address, body=body, status_callback=tag, **self._from
            )
        except TwilioException as error:
            code = str(getattr(error, "code", ""))  # 21211 not a number, 21610 opted out, ...
            return [Answer(delivery_id=item.delivery_id, state=DeliveryState.FAILED, code=code)]
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            raise Unsure("success, but not a Message resource", code="garbage") from None
        return [_acceptance(item.delivery_id, made)]

    async def look_up(self, address: str, since: datetime) -> Sequence[Listed]:
        """Every message of this sender to `address` that Twilio has made since then.

        Not narrowed by DateSent: a message that still waits in Twilio's queue has none ("Message resource",
        date_sent), and would seem absent. Newest first, so a page that is older throughout ends the walk.
        Raises NotNow, Never or Unsure unless the list is whole: only a whole list proves an absence.
        """
        found: list[Listed] = []
        try:
            page = await self._messages().page_async(to=address, page_size=PAGE)
            for _ in range(PAGES):
                here = [twilio_list.read(one) for one in page]
                found += [one.listed for one in here if one.is_from(self._from)]
                if (here and all(one.listed.created_at < since for one in here)) or not page.next_page_url:
                    return [one for one in found if one.created_at >= since]
                page = await page.next_page_async()
        except TwilioException as error:
            raise Unsure("no list of messages", code=str(getattr(error, "code", "") or "list")) from None
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            raise Unsure("success, but no list of messages", code="garbage") from None
        raise Unsure("more messages than can be looked through", code="too_many")

    async def aclose(self) -> None:
        http, self._http, self._client = self._http, None, None
        if http is not None:
            await http.close()

    def _messages(self) -> Any:
        """The library's list of messages, its session made inside the loop that runs now."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop, self._http = loop, Http(base_url=self._base_url, timeout=self._timeout)
            # A filled mapping in place of os.environ: TWILIO_EDGE must not redirect an alert.
            still = {"TWILIO_EDGE": "", "TWILIO_REGION": ""}
            login = (self._account_sid, self._auth_token)
            self._client = Client(*login, http_client=self._http, environment=still)
        return self._client.messages


def _acceptance(delivery_id: str, made: Any) -> Answer:
    """Raises Unsure when the resource does not name the message or its status."""
    state = STATES.get(str(made.status))
    if state is None or not _SID.fullmatch(str(made.sid)):
        raise Unsure("success, but not a Message resource", code="garbage")
    if state not in (DeliveryState.ACCEPTED, DeliveryState.FAILED):
        state = DeliveryState.SENT  # delivered is for a receipt to say
    return Answer(delivery_id=delivery_id, state=state, provider_id=made.sid, code=str(made.error_code or ""))


def parse_message(raw: bytes, *, account_sid: str, at: datetime) -> Inbound:
    """An incoming message of a verified form. Raises BadInput(code="bad_shape")."""
    form = twilio_form.message(raw, account_sid=account_sid)
    media = form.media()
    known = {"to": form.values["To"], "num_media": len(media), "media": [url for url, _ in media]}
    if media:
        known["media_types"] = [media_type[:120] for _, media_type in media]
    extra: dict[str, Any] = {"unknown_keys": list(form.unknown), "text_may_go_on": list(form.tail)}
    extra["opt_out_type"] = form.values.get("OptOutType", "")  # Twilio has blocked or unblocked it
    return Inbound(
        channel="sms",
        external_id=form.values["MessageSid"],
        raw=raw,
        media_type="application/x-www-form-urlencoded",
        received_at=at,
        sender=form.values["From"],
        meta=known | {key: value for key, value in extra.items() if value},
    )


def parse_status(raw: bytes, query: str, *, account_sid: str, at: datetime) -> Receipt:
    """A status callback of a verified form; `query` is that of the address it was posted to.

    Raises BadInput(code="bad_shape" | "unknown_status").
    """
    form = twilio_form.status(raw, account_sid=account_sid)
    state = STATES.get(form.values["MessageStatus"])
    if state is None:
        raise BadInput("no status of a message that was sent", code="unknown_status")
    return Receipt(
        channel="sms",
        provider_id=form.values["MessageSid"],
        state=state,
        code=form.values.get("ErrorCode", ""),
        address=form.values["To"],
        delivery_id=twilio_form.tag(query),
        received_at=at,
        raw=raw,
    )
