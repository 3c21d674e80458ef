"""Forty secrets go in through every door of a running hub; none comes out of its logs, figures and errors (R26)."""

import http.client
import json
import secrets
import smtplib
import socket
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

from tests.walks.houses import House, get, house, until

NUMBER = "+8613912345678"


def _canaries() -> dict[str, str]:
    """name -> a secret that stands nowhere else."""
    names = (
        "sms_text", "sms_utf", "sms_forged", "sms_stop_from", "mail_subject", "mail_body", "mail_from", "mail_header",
        "mail_rcpt", "mail_helo", "mail_file", "mail_broken", "api_text", "api_place", "api_contact", "api_name",
        "api_unknown_field", "api_bad_json", "api_key", "api_query", "api_path", "idempotency", "login", "password",
        "login_link", "session", "csrf", "console_path", "public_path", "host", "user_agent", "referer", "method",
        "raw_http", "release_field", "release_reason", "close_reason", "dlr_sid", "dlr_text", "claim_path", "call_slip",
        "smtp_command", "form_text",
    )  # fmt: skip
    return {name: f"canary{n:02d}{secrets.token_hex(6)}" for n, name in enumerate(names)}


def _try(made: House, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[str, str]:
    """Whatever the hub answers: headers and body. Errors are what is looked for."""
    request = urllib.request.Request(made.url + path, body, {k.replace("_", "-"): v for k, v in headers.items()},
                                     method=method)  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(answer.headers), answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return str(error.headers), error.read().decode("utf-8", "replace")


def _raw(made: House, data: bytes, port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        parts = []
        while piece := line.recv(65536):
            parts.append(piece)
    return b"".join(parts).decode("utf-8", "replace")


def test_no_secret_that_entered_by_any_door_stands_in_logs_figures_or_errors(tmp_path) -> None:
    c = _canaries()
    errors: list[str] = []
    with house(tmp_path / "data") as made:
        made.start("all", "up")
        until(lambda: get(f"{made.url}/readyz") is not None, "the hub answers")
        _sms(made, c)
        _mail(made, c)
        errors += _api(made, c)
        errors += _pages(made, c)
        errors.append(
            _raw(
                made,
                f"GET /{c['raw_http']} BROKEN\r\nX: {c['raw_http']}\r\n\r\n".encode(),
                made.settings.port,
            )
        )
        until(
            lambda: c["mail_body"] in json.dumps(made.api("GET", "/v1/reports?limit=200")),
            "the mail is a report",
        )
        until(lambda: c["sms_text"] in json.dumps(made.api("GET", "/v1/reports?limit=200")), "so is the SMS")
        figures = get(f"{made.url}/metrics").decode()
        processes = dict(made.processes)
        made.stop()
        assert processes["all"].returncode == 0
        log = Path(made.settings.data_dir / "all.log").read_text()
    assert log.count("web.request") > 20
    tokens = {"department": made.secrets.department, "officer": made.secrets.officer,
              "provider": made.secrets.auth_token, "number": NUMBER, "link": _link(log)}  # fmt: skip
    leaked = {name for name, word in {**c, **tokens}.items() if word and (word in log or word in figures)}
    assert leaked == set()
    assert "Traceback" not in log
    told = "\n".join(errors)
    private = set(c) - {"api_unknown_field"}  # whoever sent a wrong field is told its name
    assert {name for name in private if c[name] in told} == set()


def _link(log: str) -> str:
    """One-time links are printed for a person by the demo, and nowhere else."""
    return "/login/" if '"/login/' in log.replace("/login/{token}", "") else ""


def _sms(made: House, c: dict[str, str]) -> None:
    made.provider.text(NUMBER, f"{c['sms_text']} 河堤")
    made.provider.text(NUMBER, f"{c['sms_utf']} \u0000\ud7ff")
    made.provider.text(f"+8613{int(c['sms_stop_from'][-8:], 16) % 10**9:09d}", "TD")
    form = {
        "Body": c["sms_forged"],
        "From": NUMBER,
        "MessageSid": c["dlr_sid"],
        "MessageStatus": c["dlr_text"],
    }
    for path in ("/hooks/sms/twilio", "/hooks/dlr/twilio"):
        _try(made, "POST", path, urlencode(form).encode(), Content_Type="application/x-www-form-urlencoded",
             X_Twilio_Signature=c["sms_forged"])  # fmt: skip


def _mail(made: House, c: dict[str, str]) -> None:
    message = (
        f"From: {c['mail_from']}@example.org\r\nSubject: {c['mail_subject']}\r\nX-Secret: {c['mail_header']}\r\n"
        f"Message-ID: <{c['mail_header']}@x>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        f"--b\r\nContent-Type: text/plain\r\n\r\n{c['mail_body']}\r\n--b\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Disposition: attachment; filename={c['mail_file']}.bin\r\n\r\nx\r\n--b--\r\n"
    )
    broken = f"Subject: =?broken?Q?{c['mail_broken']}\r\nContent-Type: multipart/{c['mail_broken']}; boundary=\r\n\r\n\xff"
    with smtplib.SMTP(made.settings.smtp_host, made.settings.smtp_port, timeout=60) as line:
        line.ehlo(c["mail_helo"])
        line.docmd(c["smtp_command"], "x")
        line.sendmail(f"{c['mail_from']}@example.org", [f"{c['mail_rcpt']}@tocsin.example"], message)
        line.sendmail("b@example.org", ["report@tocsin.example"], broken.encode("latin-1"))


def _api(made: House, c: dict[str, str]) -> list[str]:
    key, said = {"Authorization": f"Bearer {made.secrets.officer}"}, {"Content_Type": "application/json"}
    made.api("POST", "/v1/reports", {"text": c["api_text"], "place": c["api_place"], "contact": c["api_contact"]},
             **{"Idempotency-Key": c["idempotency"]})  # fmt: skip
    unknown = json.dumps({"text": "x", c["api_unknown_field"]: c["api_name"]}).encode()
    answers = [
        _try(made, "POST", "/v1/reports", unknown, **key, **said, Idempotency_Key="canary-1"),
        _try(made, "POST", "/v1/reports", f'{{"text": "{c["api_bad_json"]}'.encode(), **key, **said),
        _try(made, "GET", "/v1/reports", Authorization=f"Bearer {c['api_key']}"),
        _try(made, "GET", f"/v1/reports?limit={c['api_query']}", **key),
        _try(made, "GET", f"/v1/reports/{c['api_path']}", **key),
        _try(
            made,
            "POST",
            f"/v1/reports/{c['claim_path']}/claim",
            b"{}",
            **key,
            **said,
            Idempotency_Key="canary-2",
        ),
        _try(made, "GET", f"/v1/{c['api_path']}", **key),
    ]
    until(lambda: made.api("GET", "/v1/reports?limit=1")["data"] != [], "a report is filed")
    report = made.api("GET", "/v1/reports?limit=1")["data"][0]["id"]
    _try(made, "POST", f"/v1/reports/{report}/close", json.dumps({"reason": c["close_reason"]}).encode(), **key, **said,
         Idempotency_Key="canary-3")  # fmt: skip
    body = next(t for t in made.api("GET", "/v1/templates")["data"] if t["id"] == "heavy_rain")["example"]
    text = next(
        name for name, value in body["fields"].items() if isinstance(value, str) and not value[:1].isdigit()
    )
    body["fields"][text] = c["release_field"]
    _try(made, "POST", "/v1/releases", json.dumps(body).encode(), **key, **said, Idempotency_Key="canary-4")
    _try(
        made,
        "POST",
        "/v1/releases/rel_none/stop",
        json.dumps({"reason": c["release_reason"]}).encode(),
        **key,
        **said,
    )
    return [f"{headers}\n{text}" for headers, text in answers]


def _pages(made: House, c: dict[str, str]) -> list[str]:
    form = {"Content_Type": "application/x-www-form-urlencoded", "Origin": made.url}
    answers = [
        _try(
            made,
            "POST",
            "/login",
            urlencode({"login": c["login"], "password": c["password"]}).encode(),
            **form,
        ),
        _try(made, "GET", f"/login/{c['login_link']}"),
        _try(made, "GET", "/console", Cookie=f"session={c['session']}", Referer=f"http://x/{c['referer']}"),
        _try(
            made,
            "POST",
            "/console/calls",
            urlencode({"csrf": c["csrf"], "text": c["call_slip"]}).encode(),
            **form,
        ),
        _try(made, "POST", "/report", urlencode({"text": c["form_text"]}).encode(), **form),
        _try(made, "GET", f"/console/{c['console_path']}", User_Agent=c["user_agent"]),
        _try(made, "GET", f"/public/{c['public_path']}"),
        _try(made, "GET", "/readyz", Host=f"{c['host']}.example"),
        _try(made, "GET", "/", Host=f"{c['host']}.example"),
    ]
    line = http.client.HTTPConnection("127.0.0.1", made.settings.port, timeout=60)
    line.request(c["method"].upper(), "/healthz")
    answers.append(("", line.getresponse().read().decode()))
    line.close()
    # A page that shows a form again may show its own sender what he typed; a secret word it never does.
    return [f"{headers}\n{text.replace(c['login'], '')}" for headers, text in answers]
