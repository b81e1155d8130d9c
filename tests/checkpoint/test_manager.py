"""Manager: what is kept, what is the best, what is found again."""

import os

import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn.checkpoint import Manager, Saved
from tests.checkpoint.test_safetensors import same

pytest.importorskip("safetensors")


def state(step):
    return {"a": jnp.full(3, step), "step": step, "names": ["x", ("y", None)], 3: {"b": np.ones(1)}}


def test_the_last_and_the_best_are_kept(tmp_path):
    manager = Manager(tmp_path / "new" / "run", keep=2, best="val_loss")
    for step, loss in enumerate([5, 1, 3, float("nan"), 4, 1]):
        assert manager.save(step, state(step), {"val_loss": loss, "other": jnp.float32(2)})
        kept = [s for s in (step - 1, step) if s >= 0]
        assert manager.steps() == sorted({*kept, 1} if step else kept)
        assert manager.best_step() == (1 if step else 0)
    assert sorted(os.listdir(manager.folder)) == [f"step_{n}.safetensors" for n in (1, 4, 5)]
    again = Manager(manager.folder, keep=2, best="val_loss")
    assert again.best_step() == 1
    newest = again.load()
    assert isinstance(newest, Saved)
    assert (newest.step, newest.metrics) == (5, {"val_loss": 1, "other": 2})
    assert same(newest.state, state(5))
    assert same(again.load(again.best_step()).state, state(1))
    with pytest.raises(FileNotFoundError, match=r"step 2 is not among \[1, 4, 5\]"):
        again.load(2)
    assert Manager(manager.folder, best="val_loss", mode="max").best_step() == 4
    assert "keep=2, best='val_loss'" in repr(again)


def test_every_so_many_steps(tmp_path):
    with Manager(tmp_path, keep=None, every=3) as manager:
        assert manager.load() is None
        calls = []
        saved = [manager.save(step, lambda: calls.append(0) or {"a": np.ones(1)}) for step in range(8)]
        assert saved == [step % 3 == 0 for step in range(8)]
        assert len(calls) == 3
        assert manager.save(7, {"a": np.ones(1)}, force=True)
        assert manager.steps() == [0, 3, 6, 7]


def test_a_step_saved_twice(tmp_path):
    manager = Manager(tmp_path, best="loss")
    manager.save(1, state(1), {"loss": 1})
    manager.save(1, state(2), {"loss": 2})
    assert manager.load().state["step"] == 2
    assert manager.load().metrics == {"loss": 2}


def test_the_newest_whole_one_is_found(tmp_path):
    manager = Manager(tmp_path, keep=3)
    for step in range(3):
        manager.save(step, state(step))
    whole = (tmp_path / "step_2.safetensors").read_bytes()
    (tmp_path / "step_2.safetensors").write_bytes(whole[:-5])
    (tmp_path / "step_9.safetensors").write_bytes(b"")
    fnn.save({"a": np.ones(1)}, tmp_path / "step_8.safetensors")
    (tmp_path / "step_x.safetensors").write_text("of somebody else")
    (tmp_path / ".fnn-0123-x.tmp").write_text("half")
    manager = Manager(tmp_path, keep=3, best="loss")
    with pytest.warns(UserWarning, match=r"step \d is passed over: .*step_\d.safetensors") as caught:
        assert manager.load().step == 1
    assert len(caught) == 3
    with pytest.raises(ValueError, match=r"step_2\.safetensors"):
        manager.load(2)
    assert manager.best_step() is None


def test_places(tmp_path):
    import jax

    device = jax.devices()[0]
    manager = Manager(tmp_path)
    manager.save(0, state(0))
    there = jax.sharding.SingleDeviceSharding(device)
    for given in ({"device": "cpu"}, {"sharding": there}, {"sharding": {"a": there}}):
        assert manager.load(**given).state["a"].devices() == {device}
    with pytest.raises(ValueError, match="give one of them"):
        manager.load(device="cpu", sharding=there)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"keep": 0}, "keep must be at least 1, or None, got 0"),
        ({"every": 0}, "every must be"),
        ({"mode": "least"}, "mode must be 'min' or 'max', got 'least'"),
        ({"backend": "tar"}, "backend must be"),
    ],
)
def test_bad_arguments(tmp_path, options, why):
    with pytest.raises(ValueError, match=why):
        Manager(tmp_path, **options)


def test_what_cannot_be_saved_changes_nothing(tmp_path):
    manager = Manager(tmp_path, keep=1, best="loss")
    manager.save(1, state(1), {"loss": 1})
    with pytest.raises(ValueError, match=r"metrics must have 'loss'.*got \['acc'\]"):
        manager.save(2, state(2), {"acc": 1})
    with pytest.raises(TypeError, match=r"'state'\['x'\] must be an array"):
        manager.save(2, {"x": object()}, {"loss": 1})
    with pytest.raises(ValueError, match="step must be at least 0"):
        manager.save(-1, state(2), {"loss": 1})
    assert manager.steps() == [1]
    with pytest.raises(ValueError, match="made without best="):
        fnn.checkpoint.Manager(tmp_path).best_step()


def test_a_run_that_was_not_taken_up_does_not_write_among_a_later_one(tmp_path):
    for step in (100, 200):
        Manager(tmp_path).save(step, {"run": "old"})
    manager = Manager(tmp_path, keep=1)
    with pytest.raises(ValueError, match=r"step must be later than those in .*got 10 where 200 is there.*load"):
        manager.save(10, {"run": "new"})
    assert manager.steps() == [100, 200]
    assert manager.load().step == 200
    assert manager.save(300, {"run": "old"})
    assert manager.steps() == [300]


def test_what_load_passed_over_neither_counts_nor_stands_in_the_way(tmp_path):
    manager = Manager(tmp_path, keep=1)
    manager.save(30, {"run": "old"})
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:20])
    manager = Manager(tmp_path, keep=1)
    with pytest.warns(UserWarning, match="step 30 is passed over"):
        assert manager.load() is None
    for step in (10, 20):
        assert manager.save(step, {"run": step})
    with pytest.warns(UserWarning, match="step 30 is passed over"):
        saved = manager.load()
    assert (saved.step, saved.state) == (20, {"run": 20})
    assert repr(saved) == "Saved(step=20, state=a dict of ['run'], metrics={})"
    manager.save(30, {"run": 30})
    assert manager.load().state == {"run": 30}


def test_only_steps_that_are_found_again_are_saved(tmp_path):
    manager = Manager(tmp_path)
    with pytest.raises(ValueError, match="below 10"):
        manager.save(10**18, {"a": 1})
    manager.save(7, {"a": 1})
    (tmp_path / "step_007.safetensors").write_bytes(b"")
    assert manager.steps() == [7]
