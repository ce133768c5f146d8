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


async def demo(settings: Settings, rules: Rules, console: Console) -> int:
    """Load what is not loaded yet, store it, say what there is; gives the exit status."""
    note = settings.data / "demo.json"
    now, loaded = _noted(note)
    sources = []
    if loaded:
        console.print(f"The demo is in {settings.data} already; here is what it holds.")
    else:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"now": now.isoformat(), "loaded": False}))
        sources = [_real(), _simulated(now)]
    status = await up(settings, rules, sources, exit_when_done=True, console=console)
    if status == 0:
        note.write_text(json.dumps({"now": now.isoformat(), "loaded": True}))
        program = "afterword" if shutil.which("afterword") else sys.argv[0]
        console.print(
            f'Ask it something:  {program} sql --data {settings.data} "SELECT topic, count() FROM conversations FINAL '
            f"WHERE assistant = 'shop' GROUP BY topic\"\n"
            f"Keep it running:   {program} up --data {settings.data}",
            highlight=False,
            soft_wrap=True,
        )
    return status


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


def _simulated(now: datetime) -> Source:
    payloads = [payload for _, payload in Simulation(now=now, labels=SHOP_LABELS).events()]
    return Source("a simulated shop", len(payloads), payloads)
