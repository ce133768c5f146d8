"""What following the changes and reviewing need: an index on when a row came, and the leases of reviews.

A lease is taken by comparing and setting: who found the lease of generation n (or none, n = 0) inserts generation
n + 1 under an `insert_deduplication_token` that says so, and ClickHouse drops every later insert of that token. Of two
at the same moment exactly one is stored, which an order by time cannot promise: a lease stamped earlier may become
visible later. A plain server remembers the last 10,000 tokens; a replicated one does so anyway. No row goes by itself:
without the last one the generations would begin again, and their tokens are used.
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the index, to what is stored too; make the table."""
    op.execute("ALTER TABLE conversations ADD INDEX IF NOT EXISTS by_update updated_at TYPE minmax GRANULARITY 1")
    op.execute("ALTER TABLE conversations MATERIALIZE INDEX by_update")
    op.execute("""
        CREATE TABLE IF NOT EXISTS review_leases
        (
            assistant LowCardinality(String),
            conversation_id String,
            generation UInt64,
            holder String,
            until DateTime64(3, 'UTC')
        )
        ENGINE = ReplacingMergeTree(generation)
        ORDER BY (assistant, conversation_id)
        SETTINGS index_granularity = 512, non_replicated_deduplication_window = 10000
    """)
