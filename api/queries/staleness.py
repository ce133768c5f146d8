"""How many messages came after a manager looked: a row says that its label is stale, the label's event by how much."""

from collections.abc import Iterable

from api.queries.asking import Queries
from schemas.conversation import ConversationRow
from schemas.facts import Key

_SEEN = """
    SELECT toString(assistant), conversation_id, id, JSONExtract(payload, 'seen_messages', 'Nullable(UInt32)')
    FROM events
    WHERE assistant IN {assistants:Array(String)} AND conversation_id IN {ids:Array(String)}
      AND id IN {labels:Array(String)}
"""


async def messages_since(queries: Queries, rows: Iterable[ConversationRow]) -> dict[Key, int]:
    """Count the messages since the label, of those rows whose label is stale and says how many there were before."""
    stale = {(row.assistant, row.conversation_id, row.label_id): row.messages for row in rows if row.label_stale}
    if not stale:
        return {}
    answer = await queries.rows(
        _SEEN,
        {
            "assistants": sorted({assistant for assistant, _, _ in stale}),
            "ids": sorted({conversation_id for _, conversation_id, _ in stale}),
            "labels": sorted({label for _, _, label in stale}),
        },
    )
    return {
        (assistant, conversation_id): stale[assistant, conversation_id, label] - seen
        for assistant, conversation_id, label, seen in answer
        if seen is not None and stale.get((assistant, conversation_id, label), 0) > seen
    }
