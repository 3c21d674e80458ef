"""The actors: each takes the id of a row and calls one job."""

from collections.abc import Callable

from dramatiq import Actor, Broker, actor

from outbox.outgoing import Jobs

QUEUES = {  # job -> queue: a flood of reports never stands before a release (R21)
    "file_report": "filing",
    "study_report": "study",  # and no report in the queue before one that is not there yet
    "read_bulletin": "bulletins",  # nor any report behind the bulletins of a peer that was down for a day
    "pull_peer": "peers",  # may take a minute
    "fetch_media": "media",  # a slow media host holds up no report
    "attach_upload": "media",
    "tell_webhook": "webhooks",  # a department that is slow holds up nobody
    "scan_file": "scans",  # a file that takes minutes holds up no other
    "check_sender": "senders",  # waits for name servers
    "relay": "relay",
    "publish": "publish",
    "deliver": "deliver",
    "deliver_mail": "mail",  # and neither before the other channels
    "deliver_urgent": "urgent",  # nor anything before a red warning or a correction
}


PRIORITIES = {"file_report": 10, "study_report": 20, "fetch_media": 20, "attach_upload": 20, "tell_webhook": 30,
              "check_sender": 20, "scan_file": 30,
              "read_bulletin": 20, "pull_peer": 30}  # fmt: skip


def declare(jobs: Jobs, broker: Broker) -> list[Actor[..., None]]:
    """Register the actors on `broker`. A failed one is not tried again: its row is still due (law 1)."""
    return [_actor(jobs, broker, job, queue) for job, queue in QUEUES.items()]


def _actor(jobs: Jobs, broker: Broker, job: str, queue: str) -> Actor[..., None]:
    register = actor(
        broker=broker, actor_name=job, queue_name=queue, priority=PRIORITIES.get(job, 0), max_retries=0
    )
    made: Actor[..., None] = register(_running(jobs, job))
    return made


def _running(jobs: Jobs, job: str) -> Callable[[str], None]:
    def run(row_id: str) -> None:
        getattr(jobs, job)(row_id)

    return run
