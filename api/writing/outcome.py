"""What became of one event of a write."""

from enum import StrEnum


class Status(StrEnum):
    """accepted: taken for certain; invalid: can never succeed as it is; unavailable: send it again."""

    ACCEPTED = "accepted"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"


def status_of(taken: bool) -> Status:
    """Give the status of an event that was sent."""
    return Status.ACCEPTED if taken else Status.UNAVAILABLE
