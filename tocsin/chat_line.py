"""Keeps the lines open that a process of workers holds: an SMS centre's, and the question to a chat's provider."""

import threading
from collections.abc import Callable
from datetime import timedelta

from hub import wiring_chat
from hub.settings import Settings
from hub.wiring import Hub
from intake.poll import Poller
from tocsin import demo
from workers.timers import Chore


def start(hub: Hub, on_error: Callable[[str, Exception], None]) -> threading.Event:
    """Open them; the event ends the asking."""
    wiring_chat.open_lines(hub.outgoing.all_wires(), hub.outgoing.courier)
    leaving = threading.Event()
    if hub.poller:
        asked = (hub.poller, leaving, on_error)
        threading.Thread(target=_poll, args=asked, name="poll", daemon=True).start()
    return leaving


def chore(hub: Hub) -> Chore:
    """Writes down which of them stand."""
    return Chore(
        name="lines", every=timedelta(seconds=5),
        run=lambda: wiring_chat.note_lines(hub.outgoing.all_wires(), hub.store, hub.clock()),
    )  # fmt: skip


def _poll(poller: Poller, leaving: threading.Event, on_error: Callable[[str, Exception], None]) -> None:
    """Ask for what came in until the process leaves; the courier's end cuts a question short."""
    wait = timedelta(0)
    while not leaving.wait(wait.total_seconds()):
        try:
            wait = poller.turn()
        except Exception as error:  # a bug must not make the door deaf for good
            on_error("poll", error)
            wait = timedelta(seconds=5)


def with_simulator(settings: Settings, made: demo.Secrets, port: int) -> Settings:
    """The demo's bot talks to the simulator on this machine, whatever the environment says."""
    bot = {"telegram_token": made.telegram_token, "telegram_api_url": f"http://127.0.0.1:{port}",
           "telegram_webhook_secret": ""}  # fmt: skip
    return type(settings)(**{**settings.model_dump(), **bot})
