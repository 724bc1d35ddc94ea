"""The release store's tables in steps, one file a step in `versions`, run by Alembic.

A change of `pirta.releases.tables` gets a new file there, with `down_revision` naming the last
one; what was released is never edited. Tests hold that all steps together make exactly those
tables, and that rows survive.
"""
