"""Two revisions of the rules at work at once: no row lacks a fact at any time, a rebuild brings all to the newest."""

import tomllib

import pytest

from processors import rebuilding
from schemas.conversation import Version
from schemas.rules import Rules
from schemas.store import StoredRow
from tests.builders import AT, HOUR, SECOND, Event, event
from tests.processors.folding import PLAIN_RULES, RULES
from tests.processors.log import RECORDED
from tests.processors.world import LATER, World

NEWER = Rules.parse("revision = 2\n[default]\nidle_gap_minutes = 90\nfallback_threshold = 0.6\n")
PLAIN_NEWER = tomllib.loads(NEWER.describe())


def _events(number: int) -> list[Event]:
    """Part of a load over six conversations; the newer rules see other sessions and more fallbacks in it."""
    at = AT + number * 100 * 60 * SECOND
    return [
        event("message.sent", id=f"{number}-{c}", conversation_id=f"c-{c}", at=at + c, role="assistant", confidence=0.5)
        for c in range(6)
        if c <= number
    ]


def _revisions(world: World) -> dict[str, int]:
    return {row.key[1]: Version.revisions(row.version)[1] for row in world.store.scan_rows()}


def _whole(world: World, row: StoredRow) -> bool:
    return Version.facts(row.version)[1] == len(world.stored(row.key))


async def test_a_worker_with_newer_rules_joins_in_the_middle_of_a_load(world: World) -> None:
    old = world.start().assign()
    new = world.start(rules=NEWER)
    for number in range(9):
        if number == 3:
            old.assign(0)
            new.assign(1)
        elif number == 6:
            old.assign(1)
            new.assign(0)
        world.produce(*_events(number))
        await old.catch_up(AT + number * HOUR)
        await new.catch_up(AT + number * HOUR)
        assert world.log.acknowledged()
        assert all(_whole(world, row) for row in world.store.scan_rows())
        assert len(world.rows()) == len(world.truth())
    assert set(_revisions(world).values()) == {1, 2}
    for process in (old, new):
        await process.catch_up(LATER)
    found = rebuilding.rebuild(world.store, world.store, NEWER, drifted=True, now=RECORDED)
    assert found.older
    assert not found.wrong
    assert set(_revisions(world).values()) == {2}
    # Closes under a clock stand, so the oracle has one too.
    assert world.rows() == world.truth(LATER, PLAIN_NEWER)


async def test_a_known_fact_met_under_older_rules_does_not_bring_an_older_row_back(world: World) -> None:
    told = event("message.sent", role="assistant", confidence=0.5)
    world.produce(told)
    await world.start(rules=NEWER).assign().catch_up()
    assert world.rows() == world.truth(None, PLAIN_NEWER)
    world.produce(told)
    await world.start().assign().catch_up()
    assert world.rows() == world.truth(None, PLAIN_NEWER)


async def test_a_new_fact_under_older_rules_counts(world: World) -> None:
    world.produce(event("message.sent"))
    await world.start(rules=NEWER).assign().catch_up()
    world.produce(event("message.sent", at=AT + SECOND))
    await world.start().assign().catch_up()
    assert world.rows() == world.truth(None, PLAIN_RULES)


async def test_a_known_fact_met_under_newer_rules_brings_the_row_up_to_them(world: World) -> None:
    told = event("message.sent", role="assistant", confidence=0.5)
    world.produce(told)
    await world.start().assign().catch_up()
    world.produce(told)
    await world.start(rules=NEWER).assign().catch_up()
    assert world.rows() == world.truth(None, PLAIN_NEWER)


@pytest.mark.parametrize(("rules", "warns"), [(RULES, True), (NEWER, False)], ids=["older", "newer"])
async def test_a_worker_that_meets_rows_of_newer_rules_says_so(world: World, rules: Rules, warns: bool) -> None:
    world.produce(event("message.sent"))
    await world.start(rules=NEWER).assign().catch_up()
    process = world.start(rules=rules).assign()
    await process.catch_up()
    assert process.worker.rules_warning() == ""
    world.produce(event("message.sent", at=AT + SECOND))
    await process.catch_up()
    assert ("revision 2" in process.worker.rules_warning()) is warns
    assert ("rebuild --drifted" in process.worker.rules_warning()) is warns
