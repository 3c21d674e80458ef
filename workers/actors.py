"""The actors: each takes the id of a row and calls one job."""

from dramatiq import Actor, Broker, actor

from outbox.outgoing import Jobs

QUEUES = {  # job -> queue: a flood of reports never stands before a release (R21)
    "file_report": "filing",
    "study_report": "study",  # and no report in the queue before one that is not there yet
    "fetch_media": "media",  # a slow media host holds up no report
    "check_sender": "senders",  # waits for name servers
    "relay": "relay",
    "publish": "publish",
    "deliver": "deliver",
    "deliver_mail": "mail",  # and neither before the other channels
    "deliver_urgent": "urgent",  # nor anything before a red warning or a correction
}


def declare(jobs: Jobs, broker: Broker) -> list[Actor[..., None]]:
    """Register the actors on `broker`. A failed one is not tried again: its row is still due (law 1)."""

    @actor(broker=broker, queue_name=QUEUES["file_report"], priority=10, max_retries=0)
    def file_report(row_id: str) -> None:
        jobs.file_report(row_id)

    @actor(broker=broker, queue_name=QUEUES["study_report"], priority=20, max_retries=0)
    def study_report(row_id: str) -> None:
        jobs.study_report(row_id)

    @actor(broker=broker, queue_name=QUEUES["fetch_media"], priority=20, max_retries=0)
    def fetch_media(row_id: str) -> None:
        jobs.fetch_media(row_id)

    @actor(broker=broker, queue_name=QUEUES["check_sender"], priority=20, max_retries=0)
    def check_sender(row_id: str) -> None:
        jobs.check_sender(row_id)

    @actor(broker=broker, queue_name=QUEUES["relay"], priority=0, max_retries=0)
    def relay(row_id: str) -> None:
        jobs.relay(row_id)

    @actor(broker=broker, queue_name=QUEUES["publish"], priority=0, max_retries=0)
    def publish(row_id: str) -> None:
        jobs.publish(row_id)

    @actor(broker=broker, queue_name=QUEUES["deliver"], priority=0, max_retries=0)
    def deliver(row_id: str) -> None:
        jobs.deliver(row_id)

    @actor(broker=broker, queue_name=QUEUES["deliver_mail"], priority=0, max_retries=0)
    def deliver_mail(row_id: str) -> None:
        jobs.deliver_mail(row_id)

    @actor(broker=broker, queue_name=QUEUES["deliver_urgent"], priority=0, max_retries=0)
    def deliver_urgent(row_id: str) -> None:
        jobs.deliver_urgent(row_id)

    return [
        file_report,
        study_report,
        fetch_media,
        check_sender,
        relay,
        publish,
        deliver,
        deliver_mail,
        deliver_urgent,
    ]
