"""The list of messages of a provider under test, as Twilio's API gives it: read from the ledger, page by page.

Source: "Read multiple Message resources" (twilio.com/docs): newest first, To, From and DateSent as filters,
PageSize and a next_page_uri. As there, our StatusCallback is not among what is listed.
"""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.faults import ledger
from tests.faults.ledger import Call


def shown(
    path: Path,
    query: Mapping[str, str],
    *,
    account_sid: str,
    lag: float,
    final: str,
    senders: Mapping[str, str],
) -> list[dict[str, Any]]:
    """The messages that a query finds, newest first; those younger than `lag` seconds are not indexed yet."""
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    found = [call for call in ledger.read(path) if call.is_taken and now - call.at >= lag]
    rows = [
        _resource(call, now, account_sid, final, senders.get(call.sid, ""))
        for call in {c.sid: c for c in found}.values()
    ]
    return [row for row in reversed(rows) if _is_asked(row, query)]


def page(rows: Sequence[Mapping[str, Any]], query: Mapping[str, str], *, account_sid: str) -> str:
    """One page of them."""
    size, n = int(query.get("PageSize", "50")), int(query.get("Page", "0"))
    base = f"/2010-04-01/Accounts/{account_sid}/Messages.json"
    after = f"{base}?{urlencode({**query, 'Page': n + 1, 'PageToken': 'PA'})}"
    return json.dumps({
        "messages": rows[n * size : (n + 1) * size], "page": n, "page_size": size, "start": n * size,
        "end": min((n + 1) * size, len(rows)) - 1, "uri": base, "first_page_uri": base,
        "next_page_uri": after if len(rows) > (n + 1) * size else None, "previous_page_uri": None,
    })  # fmt: skip


def _resource(call: Call, now: float, account_sid: str, final: str, sender: str) -> dict[str, Any]:
    made = format_datetime(datetime.fromtimestamp(time.time() - (now - call.at) + call.ahead, UTC))
    return {
        "sid": call.sid, "status": final, "to": call.to, "from": sender, "body": call.body, "direction": "outbound-api",
        "account_sid": account_sid, "api_version": "2010-04-01", "messaging_service_sid": None, "error_code": None,
        "error_message": None, "num_segments": "1", "num_media": "0", "date_created": made, "date_updated": made,
        "date_sent": None if final == "queued" else made,
        "uri": f"/2010-04-01/Accounts/{account_sid}/Messages/{call.sid}.json",
    }  # fmt: skip


def _is_asked(row: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    """DateSent leaves out what has not been sent yet."""
    sent = row["date_sent"]
    asks_date = any(name in query for name in ("DateSent", "DateSent>", "DateSent<"))
    return (
        query.get("To", row["to"]) == row["to"]
        and query.get("From", row["from"]) == row["from"]
        and (sent is not None or not asks_date)
    )
