"""Dead letters: records that can never succeed as they are, kept with the reason until somebody sends them again."""

from dataclasses import dataclass

from schemas.failures import Reason


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record that failed; identified by (topic, digest). Times are epoch milliseconds, UTC.

    `assistant` and `conversation_id` are what could be read of them, else ''; an erasure needs them.
    `digest`: 16 bytes, xxh3-128 of the value. `key` is None for a keyless record.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    digest: bytes
    reason: Reason
    detail: str
    assistant: str
    conversation_id: str
    recorded_at: int
    failed_at: int
    requeued_at: int | None = None
