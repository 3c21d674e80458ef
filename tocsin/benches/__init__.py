"""How fast this hub is on this machine: each figure beside a ceiling that was measured in the same run."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tocsin.benches import dedupe, delays, doors, filing, out, postgres, queue_page
from tocsin.benches import study as studies
from tocsin.benches.figure import PAIRS, Figure
from tocsin.benches.place import opened

STORES = ("sqlite", "postgres")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything; the figures that are asked for are those of the usual sizes."""

    recipients: int = 100_000
    reports: int = 1_000_000
    open_reports: int = 100_000
    mails: int = 1_000  # in one run
    posts: int = 2_000
    approvals: int = 100
    seconds: int = 10  # of 100 reports each
    pairs: int = PAIRS


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Something that is measured on a hub of its own; `steps` times it says that it has come further."""

    names: tuple[str, ...]
    run: Callable[..., Iterator[Figure]]
    steps: int


def benches(sizes: Sizes) -> dict[str, Bench]:
    """name -> what is measured, in the order in which it is shown."""
    pairs = sizes.pairs
    return {
        "mail_2k": Bench(names=("mail_2k",), steps=pairs,
                         run=partial(doors.mails, size=2_048, count=sizes.mails, pairs=pairs)),
        "mail_100k": Bench(names=("mail_100k",), steps=pairs,
                           run=partial(doors.mails, size=102_400, count=max(sizes.mails // 4, 20), pairs=pairs)),
        "webhooks": Bench(names=("webhooks",), steps=pairs, run=partial(doors.webhooks, count=sizes.posts, pairs=pairs)),
        "bulletins": Bench(names=("bulletins",), steps=pairs,
                           run=partial(doors.bulletins, count=sizes.posts // 2, pairs=pairs)),
        "filing": Bench(names=("filing",), steps=pairs, run=partial(filing.filing, count=sizes.mails // 2, pairs=pairs)),
        "visible": Bench(names=("visible",), steps=1, run=partial(delays.visible, seconds=sizes.seconds)),
        "approval": Bench(names=("first_call", "first_byte"), steps=-(-sizes.approvals // 10),
                          run=partial(delays.approval, count=sizes.approvals)),
        "out": Bench(names=("out", "memory"), steps=pairs, run=partial(out.many, size=sizes.recipients, pairs=pairs)),
        "out_http": Bench(names=("out_http",), steps=pairs,
                          run=partial(out.http, size=max(sizes.recipients * 3 // 10, 100), pairs=pairs)),
        "queue_page": Bench(names=("queue_page",), steps=-(-max(sizes.reports - queue_page.OPEN_ONES, 0) // 10_000),
                            run=partial(queue_page.queue, count=sizes.reports)),
        "study": Bench(names=("study_place", "study_kind", "study_names"), steps=2,
                       run=partial(studies.study, count=sizes.mails)),
        "dedupe": Bench(names=("dedupe_recall", "dedupe_precision", "dedupe_time"),
                        steps=1 + -(-sizes.open_reports // 10_000),
                        run=partial(dedupe.dedupe, count=sizes.open_reports)),
    }  # fmt: skip


def run(
    sizes: Sizes,
    *,
    only: str = "",
    stores: tuple[str, ...] = STORES,
    told: Callable[[str, str, int], Callable[[], None]],
) -> Iterator[Figure]:
    """Each figure as it is ready, on a temporary hub that is gone afterwards.

    `told(name, store, steps)` is called when a bench begins, and what it answers at each step. Raises
    FileNotFoundError when PostgreSQL is asked for and its programs are not installed.
    """
    for store in stores:
        for name, bench in benches(sizes).items():
            if only not in ("", name):
                continue
            with ExitStack() as stack:
                url = stack.enter_context(postgres.cluster()) if store == "postgres" else ""
                place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-bench-")))
                there = stack.enter_context(opened(store, url, place / "data"))
                yield from bench.run(there, step=told(name, store, bench.steps))
