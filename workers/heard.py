"""Brokers whose consumers count how often they ask: a thread may live and ask nobody any more (finding 14)."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from dramatiq import Broker, Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker


class Heard(Consumer):
    """A consumer that counts its polls, whether there was a message or not."""

    def __init__(self, inner: Consumer, polls: Counter[str], name: str) -> None:
        self._inner, self._polls, self._name = inner, polls, name

    def __next__(self) -> MessageProxy | None:
        self._polls[self._name] += 1
        return next(self._inner)

    def ack(self, message: MessageProxy) -> None:
        """Pass on."""
        self._inner.ack(message)

    def nack(self, message: MessageProxy) -> None:
        """Pass on."""
        self._inner.nack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Pass on."""
        self._inner.requeue(messages)

    def close(self) -> None:
        """Pass on."""
        self._inner.close()


def polls(broker: Broker) -> Counter[str]:
    """Queue -> polls so far. A broker of another make has none."""
    found: Counter[str] = broker.__dict__.setdefault("polls", Counter())
    return found


class HeardStub(StubBroker):
    """In this process."""

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 100) -> Consumer:
        """A counting consumer."""
        return Heard(super().consume(queue_name, prefetch, timeout), polls(self), queue_name)


class HeardRedis(RedisBroker):
    """Over Redis."""

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """A counting consumer."""
        inner: Any = super().consume(queue_name, prefetch, timeout)
        return Heard(inner, polls(self), queue_name)
