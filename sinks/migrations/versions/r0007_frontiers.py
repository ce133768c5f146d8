"""How far each topic is stored: the greatest offset of a partition counts. See docs/decisions/0015."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table."""
    op.execute("""
        CREATE TABLE IF NOT EXISTS frontiers
        (
            topic LowCardinality(String),
            `partition` Int32,
            `offset` Int64
        )
        ENGINE = ReplacingMergeTree(`offset`)
        ORDER BY (topic, `partition`)
    """)
