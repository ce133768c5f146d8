"""Who may sign in, and what they may."""

import pytest

from api.access.people import Identity, People
from api.access.principal import Principal, Scope

ANA = Identity("u-1", "Ana@Example.org", "Ana")
BOTH = frozenset({Scope.READ, Scope.LABELS_WRITE})


def test_without_a_list_everybody_reads_and_labels() -> None:
    assert People().principal(ANA) == Principal("person:u-1", "Ana@Example.org", BOTH)
    assert People().principal(Identity("u-2", name="Bo")) == Principal("person:u-2", "Bo", BOTH)
    assert People().principal(Identity("u-3")) == Principal("person:u-3", "u-3", BOTH)


@pytest.mark.parametrize("listed", ["ana@example.org", "@EXAMPLE.ORG"])
def test_a_list_names_addresses_and_domains_in_any_case(listed: str) -> None:
    assert People((listed,)).principal(ANA) is not None


@pytest.mark.parametrize(
    "who",
    [
        Identity("u-1", "eve@elsewhere.org"),
        Identity("u-1", "eve@sub.example.org"),
        Identity("u-1", "eve@notexample.org"),
        Identity("u-1", ""),
        Identity("u-1", "example.org"),
        Identity("ana@example.org", ""),
        Identity("u-1", "", "ana@example.org"),
    ],
)
def test_who_is_not_on_the_list_is_nobody(who: Identity) -> None:
    assert People(("ana@example.org", "@example.org")).principal(who) is None


def test_a_list_of_nobody_admits_nobody() -> None:
    assert People(()).principal(ANA) is None


def test_only_those_named_may_erase() -> None:
    people = People(erasers=("ana@example.org",))
    ana, bo = people.principal(ANA), people.principal(Identity("u-2", "bo@example.org"))
    assert ana is not None
    assert bo is not None
    assert (ana.scopes, bo.scopes) == (BOTH | {Scope.ERASE}, BOTH)
