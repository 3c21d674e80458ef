"""The exact words by which a phone ends its subscriptions."""

import unicodedata

# Twilio's default opt-out keywords ("Support for opt-out keywords": after them the provider refuses that
# number by itself, 21610), then what Chinese short messages ask their readers to answer (回复TD退订).
STOP_WORDS = frozenset(
    {
        *("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"),
        *("td", "t", "退订", "退訂", "停", "停止", "停止订阅", "取消订阅", "取消訂閱"),
    }
)


def is_stop(text: str) -> bool:
    """Whether the whole text is one of STOP_WORDS; width, case and surrounding space do not count.

    Any longer text is a report: "停电" and "STOP the water" must reach the queue.
    """
    return unicodedata.normalize("NFKC", text).strip().casefold() in STOP_WORDS
