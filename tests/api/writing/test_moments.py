"""When decisions are made, and what their events are called."""

from hypothesis import given
from hypothesis import strategies as st

from api.access.principal import Principal
from api.writing.ids import event_id
from api.writing.moments import Moments, iso, moment
from schemas.events import epoch_ms
from schemas.wire import decode
from tests.api.writing.world import EVERYTHING
from tests.builders import AT, event, line

KEY = ("shop", "c-1")
OTHER = ("shop", "c-2")


class Clock:
    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> int:
        return self.now


def test_a_decision_is_made_now_or_as_early_as_it_may_be() -> None:
    moments = Moments(Clock())
    assert moments.next(KEY) == AT
    assert moments.next(OTHER, AT + 700) == AT + 700
    assert moments.next(("bank", "c-1"), AT - 700) == AT


def test_of_one_conversation_each_comes_after_the_one_before_even_when_the_clock_goes_back() -> None:
    clock = Clock()
    moments = Moments(clock)
    assert [moments.next(KEY) for _ in range(3)] == [AT, AT + 1, AT + 2]
    clock.now = AT - 60_000
    assert moments.next(KEY) == AT + 3
    assert moments.next(OTHER) == AT - 60_000
    clock.now = AT + 60_000
    assert moments.next(KEY) == AT + 60_000


def test_only_so_many_conversations_are_remembered_those_decided_on_last() -> None:
    moments = Moments(Clock(), remembered=2)
    for name in ("a", "b", "a", "c"):
        moments.next(("shop", name))
    assert moments.next(("shop", "a")) == AT + 2
    assert moments.next(("shop", "b")) == AT


@given(st.integers(946_684_800_000, 4_102_444_800_000))
def test_a_time_is_written_as_events_are_read(at: int) -> None:
    assert decode(line(event("label.cleared", at=iso(at))))[1] == at
    assert epoch_ms(moment(at)) == at


def test_without_an_idempotency_key_every_id_is_new() -> None:
    assert len({event_id(EVERYTHING, "label", KEY, None) for _ in range(100)}) == 100


def test_with_one_the_id_depends_on_who_what_and_which_conversation_and_the_key_alone() -> None:
    other = Principal("key:other", EVERYTHING.name, EVERYTHING.scopes)
    asked = [
        (EVERYTHING, "label", KEY, "k"),
        (other, "label", KEY, "k"),
        (EVERYTHING, "erasure", KEY, "k"),
        (EVERYTHING, "label", OTHER, "k"),
        (EVERYTHING, "label", ("shopc", "-1"), "k"),
        (EVERYTHING, "label", KEY, "k "),
        (EVERYTHING, "label", ("shop", 'c-1", "'), "k"),
    ]
    assert len({event_id(*one) for one in asked}) == len(asked)
    assert [event_id(*one) for one in asked] == [event_id(*one) for one in asked]
    assert all(len(event_id(*one)) <= 128 for one in asked)
