"""`afterword rules`: the rules in force, and what is wrong with a file."""

from pathlib import Path

from schemas.rules import FALLBACK_RULES, Rules
from tests.runtime.commands import afterword

OWN = """
revision = 7

[assistants.shop]
idle_gap_minutes = 30
"""


def test_the_shipped_rules_are_shown_as_a_file_that_reads_back_the_same() -> None:
    ended = afterword("rules", "show")
    assert (ended.status, ended.err) == (0, "")
    assert Rules.parse(ended.out) == Rules.load(None)
    assert ended.out.startswith("# Rules in force: revision 1, as shipped.\n")
    for rule in FALLBACK_RULES:
        assert f"#   {rule.name:<15} {rule.version}  {rule.description}\n" in ended.out


def test_the_rules_of_a_file_are_shown_for_all_assistants_or_for_one(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(OWN)
    settings = {"AFTERWORD_RULES": str(file)}
    everything = afterword("rules", "show", settings=settings)
    assert f"# Rules in force: revision 7, from {file}.\n" in everything.out
    assert Rules.parse(everything.out) == Rules.load(file)
    shop = afterword("rules", "show", "--rules-of", "shop", settings=settings)
    assert "# Assistant shop has a section of its own;" in shop.out
    assert Rules.parse(shop.out).default == Rules.load(file).of("shop")
    bank = afterword("rules", "show", "--rules-of", "bank", settings=settings)
    assert "# Assistant bank has no section of its own;" in bank.out
    assert Rules.parse(bank.out).default == Rules.load(file).default


def test_a_valid_file_is_said_to_be_one_with_its_revision_and_assistants(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(OWN)
    ended = afterword("rules", "check", str(file))
    assert (ended.status, ended.out, ended.err) == (
        0,
        f"{file} is valid: revision 7; assistants with a section of their own: shop\n",
        "",
    )


def test_every_fault_of_a_file_is_a_line(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('revision = 0\n[default]\nidle_gap = 3\nfallback_threshold = "high"\n')
    ended = afterword("rules", "check", str(file))
    assert (ended.status, ended.out) == (1, "")
    assert sorted(line.partition(":")[0] for line in ended.err.splitlines()) == [
        "default.fallback_threshold",
        "default.idle_gap",
        "revision",
    ]
    assert "did you mean idle_gap_minutes?" in ended.err


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    ended = afterword("rules", "check", str(tmp_path / "none.toml"))
    assert (ended.status, ended.err) == (1, f"{tmp_path / 'none.toml'}: No such file or directory\n")
