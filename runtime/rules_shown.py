"""`afterword rules show`: the rules in force, as a rules file that could be used as it is."""

from collections.abc import Iterator
from pathlib import Path

from schemas.rules import FALLBACK_RULES, Rules


def shown(rules: Rules, source: Path | None, assistant: str | None = None) -> str:
    """Write the rules as TOML with the fallback rules behind them; with `assistant` what is in force for that one."""
    lines = [f"# Rules in force: revision {rules.revision}, {f'from {source}' if source else 'as shipped'}."]
    if assistant is not None:
        own = "has a section of its own" if assistant in rules.assistants else "has no section of its own"
        lines.append(f"# Assistant {assistant} {own}; for it, all of this applies.")
        rules = Rules(revision=rules.revision, default=rules.of(assistant))
    return "\n".join([*lines, "", rules.describe(), *_fallback_rules()]) + "\n"


def _fallback_rules() -> Iterator[str]:
    yield "# Fallback rules, in the order in which a message is tagged: name, version, what is tagged."
    yield "#"
    for rule in FALLBACK_RULES:
        yield f"#   {rule.name:<15} {rule.version}  {rule.description}"


def verdict(rules: Rules, path: Path) -> str:
    """Say of a valid file what it holds, in a line."""
    named = ", ".join(rules.assistants)
    sections = f"assistants with a section of their own: {named}" if named else "no assistant has a section of its own"
    return f"{path} is valid: revision {rules.revision}; {sections}"
