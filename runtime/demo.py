"""`afterword demo`: real conversations of chitchat-dataset and a simulated shop, through the whole embedded stack."""

import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from runtime.settings import Settings
from runtime.simulator import Simulation
from runtime.up import Source, up
from schemas.intake import chitchat
from schemas.rules import Rules

SHOP_LABELS: Final = 0.06
"""Share of the simulated conversations that a simulated manager has labelled, so that every list shows something."""

_AGAIN: Final = 20
_AGAIN_DAYS: Final = 0.02
"""What goes on in a demo that was loaded before: conversations of the last half hour, and new ones."""


async def demo(settings: Settings, rules: Rules, console: Console, *, exit_when_done: bool) -> int:
    """Load what is not loaded yet, store it, say what there is, and unless told otherwise stay up; gives the status.

    While it is up, a few simulated conversations go on in real time.
    """
    note = settings.data / "demo.json"
    now, loaded = _noted(note)
    if loaded:
        console.print(f"The demo is in {settings.data} already.")
        sources, live = [], Simulation(now=datetime.now(UTC), days=_AGAIN_DAYS, conversations=_AGAIN)
    else:
        note.parent.mkdir(parents=True, exist_ok=True)
        _write(note, now, loaded=False)
        live = Simulation(now=now, labels=SHOP_LABELS)
        sources = [_real(), _simulated(live)]

    def filled() -> None:
        _write(note, now, loaded=True)
        program = "afterword" if shutil.which("afterword") else sys.argv[0]
        console.print(
            f'Ask it something:  {program} sql --data {settings.data} "SELECT topic, count() FROM conversations FINAL '
            f"WHERE assistant = 'shop' GROUP BY topic\"",
            highlight=False,
            soft_wrap=True,
        )

    return await up(settings, rules, sources, exit_when_done=exit_when_done, console=console, live=live, filled=filled)


def _write(note: Path, now: datetime, *, loaded: bool) -> None:
    note.write_text(json.dumps({"now": now.isoformat(), "loaded": loaded}))


def _noted(note: Path) -> tuple[datetime, bool]:
    """Give the moment that the simulation runs up to: a demo that was interrupted must tell the same stories again."""
    try:
        noted = json.loads(note.read_text())
        return datetime.fromisoformat(noted["now"]), bool(noted["loaded"])
    except (OSError, ValueError, KeyError):
        return datetime.now(UTC), False


def _real() -> Source:
    payloads = list(chitchat.all_events())
    return Source("7,168 real conversations", len(payloads), payloads)


def _simulated(simulation: Simulation) -> Source:
    payloads = [payload for _, payload in simulation.events()]
    return Source("a simulated shop", len(payloads), payloads)
