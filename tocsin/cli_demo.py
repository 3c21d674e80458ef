"""Commands to try things on a demo hub."""

import json
import sys
import time
import urllib.request
from collections import Counter
from typing import Annotated, Any

import typer
from rich.console import Console

from simulators.presets import OUTAGES, script
from tocsin import demo as demo_data
from tocsin import demo_storm
from tocsin.given import DataDir, Json, settings_of

app = typer.Typer(no_args_is_help=True, help="Things to try on a demo hub.")


@app.command()
def sms(text: str, sender: Annotated[str, typer.Option("--from")] = "+8613800138000",
        data: DataDir = None) -> None:  # fmt: skip
    """Send an SMS to the running demo hub, through its provider simulator."""
    print(demo_data.send_sms(settings_of(data).data_dir, sender, text))


@app.command()
def storm(
    seconds: Annotated[float, typer.Option(min=0.1, max=3600)] = 60,
    reports: Annotated[int, typer.Option(min=1, max=100_000)] = 300,
    seed: Annotated[int, typer.Option(help="The same seed is the same storm.")] = 1,
    as_json: Json = False,
    data: DataDir = None,
) -> None:
    """Let a few hundred reports come in by SMS, mail, form and API, with repeats and typos."""
    to = demo_storm.target(settings_of(data).data_dir)
    console = Console(stderr=True)

    def step(found: Counter[str]) -> None:
        if console.is_terminal:
            said = "  ".join(f"{what} {n}" for what, n in sorted(found.items()))
            console.print(
                f"{sum(found.values())}/{reports}  {said}", end="\r", soft_wrap=True, highlight=False
            )

    found = demo_storm.storm(to, count=reports, seconds=seconds, seed=seed, step=step)
    print(json.dumps(found) if as_json else "\n".join(f"{what}: {n}" for what, n in sorted(found.items())))


@app.command()
def outage(
    kind: Annotated[str, typer.Option(help=" | ".join(OUTAGES))] = "500",
    seconds: Annotated[float, typer.Option(min=0.1, max=3600)] = 60,
    data: DataDir = None,
) -> None:
    """Make the simulated SMS provider fail for a while; Ctrl-C heals it at once."""
    if kind not in OUTAGES:
        raise typer.BadParameter(f"one of {', '.join(OUTAGES)}")
    url = f"{demo_storm.target(settings_of(data).data_dir).provider_url}/sim/script"
    before = _script(url)
    _script(url, script(kind))
    print(f"the provider fails ({kind}) for {seconds:g} s", flush=True)
    try:
        time.sleep(seconds)
    except KeyboardInterrupt:
        print("healed early", file=sys.stderr)
    finally:
        _script(url, before)
    print("the provider works again")


@app.command()
def reset(data: DataDir = None) -> None:
    """Throw away everything a demo hub holds, so that the next start is its first. Only while it is stopped."""
    demo_data.reset(settings_of(data))
    print("forgotten; the next `tocsin up --demo` begins anew")


def _script(url: str, body: Any = None) -> Any:
    """Read the simulator's script, or replace it."""
    sent = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(url, sent, timeout=10) as answer:  # noqa: S310 (our own simulator on 127.0.0.1)
        return json.loads(answer.read())
