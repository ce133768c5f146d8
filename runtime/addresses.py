"""Where Kafka is, as the settings say."""

from runtime.kafka import Cluster, cluster_of
from runtime.settings import Settings


def cluster_from(settings: Settings) -> Cluster:
    """Give the cluster that the settings name. Raises SettingsError when they name none, ValueError for a wrong one."""
    password = settings.kafka_password
    return cluster_of(
        settings.need("kafka"),
        username=settings.kafka_username,
        password=password.get_secret_value() if password else None,
        mechanism=settings.kafka_sasl_mechanism,
        ca_file=str(settings.kafka_ca_file) if settings.kafka_ca_file else None,
    )
