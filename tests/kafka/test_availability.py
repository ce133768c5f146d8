"""Where Apache Kafka cannot run, its tests say so; where it must run, they fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
JAVA_11 = "#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n"


def a_run(tools: Path, required: bool) -> subprocess.CompletedProcess[str]:
    """A run of one test that wants Apache Kafka, on a machine that has the programs in `tools` and no others."""
    environment = os.environ | {"PATH": str(tools), "TESTS_REQUIRE_KAFKA": "1" if required else ""}
    test = "tests/kafka/test_broker.py::test_the_jars_are_fetched_once"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_without_java_its_tests_are_skipped_and_say_so(tmp_path: Path) -> None:
    run = a_run(tmp_path, required=False)
    assert run.returncode == 0, run.stdout
    assert "its tests are skipped, there is no java, and 17 or newer is needed" in run.stdout
    assert "1 skipped" in run.stdout


def test_where_it_is_required_they_fail(tmp_path: Path) -> None:
    run = a_run(tmp_path, required=True)
    assert run.returncode == 1, run.stdout
    assert "Apache Kafka is required here, but there is no java, and 17 or newer is needed" in run.stdout


def test_an_older_java_is_named(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text(JAVA_11)
    java.chmod(0o755)
    run = a_run(tmp_path, required=False)
    assert "Java 17 or newer is needed, and" in run.stdout
    assert '"11.0.2"' in run.stdout
    assert "1 skipped" in run.stdout


@pytest.mark.usefixtures("kafka_jars")
def test_what_uses_it_can_be_left_out_by_its_marker(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("kafka") is not None
