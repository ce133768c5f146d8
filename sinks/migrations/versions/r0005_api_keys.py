"""The table of API keys: one entry a key under FINAL; a revocation is a second one, which counts for ever."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table."""
    op.execute("""
        CREATE TABLE IF NOT EXISTS api_keys
        (
            id String,
            digest FixedString(32),
            name String,
            scopes Array(LowCardinality(String)),
            assistant LowCardinality(String),
            created_at DateTime64(3, 'UTC'),
            revoked_at Nullable(DateTime64(3, 'UTC')),
            revoked UInt8 MATERIALIZED isNotNull(revoked_at)
        )
        ENGINE = ReplacingMergeTree(revoked)
        ORDER BY id
    """)
