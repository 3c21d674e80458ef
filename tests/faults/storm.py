"""The same message again and again at many doors at once, as impatient providers repeat it."""

import asyncio
import smtplib
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.faults import walkers
from tests.faults.callbacks import post_form
from tests.faults.outside import Outside, sid
from tests.walks.houses import House

CHANNELS = ("sms", "mail", "voice", "chat", "smpp", "form", "api", "slip")
AT_ONCE = 6  # of each channel
AGAIN = ("409", "429", "451", "421", "503")  # "try again": nothing is taken, and nothing doubled


def storm(made: House, there: Outside, times: int) -> dict[str, Counter[str]]:
    """`times` knocks with one message at each of CHANNELS, all doors at once: channel -> answers, "taken" or what was said."""
    heard: dict[str, Counter[str]] = {name: Counter() for name in CHANNELS}
    ready = threading.Barrier(len(CHANNELS))
    rows = _rows(there)

    def knock_all(name: str) -> None:
        ready.wait(60)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            heard[name].update(pool.map(lambda n: _said(rows[name], made, marker(name), n), range(times)))

    threads = [threading.Thread(target=knock_all, args=(name,)) for name in CHANNELS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return heard


def marker(name: str) -> str:
    """The one message of a channel."""
    return f"{name} storm-1"


def _rows(there: Outside) -> Mapping[str, walkers.Door]:
    """Who knocks; a call and an SMS centre say one thing, the form comes from many streets."""

    def ring(made: House, text: str, n: int) -> None:
        settings = made.settings
        form = {"AccountSid": settings.twilio_account_sid, "ApiVersion": "2010-04-01", "CallSid": sid(text),
                "CallStatus": "ringing", "Direction": "inbound", "From": "+8613700000001",
                "To": settings.twilio_from}  # fmt: skip
        url = f"{made.url}/hooks/voice/twilio"
        status = asyncio.run(post_form(url, form, settings.twilio_auth_token.get_secret_value()))
        if status // 100 != 2:
            raise ConnectionError(status)

    def write(made: House, text: str, n: int) -> None:
        if status := there.centre.deliver(source="8613600000001", data_coding=0, message=text.encode()):
            raise ConnectionError(f"smpp {status}")

    mail: walkers.Door = lambda made, text, _: walkers.mail(made, text, 0)  # noqa: E731 (the same bytes each time)
    return {**walkers.DOORS, **there.doors, "voice": ring, "smpp": write, "mail": mail}


def _said(door: Callable[[House, str, int], None], made: House, text: str, n: int) -> str:
    try:
        door(made, text, n)
    except (OSError, AssertionError, smtplib.SMTPException) as error:
        said = str(error)
        return next((code for code in AGAIN if code in said), said[:200])
    return "taken"
