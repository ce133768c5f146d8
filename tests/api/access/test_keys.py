"""The key ring: how fresh it is, how seldom it asks, and what it does while nobody answers."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
import pytest_asyncio

from api.access import keys as ring_module
from api.access.keys import LOOKUP_S, REFRESH_S, STALE_S, KeyRing, MemoryKeys
from api.access.principal import Principal, Scope
from schemas.api_keys import ApiKey
from schemas.failures import Unavailable
from tests.api.access.world import AT, made
from tests.waiting import until

TEXT, KEY = made(Scope.READ, Scope.LABELS_WRITE, name="dashboard", assistant="shop")
OTHER, OTHER_KEY = made(Scope.ERASE, name="")
SHOP = Principal(f"key:{KEY.id}", "dashboard", frozenset({Scope.READ, Scope.LABELS_WRITE}), "shop")


class Clock:
    """Seconds that go on when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Counted(MemoryKeys):
    """Counts how often it is read; `gate` shut makes a reading wait."""

    def __init__(self, *keys: ApiKey) -> None:
        super().__init__(*keys)
        self.readings = 0
        self.gate = threading.Event()
        self.gate.set()

    def read(self) -> Sequence[ApiKey]:
        self.readings += 1
        assert self.gate.wait(10)
        return super().read()


@pytest.fixture
def store() -> Counted:
    return Counted(KEY)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def ring(store: Counted, clock: Clock) -> AsyncIterator[KeyRing]:
    ring = KeyRing(store, clock)
    yield ring
    store.gate.set()
    await ring.close()


async def test_a_key_says_whose_it_is_and_is_asked_for_once(ring: KeyRing, store: Counted, clock: Clock) -> None:
    assert not ring.knows(TEXT)
    assert [await ring.find(TEXT) for _ in range(10)] == [SHOP] * 10
    assert ring.knows(TEXT)
    clock.now += REFRESH_S - 0.1
    assert await ring.find(TEXT) == SHOP
    assert store.readings == 1


async def test_a_key_without_a_name_is_named_by_its_id_and_rights_of_a_newer_version_are_left_out(
    ring: KeyRing, store: Counted
) -> None:
    store.keys.append(replace(OTHER_KEY, scopes=("erase", "fly")))
    assert await ring.find(OTHER) == Principal(
        f"key:{OTHER_KEY.id}", f"key {OTHER_KEY.id}", frozenset({Scope.ERASE}), None
    )


async def test_what_is_known_is_read_again_in_the_background(ring: KeyRing, store: Counted, clock: Clock) -> None:
    await ring.find(TEXT)
    clock.now += REFRESH_S + 0.1
    store.gate.clear()
    assert await ring.find(TEXT) == SHOP
    assert await ring.find(TEXT) == SHOP
    await until(lambda: store.readings == 2, 5, "a second reading")


async def test_a_revoked_key_ends_even_when_it_rested_for_long(ring: KeyRing, store: Counted, clock: Clock) -> None:
    await ring.find(TEXT)
    store.keys[0] = replace(KEY, revoked_at=AT)
    clock.now += STALE_S
    assert await ring.find(TEXT) is None
    assert not ring.knows(TEXT)
    assert STALE_S + LOOKUP_S < 3


async def test_a_key_works_as_soon_as_it_is_made(ring: KeyRing, store: Counted, clock: Clock) -> None:
    await ring.find(TEXT)
    clock.now += 0.01
    assert await ring.find(OTHER) is None
    store.keys.append(OTHER_KEY)
    clock.now += 0.01
    found = await ring.find(OTHER)
    assert found is not None
    assert found.scopes == {Scope.ERASE}


async def test_a_key_made_while_the_store_is_being_read_is_found_by_the_next_reading(
    ring: KeyRing, store: Counted, clock: Clock
) -> None:
    store.gate.clear()
    first = asyncio.create_task(ring.find(TEXT))
    await until(lambda: store.readings == 1, 5, "the first reading")
    clock.now += 0.01
    second = asyncio.create_task(ring.find(OTHER))
    await asyncio.sleep(0)
    store.gate.set()
    assert await first == SHOP
    store.keys.append(OTHER_KEY)
    clock.now += LOOKUP_S
    found = await second
    assert found is not None
    assert store.readings == 2


async def test_guessing_asks_the_store_a_few_times_a_second_and_every_guess_is_answered(store: Counted) -> None:
    ring = KeyRing(store)
    await ring.find(TEXT)
    guesses = [made(Scope.READ)[0] for _ in range(500)]
    began = asyncio.get_running_loop().time()
    assert set(await asyncio.gather(*map(ring.find, guesses))) == {None}
    took = asyncio.get_running_loop().time() - began
    assert store.readings <= 2 + took / LOOKUP_S
    await ring.close()


async def test_what_cannot_be_a_key_and_a_known_id_with_another_secret_ask_nobody(
    ring: KeyRing, store: Counted, clock: Clock
) -> None:
    forged, _ = made(Scope.READ)
    store.keys.append(replace(OTHER_KEY, id=forged[3:13]))
    await ring.find(TEXT)
    clock.now += 0.1
    assert await ring.find(forged) is None
    assert await ring.find("aw_nonsense") is None
    assert not ring.knows(forged)
    assert store.readings == 1


async def test_known_keys_go_on_while_the_store_is_down_and_others_are_told_that_nobody_can_tell(
    ring: KeyRing, store: Counted, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await ring.find(TEXT)
    store.down = True
    for _ in range(20):
        clock.now += STALE_S
        assert await ring.find(TEXT) == SHOP
    with pytest.raises(Unavailable):
        await ring.find(OTHER)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    store.down = False
    store.keys[0] = replace(KEY, revoked_at=AT)
    clock.now += STALE_S
    await ring.find(TEXT)
    await ring.close()
    assert await ring.find(TEXT) is None


async def test_with_nothing_known_and_the_store_down_nobody_is_refused_for_their_key(
    ring: KeyRing, store: Counted, clock: Clock
) -> None:
    store.down = True
    with pytest.raises(Unavailable):
        await ring.find(TEXT)
    store.down = False
    clock.now += LOOKUP_S
    assert await ring.find(TEXT) == SHOP


async def test_a_store_that_hangs_delays_a_known_key_once(
    ring: KeyRing, store: Counted, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring_module, "PATIENCE_S", 0.05)
    monkeypatch.setattr(ring_module, "LONG_PATIENCE_S", 0.05)
    await ring.find(TEXT)
    store.gate.clear()
    clock.now += STALE_S
    assert await ring.find(TEXT) == SHOP
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(200):
        clock.now += STALE_S
        assert await ring.find(TEXT) == SHOP
    assert loop.time() - began < 200 * 0.05
    assert store.readings == 2
    with pytest.raises(Unavailable, match="too long"):
        await ring.find(OTHER)
