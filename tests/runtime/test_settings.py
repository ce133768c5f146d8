"""Settings: what they accept, what they say of the rest, and that they keep a secret."""

import ast
from pathlib import Path

import pytest
from pydantic import ValidationError

from runtime.settings import Settings, SettingsError, bytes_of, example, size_of, variable

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
SECRET = "hunter2"
ISSUER = {
    "oidc_issuer": "https://login.example.org",
    "oidc_client_id": "afterword",
    "oidc_client_secret": SECRET,
    "public_url": "https://afterword.example.org",
}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings but those that the test gives."""
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def faults(**overrides: object) -> tuple[str, ...]:
    """What loading complains of."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(**overrides)
    assert str(caught.value) == "\n".join(caught.value.lines)
    return caught.value.lines


# What counts.


def test_nothing_needs_to_be_set() -> None:
    settings = Settings.load()
    assert settings.model_dump() == {
        "kafka": None,
        "kafka_username": None,
        "kafka_password": None,
        "kafka_sasl_mechanism": "PLAIN",
        "kafka_ca_file": None,
        "group": "afterword",
        "clickhouse": None,
        "data": Path(".afterword"),
        "host": "127.0.0.1",
        "port": 8080,
        "cache_bytes": 512 * MIB,
        "rules": None,
        "default_assistant": None,
        "log_level": "info",
        "log_format": "auto",
        "partitions": 4,
        "replication": 1,
        "session_timeout_s": 10,
        "flush_interval_s": 0.5,
        "flush_facts": 150_000,
        "drain_s": 5,
        "watchdog_s": 120,
        "public_url": None,
        "secret": None,
        "oidc_issuer": None,
        "oidc_client_id": None,
        "oidc_client_secret": None,
        "people": None,
        "erasers": None,
        "rate_limit": 100,
    }


def test_an_option_counts_before_the_environment_and_that_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERWORD_PORT", "9000")
    monkeypatch.setenv("AFTERWORD_DATA", "elsewhere")
    settings = Settings.load(port=0, data=None)
    assert (settings.port, settings.data, settings.partitions) == (0, Path("elsewhere"), 4)


def test_an_empty_variable_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERWORD_PORT", "")
    monkeypatch.setenv("AFTERWORD_KAFKA", "")
    assert Settings.load() == Settings.load(port=8080)


def test_a_dotenv_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("AFTERWORD_PORT=9000\n")
    monkeypatch.chdir(tmp_path)
    assert Settings.load().port == 8080


def test_settings_do_not_change() -> None:
    settings = Settings.load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


def test_an_override_that_is_no_setting_is_a_mistake_of_the_code() -> None:
    with pytest.raises(TypeError, match="no setting brokers"):
        Settings.load(brokers="kafka://one")


def test_only_settings_read_the_environment() -> None:
    readers = []
    for package in ("schemas", "processors", "sinks", "runtime", "api"):
        for file in sorted((ROOT / package).rglob("*.py")):
            words = {node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
            if words & {"environ", "getenv"}:
                readers.append(file.relative_to(ROOT).as_posix())
    assert readers == ["runtime/crashing.py", "runtime/settings.py"]  # the former for the fault laboratory alone


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - {"kafka_ca_file", "secret"}))
def test_the_example_of_every_setting_is_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable(name), example(name))
    if name in {"kafka_username", "kafka_password"}:
        monkeypatch.setenv("AFTERWORD_KAFKA_USERNAME", "somebody")
        monkeypatch.setenv("AFTERWORD_KAFKA_PASSWORD", "...")
    if name in {*ISSUER, "people", "erasers"}:
        for one, value in ISSUER.items():
            monkeypatch.setenv(variable(one), value)
    assert getattr(Settings.load(), name) is not None


@pytest.mark.parametrize(
    ("name", "said", "read"),
    [
        ("log_level", "DEBUG", "debug"),
        ("log_format", " Json", "json"),
        ("kafka_sasl_mechanism", "scram-sha-256", "SCRAM-SHA-256"),
        ("host", " 0.0.0.0\n", "0.0.0.0"),
        ("drain_s", "0.5", 0.5),
    ],
)
def test_capitals_and_spaces_around_a_word_do_not_matter(
    name: str, said: str, read: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable(name), said)
    assert getattr(Settings.load(), name) == read


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert Settings.load(data=Path("~/afterword")).data == Path("/home/ann/afterword")
    assert faults(data=Path("~nobody-of-that-name/afterword"))[0].endswith(
        "there is no such home directory; for example --data /var/lib/afterword"
    )


# Sizes.


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("512MiB", 512 * MIB),
        ("2GB", 2_000_000_000),
        ("2 gib", 2_048 * MIB),
        ("1.5GiB", 1_536 * MIB),
        ("100000KB", 100_000_000),
        ("16777216", 16 * MIB),
        ("16777216B", 16 * MIB),
    ],
)
def test_a_cache_size_has_a_unit_or_none(said: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERWORD_CACHE_BYTES", said)
    assert Settings.load().cache_bytes == count


@pytest.mark.parametrize(
    "said", ["15MiB", "16777215", "-64MiB", "512M", "64 MiB or so", "1,5GiB", "MiB", "lots", "1e9"]
)
def test_a_cache_size_that_is_too_small_or_unclear_is_refused(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERWORD_CACHE_BYTES", said)
    assert faults() == (
        (
            f"AFTERWORD_CACHE_BYTES={said}: it must be a size in bytes, at least 16MiB; "
            "for example AFTERWORD_CACHE_BYTES=512MiB"
        ),
    )


@pytest.mark.parametrize("count", [0, 1, 1_000, 1_024, 16 * MIB, 512 * MIB, 3 << 30, (3 << 30) + 1])
def test_a_size_reads_as_it_was_said(count: int) -> None:
    assert bytes_of(size_of(count)) == count


# Addresses.


@pytest.mark.parametrize(
    "url",
    [
        "kafka://localhost",
        "kafka://one:9092,two:9092,three",
        "kafkas://broker-1.internal_net:9093",
        "kafka://[::1]:9092",
        "kafka://10.0.0.1:9092/",
    ],
)
def test_brokers_of_kafka_may_be_named_so(url: str) -> None:
    assert Settings.load(kafka=url).need("kafka") == url


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("localhost:9092", "it must look like kafka://host:9092, several brokers separated by commas, or kafkas://"),
        ("http://localhost:9092", "it must look like kafka://host:9092"),
        ("kafka://", "'' is not a broker"),
        ("kafka://one:9092,", "'' is not a broker"),
        ("kafka://one:9092;two:9092", "'one:9092;two:9092' is not a broker"),
        ("kafka://one:port", "'one:port' is not a broker"),
        ("kafka://one:65536", "'one:65536' has no possible port"),
        ("kafka://one:0", "'one:0' has no possible port"),
    ],
)
def test_what_is_no_address_of_kafka_is_refused(url: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERWORD_KAFKA", url)
    (line,) = faults()
    assert line.startswith(f"AFTERWORD_KAFKA={url}: {fault}")
    assert line.endswith("; for example AFTERWORD_KAFKA=kafka://localhost:9092")


@pytest.mark.parametrize(
    "url",
    [
        "clickhouse://ann:p%40ss%2Fword@ch.internal:8123/afterword",
        "clickhouses://ch.internal",
        "chdb:///var/lib/afterword",
    ],
)
def test_an_address_of_clickhouse_is_given_as_it_was_said(url: str) -> None:
    assert Settings.load(clickhouse=url).need("clickhouse") == url


def test_what_a_command_cannot_do_without_is_asked_for() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load().need("kafka")
    assert caught.value.lines == (
        "AFTERWORD_KAFKA is not set: say where Kafka is, for example AFTERWORD_KAFKA=kafka://localhost:9092",
        "Without a cluster: `afterword up` runs the embedded stack, and `--data DIR` names its data folder",
    )
    with pytest.raises(SettingsError, match=r"^AFTERWORD_CLICKHOUSE is not set: say where ClickHouse is, for example "):
        Settings.load().need("clickhouse")


# Logging in.


def test_a_name_without_a_password_is_refused_and_the_other_way_round() -> None:
    assert faults(kafka_username="ann") == ("AFTERWORD_KAFKA_USERNAME is set, but AFTERWORD_KAFKA_PASSWORD is not",)
    assert faults(kafka_password=SECRET) == ("AFTERWORD_KAFKA_PASSWORD is set, but AFTERWORD_KAFKA_USERNAME is not",)


def test_certificates_need_tls_and_a_file_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = tmp_path / "ca.pem"
    monkeypatch.setenv("AFTERWORD_KAFKA_CA_FILE", str(authority))
    assert faults()[0].startswith(
        f"AFTERWORD_KAFKA_CA_FILE={authority}: there is no such file, or it may not be read; for example "
    )
    authority.write_text("a certificate")
    assert faults(kafka="kafka://one") == (
        "AFTERWORD_KAFKA_CA_FILE is set, but AFTERWORD_KAFKA does not use TLS: write kafkas:// there",
    )
    assert Settings.load(kafka="kafkas://one").kafka_ca_file == authority


def test_a_password_is_taken_to_the_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERWORD_KAFKA_USERNAME", "ann")
    monkeypatch.setenv("AFTERWORD_KAFKA_PASSWORD", " p:@/% ")
    password = Settings.load().kafka_password
    assert password is not None
    assert password.get_secret_value() == " p:@/% "


def test_no_password_is_shown() -> None:
    settings = Settings.load(
        clickhouse=f"clickhouse://ann:{SECRET}@localhost", kafka_username="ann", kafka_password=SECRET
    )
    for shown in (repr(settings), str(settings), f"{settings.model_dump()}", settings.model_dump_json()):
        assert SECRET not in shown


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("clickhouse", f"http://ann:{SECRET}@localhost"),
        ("clickhouse", f"clickhouse://ann:{SECRET}@localhost:port/db"),
        ("clickhouse", f"clickhouse://ann:{SECRET}/x@localhost:8123/db"),
        ("clickhouse", f"clickhouse://ann:{SECRET}@localhost/db/more"),
        ("clickhouse", SECRET),
        ("kafka", f"kafka://ann:{SECRET}@localhost:9092"),
        ("kafka", f"http://ann:{SECRET}@localhost:9092"),
    ],
)
def test_no_fault_shows_a_password(name: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable(name), url)
    (line,) = faults()
    assert line.startswith(f"{variable(name)}: ")
    assert SECRET not in line
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert SECRET not in str(caught.value)


# Signing in.


def test_an_issuer_needs_all_of_what_belongs_to_it() -> None:
    for missing in ISSUER:
        (line,) = faults(**{name: value for name, value in ISSUER.items() if name != missing})
        assert line.endswith(f" is set, but {variable(missing)} is not")
    assert Settings.load(**ISSUER).oidc_issuer == ISSUER["oidc_issuer"]


@pytest.mark.parametrize("name", ["people", "erasers"])
def test_a_list_of_people_without_an_issuer_is_refused(name: str) -> None:
    assert faults(**{name: "ana@example.org"}) == (
        f"{variable(name)} is set, but AFTERWORD_OIDC_ISSUER is not: nobody signs in that way",
    )


def test_people_are_named_by_address_and_by_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERWORD_PEOPLE", " ana@example.org, @support.example.org,")
    assert Settings.load(**ISSUER).people == ("ana@example.org", "@support.example.org")


@pytest.mark.parametrize("said", ["ana", "ana@", "@", ",", "ana@example.org bob@example.org", "a@b@c"])
def test_what_names_nobody_is_refused_and_never_counts_as_everybody(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERWORD_PEOPLE", said)
    (line,) = faults(**ISSUER)
    assert line.startswith("AFTERWORD_PEOPLE")
    assert "it must be e-mail addresses and @domains; for example AFTERWORD_PEOPLE=ana@example.org," in line


def test_a_secret_that_is_too_short_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERWORD_SECRET", "x" * 31)
    assert faults() == ("AFTERWORD_SECRET: it must have at least 32 characters; for example AFTERWORD_SECRET=...",)
    monkeypatch.setenv("AFTERWORD_SECRET", SECRET * 5)
    settings = Settings.load()
    assert settings.need("secret") == SECRET * 5
    assert SECRET not in repr(settings)
    monkeypatch.delenv("AFTERWORD_SECRET")
    with pytest.raises(SettingsError, match=r"^AFTERWORD_SECRET is not set\. What sessions are signed with"):
        Settings.load().need("secret")


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("https://afterword.example.org/", "https://afterword.example.org"),
        (" http://10.0.0.1:8080 ", "http://10.0.0.1:8080"),
    ],
)
def test_the_public_address_has_no_slash_at_its_end(said: str, read: str) -> None:
    assert Settings.load(public_url=said).public_url == read


@pytest.mark.parametrize(
    ("name", "url", "fault"),
    [
        ("public_url", "afterword.example.org", "it must look like https://host or http://host:port"),
        ("public_url", "https://host/path", "it must end behind the host"),
        ("public_url", "https://host?x=1", "it must look like"),
        ("public_url", "ftp://host", "it must look like"),
        ("public_url", "https://host:port", "it must look like"),
        ("oidc_issuer", "http://login.example.org", "it must begin with https://"),
        ("oidc_issuer", "login", "it must look like"),
    ],
)
def test_what_is_no_address_of_the_web_is_refused(name: str, url: str, fault: str) -> None:
    (line,) = faults(**{name: url})
    assert line.startswith(f"--{name.replace('_', '-')} {url}: {fault}")


# What is wrong.


def test_everything_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AFTERWORD_CACHEBYTES": "1GiB",
        "AFTERWORD_LOG_LEVEL": "loud",
        "AFTERWORD_DRAIN_S": "nan",
        "AFTERWORD_GROUP": "the workers",
        "AFTERWORD_DEFAULT_ASSISTANT": "Shop",
        "AFTERWORD_FLUSH_FACTS": "1.5",
    }.items():
        monkeypatch.setenv(name, value)
    assert sorted(faults(port=65_536)) == [
        "--port 65536: it must be a whole number, 0 to 65,535; for example --port 8080",
        "AFTERWORD_CACHEBYTES is not a setting: did you mean AFTERWORD_CACHE_BYTES?",
        (
            "AFTERWORD_DEFAULT_ASSISTANT=Shop: it must be text that matches `[a-z0-9._-]{1,64}`; "
            "for example AFTERWORD_DEFAULT_ASSISTANT=shop"
        ),
        "AFTERWORD_DRAIN_S=nan: it must be a number, above 0, at most 50; for example AFTERWORD_DRAIN_S=20",
        "AFTERWORD_FLUSH_FACTS=1.5: it must be a whole number, 1 to 1,000,000; for example AFTERWORD_FLUSH_FACTS=90000",
        (
            "AFTERWORD_GROUP=the workers: it must be text that matches `[A-Za-z0-9._-]{1,200}`; "
            "for example AFTERWORD_GROUP=afterword-blue"
        ),
        (
            "AFTERWORD_LOG_LEVEL=loud: it must be one of `debug`, `info`, `warning`, `error`; "
            "for example AFTERWORD_LOG_LEVEL=debug"
        ),
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("AFTERWORD_CLIKHOUSE", "did you mean AFTERWORD_CLICKHOUSE?"),
        ("AFTERWORD_KAFKA_USER", "did you mean AFTERWORD_KAFKA_USERNAME?"),
        ("afterword_port", "did you mean AFTERWORD_PORT?"),
        ("AFTERWORD_", "docs/settings.md lists those that there are"),
        ("AFTERWORD_VERBOSITY", "docs/settings.md lists those that there are"),
    ],
)
def test_an_unknown_name_is_an_error_with_a_suggestion(name: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    assert faults() == (f"{name} is not a setting: {hint}",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", -1),
        ("partitions", 0),
        ("replication", 0),
        ("session_timeout_s", 5.9),
        ("flush_interval_s", 0),
        ("flush_interval_s", float("inf")),
        ("flush_facts", 0),
        ("drain_s", 0),
        ("drain_s", 50.1),
        ("watchdog_s", 4.9),
        ("group", ""),
        ("host", " "),
        ("default_assistant", "a" * 65),
    ],
)
def test_what_lies_out_of_bounds_is_refused(name: str, value: object) -> None:
    (line,) = faults(**{name: value})
    assert line.startswith(f"--{name.replace('_', '-')} {value}: it must be ")
