"""Events of runtimes: each judged by itself, the good ones written, and what became of each."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from api.access.principal import Principal
from api.parts import Parts
from api.writing.admission import Admitted, admit
from api.writing.moments import now_ms
from api.writing.outcome import Status, status_of

_NOT_TAKEN = "not acknowledged in time; it may still arrive, and to send it again is safe"


class EventOutcome(BaseModel):
    """What became of one event."""

    index: int = Field(description="its place in what was sent, from 0; of NDJSON the lines that are not blank count")
    id: str | None = Field(description="its id, null when that cannot be read")
    status: Status = Field(
        description="accepted: kept for good; invalid: never succeeds as it is; unavailable: not acknowledged in time"
    )
    reason: str | None = Field(None, description="why it is invalid: a reason of docs/events.md, or `forbidden`")
    detail: str | None = Field(None, description="the same in words")


class EventsWritten(BaseModel):
    """What became of all events of a request."""

    accepted: int = Field(description="how many were accepted")
    rejected: int = Field(description="how many are invalid")
    events: list[EventOutcome] = Field(description="every event, in the order in which they were sent")

    @property
    def unavailable(self) -> int:
        """How many were not acknowledged in time."""
        return len(self.events) - self.accepted - self.rejected


async def write_events(parts: Parts, principal: Principal, payloads: Sequence[bytes]) -> EventsWritten:
    """Write those events that may be written, side by side, and wait until they are kept.

    To do the same once more is safe: an event's id decides, and equal payloads stay equal.
    """
    now = now_ms()
    judged = [admit(payload, principal, parts.options.default_assistant, now) for payload in payloads]
    admitted = [one.outgoing for one in judged if isinstance(one, Admitted)]
    taken = iter(await parts.log.append(admitted) if admitted else ())
    outcomes = []
    for index, one in enumerate(judged):
        if isinstance(one, Admitted):
            status = status_of(next(taken))
            detail = None if status is Status.ACCEPTED else _NOT_TAKEN
            outcomes.append(EventOutcome(index=index, id=one.id, status=status, detail=detail))
        else:
            outcomes.append(
                EventOutcome(index=index, id=one.id, status=Status.INVALID, reason=one.reason, detail=one.detail)
            )
    statuses = [one.status for one in outcomes]
    return EventsWritten(
        accepted=statuses.count(Status.ACCEPTED), rejected=statuses.count(Status.INVALID), events=outcomes
    )
