"""Keys are made once, and bad ones stop the start by name."""

import pytest

from domain.errors import Unavailable
from hub import keys


def test_keys_are_made_once_with_mode_0600(tmp_path) -> None:
    first = keys.load(tmp_path, may_make=True)
    assert keys.load(tmp_path, may_make=False).field == first.field
    assert {p.stat().st_mode & 0o777 for p in tmp_path.glob("*.key")} == {0o600}


@pytest.mark.parametrize(
    "harm, code",
    [
        (lambda d: (d / "field.key").unlink(), "key_missing"),
        (lambda d: (d / "field.key").write_bytes(b"short"), "key_weak"),
        (lambda d: (d / "field.key").write_bytes(b"\0" * 32), "key_weak"),
        (lambda d: (d / "field.key").chmod(0o644), "key_exposed"),
        (lambda d: (d / "field.key").write_bytes((d / "cursor.key").read_bytes()), "key_repeated"),
    ],
)
def test_a_bad_key_stops_the_start_by_name(tmp_path, harm, code) -> None:
    keys.load(tmp_path, may_make=True)
    harm(tmp_path)
    with pytest.raises(Unavailable) as refused:
        keys.load(tmp_path, may_make=False)
    assert refused.value.code == code


def test_the_key_of_return_paths_is_none_of_the_others_and_needs_no_file(tmp_path) -> None:
    made = keys.load(tmp_path / "keys", may_make=True)
    assert made.return_path not in (made.field, made.journal_head, made.cursor)
    assert len(made.return_path) == 32
    assert keys.load(tmp_path / "keys", may_make=False).return_path == made.return_path
    assert keys.load(tmp_path / "others", may_make=True).return_path != made.return_path
