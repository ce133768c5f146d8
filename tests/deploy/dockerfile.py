"""A Dockerfile as its instructions, for tests that can build no image."""

import json
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its name, its --flags, and the rest of it on one line."""

    name: str
    flags: tuple[str, ...]
    rest: str

    @property
    def words(self) -> list[str]:
        """The rest, word by word; in the JSON form its items."""
        return json.loads(self.rest) if self.rest.startswith("[") else self.rest.split()


def instructions(path: Path) -> list[Instruction]:
    """All instructions of the file in order, comments left out and continued lines joined."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, rest = line.partition(" ")
        flags = []
        while rest.startswith("--"):
            flag, _, rest = rest.partition(" ")
            flags.append(flag)
            rest = rest.lstrip()
        found.append(Instruction(name, tuple(flags), rest))
    return found
