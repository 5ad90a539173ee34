"""The fixture ``leak_check`` for pytest; loaded in every session, it imports nothing of weight."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from listen2lab.leak_check import Checked

__all__ = ["leak_check"]


@pytest.fixture
def leak_check(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Checked]:
    """Step a function in fresh processes, and fail the test if it leaks.

    ``leak_check(step, *, setup=None, steps=100, repeats=5)``: `step` takes the step's number or
    nothing; `setup` is called once in each process. It stops after three processes where they
    decide. Returns what it found; see `listen2lab.leak_check.Checked`.

    Examples
    --------
    ::

        def test_parsing_does_not_leak(leak_check):
            leak_check(lambda: parse(TEXT))
    """

    def check_leak(
        step: Callable[..., object],
        *,
        setup: Callable[[], object] | None = None,
        steps: int = 100,
        repeats: int = 5,
    ) -> Checked:
        __tracebackhide__ = True
        from listen2lab.errors import LabError
        from listen2lab.leak_check import check

        try:
            found = check(
                step, setup=setup, steps=steps, repeats=repeats, by_value=[request.module],
                folder=Path(tempfile.mkdtemp(prefix="leak-check-", dir=tmp_path)),
            )  # fmt: skip
            failure = found.failure
        except LabError as error:
            failure = str(error)
        if failure is not None:
            pytest.fail(failure, pytrace=False)
        return found

    return check_leak
