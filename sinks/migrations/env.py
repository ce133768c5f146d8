"""What Alembic runs for every command: the revisions, on the connection that `sinks.migrate` opened."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
