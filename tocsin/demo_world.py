"""The invented 示例省 of the demo: divisions, people to reach, a morning's reports."""

from collections.abc import Iterator
from typing import Any

_CITIES = (
    ("9901", "甲江市", "Jiajiang", ("临江区", "滨湖区", "青石县", "云台县"), ("Linjiang", "Binhu", "Qingshi", "Yuntai")),
    ("9902", "乙山市", "Yishan", ("北山区", "南溪区", "白沙县", "松岭县"), ("Beishan", "Nanxi", "Baisha", "Songling")),
    ("9903", "丙海市", "Binghai", ("港口区", "东湾区", "渔洋县", "长礁县"), ("Gangkou", "Dongwan", "Yuyang", "Changjiao")),
)  # fmt: skip
RECIPIENTS_PER_COUNTY = 20


def areas() -> Iterator[dict[str, Any]]:
    """One province, three cities, twelve counties; codes 99xxxx are used by no real division."""
    yield {
        "code": "990000",
        "name_zh": "示例省",
        "name_en": "Shili Province",
        "parent": "",
        "lon": 119.0,
        "lat": 29.5,
    }
    for number, (city, zh, en, counties, english) in enumerate(_CITIES):
        lon, lat = 118.0 + number, 29.0 + number * 0.4
        yield {
            "code": f"{city}00",
            "name_zh": zh,
            "name_en": f"{en} City",
            "parent": "990000",
            "lon": lon,
            "lat": lat,
        }
        for n, (name, name_en) in enumerate(zip(counties, english, strict=True), start=1):
            kind = "District" if name.endswith("区") else "County"
            yield {"code": f"{city}{n:02d}", "name_zh": name, "name_en": f"{name_en} {kind}", "parent": f"{city}00",
                   "lon": lon + n * 0.1, "lat": lat + n * 0.05}  # fmt: skip


def recipients() -> Iterator[dict[str, Any]]:
    """SMS recipients of every county: responsible persons, grassroots, subscribers; one in ten reads English."""
    serial = 0
    for row in areas():
        if row["code"].endswith("00"):
            continue
        for n in range(RECIPIENTS_PER_COUNTY):
            serial += 1
            group = "responsible" if n < 4 else "grassroots" if n < 10 else "subscriber"
            yield {
                "channel": "sms",
                "address": f"+86190000{serial:05d}",  # reaches the simulator only: the demo has no other wire
                "area": row["code"],
                "language": "en" if n % 10 == 9 else "zh-CN",
                "group": group,
                "name": f"{row['name_zh']}{'责任人' if group == 'responsible' else '居民'}{n + 1}",
            }


def mail_recipients() -> Iterator[dict[str, Any]]:
    """Three mailboxes of every county: the duty room, and two subscribers, one of whom reads English."""
    counties = [row for row in areas() if not row["code"].endswith("00")]
    for n, row in enumerate(counties, start=1):
        for name, group, language in (
            (f"duty{n:02d}", "responsible", "zh-CN"),
            (f"resident{n:02d}", "subscriber", "zh-CN"),
            (f"visitor{n:02d}", "subscriber", "en"),
        ):
            yield {
                "channel": "email",
                "address": f"{name}@mail.example",  # RFC 2606, and the demo's relay delivers nothing
                "area": row["code"],
                "language": language,
                "group": group,
                "name": f"{row['name_zh']}{'值班室' if group == 'responsible' else '居民'}",
            }


CALLS: tuple[dict[str, Any], ...] = (
    {"caller": "0571-88001234转802", "caller_name": "陈女士", "place": "临江区江滨路88号小区", "area": "990101",
     "text": "地下车库进水，水深约三十厘米，还在涨，有两辆车被淹，暂无人员被困。", "told": ["物业"]},
    {"caller": "13800138000", "caller_name": "", "place": "青石县石门水库下游", "area": "990103",
     "text": "水库正在泄洪，下游河滩上还有人在钓鱼，请尽快通知。", "told": []},
    {"caller": "", "caller_name": "", "place": "北山区", "text": "", "is_abandoned": True, "told": []},
)  # fmt: skip

MAILS: tuple[str, ...] = (
    "From: =?utf-8?b?5Lmd5rGf5rCU6LGh56uZ?= <station@qixiang.example>\r\nTo: report@tocsin.example\r\n"
    "Subject: =?utf-8?b?5LqR5Y+w5Y6/5bCP5pe26Zuo6YeP5bey6LaFNjDmr6vnsbM=?=\r\nMessage-ID: <demo-1@qixiang.example>\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "云台县城区 9 时至 10 时降雨 62 毫米，预计未来 3 小时仍有强降雨，低洼地段积水明显。\r\n",
    "From: Resident <resident@mail.example>\r\nTo: report@tocsin.example\r\nSubject: Power cut in Binhu\r\n"
    "Message-ID: <demo-2@mail.example>\r\n\r\nThe whole of Hubin Road has had no electricity since 9:40, lifts are stuck.\r\n",
)  # fmt: skip
