"""Two managers at once do not get the same conversation."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from api.access.principal import Principal, Scope
from api.queries.leases import ReviewLeases
from schemas.facts import Key
from schemas.failures import Unavailable
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.connection import Database
from tests.sinks.building import HOSTILE
from tests.waiting import until

ANA, BEN = (Principal(f"person:{name}", name, frozenset({Scope.LABELS_WRITE})) for name in ("ana", "ben"))
CANDIDATES = [("shop", f"c-{number}") for number in range(12)]


@pytest.fixture
async def processes(database: Database) -> AsyncIterator[list[ReviewLeases]]:
    """The leases as three processes see them, on one ClickHouse."""
    asked = [ClickHouseQueries(database) for _ in range(3)]
    yield [ReviewLeases(one) for one in asked]
    for one in asked:
        one.close()


@pytest.fixture
def leases(processes: list[ReviewLeases]) -> ReviewLeases:
    """The leases, as one process sees them."""
    return processes[0]


async def test_the_first_candidate_that_nobody_else_holds_is_taken(leases: ReviewLeases) -> None:
    assert await leases.claim(ANA, CANDIDATES) == CANDIDATES[0]
    assert await leases.claim(BEN, CANDIDATES) == CANDIDATES[1]
    assert await leases.claim(BEN, CANDIDATES[:1]) is None
    assert await leases.claim(BEN, []) is None


async def test_a_person_in_two_windows_is_one_holder(processes: list[ReviewLeases]) -> None:
    taken = await asyncio.gather(*(one.claim(ANA, CANDIDATES) for one in processes))
    assert taken == [CANDIDATES[0]] * 3


async def test_what_is_given_back_is_free_again(leases: ReviewLeases) -> None:
    await leases.claim(ANA, CANDIDATES)
    await leases.release(BEN, CANDIDATES[0])
    assert await leases.claim(BEN, CANDIDATES[:1]) is None
    await leases.release(ANA, CANDIDATES[0])
    assert await leases.claim(BEN, CANDIDATES[:1]) == CANDIDATES[0]
    assert await leases.claim(ANA, CANDIDATES[:1]) is None


async def test_what_is_not_renewed_is_free_again(database: Database, leases: ReviewLeases) -> None:
    short = ClickHouseQueries(database)
    assert await ReviewLeases(short, timedelta(milliseconds=200)).claim(ANA, CANDIDATES) == CANDIDATES[0]
    taken = await until(lambda: leases.claim(BEN, CANDIDATES[:1]), 20, "the lease to run out")
    assert taken == CANDIDATES[0]
    assert not await leases.renew(ANA, CANDIDATES[0])
    assert await leases.renew(BEN, CANDIDATES[0])
    short.close()


async def test_a_lease_that_ran_out_is_renewed_when_nobody_took_it(database: Database, leases: ReviewLeases) -> None:
    short = ClickHouseQueries(database)
    await ReviewLeases(short, timedelta(0)).claim(ANA, CANDIDATES)
    assert await leases.renew(ANA, CANDIDATES[0])
    assert await leases.claim(BEN, CANDIDATES) == CANDIDATES[1]
    short.close()


async def test_what_nobody_holds_is_not_renewed(leases: ReviewLeases) -> None:
    assert not await leases.renew(ANA, CANDIDATES[0])
    assert await leases.claim(BEN, CANDIDATES) == CANDIDATES[0]


async def test_conversations_of_another_assistant_are_passed_over(leases: ReviewLeases) -> None:
    only = Principal("key:bank", "the bank's", frozenset({Scope.LABELS_WRITE}), "bank")
    assert await leases.claim(only, [*CANDIDATES, ("bank", "c-0")]) == ("bank", "c-0")
    assert await leases.claim(only, CANDIDATES) is None


async def test_any_text_may_be_an_id(leases: ReviewLeases) -> None:
    keys = [("shop", one) for one in HOSTILE]
    assert [await leases.claim(ANA, [key]) for key in keys] == keys
    assert [await leases.claim(BEN, [key]) for key in keys] == [None] * len(keys)


async def test_more_candidates_than_one_query_takes_are_looked_through(leases: ReviewLeases) -> None:
    many = [("shop", "x" * 200 + str(number)) for number in range(1_100)]
    assert await leases.claim(ANA, many[-1:]) == many[-1]
    assert await leases.claim(BEN, [many[-1], *many]) == many[0]


async def test_of_many_who_ask_at_once_each_gets_another_one(processes: list[ReviewLeases]) -> None:
    people = [Principal(f"person:{number}", "", frozenset()) for number in range(18)]
    claims = (processes[number % 3].claim(one, CANDIDATES) for number, one in enumerate(people))
    taken = await asyncio.gather(*claims)
    assert sorted(key for key in taken if key) == sorted(CANDIDATES)
    assert taken.count(None) == len(people) - len(CANDIDATES)


async def test_there_are_never_two_holders(processes: list[ReviewLeases]) -> None:
    held: dict[Key, str] = {}

    async def review(person: Principal, leases: ReviewLeases, chance: random.Random) -> int:
        reviewed = 0
        for _ in range(12):
            key = await leases.claim(person, chance.sample(CANDIDATES[:4], 4))
            if key is None:
                continue
            assert key not in held, f"{person.id} was given what {held[key]} holds"
            held[key] = person.id
            await asyncio.sleep(chance.random() / 100)
            assert await leases.renew(person, key)
            assert held.pop(key) == person.id
            await leases.release(person, key)
            reviewed += 1
        return reviewed

    people = [Principal(f"person:{number}", "", frozenset()) for number in range(9)]
    reviews = (review(one, processes[number % 3], random.Random(number)) for number, one in enumerate(people))
    assert sum(await asyncio.gather(*reviews)) > len(people)


async def test_merging_the_table_changes_nothing(database: Database, leases: ReviewLeases) -> None:
    await leases.claim(ANA, CANDIDATES)
    await leases.release(ANA, CANDIDATES[0])
    await leases.claim(BEN, CANDIDATES)
    client = database.client()
    client.command("OPTIMIZE TABLE review_leases FINAL")
    client.close()
    assert await leases.claim(ANA, CANDIDATES) == CANDIDATES[1]


async def test_without_clickhouse_it_says_so() -> None:
    nowhere = ClickHouseQueries(Database.parse("clickhouse://127.0.0.1:1"))
    leases = ReviewLeases(nowhere)
    with pytest.raises(Unavailable):
        await leases.claim(ANA, CANDIDATES)
    with pytest.raises(Unavailable):
        await leases.renew(ANA, CANDIDATES[0])
    with pytest.raises(Unavailable):
        await leases.release(ANA, CANDIDATES[0])
    nowhere.close()
