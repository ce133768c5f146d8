"""`afterword check`: one line for each thing looked at, and a status that a script can use."""

from pathlib import Path

from runtime.broker import free_port
from runtime.finding import any_wrong, note, ok, wrong
from tests.runtime.commands import afterword, fill
from tests.sinks.building import letter


def test_a_folder_that_is_not_there_yet_is_nothing_wrong(tmp_path: Path) -> None:
    ended = afterword("check", "--data", str(tmp_path / "new"))
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "✓ ok     settings: valid",
        "✓ ok     rules: as they come with Afterword, revision 1",
        f"✓ ok     data folder: {tmp_path / 'new'} can be made",
        f"• note   embedded stack: not running: `afterword up --data {tmp_path / 'new'}` starts it",
        "• note   ClickHouse: no data there yet: `afterword demo` makes some",
    ]
    assert not (tmp_path / "new").exists()


def test_a_folder_at_rest_is_looked_into_and_open_letters_are_worth_a_note(tmp_path: Path) -> None:
    fill(tmp_path / "data", letters=[letter(), letter(value=b"again", requeued_at=1_800_000_000_000)])
    ended = afterword("check", "--data", str(tmp_path / "data"))
    assert (ended.status, ended.err) == (0, "")
    version, tables, letters = ended.out.splitlines()[-3:]
    assert version.startswith("✓ ok     ClickHouse: 26.")
    assert tables == "✓ ok     tables: as this version needs them"
    assert letters == "• note   dead letters: 1 is open (1 malformed): see `afterword dead-letters list`"


def test_a_file_in_the_place_of_the_folder_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = afterword("check", "--data", str(tmp_path / "file"))
    assert (ended.status, ended.err) == (1, "")
    assert "✗ wrong  data folder: " in ended.out


def test_settings_and_rules_that_cannot_be_used_are_wrong(tmp_path: Path) -> None:
    misspelt = afterword("check", settings={"AFTERWORD_KAFKAA": "kafka://localhost"})
    assert misspelt.status == 1
    assert "✗ wrong  settings: AFTERWORD_KAFKAA is not a setting: did you mean AFTERWORD_KAFKA?" in misspelt.err
    file = tmp_path / "rules.toml"
    file.write_text("[default]\nidle_gap = 3\n")
    ruled = afterword("check", "--data", str(tmp_path), settings={"AFTERWORD_RULES": str(file)})
    assert ruled.status == 1
    assert len([line for line in ruled.out.splitlines() if line.startswith("✗ wrong  rules: ")]) == 2


def test_of_a_cluster_every_part_that_does_not_answer_is_wrong_and_no_password_is_shown() -> None:
    port = free_port()
    ended = afterword(
        "check",
        settings={
            "AFTERWORD_KAFKA": f"kafka://127.0.0.1:{port}",
            "AFTERWORD_CLICKHOUSE": f"clickhouse://someone:geheim@127.0.0.1:{port}/afterword",
        },
    )
    assert (ended.status, ended.err) == (1, "")
    kafka, clickhouse = ended.out.splitlines()[2:]
    assert kafka.startswith(f"✗ wrong  Kafka: 127.0.0.1:{port} does not answer: ")
    assert clickhouse.startswith(
        f"✗ wrong  ClickHouse: no answer from ClickHouse at clickhouse://127.0.0.1:{port}/afterword: is it running"
    )
    assert "geheim" not in ended.out


def test_half_a_cluster_is_wrong() -> None:
    ended = afterword("check", settings={"AFTERWORD_KAFKA": f"kafka://127.0.0.1:{free_port()}"})
    assert ended.status == 1
    assert "✗ wrong  settings: AFTERWORD_CLICKHOUSE is not set: a cluster needs it\n" in ended.out


def test_a_finding_reads_without_colours_and_only_a_wrong_one_counts() -> None:
    assert ok("rules", "revision 2").line() == "✓ ok     rules: revision 2"
    assert note("letters", "1 is open", "look").line() == "• note   letters: 1 is open: look"
    assert wrong("Kafka", "silent", "start it").line() == "✗ wrong  Kafka: silent: start it"
    assert any_wrong([ok("a", "b"), note("a", "b")]) is False
    assert any_wrong([ok("a", "b"), wrong("a", "b")]) is True
