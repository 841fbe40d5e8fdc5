"""How Alembic finds our models and our database: through the Flask application that `flask db` has loaded."""

from typing import Literal

from alembic import context
from flask import current_app

from webapp.core.db import UtcDateTime, db

if context.is_offline_mode():
    raise SystemExit("Migrations are run against a database: set DATABASE_URL and run `flask --app wsgi db upgrade`.")


def render_item(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write our column types as what they are in the database, so that a migration stands without our code."""
    return "sa.DateTime()" if kind == "type" and isinstance(item, UtcDateTime) else False


options = current_app.extensions["migrate"].configure_args

with db.engine.connect() as connection:
    if is_sqlite := connection.dialect.name == "sqlite":
        # SQLite changes a table by copying it, and would take the original's rows for deleted ones. By the driver: this
        # works outside of a transaction only, and SQLAlchemy would begin one.
        connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
    context.configure(connection=connection, target_metadata=db.metadata, render_item=render_item, **options)
    with context.begin_transaction():
        context.run_migrations()
    if is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise SystemExit("A migration left rows that refer to nothing; nothing was changed.")
    connection.commit()
    # The next user of the connection relies on them.
    connection.invalidate()
