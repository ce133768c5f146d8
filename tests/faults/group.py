"""Who owns which partition, as Kafka's group coordinator has it."""

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from runtime.kafka import Cluster

_STABLE = "Stable"


async def owned_partitions(cluster: Cluster, group: str) -> set[TopicPartition]:
    """The partitions that some member of a settled group owns; none while it rebalances."""
    admin = AIOKafkaAdminClient(**cluster.client())
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([group])
    finally:
        await admin.close()
    ((_, _, state, _, _, members, *_),) = answer.groups
    if state != _STABLE:
        return set()
    owned = set()
    for member in members:
        assignment = ConsumerProtocolMemberAssignment.decode(member[4])
        owned |= {TopicPartition(topic, number) for topic, numbers in assignment.assignment for number in numbers}
    return owned
