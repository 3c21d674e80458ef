"""A report that came in is in the queue before anybody studies those that are there."""

import threading
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hub import jobs


@pytest.mark.parametrize(("lasts", "expected"), [(10, ["filed", "studied"]), (0.05, ["studied", "filed"])])
def test_a_study_lets_reports_by_that_are_being_filed_but_not_for_ever(
    lasts: float, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The patience is patched: the real second would only make the same test slower.
    monkeypatch.setattr(jobs, "LET_BY", timedelta(seconds=lasts))
    order: list[str] = []
    begun, may_end = threading.Event(), threading.Event()

    def file(_id: str) -> None:
        begun.set()
        assert may_end.wait(20)
        order.append("filed")

    none: Any = None
    filing: Any = SimpleNamespace(answer=file)
    student: Any = SimpleNamespace(study=lambda _id: order.append("studied"))
    made = jobs.jobs_of(filing, none, none, student, none, none)
    first = threading.Thread(target=made.file_report, args=("inb_1",))
    second = threading.Thread(target=made.study_report, args=("rep_1",))
    first.start()
    assert begun.wait(20)
    second.start()
    if expected[0] == "studied":
        second.join(20)
    may_end.set()
    for one in (first, second):
        one.join(20)
    assert order == expected
