"""Where Twilio keeps the media of an incoming MMS and the recordings of calls.

Sources: "Media resource", "Recording resource" (twilio.com/docs): the address in a webhook answers with the
bytes or with a redirect to the media host; HTTP Basic authentication may be asked for, by the account's own setting.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit

from channels.closed_list import Place

_OF_SIMULATOR = re.compile(r"/sim/media/[A-Za-z0-9]{1,60}")


def places(
    base_url: str, *, account_sid: str, auth_token: str, hosts: Iterable[str], is_simulator: bool
) -> tuple[Place, ...]:
    """The API, for our account's media and recordings and nothing else of it, and the hosts it redirects to.

    The login goes to the API alone. Nothing else at the API is asked: an address in a forged form could
    otherwise have us read our own account into a report.
    """
    base = urlsplit(base_url)
    path = re.compile(
        re.escape(f"{base.path.rstrip('/')}/2010-04-01/Accounts/{account_sid}/")
        + r"(?:Messages/(?:SM|MM)[0-9a-f]{32}/Media/ME[0-9a-f]{32}|Recordings/RE[0-9a-f]{32})(?:\.[a-z0-9]{2,5})?"
    )
    host, login = base.hostname or "", (account_sid, auth_token)
    if not is_simulator:
        api = Place(host=host, port=base.port or 443, path=path, login=login)
        return (api, *(Place(host=name, may_begin=False) for name in hosts))
    stored = re.compile(re.escape(base.path.rstrip("/")) + _OF_SIMULATOR.pattern)
    api = Place(host=host, port=base.port or 80, path=path, login=login, is_of_this_machine=True)
    return api, replace(api, path=stored, login=None, may_begin=False)
