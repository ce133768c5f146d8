"""How keys are written."""

import re

import pytest

from api.access.key_format import PATTERN, digest_of, id_in
from api.access.principal import Scope
from tests.api.access.world import made


def test_a_key_is_recognised_and_holds_its_id_and_only_its_digest_is_stored() -> None:
    text, key = made(Scope.READ, Scope.ERASE, name="dashboard", assistant="shop")
    assert re.fullmatch(PATTERN, text)
    assert id_in(text) == key.id
    assert key.digest == digest_of(text)
    assert text not in repr(key)
    assert text[14:] not in repr(key)
    assert (key.scopes, key.name, key.assistant) == (("erase", "read"), "dashboard", "shop")


def test_no_two_keys_are_alike() -> None:
    assert len({made(Scope.READ)[0] for _ in range(100)}) == 100


@pytest.mark.parametrize("place", [3, 12, 14, 30, -1])
def test_a_slip_of_one_character_makes_it_no_key(place: int) -> None:
    text, _ = made(Scope.READ)
    other = "a" if text[place] != "a" else "b"
    slipped = text[:place] + other + (text[place + 1 :] if place != -1 else "")
    assert id_in(slipped) is None


@pytest.mark.parametrize("text", ["", "aw_", "aw_x_y", "Bearer", "\x00", "é" * 52, "aw_" + "0" * 1_000_000])
def test_what_is_no_key_has_no_id(text: str) -> None:
    assert id_in(text) is None


def test_nothing_may_stand_around_a_key() -> None:
    text, _ = made(Scope.READ)
    assert [id_in(one) for one in (f" {text}", f"{text}\n", f"x{text}")] == [None] * 3
