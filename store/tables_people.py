"""Tables of who may come in: people, their keys, sessions, links and failures."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Table

from store.columns import META, Instant, Json

person = Table(
    "person",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("login", sa.String(80), nullable=False, unique=True),
    Column("name", sa.String(80), nullable=False),
    Column("organisation", sa.String(120), nullable=False),
    Column("roles", Json, nullable=False),
    Column("language", sa.String(10), nullable=False, server_default="zh-CN"),
    Column("password", sa.String(200), nullable=False, server_default=""),  # argon2id; '' = no password login
    Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
    Column("created_at", Instant, nullable=False),
)

api_key = Table(
    "api_key",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("key_hash", sa.String(64), nullable=False, unique=True),
    Column("name", sa.String(80), nullable=False),
    Column("organisation", sa.String(120), nullable=False),
    Column("person", ForeignKey("person.id")),  # acts at the desk need a human being
    Column("scopes", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
)

session = Table(
    "session",
    META,
    Column("token_hash", sa.String(64), primary_key=True),
    Column("person", ForeignKey("person.id"), nullable=False),
    Column("csrf", sa.String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

login_link = Table(
    "login_link",
    META,
    Column("token_hash", sa.String(64), primary_key=True),
    Column("person", ForeignKey("person.id"), nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
)

login_failure = Table(
    "login_failure",
    META,
    Column("bucket", sa.String(100), primary_key=True),  # account or address
    Column("failures", sa.Integer, nullable=False),
    Column("last_at", Instant, nullable=False),
)
