"""What Alembic runs: the steps over the one connection that store/migrate.py opened."""

from alembic import context

from store.tables import META

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=META, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
