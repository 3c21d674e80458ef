"""Lists at the desk: uploaded by who may, shown in numbers, taken or given up, and never half there."""

import time
from typing import Any

from domain.person import Role
from store import tables as t
from tests.web.api_world import World
from tests.web.console_browser import OURS, Browser, add_person, enter, words
from tests.web.test_api_recipients import GOOD


def upload(browser: Browser, raw: bytes, **fields: str) -> Any:
    files = {"file": ("名单.csv", raw, "text/csv")}
    data = {"csrf": browser.csrf, **fields}
    return browser.client.post("/console/recipients/import", files=files, data=data, headers=OURS)


def ready(browser: Browser, answer: Any) -> str:
    """The page of the import once nothing more happens by itself."""
    assert answer.status_code == 303, words(answer.text)
    for _ in range(3000):
        page = browser.get(f"{answer.headers['location']}?part=state").text
        if "hx-trigger" not in page:
            return page
        time.sleep(0.01)
    raise AssertionError(page)


def admin(hall: World) -> Browser:
    add_person(hall, "admin", Role.ADMIN)
    browser = enter(hall, "admin")
    browser.get("/console/recipients")
    return browser


def test_a_list_waits_for_a_decision_and_counts_before_it(hall: World) -> None:
    browser = admin(hall)
    begun = upload(browser, GOOD.encode())
    page = words(ready(browser, begun))
    assert "等待确认" in page and "3 新增" in page
    assert "名单还是空的" in words(browser.get("/console/recipients").text)
    path = begun.headers["location"]
    assert "已导入，名单已更新" in words(browser.follow(f"{path}/confirm").text)
    listed = words(browser.get("/console/recipients").text)
    assert "短信" in listed and "责任人" in listed and "3 行，新增 3，已有 0" in listed
    late = browser.post(f"{path}/confirm")
    assert late.status_code == 409 and "已经结束" in words(late.text)


def test_a_list_given_up_changes_nothing_and_makes_room(hall: World) -> None:
    browser = admin(hall)
    begun = upload(browser, GOOD.encode())
    ready(browser, begun)
    second = upload(browser, GOOD.encode())
    assert second.status_code == 409 and "另有一次导入" in words(second.text)
    assert "已放弃" in words(browser.follow(f"{begun.headers['location']}/discard").text)
    assert hall.count(t.recipient) == 0
    assert upload(browser, GOOD.encode()).status_code == 303


def test_wrong_rows_are_named_in_words_and_nothing_is_offered(quick: World) -> None:
    browser = admin(quick)
    page = ready(browser, upload(browser, (GOOD + "短信,110,990101,,,\n").encode("gb18030")))
    assert "没有导入任何一行" in words(page) and "5 号码（地址） 不是完整的电话号码" in words(page)
    assert "/confirm" not in page


def test_who_may_not_import_sees_the_numbers_and_no_form(quick: World) -> None:
    for login in ("auditor", "approver"):
        browser = enter(quick, login)
        page = browser.get("/console/recipients")
        assert page.status_code == 200 and 'type="file"' not in page.text
        assert upload(browser, GOOD.encode()).status_code == 403
    assert quick.count(t.operation) == 0


def test_forms_of_other_sites_and_no_forms_begin_nothing(quick: World) -> None:
    browser = admin(quick)
    assert upload(browser, GOOD.encode(), csrf="guessed").status_code == 403
    data, files = {"csrf": browser.csrf}, {"file": ("a.csv", b"x")}
    alien = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert (
        browser.client.post("/console/recipients/import", files=files, data=data, headers=alien).status_code
        == 403
    )
    plain = {**OURS, "Content-Type": "text/plain"}
    assert (
        browser.client.post("/console/recipients/import", content=b"csrf=x", headers=plain).status_code == 400
    )
    cut = {**OURS, "Content-Type": "multipart/form-data; boundary=x"}
    assert (
        browser.client.post("/console/recipients/import", content=b"--x\r\n", headers=cut).status_code == 400
    )
    empty = 'Content-Disposition: form-data; name="file"; filename=""'  # as a browser sends an unfilled field
    token = f'Content-Disposition: form-data; name="csrf"\r\n\r\n{browser.csrf}'
    body = f"--x\r\n{token}\r\n--x\r\n{empty}\r\n\r\n\r\n--x--\r\n".encode()
    none = browser.client.post("/console/recipients/import", content=body, headers=cut)
    assert none.status_code == 400 and "请选择一个文件" in words(none.text)
    assert browser.get("/console/imports/op_none").status_code == 404
    assert quick.count(t.operation) == 0
