"""PostgreSQL databases for tests that want an empty one: copied from the migrated model, emptied, and used again.

A copy takes a hundred times as long as emptying what one test has written.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

TESTS_A_COPY = 100  # what is deleted and what is inserted again swells tables and indexes

# Everybody else is sent away, every row but the model's own goes, every sequence begins anew.
_EMPTY = """
DO $$
DECLARE
  one record;
  is_filled boolean;
BEGIN
  FOR one IN SELECT relname FROM pg_class
             WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
               AND relname NOT IN ('alembic_version', 'moves') LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %%I)', one.relname) INTO is_filled;
    IF is_filled THEN EXECUTE format('DELETE FROM %%I', one.relname); END IF;
  END LOOP;
  FOR one IN SELECT schemaname, sequencename FROM pg_sequences WHERE last_value IS NOT NULL LOOP
    PERFORM setval(format('%%I.%%I', one.schemaname, one.sequencename), 1, false);
  END LOOP;
END $$
"""

# What no test may leave changed in a database that the next one gets; `moves` are the rows that the model begins with.
_SHAPE = """
SELECT md5(concat_ws('|',
  (SELECT string_agg(concat(relname, relkind), ',' ORDER BY oid) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
  (SELECT string_agg(concat(attrelid, attname, atttypid, attnotnull), ',' ORDER BY attrelid, attnum)
     FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE c.relnamespace = 'public'::regnamespace AND attnum > 0),
  (SELECT string_agg(concat(tgname, tgenabled, tgtype), ',' ORDER BY oid) FROM pg_trigger WHERE NOT tgisinternal),
  (SELECT string_agg(concat(proname, md5(prosrc)), ',' ORDER BY oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
  (SELECT string_agg(concat(conname, contype), ',' ORDER BY oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace),
  (SELECT string_agg(setconfig::text, ',') FROM pg_db_role_setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())),
  (SELECT string_agg(nspname, ',' ORDER BY oid) FROM pg_namespace WHERE nspname NOT LIKE 'pg%%'),
  (SELECT string_agg(version_num, ',' ORDER BY version_num) FROM alembic_version),
  (SELECT md5(string_agg(m::text, ',' ORDER BY m::text)) FROM moves m)))
"""

_SEND_AWAY = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Databases:
    """Those of one server, of which a migrated one is named `model`."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._free: list[tuple[str, int]] = []  # name, how many tests have had it
        self._shape: dict[str, str] = {}

    @contextmanager
    def one(self) -> Iterator[str]:
        """The URL of an empty migrated database that nobody else uses."""
        name, used = self._free.pop() if self._free else (self._copy(), 0)
        try:
            yield f"{self._server}/{name}"
        finally:
            if used + 1 < TESTS_A_COPY and self._is_as_new(name):
                self._free.append((name, used + 1))
            else:
                self._on_server(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _copy(self) -> str:
        name = f"t{secrets.token_hex(6)}"
        self._on_server(f"CREATE DATABASE {name} TEMPLATE model")
        with _connected(f"{self._server}/{name}") as c:
            self._shape[name] = c.exec_driver_sql(_SHAPE).scalar_one()
        return name

    def _is_as_new(self, name: str) -> bool:
        """Whether it could be made so: a test may have dropped it, changed it, or holds on to it."""
        try:
            with _connected(f"{self._server}/{name}") as c:
                for _ in range(50):
                    if not c.exec_driver_sql(_SEND_AWAY).scalar_one():
                        break
                    c.exec_driver_sql("SELECT pg_sleep(0.01)")
                else:
                    return False
                c.exec_driver_sql("SET session_replication_role = replica; SET lock_timeout = '2s'")
                c.exec_driver_sql(_EMPTY)
                return bool(c.exec_driver_sql(_SHAPE).scalar_one() == self._shape[name])
        except sa.exc.DBAPIError:
            return False

    def _on_server(self, statement: str) -> None:
        with _connected(f"{self._server}/postgres") as c:
            c.exec_driver_sql(statement)


@contextmanager
def _connected(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as c:
        yield c
