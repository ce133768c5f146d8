"""The table of dead letters: one entry a record under FINAL, by topic and digest, the newest."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.execute("""
        CREATE TABLE IF NOT EXISTS dead_letters
        (
            topic LowCardinality(String),
            `partition` Int32,
            `offset` Int64,
            key Nullable(String),
            value String CODEC(ZSTD(1)),
            digest FixedString(16),
            reason LowCardinality(String),
            detail String,
            assistant String,
            conversation_id String,
            recorded_at DateTime64(3, 'UTC'),
            failed_at DateTime64(3, 'UTC'),
            requeued_at Nullable(DateTime64(3, 'UTC')),
            changed_at DateTime64(3, 'UTC') MATERIALIZED greatest(failed_at, ifNull(requeued_at, failed_at)),
            INDEX by_id conversation_id TYPE bloom_filter(0.001) GRANULARITY 1
        )
        ENGINE = ReplacingMergeTree(changed_at)
        ORDER BY (topic, digest)
        SETTINGS index_granularity = 512
    """)
