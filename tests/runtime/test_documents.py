"""The pages of docs/ that are made from the settings, the metrics and the HTTP interface: up to date, and complete."""

import re
from pathlib import Path

import pytest

from processors.measures import MEASURES
from runtime.documents import FOLDER, documents, main, outdated, write
from runtime.metrics import name_of
from runtime.settings import Settings, variable


def test_the_pages_in_docs_are_what_the_registries_give() -> None:
    assert outdated() == []


def test_a_page_that_is_missing_or_changed_is_found_and_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    (tmp_path / "metrics.md").unlink()
    (tmp_path / "settings.md").write_text("changed")

    with pytest.raises(SystemExit, match=re.escape("metrics.md, settings.md")):
        main(["--check", "--folder", str(tmp_path)])
    assert outdated(tmp_path) == ["metrics.md", "settings.md"]

    main(["--folder", str(tmp_path)])
    main(["--check", "--folder", str(tmp_path)])
    assert outdated(tmp_path) == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("path", [path for path in documents() if path.endswith(".md")])
def test_a_row_of_a_table_has_as_many_cells_as_its_head(path: str) -> None:
    rows = [line for line in (FOLDER / path).read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert len(rows) > 2
    assert {row.count("|") for row in rows} == {rows[0].count("|")}


def test_every_setting_and_every_metric_is_explained() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"| `{variable(name)}` |" in documents()["settings.md"]
    for measure in MEASURES:
        assert measure.meaning, measure.name
        assert measure.remedy, measure.name
        assert f"| `{name_of(measure)}` |" in documents()["metrics.md"]
