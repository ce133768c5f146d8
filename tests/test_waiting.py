"""Waiting ends with the first true answer, or with an error that names what was waited for."""

import pytest

from tests.waiting import until, until_sync


async def test_waiting_ends_with_the_first_true_answer() -> None:
    answers = iter([0, None, "", "here", "too late"])
    assert await until(lambda: next(answers), 5, "an answer") == "here"


async def test_a_condition_may_be_a_coroutine_function() -> None:
    answers = iter([[], [1]])

    async def condition() -> list[int]:
        return next(answers)

    assert await until(condition, 5, "a list with something in it") == [1]


async def test_the_deadline_names_what_was_waited_for_and_the_last_answer() -> None:
    with pytest.raises(AssertionError, match=r"waited 0\.05 s for three rows, the last answer was \[\]"):
        await until(list, 0.05, "three rows")


async def test_an_error_of_the_condition_ends_the_waiting() -> None:
    with pytest.raises(ZeroDivisionError):
        await until(lambda: 1 // 0, 5, "nothing")


def test_waiting_works_without_a_loop() -> None:
    answers = iter([False, False, True])
    assert until_sync(lambda: next(answers), 5, "the third answer") is True
    with pytest.raises(AssertionError, match="for the end of time"):
        until_sync(lambda: False, 0.05, "the end of time")
