"""Releases made over /v1 for screens that begin with one: the body is the template's own example."""

from typing import Any

from tests.e2e.hub_process import HubProcess
from tests.walks.houses import until

EXAMPLE = "heavy_rain"


def body(hub: HubProcess, template: str = EXAMPLE, **more: Any) -> dict[str, Any]:
    """A complete body of POST /v1/releases."""
    known = {t["id"]: t["example"] for t in hub.api("GET", "/v1/templates")["data"]}
    return {**known[template], **more}


def drafted(hub: HubProcess, key: str, template: str = EXAMPLE, **more: Any) -> str:
    """The id of a draft; `key` makes it one draft however often it is asked for."""
    made = hub.api("POST", "/v1/releases", body(hub, template, **more), **{"Idempotency-Key": key})
    return str(made["id"])


def submitted(hub: HubProcess, key: str, template: str = EXAMPLE, **more: Any) -> str:
    release = drafted(hub, key, template, **more)
    hub.api("POST", f"/v1/releases/{release}/submit", {})
    return release


def released(hub: HubProcess, key: str, template: str = EXAMPLE, **more: Any) -> str:
    """Approved, sent and published."""
    release = submitted(hub, key, template, **more)
    approve(hub, release)
    is_published(hub, release)
    return release


def approve(hub: HubProcess, release: str) -> None:
    """The second person's word over what is submitted now."""
    digest = state(hub, release)["digest"]
    hub.api("POST", f"/v1/releases/{release}/approve", {"digest": digest}, key="approver")


def is_published(hub: HubProcess, release: str) -> None:
    """Returns when it is."""
    until(lambda: state(hub, release)["state"] == "published", "published")


def state(hub: HubProcess, release: str) -> dict[str, Any]:
    found: dict[str, Any] = hub.api("GET", f"/v1/releases/{release}")
    return found
