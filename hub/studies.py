"""Who studies reports, and by which steps, in their order."""

from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from domain.report import Report
from duty.clocks import ClockStep, Setting, Suggestion
from duty.handovers import RouteStep
from hub.settings import Settings
from intake import gazetteer, triage
from intake.atlas import Atlas
from intake.documents import with_documents
from intake.same.step import Sameness
from intake.secrecy import Sorter
from intake.senders import Raising
from intake.steps import Kinds, Whereabouts
from intake.study import Step, Student
from intake.thread import Threading
from store import scans
from store.database import Store
from store.unit import Unit


def student(
    settings: Settings,
    *,
    store: Store,
    clock: Callable[[], datetime],
    bell: Callable[[str, str], None],
    on_bug: Callable[[str, Exception], object],
    reports_up: Setting,
) -> Student:
    """The student of this hub. Rules of the deployment that do not fit are found here, at the start: BadInput(bad_rules)."""
    return Student(
        store=store, clock=clock, steps=steps(settings, clock, reports_up), bell=bell, on_bug=on_bug
    )


def steps(settings: Settings, clock: Callable[[], datetime], reports_up: Setting) -> Sequence[Step]:
    """Where it may be, what it tells of, which clocks run by that, what it follows, and which others tell of the same."""
    atlas = Atlas(clock=clock, rules=gazetteer.manners(settings.rules_dir))
    rules = triage.rules(settings.rules_dir)
    return (
        Whereabouts(atlas=atlas),
        Kinds(atlas=atlas, rules=rules),
        Raising(rules=rules),
        ClockStep(setting=reports_up, suggest=suggestion(rules)),
        RouteStep(suggest=suggestion(rules)),
        Threading(domain=settings.mail_domain),
        Sameness(zone=ZoneInfo(settings.zone)),
    )


def sorter(settings: Settings) -> Sorter:
    """What filing asks before anybody reads: the same rules."""
    return Sorter(rules=triage.rules(settings.rules_dir))


def suggestion(rules: triage.Rules) -> Callable[[Unit, Report], Suggestion]:
    """Event type and grade as the text says them now: a clock does not wait for what an earlier step will have written."""

    def suggest(unit: Unit, report: Report) -> Suggestion:
        content = with_documents(report.content, scans.texts(unit, report.id))
        found = triage.triage(content, rules, has_place=True, event_code=report.event_code)
        grades = [found.grade.grade] if found.grade else []
        return found.event_code, min([*grades, *([found.level] if found.level else [])], default=None)

    return suggest
