"""What Alembic runs to carry out the steps: on the connection and transaction it is handed.

Alembic executes this file itself, from within `pirta.releases.migrate`; it is imported by nobody.
"""

from __future__ import annotations

from alembic import context

from pirta.releases.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
context.run_migrations()
