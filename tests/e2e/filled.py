"""A hub in which every screen has something to show: reports and releases in each state, made over /v1 and the doors."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from simulators.presets import script
from tests.e2e.hub_process import HubProcess
from tests.e2e.releases_made import approve, drafted, is_published, state, submitted
from tests.walks.houses import call, get, post, until

SOON = timedelta(seconds=45)  # until a warning expires that nobody lifts; what comes before it takes longer


def fill(hub: HubProcess) -> dict[str, str]:
    """name -> id of what stands in the hub."""
    found = {**_releases(hub), **_reports(hub)}
    _shelf(hub)
    return {**found, **_on_their_way(hub)}


def _releases(hub: HubProcess) -> dict[str, str]:
    """All approved in turn and sent side by side."""
    soon = (datetime.now(UTC) + SOON).isoformat()
    found = {"draft": drafted(hub, "draft"), "submitted": submitted(hub, "submitted", "hazmat_leak")}
    more = {"unlifted": {"expires": soon}, "notice": {"template": "utility_outage"},
            "earthquake": {"template": "earthquake"}}  # fmt: skip
    for name in ("unlifted", "first", "in_force", "notice", "earthquake", "lifted", "corrected"):
        found[name] = submitted(hub, name.replace("_", "-"), **more.get(name, {}))
        approve(hub, found[name])
    for name in found.keys() - {"draft", "submitted"}:
        is_published(hub, found[name])
    for name, act in (("lifted", "cancel"), ("corrected", "correct")):
        hub.api("POST", f"/v1/releases/{found[name]}/{act}", {"reason": "for the screens"})
    found["update"] = str(hub.api("POST", f"/v1/releases/{found['first']}/update", {})["id"])
    hub.api("PATCH", f"/v1/releases/{found['update']}", {"colour": "red"})
    hub.api("POST", f"/v1/releases/{found['update']}/submit", {})
    approve(hub, found["update"])
    is_published(hub, found["update"])
    until(lambda: state(hub, found["first"])["state"] == "superseded", "superseded")
    return found


def _on_their_way(hub: HubProcess) -> dict[str, str]:
    """One that is being sent and goes on so, because its provider takes nothing for now; one that was stopped."""
    post(f"{hub.told['simulators']['twilio']['url']}/sim/script", script("429"))
    found = {name: submitted(hub, name) for name in ("sending", "stopped")}
    for release in found.values():
        digest = state(hub, release)["digest"]
        hub.api("POST", f"/v1/releases/{release}/approve", {"digest": digest}, key="approver")
        until(lambda r=release: state(hub, r)["state"] == "publishing", "publishing")
        until(lambda r=release: get(f"{hub.url}/alerts/{r}/") is not None, "its page")
    hub.api("POST", f"/v1/releases/{found['stopped']}/stop", {"reason": "for the screens"})
    return found


def _reports(hub: HubProcess) -> dict[str, str]:
    """The citizen's, with a photo and its keys; the claimed one; the closed one."""
    sent = call("POST", f"{hub.url}/v1/citizen/reports", {"text": "江滨路塌方", "contact": "13800138000"},
                {"Idempotency-Key": secrets.token_hex(8)})  # fmt: skip
    hub.text("+8613900000009", "桥面裂缝，有车掉下去")
    until(lambda: len(hub.reports()) >= 7, "both are filed")
    rows = {r["channel"]: r for r in hub.reports()}
    found: Mapping[str, Any] = {"web": rows["web"], "claimed": rows["sms"], "closed": rows["email"]}
    for name in ("claimed", "closed"):
        hub.api("POST", f"/v1/reports/{found[name]['id']}/claim", {})
    hub.api("POST", f"/v1/reports/{found['closed']['id']}/close", {"reason": "for the screens"})
    phone = next(r for r in hub.reports() if r["channel"] == "phone")
    return {
        **{name: str(r["id"]) for name, r in found.items()},
        "phone": str(phone["id"]),
        "key": str(sent["key"]),
    }


def _shelf(hub: HubProcess) -> None:
    """A signed message of another shape."""
    url = f"{hub.told['simulators']['twilio']['url']}/sim/inbound"
    assert post(url, {"from": "+8613900000010", "body": "x", "sid": "of no known shape"})["status"] == 400
