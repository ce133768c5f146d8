"""Commits that do not go through, and the crash points around everything that a flush does."""

from processors.crash_point import CrashPoint
from schemas.partitioning import home_partition
from tests.builders import event, line
from tests.processors.world import World


async def test_a_commit_that_did_not_go_through_is_made_with_the_next_flush_although_no_record_comes(
    world: World,
) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"))
    await process.take()
    owners, world.log.owners = world.log.owners, {}
    await process.flush()
    assert not world.log.acknowledged()
    world.log.owners = owners
    await process.flush()
    assert world.log.acknowledged()


async def test_a_commit_of_an_earlier_assignment_is_not_made_again(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"))
    await process.take()
    world.log.owners = {}
    await process.flush()
    commits = process.faults.calls.count("commit")
    process.assign(0)
    await process.flush()
    assert process.faults.calls.count("commit") == commits


async def test_a_flush_passes_the_crash_points_in_their_order(world: World) -> None:
    process = world.start().assign()
    passed: list[CrashPoint] = []
    process.worker._passing = passed.append
    world.produce(event("message.sent"))
    stray = line(event("message.sent", conversation_id="c-9"))
    world.log.append("assistant.events", 1 - home_partition("c-9", world.partitions), stray)
    await process.take()
    await process.flush()
    assert passed == [one for one in CrashPoint if one is not CrashPoint.MID_INSERT]
