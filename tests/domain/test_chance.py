"""Random bytes are fetched a page at a time, and are nobody else's."""

import os
from concurrent.futures import ThreadPoolExecutor

from domain.chance import random_bytes


def test_no_bytes_come_twice_in_any_thread() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: random_bytes(12), range(20_000)))
    assert len(set(found)) == 20_000 and {len(each) for each in found} == {12}


def test_more_than_a_page_is_as_long_as_was_asked() -> None:
    assert [len(random_bytes(n)) for n in (0, 1, 5_000, 3)] == [0, 1, 5_000, 3]


def test_a_child_does_not_go_on_with_its_parents_bytes() -> None:
    random_bytes(1)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, random_bytes(64))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 64) != random_bytes(64)
