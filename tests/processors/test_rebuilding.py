"""Comparing rows with facts: every way in which they can disagree is found and mended, and nothing else is touched."""

from collections.abc import Callable, Iterator

import pytest

from processors import rebuilding
from processors.conversation import FOLD_REVISION
from processors.rebuilding import Drift
from schemas.conversation import Version
from schemas.facts import Key, StoredFact
from tests.builders import AT, DAY, HOUR, MINUTE, SECOND, event
from tests.processors.faults import Faults, FaultyStore, Killed, Snapshot
from tests.processors.folding import RULES
from tests.processors.log import RECORDED
from tests.processors.world import LATER, World
from tests.sinks.building import row, rows

pytestmark = pytest.mark.usefixtures("quick")

SICK = ("shop", "c-sick")
HEALTHY = ("c-a", "c-b", "c-z")
FAULTS = ("missing", "behind", "ahead", "older", "doubled", "orphaned")


def _version(facts: int) -> int:
    return (
        (facts << Version.FACT_SHIFT) + (FOLD_REVISION << Version.FOLD_SHIFT) + (RULES.revision << Version.RULES_SHIFT)
    )


def _lie(world: World, **said: object) -> None:
    """Let a row stand that says something else."""
    world.store.insert_rows(rows(row(conversation_id=SICK[1], **said)))


async def _spoil_nothing(_: World) -> None:
    """Everything is as it should be."""


async def _store_facts_alone(world: World) -> None:
    """A process dies between facts and rows, for good."""
    process = world.start().assign()
    world.produce(event("message.sent", conversation_id=SICK[1], at=AT + HOUR))
    process.faults.kill("insert_rows")
    with pytest.raises(Killed):
        await process.catch_up()


async def _lose_the_row(world: World) -> None:
    world.store.delete_rows([SICK])


async def _boast(world: World) -> None:
    _lie(world, version=_version(9))


async def _boast_on_another_day(world: World) -> None:
    world.store.delete_rows([SICK])
    _lie(world, version=_version(9), started_at=AT - 9 * DAY)


async def _age(world: World) -> None:
    world.store.delete_rows([SICK])
    _lie(world, version=_version(2) - (1 << Version.RULES_SHIFT))


async def _double(world: World) -> None:
    _lie(world, version=_version(1), started_at=AT + 5 * DAY)


async def _double_in_front(world: World) -> None:
    _lie(world, version=_version(7), started_at=AT - 5 * DAY)


async def _orphan(world: World) -> None:
    """The facts are gone, and the row stands."""
    for batch in world.store._batches:
        batch.remove(batch.places(SICK))
    world.lines[:] = [payload for payload in world.lines if SICK[1].encode() not in payload]


SPOILT: dict[str, tuple[str, Callable[[World], object]]] = {
    "nothing": ("", _spoil_nothing),
    "a row never written": ("missing", _lose_the_row),
    "a row written before the last fact": ("behind", _store_facts_alone),
    "a row of more facts than there are": ("ahead", _boast),
    "such a row under another day": ("ahead", _boast_on_another_day),
    "a row under older rules": ("older", _age),
    "a second row of fewer facts": ("doubled", _double),
    "a second row of more facts": ("doubled", _double_in_front),
    "a row without facts": ("orphaned", _orphan),
}


@pytest.fixture(params=[2_000, 1, 2], ids=["in one chunk", "one by one", "two by two"])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.rebuilding._CHUNK", request.param)


def _named(found: Drift) -> dict[str, list[Key]]:
    return {name: keys for name in FAULTS if (keys := getattr(found, name))}


async def _spoilt(world: World, spoil: Callable[[World], object]) -> None:
    for name in (*HEALTHY, SICK[1]):
        world.produce(
            event("message.sent", conversation_id=name), event("message.sent", conversation_id=name, at=AT + SECOND)
        )
    await world.start().assign().catch_up()
    await spoil(world)  # type: ignore[misc]


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize(("fault", "spoil"), SPOILT.values(), ids=SPOILT.keys())
async def test_a_disagreement_is_found_and_mended_and_nothing_else_is_touched(
    world: World, fault: str, spoil: Callable[[World], object]
) -> None:
    await _spoilt(world, spoil)
    expected = {fault: [SICK]} if fault else {}
    assert _named(rebuilding.drift(world.store, RULES)) == expected
    faults = Faults()
    store = FaultyStore(world.store, faults)
    found = rebuilding.rebuild(store, store, RULES, drifted=True, now=RECORDED)
    assert _named(found) == expected
    assert bool(found) is bool(fault)
    assert found.wrong is (fault not in ("", "older"))
    assert found.written == (fault not in ("", "orphaned"))
    assert world.rows() == world.truth()
    assert not rebuilding.drift(world.store, RULES)
    assert ("delete_rows" in faults.calls) is (fault in ("ahead", "doubled", "orphaned"))


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize(("fault", "spoil"), SPOILT.values(), ids=SPOILT.keys())
async def test_a_whole_rebuild_mends_it_too_and_writes_every_row(
    world: World, fault: str, spoil: Callable[[World], object]
) -> None:
    await _spoilt(world, spoil)
    told: list[int] = []
    found = rebuilding.rebuild(world.store, world.store, RULES, drifted=False, now=RECORDED, progress=told.append)
    assert found.written == found.conversations == sum(told) == 3 + (fault != "orphaned")
    assert world.rows() == world.truth()
    assert not rebuilding.drift(world.store, RULES)


@pytest.mark.usefixtures("chunk")
async def test_several_disagreements_are_told_apart(world: World) -> None:
    process = world.start().assign()
    for name in "abcdefgh":
        world.produce(
            event("message.sent", conversation_id=name), event("message.sent", conversation_id=name, at=AT + 1)
        )
    await process.catch_up()
    world.store.delete_rows([("shop", "a"), ("shop", "h")])
    for name, said in (("c", {"version": _version(9)}), ("e", {"version": _version(1), "started_at": AT + DAY})):
        world.store.insert_rows(rows(row(conversation_id=name, **said)))
    for name in ("0", "d0", "z"):
        world.store.insert_rows(rows(row(conversation_id=name)))
    found = rebuilding.rebuild(world.store, world.store, RULES, drifted=True, now=RECORDED)
    assert _named(found) == {
        "missing": [("shop", "a"), ("shop", "h")],
        "ahead": [("shop", "c")],
        "doubled": [("shop", "e")],
        "orphaned": [("shop", "0"), ("shop", "d0"), ("shop", "z")],
    }
    assert world.rows() == world.truth()
    assert not rebuilding.drift(world.store, RULES)


async def test_what_has_no_row_by_right_is_not_missing(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent", conversation_id="erased"), event("label.set", conversation_id="waiting"))
    world.produce(event("conversation.erased", conversation_id="erased", at=AT + MINUTE))
    await process.catch_up(LATER)
    assert not rebuilding.drift(world.store, RULES)
    assert not rebuilding.rebuild(world.store, world.store, RULES, drifted=False, now=RECORDED)
    assert world.rows() == []


async def test_a_row_of_what_was_erased_is_deleted(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"), event("conversation.erased", at=AT + MINUTE))
    await process.catch_up()
    world.store.insert_rows(rows(row(started_at=AT - 9 * DAY)))
    assert rebuilding.drift(world.store, RULES).ahead == [("shop", "c-1")]
    rebuilding.rebuild(world.store, world.store, RULES, drifted=True, now=RECORDED)
    assert world.rows() == []


@pytest.mark.parametrize("drifted", [True, False], ids=["drifted", "whole"])
async def test_a_stored_idle_close_stands(world: World, drifted: bool) -> None:
    process = world.start().assign()
    world.produce(
        event("message.sent", conversation_id=SICK[1]), event("message.sent", conversation_id="c-a", at=AT + HOUR)
    )
    await process.catch_up(LATER)
    world.lines.clear()
    world.produce(event("label.set", conversation_id=SICK[1], id="label"))
    process.faults.kill("insert_rows")
    with pytest.raises(Killed):
        await process.catch_up()
    rebuilding.rebuild(world.store, world.store, RULES, drifted=drifted, now=RECORDED)
    world.lines.extend(fact.payload for facts in world.store.scan_facts() for fact in facts)
    assert world.rows() == world.truth(LATER)


class _Beside(FaultyStore):
    """A store that workers go on writing to: its scan of facts began before what stands in its rows was stored."""

    def __init__(self, world: World, before: Snapshot) -> None:
        self.faults = Faults()
        super().__init__(world.store, self.faults)
        self._before = before

    def scan_facts(self) -> Iterator[list[StoredFact]]:
        return iter([facts for _, facts in sorted(self._before._facts.items())])


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("drifted", [True, False], ids=["drifted", "whole"])
async def test_rows_that_workers_write_meanwhile_are_not_taken_for_wrong(world: World, drifted: bool) -> None:
    process = world.start().assign()
    for name in ("b", "d", "f"):
        world.produce(event("message.sent", conversation_id=name))
    await process.catch_up()
    store = _Beside(world, Snapshot(world.store))
    for name in "abcdg":
        world.produce(event("message.sent", conversation_id=name, at=AT - DAY))
    await process.catch_up()
    assert not rebuilding.drift(store, RULES)
    assert not rebuilding.rebuild(store, store, RULES, drifted=drifted, now=RECORDED)
    assert "delete_rows" not in store.faults.calls
    assert world.rows() == world.truth()
