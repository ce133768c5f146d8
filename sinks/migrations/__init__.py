"""The tables, one revision a file: hand-written SQL, run by Alembic."""
