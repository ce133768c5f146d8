import pytest
from aiokafka.partitioner import murmur2 as kafkas_murmur2
from hypothesis import given
from hypothesis import strategies as st

from schemas.partitioning import home_partition, home_partitions, murmur2

keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(st.binary(max_size=70))
def test_murmur2_is_kafkas(key: bytes) -> None:
    assert murmur2(key) == kafkas_murmur2(key) & 0xFFFFFFFF


@given(keys, st.integers(1, 1000))
def test_the_home_partition_is_the_one_the_producer_chooses(conversation_id: str, partitions: int) -> None:
    assert home_partition(conversation_id, partitions) == (
        (kafkas_murmur2(conversation_id.encode()) & 0x7FFFFFFF) % partitions
    )


@given(st.lists(keys, max_size=40), st.integers(1, 1000))
def test_many_at_once_are_at_home_where_each_is_by_itself(ids: list[str], partitions: int) -> None:
    assert home_partitions(ids, partitions) == [home_partition(one, partitions) for one in ids]


@given(st.lists(st.text(st.characters(codec="ascii"), max_size=40), max_size=40))
def test_plain_ids_of_mixed_lengths_are_at_home_where_each_is_by_itself(ids: list[str]) -> None:
    assert home_partitions(ids, 12) == [home_partition(one, 12) for one in ids]


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_known_answers_of_kafkas_own_test_hold(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed & 0xFFFFFFFF
