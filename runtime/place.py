"""Where a command finds the conversations: in the data folder of an embedded stack, or on a ClickHouse server."""

from dataclasses import dataclass
from pathlib import Path

from runtime.addresses import cluster_from
from runtime.folder import Folder, Running
from runtime.kafka import Cluster, cluster_of
from runtime.settings import Settings, SettingsError, variable
from sinks.connection import Database


@dataclass(frozen=True, slots=True)
class Place:
    """One store of conversations. `folder` is None on a server; `running` is the `afterword up` that has the folder."""

    settings: Settings
    database: Database
    folder: Path | None = None
    running: Running | None = None

    @property
    def shared(self) -> bool:
        """Whether a worker may be writing there at this moment."""
        return self.folder is None or self.running is not None

    def cluster(self, kafka: str | None) -> Cluster:
        """Give the Kafka that belongs to it: `kafka` as given, else the running process's, else the settings'.

        Raises ValueError, SettingsError.
        """
        if kafka is None and self.running is not None:
            return cluster_of(self.running.kafka)
        settings = Settings.load(kafka=kafka) if kafka is not None else self.settings
        if settings.kafka is None and self.folder is not None:
            raise SettingsError(
                (
                    f"no Kafka to send to: start `afterword up --data {self.folder}` first, in another terminal;",
                    f"or name another Kafka with --kafka or {variable('kafka')}",
                )
            )
        return cluster_from(settings)


def place_of(settings: Settings, *, data: Path | None, clickhouse: str | None) -> Place:
    """Find the store: `--data` or `--clickhouse` where one was given, else AFTERWORD_CLICKHOUSE, else the data folder.

    `settings` hold both options already. Raises ValueError for both at once and for a folder without data, Taken while
    the folder's process is only starting.
    """
    if data is not None and clickhouse is not None:
        raise ValueError("--data and --clickhouse name two places: give one of them")
    if data is None and settings.clickhouse is not None:
        return Place(settings, Database.parse(settings.need("clickhouse")))
    folder = Folder(settings.data)
    try:
        return Place(settings, folder.database(), folder.path, folder.running())
    except FileNotFoundError as error:
        raise ValueError(str(error)) from error
    except OSError as error:
        raise ValueError(f"cannot read the data folder {folder.path}: {error.strerror}") from error
