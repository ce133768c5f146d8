"""The algebra of the fold: any order, duplication and division into batches gives the row that the oracle gives."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.conversation import Conversation
from tests import oracle
from tests.builders import AT, Event, line
from tests.processors.folding import PLAIN_RULES, expected, fact, one_by_one, rows_of, whole
from tests.strategies import conversations

SETTINGS = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _oracle(events: list[Event], clock: int | None) -> list[dict[str, Any]]:
    rows = oracle.rows([line(event) for event in events], PLAIN_RULES, clock)
    return [row for row in map(expected, rows.values()) if row is not None]


_clocks = st.none() | st.integers(1_767_000_000_000, 1_768_500_000_000)


@SETTINGS
@given(conversations(), _clocks)
def test_the_fold_gives_the_rows_of_the_oracle(events: list[Event], clock: int | None) -> None:
    assert rows_of([whole([fact(line(event)) for event in events])], clock) == _oracle(events, clock)


@SETTINGS
@given(conversations(), st.randoms(use_true_random=False), st.integers(0, 4))
def test_any_permutation_and_duplication_gives_equal_rows(events: list[Event], random: Any, settle_every: int) -> None:
    facts = [fact(line(event)) for event in events]
    shuffled = facts + random.choices(facts, k=len(facts) // 2)
    random.shuffle(shuffled)
    assert rows_of([one_by_one(shuffled, settle_every=settle_every)]) == rows_of([whole(facts)])


@SETTINGS
@given(conversations(), st.data())
def test_an_eviction_and_reload_at_any_point_changes_nothing(events: list[Event], data: st.DataObject) -> None:
    facts = [fact(line(event)) for event in events]
    cut = data.draw(st.integers(0, len(facts)))
    assert rows_of([one_by_one(facts, evicted_after=cut)]) == rows_of([whole(facts)])


_NOT_KEPT = {"cells", "counted", "epoch", "looked_at"}
"""What the cache and the projection note with a conversation for themselves."""


@SETTINGS
@given(conversations(min_size=1), st.data())
def test_a_conversation_that_was_packed_is_the_same_and_goes_on_the_same(
    events: list[Event], data: st.DataObject
) -> None:
    facts = data.draw(st.permutations([fact(line(event)) for event in events]))
    cut = data.draw(st.integers(1, len(facts)))
    before = one_by_one(facts[:cut])
    before.settle()
    before.written, before.stored_day, before.idle_until = 2**63 + 1, 20_000, AT
    after = Conversation.unpack(before.key, before.pack(), before.effects)
    for name in set(Conversation.__slots__) - _NOT_KEPT:
        assert getattr(after, name) == getattr(before, name), name
    assert rows_of([one_by_one(facts, packed_after=cut)]) == rows_of([whole(facts)])
