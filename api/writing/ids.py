"""Ids of the events that are made here: new ones, or always the same for the same request sent again."""

import hashlib
import json
import uuid

from api.access.principal import Principal
from schemas.facts import Key

_DIGITS = 40


def event_id(principal: Principal, what: str, key: Key, idempotency_key: str | None) -> str:
    """Give the id of an event that says `what` of a conversation.

    With an idempotency key it depends on who asks, the key, `what` and the conversation alone. So a request that is
    sent again gives a copy of the first event, whatever else it says, and of the copies the earliest counts.
    """
    if idempotency_key is None:
        return uuid.uuid4().hex
    told = json.dumps([principal.id, idempotency_key, what, *key]).encode()
    return hashlib.sha256(told).hexdigest()[:_DIGITS]
