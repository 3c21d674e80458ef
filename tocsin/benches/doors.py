"""The doors: mails and webhooks made durable, against the same protocol when nothing is kept."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

from tocsin.benches import load
from tocsin.benches.figure import Figure, in_turn
from tocsin.benches.place import NUMBER, SID, Place
from tocsin.sockets import free_port

CONNECTIONS, CALLERS = 20, 32
_BARE = "tocsin.benches.bare"


def mails(place: Place, size: int, count: int, pairs: int, step: Callable[[], None]) -> Iterator[Figure]:
    """Mails of `size` bytes over 20 kept connections."""
    settings, bare_port = place.settings, free_port("127.0.0.1")
    with (
        place.process("tocsin", "smtp", port=settings.smtp_port),
        place.process(_BARE, "smtp", str(bare_port), port=bare_port),
    ):

        def run(port: int) -> float:
            bodies = [load.mail(size) for _ in range(count)]
            return load.mails_per_second(("127.0.0.1", port), bodies, CONNECTIONS)

        ours, bare = partial(run, settings.smtp_port), partial(run, bare_port)
        _warm(ours, bare)
        value, ceiling, runs = in_turn(ours, bare, pairs, step)
    name, reach = ("mail_2k", 0.85) if size < 10_000 else ("mail_100k", 0.8)
    yield Figure(name=name, store=place.store, value=value, unit="mails/s", ceiling=ceiling, runs=runs,
                 against="bare aiosmtpd that keeps nothing", reach=reach, is_ratio=True)  # fmt: skip


def webhooks(place: Place, count: int, pairs: int, step: Callable[[], None]) -> Iterator[Figure]:
    """Incoming SMS posted by a provider over 32 kept connections."""
    settings, bare_port = place.settings, free_port("127.0.0.1")
    address = f"{place.url}/hooks/sms/twilio"
    elsewhere = {**place.environment, "TOCSIN_PORT": str(bare_port), "TOCSIN_TWILIO_WEBHOOK_URL": address,
                 "TOCSIN_ALLOWED_HOSTS": f"127.0.0.1:{settings.port}"}  # fmt: skip
    with ExitStack() as running:
        running.enter_context(place.process("tocsin", "web", port=settings.port))
        running.enter_context(place.process(_BARE, "hooks", port=bare_port, environment=elsewhere))

        def run(port: int) -> float:
            token = settings.twilio_auth_token.get_secret_value()
            asked = [load.signed_post(address, load.text_form(SID, NUMBER), token) for _ in range(count)]
            return load.posts_per_second(port, asked, CALLERS)

        ours, bare = partial(run, settings.port), partial(run, bare_port)
        _warm(ours, bare)
        value, ceiling, runs = in_turn(ours, bare, pairs, step)
    reach = 0.45 if place.store == "sqlite" else 0.55
    yield Figure(name="webhooks", store=place.store, value=value, unit="posts/s", ceiling=ceiling, runs=runs,
                 against="the same door that checks the signature and keeps nothing", reach=reach, is_ratio=True)  # fmt: skip


def bulletins(place: Place, count: int, pairs: int, step: Callable[[], None]) -> Iterator[Figure]:
    """Alerts pushed by a peer over 32 kept connections: durable before each answer, read afterwards."""
    settings, bare_port = place.settings, free_port("127.0.0.1")
    elsewhere = {**place.environment, "TOCSIN_PORT": str(bare_port),
                 "TOCSIN_ALLOWED_HOSTS": f"127.0.0.1:{settings.port}"}  # fmt: skip
    with ExitStack() as running:
        running.enter_context(place.process("tocsin", "web", port=settings.port))
        running.enter_context(place.process(_BARE, "hooks", port=bare_port, environment=elsewhere))

        def run(port: int) -> float:
            asked = [
                load.bulletin_post(f"{place.url}/v1/bulletins", place.keys["officer"]) for _ in range(count)
            ]
            return load.posts_per_second(port, asked, CALLERS)

        ours, bare = partial(run, settings.port), partial(run, bare_port)
        _warm(ours, bare)
        value, ceiling, runs = in_turn(ours, bare, pairs, step)
    yield Figure(name="bulletins", store=place.store, value=value, unit="posts/s", ceiling=ceiling, runs=runs,
                 against="the same door that looks up the key and keeps nothing", reach=0.6, is_ratio=True)  # fmt: skip


def _warm(*each: Callable[[], float]) -> None:
    for run in each:
        run()
