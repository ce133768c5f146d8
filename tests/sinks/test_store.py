"""The contract of a store, on every kind of it."""

import pytest

from schemas.conversation import RowColumns
from schemas.facts import FactColumns
from schemas.failures import Reason
from schemas.partitioning import home_partition
from schemas.store import Erasure, StoredRow
from tests.builders import AT, DAY, HOUR, MINUTE
from tests.sinks.building import HOSTILE, TODAY, facts, keys_of, letter, row, rows, stored
from tests.sinks.conftest import Stores

PARTITIONS = 4
ALL_CLOCKS = dict.fromkeys(range(PARTITIONS), AT + 100 * DAY)


def test_facts_read_back_as_they_were_written(stores: Stores) -> None:
    written = facts(
        *({"id": name, "conversation_id": name, "text": name, "payload": name.encode()} for name in HOSTILE),
        {"id": "bytes", "payload": b"\xff\x00 not UTF-8"},
        {"id": "empty", "payload": b""},
        {"id": "long", "payload": b"x" * (1 << 20), "seq": 1 << 40},
    )
    stores.writer.insert_facts(written)
    assert set(stores.reader.read_facts(keys_of(written))) == stored(written)


def test_only_the_facts_asked_for_are_read(stores: Stores) -> None:
    mine = facts({"conversation_id": "mine"}, {"conversation_id": "mine", "id": "another"})
    stores.writer.insert_facts(mine)
    stores.writer.insert_facts(facts({"conversation_id": "other"}, {"conversation_id": "mine", "assistant": "bank"}))
    assert set(stores.reader.read_facts([("shop", "mine"), ("shop", "absent")])) == stored(mine)
    assert stores.reader.read_facts([]) == []


def test_facts_of_several_assistants_are_read_in_one_call(stores: Stores) -> None:
    written = facts(
        {"assistant": "shop", "conversation_id": "a"},
        {"assistant": "bank", "conversation_id": "a"},
        {"assistant": "bank", "conversation_id": "b"},
        {"assistant": "shop", "conversation_id": "b"},
    )
    stores.writer.insert_facts(written)
    asked = [("shop", "a"), ("bank", "b")]
    assert {fact.key for fact in stores.reader.read_facts(asked)} == set(asked)


def test_thousands_of_conversations_are_read_in_one_call(stores: Stores) -> None:
    written = facts(*({"conversation_id": f"{'größe' * 20}-{number}"} for number in range(6000)))
    stores.writer.insert_facts(written)
    assert set(stores.reader.read_facts(keys_of(written))) == stored(written)


def test_what_is_looked_up_comes_with_how_far_the_topics_are_stored(stores: Stores) -> None:
    written = facts({}, {"id": "another"}, {"assistant": "bank"})
    stores.writer.insert_facts(written)
    assert stores.reader.look_up([("shop", "c-1")])[1] == {}
    stores.writer.insert_frontier({("events", 0): 17, ("events", 3): 1 << 40, ("labels", 0): 2})
    stores.writer.insert_frontier({("events", 0): 18})
    known = {("events", 0): 18, ("events", 3): 1 << 40, ("labels", 0): 2}
    found, frontier = stores.reader.look_up(keys_of(written))
    assert set(found) == stored(written)
    assert frontier == known
    assert stores.reader.look_up([("shop", "absent")]) == ([], known)


def test_a_frontier_that_comes_late_moves_nothing_back(stores: Stores) -> None:
    stores.writer.insert_frontier({("events", 0): 18})
    stores.writer.insert_frontier({("events", 0): 17, ("events", 1): 1})
    stores.writer.insert_frontier({})
    assert stores.reader.look_up([("shop", "c-1")])[1] == {("events", 0): 18, ("events", 1): 1}


def test_a_fact_written_twice_is_one_fact(stores: Stores) -> None:
    written = facts({}, {"id": "e-0", "payload": b"another content of the id"})
    stores.writer.insert_facts(written)
    stores.writer.insert_facts(written)
    assert set(stores.reader.read_facts([("shop", "c-1")])) == stored(written)


def test_what_the_writer_is_given_may_be_changed_afterwards(stores: Stores) -> None:
    written, expected = facts({}), stored(facts({}))
    columns = rows(row())
    stores.writer.insert_facts(written)
    stores.writer.insert_rows(columns)
    written.payload.clear()
    columns.columns["version"][0] = 0
    assert set(stores.reader.read_facts([("shop", "c-1")])) == expected
    assert stores.rows() == [row()]


def test_empty_columns_are_written_without_complaint(stores: Stores) -> None:
    stores.writer.insert_facts(FactColumns())
    stores.writer.insert_rows(RowColumns.empty())
    stores.writer.insert_dead_letters([])
    stores.writer.erase([])
    stores.writer.delete_rows([])
    assert stores.writer.close_idle({}, PARTITIONS) == 0
    assert stores.writer.sweep() == 0
    assert stores.reader.read_rows([], [TODAY]) == {}
    assert stores.reader.read_rows([("shop", "c-1")], []) == {}
    assert list(stores.reader.scan_facts()) == []
    assert list(stores.reader.scan_rows()) == []
    assert list(stores.reader.dead_letters()) == []
    assert stores.rows() == []


def test_facts_of_many_months_go_into_one_insert(stores: Stores) -> None:
    written = facts(*({"id": f"e-{month}", "at": AT - month * 31 * DAY} for month in range(150)))
    stores.writer.insert_facts(written)
    assert len(stores.reader.read_facts([("shop", "c-1")])) == 150


def test_a_records_timestamp_may_be_nonsense(stores: Stores) -> None:
    written = facts({"id": "a", "recorded_at": -1}, {"id": "b", "recorded_at": 1 << 62})
    stores.writer.insert_facts(written)
    assert set(stores.reader.read_facts([("shop", "c-1")])) == stored(written)


FULL = row(
    conversation_id="full",
    closed=True,
    ended_at=AT + 2 * MINUTE,
    close_reason="ended",
    duration_ms=2 * MINUTE,
    reopened=1,
    messages=5,
    user_messages=3,
    agent_messages=1,
    queries=2,
    rating=4,
    feedback="it's \\ fine\n",
    has_feedback=True,
    user_id="u-1",
    user_name="Zoë",
    channel="web",
    device="mobile",
    location="DE",
    language="de",
    topic="billing",
    subtopic="refund",
    attributes={"plan": "gold", "Größe": "L'"},
    escalated=True,
    claimed=True,
    assigned_to="kim",
    team="second line",
    fallbacks=2,
    fallback_causes=[("e-1", "flagged", "other", None), ("e-2", "low_confidence", "low_confidence", 0.25)],
    label="negative",
    correction="Say it politely",
    label_id="l-1",
    labelled_by="kim",
    labelled_at=AT + HOUR,
    label_reason="rude",
    label_stale=True,
    version=(3 << 56) + (7 << 24) + 1,
)


def test_rows_stand_as_they_were_written(stores: Stores) -> None:
    written = [
        FULL,
        row(conversation_id="plain"),
        row(conversation_id="zero rating", rating=0, duration_ms=0, ended_at=0),
        row(conversation_id="nothing said", version=0, started_at=0, last_activity_at=0, closes_at=0),
        row(conversation_id="largest", version=(1 << 64) - 1, messages=(1 << 32) - 1, opened_on=65535),
    ]
    stores.writer.insert_rows(rows(*written))
    assert stores.rows() == sorted(written, key=lambda one: (one["opened_on"], one["conversation_id"]))


def test_rows_that_are_all_alike_stand_as_they_were_written(stores: Stores) -> None:
    written = [{**FULL, "conversation_id": name} for name in sorted(HOSTILE, key=str.encode)]
    stores.writer.insert_rows(rows(*written))
    assert stores.rows() == written


@pytest.mark.parametrize("newest_first", [False, True], ids=["in order", "the newest first"])
def test_the_greatest_version_of_a_row_counts(stores: Stores, newest_first: bool) -> None:
    versions = [row(version=number, topic=str(number)) for number in range(3)]
    for one in versions[:: -1 if newest_first else 1]:
        stores.writer.insert_rows(rows(one))
    assert stores.rows() == [versions[-1]]


def test_of_equal_versions_the_row_written_last_counts(stores: Stores) -> None:
    for topic in ("first", "second"):
        stores.writer.insert_rows(rows(row(topic=topic)))
    assert [one["topic"] for one in stores.rows()] == ["second"]


def test_a_row_says_when_it_was_inserted_and_says_so_anew_when_that_is_tried_again(stores: Stores) -> None:
    columns = rows(row(conversation_id="a"), row(conversation_id="b", updated_at=AT))
    for _ in range(2):
        stores.clock.now += MINUTE
        stores.writer.insert_rows(columns)
        assert [one["updated_at"] for one in stores.rows()] == [stores.clock.now] * 2
    assert columns.columns["updated_at"] == [AT + HOUR, AT]


def test_a_deleted_row_hides_the_rows_under_its_day_and_no_other(stores: Stores) -> None:
    here, there = row(version=5), row(version=5, opened_on=TODAY + 1)
    stores.writer.insert_rows(rows(here))
    stores.writer.insert_rows(rows({**here, "is_deleted": True}, there))
    assert stores.rows() == [there]
    stores.writer.insert_rows(rows({**here, "version": 4}))
    assert stores.rows() == [there]


def test_rows_are_found_under_the_days_asked_for(stores: Stores) -> None:
    stores.writer.insert_rows(rows(row(), row(conversation_id="c-2", opened_on=TODAY - 40, version=9)))
    stores.writer.insert_rows(rows(row(conversation_id="c-3", is_deleted=True), row(assistant="bank")))
    keys = [("shop", name) for name in ("c-1", "c-2", "c-3", "absent")]
    assert set(stores.reader.read_rows(keys, [TODAY])) == {("shop", "c-1")}
    found = stores.reader.read_rows([*keys, ("bank", "c-1")], [TODAY, TODAY - 40])
    assert set(found) == {("shop", "c-1"), ("shop", "c-2"), ("bank", "c-1")}
    assert found["shop", "c-2"] == StoredRow(("shop", "c-2"), TODAY - 40, 9, False, "", AT + MINUTE + 4 * HOUR)


def test_rows_with_hostile_ids_are_found(stores: Stores) -> None:
    stores.writer.insert_rows(rows(*(row(conversation_id=name) for name in HOSTILE)))
    keys = {("shop", name) for name in HOSTILE}
    assert stores.reader.read_rows(keys, [TODAY]).keys() == keys


def test_a_closed_row_says_so(stores: Stores) -> None:
    stores.writer.insert_rows(rows(FULL))
    found = stores.reader.read_rows([("shop", "full")], [TODAY])["shop", "full"]
    assert (found.closed, found.close_reason, found.version) == (True, "ended", FULL["version"])


def test_idle_rows_close_when_the_clock_of_their_partition_has_passed(stores: Stores) -> None:
    ids = [f"größe-{number}" for number in range(40)]
    written = [row(conversation_id=one, started_at=AT + number * MINUTE) for number, one in enumerate(ids)]
    stores.writer.insert_rows(rows(*written))
    clocks = {0: written[20]["closes_at"], 2: written[30]["closes_at"]}
    due = [one for one in written if one["closes_at"] <= clocks.get(home_partition(one["conversation_id"], 4), -1)]
    assert 0 < len(due) < 30
    assert stores.writer.close_idle(clocks, PARTITIONS) == len(due)
    expected = [
        {
            **one,
            "closed": True,
            "close_reason": "idle",
            "ended_at": one["last_activity_at"],
            "duration_ms": MINUTE,
            "version": one["version"] + 1,
        }
        if one in due
        else one
        for one in written
    ]
    assert without_updated_at(stores.rows()) == without_updated_at(
        sorted(expected, key=lambda one: one["conversation_id"])
    )
    assert stores.writer.close_idle(clocks, PARTITIONS) == 0


def test_closing_keeps_every_other_column(stores: Stores) -> None:
    open_row = {**FULL, "closed": False, "close_reason": "", "ended_at": None, "duration_ms": None, "version": 2 << 24}
    stores.writer.insert_rows(rows(open_row))
    stores.clock.now += 1
    assert stores.writer.close_idle(ALL_CLOCKS, PARTITIONS) == 1
    changed = {"closed", "close_reason", "ended_at", "duration_ms", "version", "updated_at"}
    assert {name: value for name, value in stores.rows()[0].items() if name not in changed} == {
        name: value for name, value in open_row.items() if name not in changed
    }
    assert stores.rows()[0]["updated_at"] > open_row["updated_at"]


def test_what_is_closed_deleted_or_superseded_is_not_closed_again(stores: Stores) -> None:
    stores.writer.insert_rows(rows(row(conversation_id="deleted"), row(conversation_id="superseded"), FULL))
    stores.writer.insert_rows(
        rows(
            row(conversation_id="deleted", is_deleted=True, version=2 << 24),
            row(conversation_id="superseded", closes_at=AT + 200 * DAY, version=2 << 24),
        )
    )
    before = stores.rows()
    assert stores.writer.close_idle(ALL_CLOCKS, PARTITIONS) == 0
    assert stores.rows() == before


def test_all_facts_are_scanned_by_conversation_in_order(stores: Stores) -> None:
    written = facts(
        *(
            {"assistant": assistant, "conversation_id": name, "id": f"e-{number}", "at": AT + number * 20 * DAY}
            for assistant in ("shop", "bank")
            for name in HOSTILE
            for number in range(3)
        )
    )
    stores.writer.insert_facts(written)
    scanned = list(stores.reader.scan_facts())
    assert [conversation[0].key for conversation in scanned] == sorted(keys_of(written))
    assert all(len({fact.key for fact in conversation}) == 1 for conversation in scanned)
    assert {fact for conversation in scanned for fact in conversation} == stored(written)


def test_all_rows_are_scanned_in_order_and_two_of_one_conversation_are_both_given(stores: Stores) -> None:
    written = [row(conversation_id=name) for name in HOSTILE]
    written += [row(conversation_id="' twice", opened_on=TODAY - day) for day in (0, 50)]
    written += [row(assistant="bank", conversation_id="'"), row(conversation_id="deleted", is_deleted=True)]
    stores.writer.insert_rows(rows(*written))
    scanned = [(one.key, one.opened_on) for one in stores.reader.scan_rows()]
    assert scanned == sorted(
        ((one["assistant"], one["conversation_id"]), one["opened_on"]) for one in written if not one["is_deleted"]
    )


def test_dead_letters_read_back_oldest_first(stores: Stores) -> None:
    written = [
        letter(value=b"\x00\xff raw", key=None, failed_at=AT + 3, offset=0, recorded_at=-0),
        letter(value=b"", reason=Reason.EMPTY, failed_at=AT + 1, detail="it's \\ \n"),
        letter(value=b"x" * (1 << 20), topic="manager.labels", failed_at=AT + 2, reason=Reason.NO_HOME, key=b"\xff"),
    ]
    stores.writer.insert_dead_letters(written)
    assert list(stores.reader.dead_letters()) == sorted(written, key=lambda one: one.failed_at)
    assert list(stores.reader.dead_letters(Reason.EMPTY)) == [written[1]]


def test_more_dead_letters_than_a_page_are_all_given(stores: Stores) -> None:
    written = [letter(value=b"%d" % number, failed_at=AT + number) for number in range(1201)]
    stores.writer.insert_dead_letters(written)
    assert list(stores.reader.dead_letters()) == written


def test_a_requeued_letter_is_open_no_longer_until_it_fails_again(stores: Stores) -> None:
    first = letter(failed_at=AT)
    sent_again = letter(failed_at=AT, requeued_at=AT + 5)
    failed_again = letter(failed_at=AT + 9, offset=99, reason=Reason.INVALID)
    for newest, still_open in ((first, [first]), (sent_again, []), (failed_again, [failed_again])):
        stores.writer.insert_dead_letters([newest])
        assert list(stores.reader.dead_letters()) == still_open
        assert list(stores.reader.dead_letters(requeued=True)) == [newest]
    stores.writer.insert_dead_letters([first])
    assert list(stores.reader.dead_letters(requeued=True)) == [failed_again]


ERASURE_FACT = {"type": "conversation.erased", "id": "erasure", "at": AT + HOUR}
BLANK = row(version=1 << 56, is_deleted=True)


def test_an_erasure_deletes_what_lies_at_or_before_its_cut(stores: Stores) -> None:
    kept = facts(ERASURE_FACT, {"id": "after", "at": AT + HOUR + 1}, {"id": "other", "conversation_id": "c-2"})
    stores.writer.insert_facts(kept)
    stores.writer.insert_facts(
        facts({}, {"id": "at the cut", "at": AT + HOUR}, {"id": "last year", "at": AT - 300 * DAY})
    )
    stores.writer.insert_rows(rows(row(), row(opened_on=TODAY - 1), row(conversation_id="c-2"), row(assistant="bank")))
    stores.writer.insert_rows(rows(BLANK))
    stores.writer.insert_dead_letters(
        [letter(), letter(value=b"[", conversation_id="c-2"), letter(value=b"1", assistant="")]
    )
    stores.writer.erase([Erasure(("shop", "c-1"), AT + HOUR, 1 << 56)])
    assert {fact for conversation in stores.reader.scan_facts() for fact in conversation} == stored(kept)
    assert [(one["assistant"], one["conversation_id"]) for one in stores.rows()] == [("bank", "c-1"), ("shop", "c-2")]
    assert {one.value for one in stores.reader.dead_letters()} == {b"[", b"1"}


def test_a_blank_row_still_hides_a_slow_writers_row_after_the_erasure(stores: Stores) -> None:
    stores.writer.insert_rows(rows(row(), BLANK))
    stores.writer.erase([Erasure(("shop", "c-1"), AT + HOUR, 1 << 56)])
    stores.writer.insert_rows(rows(row(version=9 << 24)))
    assert stores.rows() == []


def test_many_erasures_go_in_one_call_each_with_its_own_cut(stores: Stores) -> None:
    names = [*HOSTILE, *(f"c-{number}" for number in range(250))]
    written = facts(
        *({"conversation_id": name, "id": str(at), "at": AT + at} for name in names for at in (0, 10_000)),
        *({"conversation_id": name, "assistant": "bank"} for name in names),
    )
    stores.writer.insert_facts(written)
    cuts = {("shop", name): AT + (place % 2) * 10_000 for place, name in enumerate(names)}
    stores.writer.erase([Erasure(key, cut, 1 << 56) for key, cut in cuts.items()])
    left = {fact.key for conversation in stores.reader.scan_facts() for fact in conversation}
    assert left == {("bank", name) for name in names} | {key for key, cut in cuts.items() if cut == AT}


def test_the_sweep_erases_what_a_slow_writer_brought_back(stores: Stores) -> None:
    kept = facts(ERASURE_FACT, {"id": "after", "at": AT + HOUR + 1}, {"id": "other", "conversation_id": "c-2"})
    stores.writer.insert_facts(kept)
    stores.writer.insert_rows(rows(BLANK, row(conversation_id="c-2")))
    stores.writer.insert_dead_letters([letter(value=b"later", recorded_at=AT + 2 * HOUR)])
    assert stores.writer.sweep() == 0
    stores.writer.insert_facts(facts({"id": "slow"}))
    stores.writer.insert_rows(rows(row(version=9 << 24), row(version=1 << 56, opened_on=TODAY + 1)))
    stores.writer.insert_dead_letters([letter(value=b"earlier", recorded_at=AT)])
    assert stores.writer.sweep() == 1
    assert {fact for conversation in stores.reader.scan_facts() for fact in conversation} == stored(kept)
    assert [one.value for one in stores.reader.dead_letters()] == [b"later"]
    assert [(one["conversation_id"], one["opened_on"]) for one in stores.rows()] == [("c-2", TODAY), ("c-1", TODAY + 1)]
    assert stores.writer.sweep() == 0


def test_the_sweep_goes_by_the_latest_of_several_erasures(stores: Stores) -> None:
    again = {"type": "conversation.erased", "id": "again", "at": AT + 2 * HOUR}
    stores.writer.insert_facts(facts(ERASURE_FACT, again, {"id": "between", "at": AT + HOUR + MINUTE}))
    stores.writer.insert_rows(rows(row(version=1 << 56), row(opened_on=TODAY + 1, version=2 << 56)))
    assert stores.writer.sweep() == 1
    assert [fact.digest for fact in stores.reader.read_facts([("shop", "c-1")])].__len__() == 2
    assert [one["opened_on"] for one in stores.rows()] == [TODAY + 1]


def test_rows_are_deleted_whatever_their_version(stores: Stores) -> None:
    stores.writer.insert_rows(rows(row(version=(1 << 64) - 1), row(opened_on=TODAY - 90), row(conversation_id="it's")))
    stores.writer.insert_rows(rows(row(conversation_id="c-2"), row(assistant="bank")))
    stores.writer.delete_rows([("shop", "c-1"), ("shop", "it's"), ("bank", "c-2"), ("shop", "absent")])
    assert [(one["assistant"], one["conversation_id"]) for one in stores.rows()] == [("bank", "c-1"), ("shop", "c-2")]
    stores.writer.insert_rows(rows(row(version=1)))
    assert [one["version"] for one in stores.rows() if one["assistant"] == "shop"] == [1, 1 << 24]


def without_updated_at(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{name: value for name, value in one.items() if name != "updated_at"} for one in rows]
