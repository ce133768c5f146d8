"""Memory and ClickHouse agree on which rows are left, whatever was written in whatever order."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from sinks.live_rows import live_rows
from sinks.memory import MemoryStore
from tests.builders import AT, HOUR
from tests.sinks.building import TODAY, row, rows
from tests.sinks.conftest import emptied

written_rows = st.builds(
    lambda conversation_id, day, version, deleted, topic: row(
        conversation_id=conversation_id,
        opened_on=TODAY + day,
        version=version,
        is_deleted=deleted,
        topic=topic,
        closed=bool(version % 2),
    ),
    st.sampled_from(["a", "b"]),
    st.sampled_from([-40, -1, 0]),
    st.integers(0, 5),
    st.booleans(),
    st.sampled_from(["", "billing", "shipping"]),
)
inserts = st.lists(st.one_of(st.lists(written_rows, max_size=6), st.integers(0, 6)), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(inserts)
def test_memory_and_clickhouse_end_with_the_same_rows(
    chdb: Database, steps: list[list[dict[str, object]] | int]
) -> None:
    emptied(chdb)
    memory, writer, client = MemoryStore(), ClickHouseWriter(chdb), chdb.client()
    for step in steps:
        if isinstance(step, int):  # a clock, in hours after the rows began
            clocks = {0: AT + step * HOUR}
            assert memory.close_idle(clocks, 2) == writer.close_idle(clocks, 2)
        else:
            memory.insert_rows(rows(*step))
            writer.insert_rows(rows(*step))
    left = [[{**one, "updated_at": None} for one in store] for store in (memory.rows(), live_rows(client))]
    writer.close()
    client.close()
    assert left[0] == left[1]
