"""A run of random calls of one function."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.functional.fuzz.compare import Mismatch, check, shown
from tests.functional.fuzz.draws import Call, calls
from tests.functional.fuzz.table import Row
from tests.memory import let_programs_go

VALUES = 3  # sets of values that a drawn call is tried with: its programs are compiled once


def run(row: Row, cases: int, first: int, report: Callable[[str], None] | None = None) -> int:
    """Tries about ``cases`` random calls, drawn from the seed ``first``; returns how many.

    The first mismatch raises; with ``report`` all are told to it.
    """
    tried = 0

    @seed(first)
    @settings(
        max_examples=max(cases // VALUES, 1),
        deadline=None,
        database=None,
        phases=[Phase.generate] if report else [Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(calls(row.make, VALUES))
    def every(call: Call) -> None:
        nonlocal tried
        for content in call.contents:
            tried += 1
            try:
                check(row, call, content)
            except Mismatch as error:
                text = f"{row.name}: {error}\n  {content} values of {shown(call)}"
                if report is None:
                    raise AssertionError(f"{text}\n  in a run from seed {first}") from error
                report(text)
        if tried % 40 == 0:
            let_programs_go(above=1.1)

    every()
    return tried
