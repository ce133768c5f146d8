"""The hot path means the same compiled and interpreted, and what is compiled is what stands in the sources."""

import importlib
import subprocess
import sys
from pathlib import Path

import py3langid
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import language
from processors.classifier import COMPILED, Classifier

ROOT = Path(__file__).parent.parent.parent
MODULES = sorted(f"processors.{one.stem}" for one in (ROOT / "processors").glob("*.pxd"))
KNOWN = [
    "Where is my parcel? I ordered it last week.",
    "Wo ist mein Paket? Ich habe es letzte Woche bestellt.",
    "¿Dónde está mi paquete? Lo pedí la semana pasada.",
    "荷物はどこですか。先週注文しました。",
    "Где моя посылка? Я заказал её на прошлой неделе.",
    "WHERE IS MY PARCEL",
    "",
    "\ud800",
]


@pytest.mark.parametrize("name", MODULES)
def test_all_of_the_hot_path_is_compiled_or_nothing(name: str) -> None:
    file = importlib.import_module(name).__file__
    assert file is not None
    assert file.endswith(".py") != COMPILED


def test_the_fold_means_the_same_when_it_is_interpreted() -> None:
    if not COMPILED:
        pytest.skip("interpreted already: no C compiler here")
    probe = "import processors.conversation as it; assert it.__file__.endswith('.py'), it.__file__"
    plugin = [sys.executable, "-c", f"import tests.interpreted; {probe}"]
    subprocess.run(plugin, cwd=ROOT, check=True, timeout=60)
    files = [
        f"tests/processors/test_{name}.py"
        for name in ("fold", "reading", "times", "questions", "fallbacks", "language", "worker_copies")
    ]
    command = [sys.executable, "-m", "pytest", "-p", "tests.interpreted", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, check=False, timeout=280, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """A classifier of the languages told apart."""
    return Classifier(language.LANGUAGES)


@pytest.mark.parametrize("text", KNOWN)
def test_languages_are_those_that_py3langid_names(classifier: Classifier, text: str) -> None:
    py3langid.set_languages(language.LANGUAGES)
    assert classifier.classify(text) == py3langid.classify(text)[0]


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=60) | st.lists(st.sampled_from(" ".join(KNOWN).split()), max_size=9).map(" ".join))
def test_any_text_has_the_language_that_py3langid_names(classifier: Classifier, text: str) -> None:
    py3langid.set_languages(language.LANGUAGES)
    assert classifier.classify(text) == py3langid.classify(text)[0]
