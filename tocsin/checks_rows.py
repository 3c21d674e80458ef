"""What doctor reads from the database: schema, durability, guards, people, texts, queues, journal, heartbeats."""

import shlex
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

from approval import forms, freeze, gather
from domain.errors import HubError
from domain.handling import Mode
from domain.ids import mint
from domain.person import Person, Role
from domain.release import Release, State
from hub import anchor
from hub.clock import OFF
from hub.health import LATE, ROOT_LATE, clock_offset
from store import areas, condition, figures, migrate, processes, roots
from store import hub as hub_row
from store.database import Store
from store.unit import Unit
from templates.library import Template, library
from tocsin import backup
from tocsin.finding import Case, Check, Finding, fail, ok, warn

BACKUP_DAILY, BACKUP_LOST = timedelta(hours=26), timedelta(days=7)  # a nightly one may be late by two hours
DUE_LATE = timedelta(minutes=1)  # a due row is taken up within 5 s; a minute is no chance
SHELF_FULL = 20  # rows: a shelf that nobody looks at
YESTERDAY = timedelta(days=1)


def _with_rows(look: Callable[[Case, Store], Finding]) -> Callable[[Case], Finding]:
    """`look` with the store, or a failure that says why there is none."""

    def run(case: Case) -> Finding:
        if case.store is None:
            return fail(f"Not looked at: {case.why}.", case.command("doctor --only database"))
        try:
            return look(case, case.store)
        except HubError as error:
            return fail(
                f"Not readable: {error.detail or error.code}.", case.command("doctor --only database")
            )

    return run


def _database(case: Case) -> Finding:
    kind = "SQLite" if case.settings.database.startswith("sqlite") else "PostgreSQL"
    if case.store is None:
        repair = case.command("init --mode live") if kind == "SQLite" else "systemctl restart postgresql"
        return fail(f"{kind} cannot be opened: {case.why}.", repair)
    try:
        mode = case.store.read(hub_row.mode)
    except HubError as error:
        return fail(f"{kind} answers, and holds no hub: {error.detail}.", case.command("init --mode live"))
    return ok(f"{kind} answers; this is a {mode.value} hub.")


def _schema(case: Case) -> Finding:
    try:
        stands, steps = migrate.standing(case.settings.database), migrate.steps()
    except HubError as error:
        return fail(f"Not looked at: {error.detail}.", case.command("doctor --only database"))
    if stands == steps[-1]:
        return ok(f"The schema stands at step {stands}.")
    if stands is not None and stands not in steps:
        return fail("The database is newer than this program.", "pip install --upgrade tocsin")
    return fail(
        f"The schema stands at {stands or 'nothing'}, this program needs {steps[-1]}.",
        case.command("migrate"),
    )


def _durability(_: Case, store: Store) -> Finding:
    found = store.read(condition.durability)
    if not found.wrong:
        return ok("What is committed survives a power cut.")
    name, value = next(iter(found.wrong.items()))
    repair = f'psql -c "ALTER SYSTEM SET {name} = on" -c "SELECT pg_reload_conf()"'
    return fail(f"{name} is {value}: a power cut loses what was answered.", repair)


def _guards(case: Case, store: Store) -> Finding:
    missing = store.read(condition.missing_guards)
    if missing:
        return fail(f"The guards of {', '.join(missing)} are gone: rows can be changed.",
                    "tocsin journal verify  # then restore the last good backup")  # fmt: skip
    files = condition.exposed_files(case.settings.database)
    if files:  # by pattern: the files beside it come and go
        return fail(
            "Others may read the database file.", f"chmod 600 {shlex.quote(str(case.data))}/tocsin.db*"
        )
    public = store.read(condition.open_to_all)
    if public:
        return fail(f"Every role may use {', '.join(public)}.",
                    'psql -c "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC"')  # fmt: skip
    if store.read(condition.is_superuser):
        return warn(
            "The hub's role is a superuser, which no guard binds.", "createuser --no-superuser tocsin_hub"
        )
    return ok("Journal and moves are guarded; nobody else may read.")


def _mend_guards(case: Case) -> None:
    for path in condition.exposed_files(case.settings.database):
        path.chmod(0o600)


def _clock(case: Case, store: Store) -> Finding:
    strain = store.read(lambda unit: figures.strain(unit, case.at))
    offset = clock_offset(strain, case.at)
    against = "the database's" if strain.clock else "the newest row's (SQLite has no clock of its own)"
    if offset > OFF:
        return fail(
            f"This clock differs by {offset.total_seconds():.1f} s from {against}.",
            "timedatectl set-ntp true",
        )
    return ok(f"This clock agrees with {against}; no time server was asked.")


def _approvers(case: Case, store: Store) -> Finding:
    people = store.read(figures.people_who)
    approvers = {who for who, roles in people if Role.APPROVER.value in roles}
    drafters = {who for who, roles in people if Role.OFFICER.value in roles}
    add = case.command("user add LOGIN --name NAME --role approver")
    if not approvers - drafters or not drafters:
        return fail("Nobody could approve what an officer drafts: two persons are needed.", add)
    if len(approvers) < 2:
        return warn("One person may approve; when he is ill nothing leaves.", add)
    return ok(f"{len(approvers)} persons may approve, {len(drafters)} may draft.")


def _texts(case: Case, store: Store) -> Finding:
    bad = []
    for template in library().values():
        try:
            store.read(partial(_render, template=template, case=case))
        except HubError as error:
            bad.append(f"{template.id} ({error.code})")
    if bad:
        return fail(f"These templates do not render: {', '.join(bad)}.", "git checkout -- templates/messages")
    return ok(f"{len(library())} templates render for every ending, channel and language.")


def _render(unit: Unit, template: Template, case: Case) -> None:
    zone, settings = ZoneInfo(case.settings.zone), case.settings
    known = areas.listing(unit, "", limit=1)
    codes = [known[0].code] if known else []
    author = Person(id="doctor", name="doctor", organisation=settings.organisation)
    body = forms.example(template, case.at, zone=zone, codes=codes)
    draft = forms.draft_from_body(unit, body, by=author, at=case.at)
    release = Release(
        id=mint("rel", case.at),
        draft=draft,
        state=State.DRAFT,
        revision=1,
        author=author.id,
        created_at=case.at,
    )
    place = freeze.Place(zone=zone, sender_id=settings.sender_id, public_url=settings.public_site)
    freeze.render(gather.prepare(unit, release, zone=zone), place, at=case.at)


def _processes(case: Case, store: Store) -> Finding:
    running = store.read(lambda unit: processes.listing(unit, case.at - YESTERDAY))
    live = {p.kind for p in running if p.left_at is None and case.at - p.seen_at <= LATE}
    silent = [p for p in running if p.left_at is None and case.at - p.seen_at > LATE and p.kind not in live]
    if silent:
        last = silent[0]
        return fail(f"{last.kind} on {last.host} (pid {last.pid}) was last heard of {_ago(case.at - last.seen_at)} ago.",
                    f"systemctl restart tocsin-{last.kind}")  # fmt: skip
    if not live & set(figures.WORKERS):
        return warn("No worker runs: nothing is filed or sent.", case.command("worker"))
    return ok(f"Running: {', '.join(sorted(live))}.")


def _outbox(case: Case, store: Store) -> Finding:
    strain = store.read(lambda unit: figures.strain(unit, case.at))
    if strain.oldest_due and case.at - strain.oldest_due > DUE_LATE:
        return fail(
            f"Something due has waited for {_ago(case.at - strain.oldest_due)}.", case.command("worker")
        )
    if strain.failing:
        return warn(
            f"A provider fails: {', '.join(sorted(strain.failing))}.", case.command("doctor --only channels")
        )
    return ok("Nothing due waits.")


def _inbound(case: Case, store: Store) -> Finding:
    strain = store.read(lambda unit: figures.strain(unit, case.at))
    if strain.oldest_unfiled and case.at - strain.oldest_unfiled > DUE_LATE:
        says = f"{strain.unfiled} messages are not in the queue, the oldest for {_ago(case.at - strain.oldest_unfiled)}."
        return fail(says, case.command("worker"))
    return ok(
        f"{strain.unfiled} messages are on their way into the queue."
        if strain.unfiled
        else "Every message is filed."
    )


def _shelf(case: Case, store: Store) -> Finding:
    found = store.read(figures.figures)
    if found.shelved > SHELF_FULL:
        return warn(
            f"{found.shelved} things lie on the shelf.", f"xdg-open {case.settings.site}/console/shelf"
        )
    return ok(f"{found.shelved} things lie on the shelf.")


def _journal(case: Case, store: Store) -> Finding:
    if case.keys is None:
        return fail("Not looked at: there are no keys.", case.command("doctor --only keys"))
    public = case.keys.journal_root.public_key()
    anchors = anchor.read(case.data)  # before the rows: a running hub goes on sealing
    findings = store.read(lambda unit: roots.look(unit, public, anchors))
    verify = case.command("journal verify")
    if findings:
        return fail(f"The journal does not hold: {findings[0].where}: {findings[0].what}.", verify)
    strain = store.read(lambda unit: figures.strain(unit, case.at))
    if strain.oldest_unsealed and case.at - strain.oldest_unsealed > ROOT_LATE:
        return warn(
            f"Nothing was sealed for {_ago(case.at - strain.oldest_unsealed)}.", case.command("worker")
        )
    return ok("The ends of the journal and its last roots hold; `journal verify` reads it all.")


def _backup(case: Case) -> Finding:
    again = case.command(f"backup /var/backups/tocsin/{case.at:%Y%m%d}")
    found = backup.last(case.data)
    is_live = case.store is not None and case.store.read(hub_row.mode) is Mode.LIVE
    if found is None:
        return (fail if is_live else warn)("There has never been a backup.", again)
    age = case.at - found[0]
    if age > BACKUP_LOST:
        return fail(f"The last backup is {_ago(age)} old.", again)
    if age > BACKUP_DAILY:
        return warn(f"The last backup is {_ago(age)} old.", again)
    if found[1] == "plain":
        return warn("The last backup holds the keys in the clear.", f"TOCSIN_BACKUP_PASSPHRASE=... {again}")
    return ok(f"The last backup is {_ago(age)} old.")


def _ago(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


CHECKS = (
    Check(name="database", zh="数据库", en="database", run=_database),
    Check(name="schema", zh="数据库结构", en="schema", run=_schema),
    Check(name="durability", zh="落盘保证", en="durability", run=_with_rows(_durability)),
    Check(name="guards", zh="表的防护", en="guards of tables", run=_with_rows(_guards), fix=_mend_guards),
    Check(name="clock", zh="时钟", en="clock", run=_with_rows(_clock)),
    Check(name="approvers", zh="签发人", en="approvers", run=_with_rows(_approvers)),
    Check(name="templates", zh="模板", en="templates", run=_with_rows(_texts)),
    Check(name="processes", zh="进程", en="processes", run=_with_rows(_processes)),
    Check(name="outbox", zh="待发", en="outbox", run=_with_rows(_outbox)),
    Check(name="inbound", zh="待入队", en="unfiled messages", run=_with_rows(_inbound)),
    Check(name="shelf", zh="待处理架", en="shelf", run=_with_rows(_shelf)),
    Check(name="journal", zh="日志链", en="journal", run=_with_rows(_journal)),
    Check(name="backup", zh="备份", en="backup", run=_backup),
)
