"""The few short fields of a citizen's form without files."""

from urllib.parse import parse_qsl

from starlette.requests import Request

from domain.errors import BadInput

MOST = 20  # fields; our forms have three


async def fields_of(request: Request, most_bytes: int) -> dict[str, str]:
    """What was typed; a form of another kind has none. Raises BadInput(too_large)."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > most_bytes:
            raise BadInput("the form is too large", code="too_large")
    try:
        return {name: value.strip() for name, value in parse_qsl(raw.decode("ascii"), max_num_fields=MOST)}
    except ValueError:
        return {}
