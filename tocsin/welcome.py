"""What `tocsin up` prints: where to look, and what to try."""

from typing import Any

from rich.console import Console

from domain.handling import Mode
from hub.wiring import Hub

_MODES = {
    Mode.DEMO: "演示模式：不会向任何真实渠道发送 · demo: nothing leaves this machine",
    Mode.EXERCISE: "演练模式 · exercise",
    Mode.LIVE: "实战模式 · live",
}


def show(hub: Hub, ready: dict[str, Any], steps: tuple[int, int]) -> None:
    """Print the addresses; one-time links are good for ten minutes and are used up by one login."""
    out = Console(highlight=False, soft_wrap=True)
    database = "PostgreSQL" if hub.store.is_postgres else "SQLite"
    bells = "Redis" if hub.settings.redis_url else "进程内 in-process"
    out.print(f"[bold]Tocsin 警钟[/bold]  {_MODES[hub.mode]}")
    out.print(
        f"✓ 数据库 {database}  {steps[0]}/{steps[1]}   ✓ 队列 {bells}   ✓ SMTP {ready['smtp'][0]}:{ready['smtp'][1]}"
    )
    names = {"officer": "值班员 officer ", "approver": "签发人 approver", "admin": "管理员 admin   "}
    for login, link in ready["logins"].items():
        out.print(f"{names[login]}  {link}")
    out.print(f"公众站 public     {ready['public_url']}/")
    out.print(f"接口 API          {ready['base_url']}/api/docs")
    if ready["logins"]:
        out.print(f"演示手机 phones   {ready['base_url']}/demo/outbox")
        out.print(
            "试一试 try        .venv/bin/tocsin demo storm      或 or  demo sms '河堤漏水'      停止 stop  Ctrl-C"
        )
