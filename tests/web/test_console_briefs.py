"""Reports upwards at the desk: from the report's page to the sheet that the superior has signed for."""

import pypdfium2

from tests.web.api_world import World
from tests.web.console_browser import call, enter, words


def test_from_the_report_to_the_signature_of_the_superior(hall: World) -> None:
    report = call(hall, place="大坪村", text="大坪村三组滑坡，2人被埋")
    officer, leader = enter(hall, "officer"), enter(hall, "leader")
    page = officer.get(f"/console/reports/{report}").text
    assert f"/console/briefs/new?report={report}&amp;kind=first" in page
    form = words(officer.get(f"/console/briefs/new?report={report}&kind=first").text)
    assert "首报可以只写已知的时间" in form and "大坪村三组滑坡，2人被埋" in form
    refused = officer.post("/console/briefs", {"report": report, "kind": "first", "title": "", "body": "x"})
    assert refused.status_code == 400 and 'href="#f-title"' in refused.text
    made = officer.follow("/console/briefs", {"report": report, "kind": "first", "title": "大坪村滑坡2人被埋",
                                              "body": "02:14 接报。\n正在核实。", "to": "示例市人民政府总值班室"})  # fmt: skip
    path = str(made.url.path)
    assert "由未起草本文的领导签发后编号" in words(made.text)
    assert officer.post(f"{path}/sign", {"revision": "1"}).status_code == 403
    signed = leader.follow(f"{path}/sign", {"revision": "1"})
    assert "〔2026〕1号" in words(signed.text)
    sheet = words(officer.get(f"{path}/print").text)
    assert (
        sheet.count("【演示】") == 2 and "签发人：人leader" in sheet and "示例市人民政府总值班室：" in sheet
    )
    pdf = officer.get(f"{path}/pdf")
    assert pdf.headers["content-type"] == "application/pdf"
    text = pypdfium2.PdfDocument(pdf.content)[0].get_textpage().get_text_range()
    assert "大坪村滑坡2人被埋" in text.replace("\r\n", "") and "信息专报" in text
    assert pdf.content == officer.get(f"{path}/pdf").content
    officer.follow(f"{path}/send", {"way": "fax"})
    missing = officer.post(f"{path}/receive", {"whom": "市值班室", "who": ""})
    assert missing.status_code == 400
    done = officer.follow(f"{path}/receive", {"whom": "市值班室", "who": "王五"})
    assert "上级已签收" in words(done.text)
    assert "〔2026〕1号" in words(officer.get("/console/briefs").text)
    assert "已签收" in words(officer.get(f"/console/reports/{report}").text)


def test_nobody_without_a_role_writes_one_and_an_order_is_entered(hall: World) -> None:
    report = call(hall, place="桥头", text="桥断了")
    auditor, officer = enter(hall, "auditor"), enter(hall, "officer")
    assert (
        auditor.post(
            "/console/briefs", {"report": report, "kind": "first", "title": "t", "body": "b"}
        ).status_code
        == 403
    )
    assert officer.get(f"/console/briefs/new?report={report}&kind=poem").status_code == 404
    officer.follow(f"/console/reports/{report}/urged", {"whom": "省厅", "ordered_at": "2026-11-23T13:00"})
    assert "上级催报" in words(officer.get(f"/console/reports/{report}").text)
    assert (
        officer.post(f"/console/reports/{report}/urged", {"whom": "省厅", "ordered_at": "soon"}).status_code
        == 400
    )
