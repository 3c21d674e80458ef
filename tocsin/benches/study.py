"""What finding the place and the kind of a report costs, with the whole country's names loaded."""

import resource
import time
from collections.abc import Callable, Iterator
from functools import partial

from domain.place import canonical
from domain.report import Content
from intake.gazetteer import Known, build
from intake.locate import locate
from intake.triage import rules, triage
from tocsin import demo_world
from tocsin.benches.figure import Figure, percentile
from tocsin.benches.place import Place

SIZE = 2_048  # bytes of a text
TEXTS = (
    "甲江市应急管理局：11月23日14时许，青石县大坪村三组发生山体滑坡，造成2人死亡、1人失联、3人受伤，省道中断约2公里。县里已派出救援队伍120人赶赴现场，"
    "转移群众46户153人。险情仍在发展，下游云台县已作好准备。详情续报。联系人：王某，值班电话见信头。",
    "今晨6时12分，浙江省杭州市余杭区仓前街道一居民楼起火，有浓烟，3人被困。消防救援队已到场扑救，火势得到控制，暂无人员伤亡报告。周边道路已经管制，请群众绕行。",
    "At 14:00 a chemical plant exploded in Linjiang District. At least three people are dead and a dozen injured; two are "
    "missing. Crews are on the site, houses within 500 m were evacuated. The fire is not under control yet and may grow. ",
    "关于南溪区化工园区液氨泄漏的续报：死亡人数由2人上升至3人，12人送医，其中2人重伤。园区企业已全部停产，直接经济损失约600万元，环保部门正在监测，尚未发现水体污染。",
)  # fmt: skip


def study(place: Place, count: int, step: Callable[[], None]) -> Iterator[Figure]:
    """Each step's time of one report of 2 KB (p95), and what the names take of the memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    known = [
        Known(code=canonical(r["code"]), name=r["name_zh"], name_en=r["name_en"], lat=r["lat"], lon=r["lon"])
        for r in demo_world.areas()
    ]
    gazetteer = build(known)
    built = time.perf_counter() - begun
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    found = rules()
    contents = [Content(text=_filled(text), language="zh", facts={}) for text in TEXTS]
    walked = _timed(count, contents, lambda c: [c.text[n : n + 2] for n in range(len(c.text))])
    figure = partial(Figure, store=place.store, is_ratio=False, is_at_most=True)
    against = "cutting the text into pairs of letters"
    for name, work, reach in (
        ("study_place", lambda c: locate(c, gazetteer), 2_000),
        ("study_kind", lambda c: triage(c, found, has_place=True), 5_000),
    ):
        times = _timed(count, contents, work)
        step()
        yield figure(name=name, value=percentile(times, 95), ceiling=percentile(walked, 95), against=against, reach=reach,
                     unit=f"us of CPU (p95; median {percentile(times, 50):.0f}) for 2 KB", runs=())  # fmt: skip
    yield figure(name="study_names", value=grown, unit=f"MB for {len(gazetteer.names):,} names, built in {built:.1f} s",
                 ceiling=sum(len(n.encode()) for n in gazetteer.names) / 1e6, against="the names as bytes", reach=80)  # fmt: skip


def _filled(text: str) -> str:
    while len(text.encode()) < SIZE:
        text += text[: len(text) // 2]
    return text.encode()[:SIZE].decode(errors="ignore")


def _timed(count: int, contents: list[Content], work: Callable[[Content], object]) -> list[float]:
    """Microseconds of processor time of each call: what else the machine does is not counted."""
    found = []
    for n in range(count):
        begun = time.thread_time_ns()
        work(contents[n % len(contents)])
        found.append((time.thread_time_ns() - begun) / 1e3)
    return found
