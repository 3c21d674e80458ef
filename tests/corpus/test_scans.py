"""Every attachment of every real mail is looked into: none costs the hub, each is read or says why not."""

import csv
from collections import Counter
from pathlib import Path

import sqlalchemy as sa

from domain.report import ScanState
from store import scans
from store import tables as t
from tests.corpus.mail_hub import MailHub


def test_every_attachment_of_every_real_mail_is_read_or_says_why_not(mails: MailHub, corpora: Path) -> None:
    with (corpora / "INDEX-email.csv").open() as index:
        paths = [row["path"] for row in csv.DictReader(index)]
    line = mails.line()
    for path in paths:
        mails.send((corpora / path).read_bytes(), line=line)
    line.close()
    mails.file()
    hub = mails.hub
    stands: Counter[str] = Counter()
    while rows := hub.store.read(lambda u: scans.due(u, hub.clock())):
        stands.update(str(hub.scanner.scan(row)) for row in rows)
    left = hub.store.read(lambda u: u.rows(sa.select(t.scan.c.state, t.scan.c.reason)))
    assert len(left) > 400
    gave_up = {(row.state, row.reason) for row in left if row.state != ScanState.SCANNED.value}
    assert gave_up <= {("unscanned", "archive_broken")}  # three files that are the beginning of a ZIP
    told: Counter[str] = Counter()
    for report in hub.store.read(lambda u: u.rows(sa.select(t.scan.c.report).distinct())):
        for one in hub.store.read(lambda u, report=report: scans.of_report(u, report.report)).values():
            told.update(d.get("reason") or "text" for d in (one.found or {}).get("documents", ()))
    assert told["text"] > 400
    assert not any(reason.startswith("parser_") for reason in told), told
