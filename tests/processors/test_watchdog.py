"""The watchdog bites a worker that has records to take and does not move, and no other."""

from dataclasses import dataclass, field

from processors.watchdog import Watchdog


@dataclass(slots=True)
class Dog:
    """A watchdog with a worker that is whatever the test says, and a clock that the test moves."""

    beats: int = 0
    behind: int = 0
    waits: bool = False
    now: float = 0.0
    bites: int = 0
    watchdog: Watchdog = field(init=False)

    def __post_init__(self) -> None:
        self.watchdog = Watchdog(
            beats=lambda: self.beats,
            behind=lambda: self.behind,
            waits=lambda: self.waits,
            limit=60.0,
            bite=self._bite,
            clock=lambda: self.now,
        )
        self.watchdog.look()

    def _bite(self) -> None:
        self.bites += 1

    def pass_time(self, seconds: int) -> None:
        """Let time pass, with a look every five seconds."""
        for _ in range(0, seconds, 5):
            self.now += 5
            self.watchdog.look()


def test_a_worker_with_records_to_take_that_does_not_move_is_bitten_at_the_limit() -> None:
    dog = Dog(behind=3)
    dog.pass_time(55)
    assert dog.bites == 0
    assert "no progress for 55 s with 3 records to go" in dog.watchdog.stuck
    dog.pass_time(5)
    assert dog.bites == 1


def test_it_is_not_called_stuck_before_half_the_limit() -> None:
    dog = Dog(behind=3)
    dog.pass_time(30)
    assert dog.watchdog.stuck == ""
    dog.pass_time(5)
    assert dog.watchdog.stuck


def test_a_worker_that_moves_is_not_bitten_however_far_behind_it_is() -> None:
    dog = Dog(behind=1_000_000)
    for _ in range(20):
        dog.pass_time(55)
        dog.beats += 1
    assert dog.bites == 0


def test_a_worker_that_waits_for_the_store_is_not_bitten() -> None:
    dog = Dog(behind=3, waits=True)
    dog.pass_time(3_600)
    assert (dog.bites, dog.watchdog.stuck) == (0, "")


def test_a_worker_with_nothing_to_take_is_not_bitten() -> None:
    dog = Dog()
    dog.pass_time(3_600)
    assert dog.bites == 0


def test_the_limit_counts_from_when_waiting_ended_or_records_came() -> None:
    for dog in (Dog(waits=True, behind=3), Dog()):
        dog.pass_time(3_600)
        dog.waits, dog.behind = False, 3
        dog.pass_time(55)
        assert dog.bites == 0
        dog.pass_time(5)
        assert dog.bites == 1


def test_one_step_forgives_everything() -> None:
    dog = Dog(behind=3)
    dog.pass_time(50)
    dog.beats += 1
    dog.pass_time(5)
    assert dog.watchdog.stuck == ""
    dog.pass_time(55)
    assert dog.bites == 0
