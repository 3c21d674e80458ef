"""The web application: doors, /v1, the desk's pages and the public directory behind one shell."""

from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount
from starlette.types import ASGIApp

from domain.errors import HubError
from hub.health import Trouble
from hub.settings import Settings
from hub.wiring import Hub
from web import downloads, ops, problems, public
from web.access import AccessLog
from web.api.app import api_app
from web.api.openapi import docs_routes
from web.chat import ChatDoor
from web.citizen import Citizen
from web.console.routes import routes as console_routes
from web.cti import CtiDoor
from web.doors import Doors
from web.field import Field
from web.gate import Gate
from web.handover_page import HandoverPages
from web.live import Live
from web.porter import Porter
from web.shell import Shell
from web.voice import VoiceDoor


def create_app(hub: Hub) -> ASGIApp:
    """Everything this hub answers over HTTP. Nothing is opened here; the server owns the sockets."""
    live, porter = Live(hub), Porter(hub)
    hub.health.join(Trouble.DOOR_FULL, hub.crowd.is_calm)
    api = api_app(hub, live)
    api.state.citizen = citizen = Citizen(hub)
    app = Starlette(
        routes=[
            *ops.routes(),
            *Doors(hub, porter).routes(),
            *VoiceDoor(hub, porter).routes(),
            *CtiDoor(hub, porter).routes(),
            *ChatDoor(hub, porter).routes(),
            *docs_routes(api),
            Mount("/v1", api),
            *console_routes(hub, live),
            *citizen.routes(),
            *Field(hub).routes(),
            *HandoverPages(hub).routes(),
            *public.routes(hub.settings.data_dir / "public"),
        ],
        exception_handlers={
            HubError: problems.on_hub_error,
            HTTPException: problems.on_http_error,
            RuntimeError: problems.on_runtime_error,
            Exception: problems.on_bug,
        },
    )
    app.state.hub = hub
    app.router.redirect_slashes = False  # one address for one thing; the rest is 404 (PROMISES H52)
    files = downloads.files_app(hub)
    served = downloads.ByHost(desk=app, files=files, files_url=hub.settings.files_url)
    known = downloads.Known([*app.routes, *files.routes])
    shell = Shell(Gate(served, hub.crowd), hub=hub, hosts=hosts(hub.settings))
    return AccessLog(shell, known, clock=hub.clock)


def hosts(settings: Settings) -> set[str]:
    """The host names that are answered: those of the settings, and this machine's own loopback."""
    urls = (settings.site, settings.public_site, settings.twilio_webhook_url, settings.twilio_status_url,
            settings.twilio_voice_url, settings.files_url)  # fmt: skip
    named = {urlsplit(url).hostname or "" for url in urls} | {settings.host.lower()}
    named |= {name.strip().lower() for name in settings.allowed_hosts.split(",")}
    named = {f"[{name}]" if ":" in name and not name.startswith("[") else name for name in named}
    return (named | {"127.0.0.1", "localhost", "[::1]"}) - {"", "0.0.0.0", "[::]"}  # noqa: S104 (names no host)
