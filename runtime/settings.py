"""Settings: everything that an operator may choose, read once from the environment, and nowhere else.

docs/settings.md is made from this file by `runtime.documents`.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args
from urllib.parse import SplitResult, urlsplit

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.events import ASSISTANT_PATTERN

PREFIX: Final = "AFTERWORD_"

_MIB: Final = 1 << 20
_UNITS: Final = {"": 1, "b": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("kmgt", 1)
    for suffix, base in (("b", 1_000), ("ib", 1_024))
}
_BROKER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:([0-9]{1,5}))?")
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
LEAST_SECRET: Final = 32
"""Characters of a secret that sessions are signed with."""

_KAFKA_FORMS: Final = "kafka://host:9092, several brokers separated by commas, or kafkas://host:9093 for TLS"


class SettingsError(ValueError):
    """Settings that cannot be used; `lines` say, one each, which one, what is wrong with it and what would be right."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


def bytes_of(size: object) -> object:
    """Read a size such as 512MiB (1,024s), 2GB (1,000s) or 536870912; what is no text is left as it is."""
    if not isinstance(size, str):
        return size
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", size.strip())
    if found is None or found[2].lower() not in _UNITS:
        raise ValueError("not a size in bytes")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def size_of(count: int) -> str:
    """Say a number of bytes in the largest unit that divides it, as `bytes_of` reads it."""
    for unit, name in ((1 << 30, "GiB"), (_MIB, "MiB"), (1 << 10, "KiB")):
        if count and count % unit == 0:
            return f"{count // unit}{name}"
    return str(count)


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError("there is no such home directory") from error


def _readable(path: Path) -> Path:
    if not (os.path.isfile(path) and os.access(path, os.R_OK)):  # noqa: PTH113  (unlike Path's, it never raises)
        raise ValueError("there is no such file, or it may not be read")
    return path


def _web(url: str) -> SplitResult:
    """Read an address of the web without a query; raises ValueError."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        whole = False
    if not whole or "@" in parts.netloc or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise ValueError("it must look like https://host or http://host:port")
    return parts


def _public(url: str) -> str:
    url = url.strip()
    if _web(url).path not in {"", "/"}:
        raise ValueError("it must end behind the host: the application needs an address of its own")
    return url.removesuffix("/")


def _issuer(url: str) -> str:
    url = url.strip()
    parts = _web(url)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("it must begin with https://: who people are is not for the open network")
    return url


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < LEAST_SECRET:
        raise ValueError(f"it must have at least {LEAST_SECRET} characters")
    return secret


def _addresses(said: object) -> object:
    """Divide at commas; what is no text is left as it is."""
    return tuple(one.strip() for one in said.split(",") if one.strip()) if isinstance(said, str) else said


Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Address = Annotated[str, StringConstraints(pattern=r"^[^@\s,]*@[^@\s,]+$")]
Addresses = Annotated[tuple[Address, ...], NoDecode, BeforeValidator(_addresses), MinLen(1)]
Place = Annotated[Path, AfterValidator(_expanded)]


class Settings(BaseSettings):
    """All settings, checked; each is the environment variable AFTERWORD_ and its name in capitals.

    Made by `Settings.load`, which explains what is wrong. An empty variable counts as absent.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    kafka: Words | None = Field(
        None,
        description=f"Where Kafka is: {_KAFKA_FORMS}. The embedded stack brings its own.",
        examples=["kafka://localhost:9092"],
    )
    kafka_username: Words | None = Field(
        None, description="Name to log in to Kafka with (SASL); needs the password too.", examples=["afterword"]
    )
    kafka_password: SecretStr | None = Field(
        None, description="Password to log in to Kafka with; shown nowhere.", examples=["..."]
    )
    kafka_sasl_mechanism: Annotated[Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], BeforeValidator(_upper)] = (
        Field("PLAIN", description="How name and password are proved.", examples=["SCRAM-SHA-512"])
    )
    kafka_ca_file: Annotated[Place, AfterValidator(_readable)] | None = Field(
        None,
        description="Certificates (PEM) of who signed Kafka's, with kafkas://; absent: the system's.",
        examples=["/etc/ssl/certs/ca-certificates.crt"],
    )
    group: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,200}$")] = Field(
        "afterword",
        description="Consumer group of the workers; those of one group share the partitions.",
        examples=["afterword-blue"],
    )
    clickhouse: SecretStr | None = Field(
        None,
        description="Where ClickHouse is: clickhouse://user:password@host:8123/database, clickhouses:// for TLS (port "
        "8443 then), or chdb:///a/folder for the embedded one. Characters of the password other than letters, digits "
        "and -._~ are percent-encoded. Shown nowhere.",
        examples=["clickhouse://afterword:secret@localhost:8123/afterword"],
    )
    data: Place = Field(
        Path(".afterword"), description="Data folder of the embedded stack (`--data`).", examples=["/var/lib/afterword"]
    )
    host: Words = Field(
        "127.0.0.1",
        description="Address to serve HTTP on: pages, probes and metrics. 0.0.0.0 is every address of the machine.",
        examples=["0.0.0.0"],  # noqa: S104  (an example, and the default is not)
    )
    port: Annotated[int, Ge(0), Le(65_535)] = Field(
        8080, description="Port to serve HTTP on (`--port`); 0 picks a free one.", examples=["8080"]
    )
    cache_bytes: Annotated[int, BeforeValidator(bytes_of), Ge(16 * _MIB)] = Field(
        512 * _MIB,
        description="Memory for the conversations that a worker keeps, beside what it needs otherwise. KiB, MiB, GiB, "
        "TiB count in 1,024s; KB, MB, GB, TB in 1,000s.",
        examples=["512MiB"],
    )
    rules: Place | None = Field(
        None,
        description="File of the rules: idle gap, thresholds, phrases. Absent: those that come with Afterword, see "
        "`afterword rules show`.",
        examples=["/etc/afterword/rules.toml"],
    )
    default_assistant: Annotated[str, StringConstraints(pattern=ASSISTANT_PATTERN)] | None = Field(
        None,
        description="Assistant of events that name none; absent, such events are dead letters (the embedded stack has "
        "`default`).",
        examples=["shop"],
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
        "info",
        description="What is logged of Afterword itself, always to standard error; libraries only warn, or inform too "
        "with `debug`.",
        examples=["debug"],
    )
    log_format: Annotated[Literal["auto", "console", "json"], BeforeValidator(_lower)] = Field(
        "auto",
        description="Lines for people, or one JSON object a line; `auto`: for people if standard error is a terminal.",
        examples=["json"],
    )
    partitions: Annotated[int, Ge(1), Le(10_000)] = Field(
        4,
        description="Partitions that `topics create` gives each topic (`--partitions`): so many workers can share the "
        "load.",
        examples=["12"],
    )
    replication: Annotated[int, Ge(1), Le(32_767)] = Field(
        1, description="Copies of each partition that `topics create` asks for (`--replication`).", examples=["3"]
    )
    session_timeout_s: Annotated[float, Ge(6), Le(300)] = Field(
        10.0,
        description="Seconds without a sign of life after which Kafka gives a worker's partitions to others. Brokers "
        "admit 6 and more unless told otherwise.",
        examples=["10"],
    )
    flush_interval_s: Annotated[float, Ge(0.05), Le(60)] = Field(
        0.5,
        description="Seconds between writes to ClickHouse; longer makes fewer, larger inserts and later rows.",
        examples=["0.5"],
    )
    flush_facts: Annotated[int, Ge(1), Le(1_000_000)] = Field(
        150_000, description="Facts that make a write begin before its time.", examples=["90000"]
    )
    drain_s: Annotated[float, Gt(0), Le(50)] = Field(
        5.0,
        description="Seconds for storing what was taken when the worker stops or loses partitions; what takes longer "
        "is read again later. Keep it below the grace that the supervisor gives.",
        examples=["20"],
    )
    watchdog_s: Annotated[float, Ge(5), Le(3_600)] = Field(
        120.0,
        description="Seconds without progress, with records waiting and Kafka and ClickHouse answering, after which a "
        "worker ends itself to be started anew.",
        examples=["120"],
    )

    public_url: Annotated[str, AfterValidator(_public)] | None = Field(
        None,
        description="Where people reach the review application, behind whatever stands before it; signing in with an "
        "issuer needs it. With https:// cookies are for TLS only.",
        examples=["https://afterword.example.org"],
    )
    secret: Annotated[SecretStr, AfterValidator(_long_enough)] | None = Field(
        None,
        description="What sessions are signed with, for `afterword api`, the same for all of them: 32 characters or "
        "more that nobody can guess, such as `openssl rand -base64 48` gives. Another one signs everybody out. The "
        "embedded stack makes its own. Shown nowhere.",
        examples=["..."],
    )
    oidc_issuer: Annotated[str, AfterValidator(_issuer)] | None = Field(
        None,
        description="Who says who people are, by OpenID Connect: the issuer's URL, as it stands in its own metadata.",
        examples=["https://login.example.org"],
    )
    oidc_client_id: Words | None = Field(
        None,
        description="Afterword's name at the issuer. Its redirect address there is the public URL and "
        "`/sign-in/oidc/callback`.",
        examples=["afterword"],
    )
    oidc_client_secret: SecretStr | None = Field(
        None, description="Afterword's password at the issuer; shown nowhere.", examples=["..."]
    )
    people: Addresses | None = Field(
        None,
        description="Who may sign in with the issuer: e-mail addresses and @domains, separated by commas; absent: "
        "everybody whom the issuer lets in. They may read and label.",
        examples=["ana@example.org,@support.example.org"],
    )
    erasers: Addresses | None = Field(
        None,
        description="Which of these people may erase conversations too; absent: none.",
        examples=["privacy@example.org"],
    )
    rate_limit: Annotated[int, Ge(1), Le(100_000)] = Field(
        100,
        description="Requests a second that each key and each person may make, at each process; twice as many at once.",
        examples=["50"],
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  (the signature is pydantic's)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read options of the command first, then the environment, and no file."""
        return init_settings, env_settings

    @field_validator("kafka")
    @classmethod
    def _names_brokers(cls, url: str | None) -> str | None:
        if url is not None and (fault := _fault_of_kafka(url)):
            raise ValueError(fault)
        return url

    @field_validator("clickhouse")
    @classmethod
    def _names_a_database(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            from sinks.connection import Database  # noqa: PLC0415  (half a second that most commands need not spend)

            Database.parse(url.get_secret_value())
        return url

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """What only makes sense together comes together: else somebody believes in a login or TLS that is not there."""
        faults = []
        if self.kafka_username and not self.kafka_password:
            faults.append(f"{variable('kafka_username')} is set, but {variable('kafka_password')} is not")
        if self.kafka_password and not self.kafka_username:
            faults.append(f"{variable('kafka_password')} is set, but {variable('kafka_username')} is not")
        if self.kafka_ca_file and self.kafka and not self.kafka.startswith("kafkas://"):
            faults.append(
                f"{variable('kafka_ca_file')} is set, but {variable('kafka')} does not use TLS: write kafkas:// there"
            )
        faults += self._faults_of_signing_in()
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _faults_of_signing_in(self) -> Iterator[str]:
        issuer = ("oidc_issuer", "oidc_client_id", "oidc_client_secret")
        missing = [name for name in issuer if not getattr(self, name)]
        if len(missing) < len(issuer):
            missing += [] if self.public_url else ["public_url"]
            there = next(name for name in issuer if getattr(self, name))
            yield from (f"{variable(there)} is set, but {variable(name)} is not" for name in missing)
        elif only := [name for name in ("people", "erasers") if getattr(self, name)]:
            for name in only:
                yield f"{variable(name)} is set, but {variable('oidc_issuer')} is not: nobody signs in that way"

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the settings; an override that is not None counts before the environment.

        Raises SettingsError with everything that is wrong, unknown variables under AFTERWORD_ included.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        lines = list(_unknown(os.environ))
        try:
            settings = cls(**given)
        except ValidationError as error:
            lines += [line for fault in error.errors(include_url=False) for line in _lines(fault, given)]
        if lines:
            raise SettingsError(lines)
        return settings

    def need(self, name: Literal["kafka", "clickhouse", "secret", "public_url"]) -> str:
        """Give what the command cannot do without, an address with its password in clear; raises SettingsError."""
        address: str | SecretStr | None = getattr(self, name)
        if address is None:
            if name in {"secret", "public_url"}:
                raise SettingsError((f"{variable(name)} is not set. {Settings.model_fields[name].description}",))
            where = {"kafka": "Kafka", "clickhouse": "ClickHouse"}[name]
            raise SettingsError(
                (
                    f"{variable(name)} is not set: say where {where} is, for example {variable(name)}={example(name)}",
                    "Without a cluster: `afterword up` runs the embedded stack, and `--data DIR` names its data folder",
                )
            )
        return address.get_secret_value() if isinstance(address, SecretStr) else address


_ALLOWED: Final = {
    "public_url": "an address of the web",
    "oidc_issuer": "an address of the web, https",
    "secret": f"text of at least {LEAST_SECRET} characters",
    "people": "e-mail addresses and @domains",
    "erasers": "e-mail addresses and @domains",
}
"""What a type does not say."""


def variable(name: str) -> str:
    """Give the environment variable of a setting."""
    return PREFIX + name.upper()


def example(name: str) -> str:
    """Give a value of a setting that is accepted."""
    examples = Settings.model_fields[name].examples
    assert examples
    return str(examples[0])


def allowed(name: str) -> str:
    """Say what a setting may be, in words."""
    if name in _ALLOWED:
        return _ALLOWED[name]
    field = Settings.model_fields[name]
    kinds = tuple(_leaves(field.annotation))
    if choices := [kind for kind in kinds if isinstance(kind, str)]:
        return "one of " + ", ".join(f"`{choice}`" for choice in choices)
    if name == "cache_bytes":
        return f"a size in bytes, {_bounds(field, size_of)}"
    if int in kinds or float in kinds:
        return ("a whole number, " if int in kinds else "a number, ") + _bounds(field, lambda bound: f"{bound:,}")
    pattern = next((kind.pattern for kind in (*kinds, *field.metadata) if getattr(kind, "pattern", "")), "")
    if pattern:
        return f"text that matches `{pattern.strip('^$')}`"
    return "a path" if Path in kinds else "text"


def _leaves(annotation: Any) -> Iterator[Any]:
    """What a type is made of: types, choices and what is annotated."""
    parts = (*get_args(annotation), *getattr(annotation, "__metadata__", ()))
    if not parts:
        yield annotation
    for part in parts:
        yield from _leaves(part)


def _bounds(field: FieldInfo, show: Callable[[Any], str]) -> str:
    least = next((show(part.ge) for part in field.metadata if isinstance(part, Ge)), "")
    above = next((show(part.gt) for part in field.metadata if isinstance(part, Gt)), "")
    most = next((show(part.le) for part in field.metadata if isinstance(part, Le)), "")
    if above:
        return f"above {above}, at most {most}"
    return f"{least} to {most}" if most else f"at least {least}"


def _fault_of_kafka(url: str) -> str:
    scheme, found, hosts = url.partition("://")
    if not found or scheme not in ("kafka", "kafkas"):
        return f"it must look like {_KAFKA_FORMS}"
    if "@" in hosts:
        own = f"{variable('kafka_username')} and {variable('kafka_password')}"
        return f"name and password have settings of their own, {own}"
    for one in hosts.removesuffix("/").split(","):
        broker = _BROKER.fullmatch(one)
        if broker is None:
            return f"{one!r} is not a broker: it must look like {_KAFKA_FORMS}"
        if broker[3] and not 0 < int(broker[3]) < 65_536:
            return f"{one!r} has no possible port: one is 1 to 65,535"
    return ""


def _unknown(environment: Mapping[str, str]) -> Iterator[str]:
    """Say which variables look like settings and are none: a slip that would otherwise change nothing, silently."""
    known = [name.upper() for name in Settings.model_fields]
    for name in sorted(environment):
        said = name.upper().removeprefix(PREFIX)
        if name.upper().startswith(PREFIX) and name not in {PREFIX + one for one in known}:
            meant = get_close_matches(said, known, n=1)
            hint = f"did you mean {PREFIX}{meant[0]}?" if meant else "docs/settings.md lists those that there are"
            yield f"{name} is not a setting: {hint}"


def _lines(fault: ErrorDetails, given: Mapping[str, Any]) -> Iterator[str]:
    """Explain one fault; what does not belong to one setting says its names itself."""
    told = str(fault["ctx"]["error"]) if fault["type"] == "value_error" else ""
    if not fault["loc"]:
        yield from told.splitlines()
        return
    name = str(fault["loc"][0])
    if fault["type"] == "extra_forbidden":
        raise TypeError(f"there is no setting {name}")
    lead = f"--{name.replace('_', '-')} " if name in given else f"{variable(name)}="
    secret = SecretStr in _leaves(Settings.model_fields[name].annotation)
    # An address may hold a password even where none belongs.
    shown = lead[:-1] if secret or "@" in str(fault["input"]) else f"{lead}{fault['input']}"
    why = told if told and name != "cache_bytes" else f"it must be {allowed(name)}"
    yield f"{shown}: {why}; for example {lead}{example(name)}"
