"""The image and the compose file, as far as they can be checked where no container engine runs."""

import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.deploy.dockerfile import Instruction, instructions

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("afterword:")}
IMAGE = instructions(ROOT / "deploy" / "Dockerfile")


def last(name: str) -> Instruction:
    """The instruction of that name that is in force in the image."""
    return [instruction for instruction in IMAGE if instruction.name == name][-1]


def copied() -> list[str]:
    """What the Dockerfile copies from the repository."""
    copies = [each for each in IMAGE if each.name == "COPY" and not any("--from=" in flag for flag in each.flags)]
    return [source for copy in copies for source in copy.words[:-1]]


def test_the_compose_file_is_of_the_compose_specification() -> None:
    schema = json.loads((Path(__file__).parent / "compose.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(COMPOSE)] == []


def test_every_service_depends_on_services_and_conditions_that_exist() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            healthy = how["condition"] == "service_healthy"
            assert not healthy or "test" in SERVICES[other].get("healthcheck", {}), f"{name} waits for {other} in vain"
            once = how["condition"] == "service_completed_successfully"
            assert not once or SERVICES[other]["restart"] in {"no", "on-failure"}, f"{name} waits for {other} in vain"


def test_every_volume_is_declared_and_used() -> None:
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_the_build_finds_its_context_and_dockerfile() -> None:
    assert OURS
    for name, service in OURS.items():
        context = ROOT / "deploy" / service["build"]["context"]
        assert context.resolve() == ROOT, name
        assert (context / service["build"]["dockerfile"]).is_file(), name


def test_no_secret_has_a_default() -> None:
    interpolated = re.findall(r"\$\{([^}]*)\}", json.dumps(COMPOSE))
    assert {expression.partition(":?")[0] for expression in interpolated if "PUBLIC_URL" not in expression} == {
        "CLICKHOUSE_PASSWORD",
        "AFTERWORD_SECRET",
    }
    assert all(":?" in expression for expression in interpolated if "PUBLIC_URL" not in expression)
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            assert "PASSWORD" not in variable or value.startswith("${"), variable


@pytest.mark.parametrize("service", OURS)
def test_every_command_is_one_that_afterword_has(service: str) -> None:
    command = [sys.executable, "-m", "runtime.cli", *OURS[service]["command"], "--help"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert f"{' '.join(OURS[service]['command'])} [OPTIONS]" in " ".join(answer.stdout.split())


def test_every_setting_is_one_that_afterword_has() -> None:
    from runtime.settings import Settings

    known = {f"AFTERWORD_{field.upper()}" for field in Settings.model_fields}
    said = {name for service in OURS.values() for name in service["environment"]}
    said |= {name for each in IMAGE if each.name == "ENV" for name in re.findall(r"AFTERWORD_\w+(?==)", each.rest)}
    assert said >= {"AFTERWORD_KAFKA", "AFTERWORD_CLICKHOUSE", "AFTERWORD_PORT"}
    assert said <= known


def test_everything_the_image_copies_is_in_the_repository_and_in_the_context() -> None:
    ignore = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = [line.removeprefix("!") for line in ignore if line.startswith("!")]
    assert "*" in ignore
    for source in copied():
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source.removeprefix("./"), pattern) for pattern in let_in), f"{source} is ignored"


def test_the_image_has_every_package_of_the_wheel() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) <= set(copied())
    assert pyproject["project"]["readme"] in copied()


def test_the_image_runs_afterword_and_not_as_root() -> None:
    assert last("ENTRYPOINT").words == pyproject_scripts()
    assert last("USER").rest not in {"root", "0"}
    assert [each.rest for each in IMAGE if each.name == "FROM"][-1] == IMAGE[0].rest.removesuffix(" AS build")


def pyproject_scripts() -> list[str]:
    """The commands that installing Afterword brings."""
    return list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"])


@contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    """A web server that answers everything with `status`: its port, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()


def health(port: int) -> int:
    """The exit status of the image's health check, run here against that port."""
    health_check = last("HEALTHCHECK").rest.removeprefix("CMD ")
    program, *arguments = json.loads(health_check)
    assert program == "python"
    environment = os.environ | {"AFTERWORD_PORT": str(port)}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, check=False, timeout=30
    ).returncode


def test_the_health_check_asks_whether_it_is_alive() -> None:
    with answering(200) as (port, asked):
        assert health(port) == 0
        assert asked == ["/livez"]
    with answering(503) as (port, _):
        assert health(port) == 1
    assert health(port) == 1
