"""What `runtime` tells the application about itself."""

from dataclasses import dataclass

from schemas.rules import Rules


@dataclass(frozen=True, slots=True)
class Options:
    """`public_url`: where people reach it, without a slash at the end; `rate_limit`: requests a second for each key.

    `embedded`: whether the broker forgets what it holds when it stops; `default_assistant`: of events that name none;
    `rules`: those in force, so that pages can say what a confidence was compared with; `keys_at`: the options by which
    `afterword keys` finds the keys of this application, '' for none.
    """

    public_url: str
    version: str
    embedded: bool
    default_assistant: str | None = None
    rate_limit: int = 100
    rules: Rules | None = None
    keys_at: str = ""
