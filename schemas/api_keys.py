"""What is stored of an API key: who it is for and what it may, and a digest, from which the key cannot be had back."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key. `digest`: the 32 bytes of SHA-256 of the whole key; times are aware, in UTC.

    `scopes`: the names of its rights, sorted. `assistant`: the only one that it may see and write, None for all.
    """

    id: str
    digest: bytes
    name: str
    scopes: tuple[str, ...]
    assistant: str | None
    created_at: datetime
    revoked_at: datetime | None = None
