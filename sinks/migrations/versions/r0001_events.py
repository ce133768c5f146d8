"""The table of facts.

`index_granularity=512` and small compress blocks: reloading 1,000 conversations out of 30 M events took 215 ms instead
of 590. No FINAL is needed to read facts, the fold drops copies. The text index is generally available from 26.2 on;
before, its format on disk still changed between releases, so older servers get a token bloom filter.
"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TEXT_INDEX = "INDEX text_words text TYPE text(tokenizer = splitByNonAlpha, preprocessor = lowerUTF8(text))"
_BLOOM_INDEX = "INDEX text_words lowerUTF8(text) TYPE tokenbf_v1(8192, 3, 0) GRANULARITY 16"


def _text_index() -> str:
    version = op.get_bind().execute(sa.text("SELECT version()")).scalar_one()
    numbers = tuple(int(one) for one in re.findall(r"\d+", version)[:2])
    return _TEXT_INDEX if numbers >= (26, 2) else _BLOOM_INDEX


def upgrade() -> None:
    """Make the table."""
    op.execute(f"""
        CREATE TABLE IF NOT EXISTS events
        (
            assistant LowCardinality(String),
            conversation_id String,
            id String,
            digest FixedString(16),
            type LowCardinality(String),
            at DateTime64(3, 'UTC'),
            seq Int64,
            role LowCardinality(String),
            text String,
            payload String CODEC(ZSTD(1)),
            recorded_at DateTime64(3, 'UTC'),
            {_text_index()}
        )
        ENGINE = ReplacingMergeTree
        PARTITION BY toYYYYMM(at)
        ORDER BY (assistant, conversation_id, id, digest)
        SETTINGS index_granularity = 512, min_compress_block_size = 16384, max_compress_block_size = 65536
    """)
