"""Coming in and going out: passwords, one-time links, and how fast either may be tried."""

import asyncio
import secrets
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import BadInput, HubError, NotAllowed
from domain.person import Person
from hub.wiring import Hub
from store import journal, people
from store.unit import Unit
from templates import pages
from web import throttle
from web.page import go, language_of, problem_page, sentence, show
from web.sessions import begin, current, drop, give, must_be_our_page, must_hold_token, read_form, token_of

# Hash of a random secret nobody kept, with the parameters of RFC 9106 §4 (second choice: 64 MiB, 3 passes):
# an unknown account costs the same work as a known one.
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$ZBcq3bDW5iuzOB6YXREE5w$GwWMA7hb/kALnpQdgqaIakKahVPT8/7ywK1/5HbLqEA"
AT_ONCE = 2  # hashes under way: 128 MiB and two cores at most, however many knock
WAITING = 16  # knocks that may wait for one of them, under two seconds on two cores
DEVICE_COOKIE = "tocsin-device"
DEVICE_DAYS = 90


class Doorkeeper:
    """The login pages of one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._hasher = PasswordHasher()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    def routes(self) -> list[Route]:
        """GET and POST of /login, /login/{token}, /logout."""
        return [
            Route("/login", self.page, methods=["GET"]),
            Route("/login", self.enter, methods=["POST"]),
            Route("/login/{token}", self.link_page, methods=["GET"]),
            Route("/login/{token}", self.use_link, methods=["POST"]),
            Route("/logout", self.leave, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """The login form; somebody who is in already goes on."""
        if changed := change_language(self._hub, request):
            return changed
        try:
            if await current(self._hub, request):
                return go("/console")
        except HubError as error:
            return problem_page(self._hub, request, error)
        done = "out" if request.query_params.get("done") == "out" else ""
        return show(self._hub, request, "login.html", login="", done=done)

    async def enter(self, request: Request) -> Response:
        """Check a password: the same answer and the same work whether or not the account exists."""
        hub = self._hub
        try:
            must_be_our_page(request)
            form = await read_form(request)
            knock = throttle.Knock(login=form.first("login")[:80], address=_address(request),
                           device=request.cookies.get(DEVICE_COOKIE, "")[:200])  # fmt: skip
            wait = await asyncio.to_thread(
                hub.store.read, lambda unit: throttle.wait(unit, knock.buckets(unit), hub.clock())
            )
            if wait or self._waiting >= WAITING:
                return self._slow(request, knock.login, wait or timedelta(seconds=2))
            found = await asyncio.to_thread(hub.store.read, lambda unit: people.by_login(unit, knock.login))
            is_right = await self._verify(found[1] if found else "", form.fields.get("password", ("",))[0])
            person = found[0] if found and is_right and found[0].is_active else None
            return await asyncio.to_thread(self._answer, request, knock, found[0] if found else None, person)
        except HubError as error:
            return problem_page(hub, request, error)

    async def link_page(self, request: Request) -> Response:
        """Only a button: mail scanners that fetch the address use nothing up."""
        return change_language(self._hub, request) or show(self._hub, request, "link.html")

    async def use_link(self, request: Request) -> Response:
        """Consume the link by compare-and-set; the session it opens is as any other."""
        hub, at = self._hub, self._hub.clock()
        token, old, address = request.path_params["token"], token_of(self._hub, request), _address(request)

        bucket = throttle.address_bucket(address)

        def work(unit: Unit) -> str:
            person = people.use_link(unit, token, at)
            if person is None or not person.is_active:
                throttle.count(unit, bucket[0], at)
                _note(unit, person.id if person else "unknown", "failure", "link", address, at)
                return ""
            _note(unit, person.id, "login", "link", address, at)
            return begin(unit, person, old=old, at=at, hours=hub.settings.session_hours)

        try:
            must_be_our_page(request)
            wait = await asyncio.to_thread(hub.store.read, lambda unit: throttle.wait(unit, [bucket], at))
            if wait:
                return self._slow(request, "", wait)
            session = await asyncio.to_thread(hub.store.run, work)
            if not session:
                raise NotAllowed("this link is unknown, used or over", code="login_link")
        except HubError as error:
            return problem_page(hub, request, error)
        return give(hub, go("/console"), session)

    async def leave(self, request: Request) -> Response:
        """End the session at once, in the store and in the browser."""
        hub, at, address = self._hub, self._hub.clock(), _address(request)
        try:
            must_be_our_page(request)
            found = await current(hub, request)
            if found is None:
                return drop(hub, go("/login"))
            must_hold_token(await read_form(request), found[1])

            def work(unit: Unit) -> None:
                people.close_session(unit, token_of(hub, request))
                _note(unit, found[0].id, "logout", "session", address, at)

            await asyncio.to_thread(hub.store.run, work)
        except HubError as error:
            return problem_page(hub, request, error)
        return drop(hub, go("/login?done=out"))

    async def _verify(self, stored: str, password: str) -> bool:
        """argon2id off the event loop, a bounded number at once."""
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(self._matches, stored, password)
        finally:
            self._waiting -= 1

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored or NOBODY, password[:1000]) and bool(stored)
        except (VerificationError, InvalidHashError):
            return False

    def _answer(
        self, request: Request, knock: throttle.Knock, known: Person | None, person: Person | None
    ) -> Response:
        hub, at, old = self._hub, self._hub.clock(), token_of(self._hub, request)
        nonce = secrets.token_hex(16)

        def work(unit: Unit) -> tuple[str, str]:
            buckets = knock.buckets(unit)
            if person is None:
                for bucket, _ in buckets:
                    throttle.count(unit, bucket, at)
                _note(unit, known.id if known else "unknown", "failure", "password", knock.address, at)
                return "", ""
            people.forget_failures(unit, buckets[0][0])
            _note(unit, person.id, "login", "password", knock.address, at)
            token = begin(unit, person, old=old, at=at, hours=hub.settings.session_hours)
            return token, f"{nonce}.{throttle.device_mac(unit, nonce, knock.login)}"

        token, device = hub.store.run(work)
        if person is None:
            said = sentence(NotAllowed(code="login_failed"), language_of(request))
            return show(hub, request, "login.html", login=knock.login, problem=said, status=401)
        answer = give(hub, go("/console"), token)
        answer.set_cookie(DEVICE_COOKIE, device, max_age=DEVICE_DAYS * 86400, path="/login", httponly=True,
                          secure=hub.settings.secure_cookies, samesite="strict")  # fmt: skip
        return answer

    def _slow(self, request: Request, login: str, wait: timedelta) -> Response:
        seconds = max(1, -int(-wait.total_seconds() // 1))
        said = sentence(BadInput(code="login_slow"), language_of(request)).format(seconds=seconds)
        return show(self._hub, request, "login.html", login=login, problem=said, status=429,
                    headers={"Retry-After": str(seconds)})  # fmt: skip


def change_language(hub: Hub, request: Request) -> Response | None:
    """``?lang=en`` is kept in a cookie, and taken out of the address."""
    wanted = request.query_params.get("lang")
    if wanted not in pages.LANGUAGES:
        return None
    rest = request.url.remove_query_params("lang")
    answer = go(rest.path + (f"?{rest.query}" if rest.query else ""))
    answer.set_cookie("lang", wanted, max_age=365 * 86400, path="/", httponly=True, samesite="strict",
                      secure=hub.settings.secure_cookies)  # fmt: skip
    return answer


def _note(unit: Unit, entity: str, act: str, means: str, address: str, at: datetime) -> None:
    """Journal it; the address as a keyed index, what was typed as login never (it may be a password)."""
    by = entity if entity != "unknown" else "stranger"
    detail = {"means": means, "from": unit.vault.index(address)}
    journal.append(unit, "auth", entity, act, by=by, at=at, detail=detail)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
