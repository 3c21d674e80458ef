"""Constraints that a column cannot say: moves between states, and rows that never change."""

from collections.abc import Iterable, Iterator, Sequence


def only_known_moves(machine: str, dialect: str) -> Iterator[str]:
    """SQL that lets `machine`.state change only along a row of `moves`."""
    unknown = (
        f"NOT EXISTS (SELECT 1 FROM moves WHERE machine = '{machine}'"  # noqa: S608 (our own table names)
        " AND before = OLD.state AND after = NEW.state)"
    )
    if dialect == "sqlite":
        yield (
            f"CREATE TRIGGER {machine}_moves BEFORE UPDATE OF state ON {machine}"
            f" WHEN OLD.state <> NEW.state AND {unknown}"
            f" BEGIN SELECT RAISE(ABORT, 'illegal move of {machine}'); END"
        )
        return
    yield (
        f"CREATE FUNCTION {machine}_moves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF {unknown} THEN RAISE EXCEPTION 'illegal move of {machine}: % to %', OLD.state, NEW.state"
        " USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END $$"
    )
    yield (
        f"CREATE TRIGGER {machine}_moves BEFORE UPDATE OF state ON {machine} FOR EACH ROW"
        f" WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION {machine}_moves()"
    )


def passed_at_sight(machine: str, usual: Sequence[tuple[str, str]], dialect: str) -> Iterator[str]:
    """SQL by which the trigger of only_known_moves() asks no table about moves that are `usual`; nothing on SQLite.

    A function call and a query for each row cost PostgreSQL a fourth of a delivery.
    """
    if dialect == "sqlite":
        return
    pairs = ", ".join(f"('{before}', '{after}')" for before, after in usual)
    yield f"DROP TRIGGER {machine}_moves ON {machine}"
    yield (
        f"CREATE TRIGGER {machine}_moves BEFORE UPDATE OF state ON {machine} FOR EACH ROW"
        f" WHEN (OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN ({pairs})) EXECUTE FUNCTION {machine}_moves()"
    )


def append_only(table: str, dialect: str) -> Iterator[str]:
    """SQL that refuses every UPDATE and DELETE of `table`."""
    for act in ("UPDATE", "DELETE"):
        name = f"{table}_no_{act.lower()}"
        if dialect == "sqlite":
            yield (
                f"CREATE TRIGGER {name} BEFORE {act} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        else:
            yield (
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                f" RAISE EXCEPTION '{table} is append-only' USING ERRCODE = 'check_violation'; END $$"
            )
            yield (
                f"CREATE TRIGGER {name} BEFORE {act} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
            )


def kept_columns(table: str, columns: Iterable[str], dialect: str) -> Iterator[str]:
    """SQL that refuses to change a value of these columns once there is one."""
    names = list(columns)
    if dialect == "sqlite":
        changed = " OR ".join(f"(OLD.{c} IS NOT NULL AND NEW.{c} IS NOT OLD.{c})" for c in names)
        yield (
            f"CREATE TRIGGER {table}_kept BEFORE UPDATE OF {', '.join(names)} ON {table} WHEN {changed}"
            f" BEGIN SELECT RAISE(ABORT, '{table} keeps what was written'); END"
        )
        return
    changed = " OR ".join(f"(OLD.{c} IS NOT NULL AND NEW.{c} IS DISTINCT FROM OLD.{c})" for c in names)
    yield (
        f"CREATE FUNCTION {table}_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE EXCEPTION '{table} keeps what was written' USING ERRCODE = 'check_violation'; END $$"
    )
    yield (
        f"CREATE TRIGGER {table}_kept BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({changed})"
        f" EXECUTE FUNCTION {table}_kept()"
    )


def kept_once_signed(table: str, columns: Iterable[str], dialect: str) -> Iterator[str]:
    """SQL that refuses to change these columns of a row whose state is no draft any more."""
    names = [f'"{c}"' for c in columns]
    if dialect == "sqlite":
        changed = " OR ".join(f"NEW.{c} IS NOT OLD.{c}" for c in names)
        yield (
            f"CREATE TRIGGER {table}_signed BEFORE UPDATE OF {', '.join(names)} ON {table}"
            f" WHEN OLD.state <> 'draft' AND ({changed})"
            f" BEGIN SELECT RAISE(ABORT, '{table} is signed'); END"
        )
        return
    changed = " OR ".join(f"NEW.{c} IS DISTINCT FROM OLD.{c}" for c in names)
    yield (
        f"CREATE FUNCTION {table}_signed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE EXCEPTION '{table} is signed' USING ERRCODE = 'check_violation'; END $$"
    )
    yield (
        f"CREATE TRIGGER {table}_signed BEFORE UPDATE ON {table} FOR EACH ROW"
        f" WHEN (OLD.state <> 'draft' AND ({changed})) EXECUTE FUNCTION {table}_signed()"
    )


def move_rows(machine: str, pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Rows of `moves` for one machine."""
    return [{"machine": machine, "before": a, "after": b} for a, b in sorted(pairs)]
