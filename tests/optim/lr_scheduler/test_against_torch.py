"""Every scheduler against torch's over 100 steps, to an epoch, resumed, and exchanged by state_dict."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest

from fnn.optim import lr_scheduler as S
from tests.optim.lr_scheduler.runs import (
    STEPS,
    our_optimizer,
    same_layout,
    sequence,
    their_optimizer,
    torch_schedulers,
    without_warnings,
)
from tests.optim.scheduler_cases import CONFIGURATIONS, SINGLE, STEP, chained, sequential
from tests.oracle import needs_torch

NAMES = [name for name, _ in CONFIGURATIONS]


assert len(CONFIGURATIONS) >= 80


@needs_torch
@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize(("name", "make"), CONFIGURATIONS, ids=NAMES)
def test_sequences_equal_torch(name, make, kind):
    ours, theirs = our_optimizer(kind), their_optimizer(kind)
    with without_warnings():
        actual = sequence(ours, make(S, ours))
        expected = sequence(theirs, make(torch_schedulers(), theirs))
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-15)


@needs_torch
@pytest.mark.parametrize(("name", "make"), SINGLE, ids=[name for name, _ in SINGLE])
def test_steps_to_an_epoch_equal_torch(name, make):
    """The closed forms, where torch has them, and chainable steps from there on."""
    epochs = [5, 0, 12, None, None, 30, 31, 7, None, 60, 2, None]

    def arguments(i):
        return () if epochs[i] is None else (epochs[i],)

    ours, theirs = our_optimizer(), their_optimizer()
    actual = sequence(ours, make(S, ours), len(epochs), arguments)
    expected = sequence(theirs, make(torch_schedulers(), theirs), len(epochs), arguments)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-15)


@needs_torch
def test_warm_restarts_at_fractions_of_an_epoch_equal_torch():
    def arguments(i):
        return (i / 7,)

    for growth in (1, 2, 3):
        ours, theirs = our_optimizer(), their_optimizer()
        actual = sequence(ours, S.CosineAnnealingWarmRestarts(ours, 3, growth, 0.01), STEPS, arguments)
        expected = sequence(
            theirs, torch_schedulers().CosineAnnealingWarmRestarts(theirs, 3, growth, 0.01), STEPS, arguments
        )
        np.testing.assert_allclose(actual, expected, rtol=1e-12)


@needs_torch
@pytest.mark.parametrize(("name", "make"), SINGLE, ids=[name for name, _ in SINGLE])
@pytest.mark.parametrize("last_epoch", [0, 7])
def test_resuming_by_last_epoch_equals_torch(name, make, last_epoch):
    ours, theirs = our_optimizer(), their_optimizer()
    rows = []
    for optimizer, library in ((ours, S), (theirs, torch_schedulers())):
        sequence(optimizer, make(library, optimizer), last_epoch)
        kind = name.split("-")[0]

        class Resuming:
            """The library with one scheduler, told where it was."""

        setattr(
            Resuming,
            kind,
            lambda *args, library=library, kind=kind, **options: getattr(library, kind)(
                *args, **{**options, "last_epoch": last_epoch}
            ),
        )
        rows.append(sequence(optimizer, make(Resuming, optimizer), 30))
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-12, atol=1e-15)


EXCHANGED = [(name, make) for name, make in CONFIGURATIONS if not name.startswith("stacked")]


@needs_torch
@pytest.mark.parametrize(("name", "make"), EXCHANGED, ids=[name for name, _ in EXCHANGED])
def test_state_dicts_have_torchs_layout_and_are_exchanged(name, make):
    ours, theirs = our_optimizer(), their_optimizer()
    with without_warnings():
        mine, reference = make(S, ours), make(torch_schedulers(), theirs)
        sequence(ours, mine, 13)
        sequence(theirs, reference, 13)
        same_layout(mine.state_dict(), reference.state_dict())

        new_ours, new_theirs = our_optimizer(), their_optimizer()
        new_mine, new_reference = make(S, new_ours), make(torch_schedulers(), new_theirs)
        new_mine.load_state_dict(pickle.loads(pickle.dumps(reference.state_dict())))
        new_reference.load_state_dict(pickle.loads(pickle.dumps(mine.state_dict())))
        for old, new in ((ours, new_theirs), (theirs, new_ours)):
            for group, saved in zip(new.param_groups, old.param_groups, strict=True):
                group.update({k: v for k, v in saved.items() if k != "params"})
        expected = sequence(theirs, reference, 40)
        np.testing.assert_allclose(sequence(new_ours, new_mine, 40), expected, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(sequence(new_theirs, new_reference, 40), expected, rtol=1e-12, atol=1e-15)


@needs_torch
def test_names_and_signatures_are_torchs():
    theirs = torch_schedulers()
    assert set(S.__all__) == set(theirs.__all__)
    for name in S.__all__:
        wanted = inspect.signature(getattr(theirs, name).__init__).parameters
        got = inspect.signature(getattr(S, name).__init__).parameters
        assert list(got) == list(wanted), name
        for parameter in wanted:
            assert got[parameter].default == wanted[parameter].default, (name, parameter)


def test_one_cycle_ends():
    scheduler = S.OneCycleLR(our_optimizer(), 0.1, total_steps=2)
    with without_warnings():
        scheduler.step()
        scheduler.step()
    with pytest.raises(ValueError, match="total_steps=2, got step 3"):
        scheduler.step()


@needs_torch
def test_a_composite_cannot_begin_at_a_milestone():
    for library, optimizer in ((S, our_optimizer()), (torch_schedulers(), their_optimizer())):
        with without_warnings():
            scheduler = sequential([1], STEP, chained(STEP))(library, optimizer)
            with pytest.raises(NotImplementedError):
                scheduler.step()
