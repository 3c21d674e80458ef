"""A worker process of its own for crash tests: sweeps, delivers by the Twilio wire, until it is killed.

Arguments: database URL, data directory, provider URL, Redis URL or ''.
"""

import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from channels.twilio_sms import TwilioSms
from outbox import sweep
from tests.conftest import open_store
from tests.outbox.outbox_kit import jobs_of, outgoing
from workers.app import Ringer, broker, start_workers
from workers.timers import Timers, outbox_chores

ACCOUNT, TOKEN = "AC" + "0" * 32, "secret"


def now() -> datetime:
    return datetime.now(UTC)


def wire(url: str) -> TwilioSms:
    return TwilioSms(
        account_sid=ACCOUNT, auth_token=TOKEN, sender="+8613900999999", base_url=url,
        status_callback_url="http://127.0.0.1:9/hooks", reaches_the_world=False,
    )  # fmt: skip


def main(database: str, data: str, provider: str, redis: str) -> None:
    rooms = broker(redis)
    ringer = Ringer(rooms)
    store = open_store(database)
    out = outgoing(store, now(), Path(data), wire=wire(provider), clock=now, bell=ringer)
    jobs = jobs_of(out)
    start_workers(jobs, rooms, 3)
    Timers(
        store=store, clock=now, bell=ringer, jobs=jobs, sources=[sweep.due], chores=outbox_chores(out)
    ).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
