"""The page of a hand-over: what is reported, and the two forms of the body that it was handed to. Its secret is its address."""

import asyncio
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.errors import HubError, NotFound
from domain.report import Report
from domain.routing import GOING, Body, Handover
from duty import handovers as duty
from hub.wiring import Hub
from intake import secret_link
from intake.signatures import LINK, sign
from store import reports, routing
from store.unit import Unit
from web.citizen_page import SECRET, language_of, problem_of, show
from web.form_fields import fields_of
from web.page import HEADERS, status_of

FORM_BYTES = 8192  # a name and a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the page shows."""

    handover: Handover
    body: Body
    report: Report


class HandoverPages:
    """The pages of one application."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def routes(self) -> list[Route]:
        """Mount before anything that catches all paths."""
        return [
            Route("/handover/{token}", self.look, methods=["GET"]),
            Route("/handover/{token}", self.act, methods=["POST"]),
        ]

    async def look(self, request: Request) -> Response:
        """What is reported, while the body has it and it lies in no compartment; afterwards only what became of it."""
        return self._page(request, await self._told(request))

    async def act(self, request: Request) -> Response:
        """签收, or: this is not ours."""
        hub, at = self._hub, self._hub.clock()
        told = await self._told(request)
        try:
            fields = await fields_of(request, FORM_BYTES)
            who, reason = fields.get("who", ""), fields.get("reason", "")

            def work(unit: Unit) -> None:
                if fields.get("act") == "decline":
                    duty.decline(unit, told.handover.id, who=who, reason=reason, at=at)
                else:
                    sign(unit, told.handover.id, who=who, way=LINK, by="door:web", at=at)

            await asyncio.wrap_future(hub.store.submit(work))
        except HubError as error:
            return self._page(request, await self._told(request), error)
        place = f"/handover/{request.path_params['token']}?lang={language_of(request)}"
        return RedirectResponse(place, 303, {**HEADERS, **SECRET})

    async def _told(self, request: Request) -> Told:
        row_id = secret_link.row_in(self._hub.keys.receipt, request.path_params["token"])

        def work(unit: Unit) -> Told:
            one = routing.get(unit, row_id)
            report = reports.get(unit, one.report) if one else None
            if one is None or report is None:
                raise NotFound("no such hand-over")
            return Told(handover=one, body=routing.bodies(unit, with_ended=True)[one.body], report=report)

        return await asyncio.to_thread(self._hub.store.read, work)

    def _page(self, request: Request, told: Told, error: HubError | None = None) -> Response:
        one = told.handover
        is_open = one.state in GOING and one.declined_at is None and not duty.is_marked(told.report)
        return show(
            self._hub, request, "handover.html", status=200 if error is None else status_of(error), headers=SECRET,
            told=told, is_open=is_open, is_told=duty.is_told(told.report), token=request.path_params["token"],
            problem=problem_of(error, "handover_problem"),
        )  # fmt: skip
