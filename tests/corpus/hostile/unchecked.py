"""For a child: a template rendered as if the allow-list had let it through."""

from templates import guard


def unchecked(data: bytes, _options: object) -> tuple[dict[str, int], list[bytes]]:
    values = {"x": "abc" * 1000, "y": [1]}
    return {"size": len(guard.rendered(data.decode(), values))}, []
