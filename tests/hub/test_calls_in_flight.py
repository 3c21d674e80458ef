"""TOCSIN_SMS_CALLS_IN_FLIGHT, seen from where the calls arrive."""

import pytest

from hub.wiring import build
from tests.faults.ledger import Call
from tests.faults.plan import Plan
from tests.faults.provider_process import running
from tests.outbox.outbox_kit import approve, run_all
from tests.servers import free_port
from tests.walks.houses import furnish
from tocsin import demo


def _most_at_once(calls: list[Call]) -> int:
    """`begun` is when a call had come whole, `at` when its answer was about to leave."""
    return max(sum(other.begun <= call.begun < other.at for other in calls) for call in calls)


@pytest.mark.parametrize("in_flight", [2, 7])
def test_as_many_calls_as_the_setting_says_are_at_the_provider_at_once(tmp_path, in_flight) -> None:
    secrets = demo.load_secrets(tmp_path / "data")
    account = {"account_sid": secrets.account_sid, "auth_token": secrets.auth_token}
    with running(tmp_path / "ledger.jsonl", **account) as provider:
        provider.obey(Plan(delay_ms=150))
        made = furnish(tmp_path / "data", secrets, provider, port=free_port(), sms_calls_in_flight=in_flight)
        hub = build(made.settings)
        try:
            approve(hub.store, hub.clock(), areas=("990101000000",))
            run_all(hub.outgoing)
        finally:
            hub.outgoing.courier.close()
            hub.close()
        calls = provider.calls()
    assert len(calls) >= 15
    assert _most_at_once(calls) == in_flight
