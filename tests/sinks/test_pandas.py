"""pandas comes with chDB's package and is never loaded: it would take a second, and 50 MB."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from sinks.clickhouse_reader import ClickHouseReader
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from sinks.migrate import migrate
from tests.sinks.building import facts, keys_of, row, rows

database = Database.parse("chdb://" + sys.argv[1])
migrate(database)
writer, reader = ClickHouseWriter(database), ClickHouseReader(database)
written = facts({"text": "hello"}, {"id": "e-2"})
writer.insert_facts(written)
writer.insert_rows(rows(row()))
assert len(reader.look_up(keys_of(written))[0]) == 2
assert "pandas" not in sys.modules
import pandas  # whoever wants it still gets it
"""


def test_neither_writing_nor_reading_loads_pandas(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "store")], check=True, timeout=120)
