"""What Alembic runs: the steps over the one connection of store/steps.py, or written down as SQL."""

from alembic import context

from store.tables import META

if context.is_offline_mode():
    context.configure(
        dialect_name=context.config.attributes["dialect"], target_metadata=META, transactional_ddl=True,
        literal_binds=True,
    )  # fmt: skip
else:
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=META, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
