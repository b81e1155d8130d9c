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
        ({"keep": 0}, "keep must be an int of at least 1, or None, got 0"),
        ({"keep": 1.5}, "keep must be an int of at least 1, or None, got 1.5"),
        ({"every": -2}, "every must be an int of at least 1, got -2"),
        ({"mode": "least"}, "mode must be 'min' or 'max', got 'least'"),
        ({"backend": "tar"}, "backend must be"),
    ],
)
def test_bad_arguments(tmp_path, options, why):
    with pytest.raises(ValueError, match=why):
        Manager(tmp_path, **options)


def test_steps_between_evaluations_need_no_metrics(tmp_path):
    manager = Manager(tmp_path, keep=2, best="acc", mode="max")
    assert manager.save(1, state(1))
    assert manager.best_step() is None
    manager.save(2, state(2), {"acc": 0.0})
    for step in range(3, 6):
        manager.save(step, state(step))
    manager.save(6, state(6), {"acc": -1.0})
    assert (manager.best_step(), manager.steps()) == (2, [2, 5, 6])
    newest, again = manager.load(5), Manager(tmp_path, keep=2, best="acc", mode="max")
    assert newest is not None
    assert newest.metrics == {}
    assert again.best_step() == 2
    with pytest.raises(ValueError, match=r"metrics must have 'acc', .* got \[\]; leave metrics out"):
        manager.save(7, state(7), {})


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


METRICS = {
    "text": ({"loss": "3"}, r"metrics\['loss'\] must be a number, got '3'"),
    "nothing": ({"loss": None}, r"metrics\['loss'\] must be a number, got None"),
    "a list": ({"loss": [1.0]}, r"metrics\['loss'\] must be a number, got \[1\.0\]"),
    "an array": ({"loss": np.ones(2)}, r"metrics\['loss'\] must be a number, got float64\[2\]"),
    "a complex number": ({"loss": 1j}, r"metrics\['loss'\] must be a number, got 1j"),
    "too large": ({"loss": 10**400}, r"metrics\['loss'\] must be a number, got 1000"),
    "another one": ({"loss": 1, "acc": object}, r"metrics\['acc'\] must be a number, got <class"),
    "a key": ({3: 1.0}, r"metrics must be a dict of names to numbers, got \{3: 1\.0\}"),
    "no dict": (1.0, r"metrics must be a dict or None, got 1\.0"),
}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_that_are_no_numbers(tmp_path, name):
    metrics, why = METRICS[name]
    manager = Manager(tmp_path, keep=1, best="loss")
    manager.save(1, {"a": 1}, {"loss": np.float32(2)})
    with pytest.raises(TypeError, match=f"Manager.save: {why}"):
        manager.save(2, lambda: pytest.fail("the state is not made"), metrics)
    assert manager.steps() == [1]
    assert manager.load().metrics == {"loss": 2}


@pytest.mark.parametrize("step", [True, 1.0, "1", None, np.ones(1), jnp.ones(())])
def test_steps_that_are_none(tmp_path, step):
    manager = Manager(tmp_path)
    with pytest.raises(TypeError, match=r"Manager\.save: step must be an int, got"):
        manager.save(step, {"a": 1})
    assert manager.steps() == []


def test_ints_of_numpy_and_jax(tmp_path):
    manager = Manager(tmp_path, np.int64(2), every=np.int32(1))
    for step in (np.int64(3), jnp.int32(4), np.uint8(5)):
        assert manager.save(step, {"a": 1})
    assert manager.steps() == [4, 5]
    assert manager.load(jnp.int32(4)).step == manager.load(np.uint8(4)).step == 4


@pytest.mark.parametrize("best", [3, True, ["loss"], b"loss"])
def test_best_is_a_name(tmp_path, best):
    with pytest.raises(TypeError, match="Manager: best must be the name of a metric, or None, got"):
        Manager(tmp_path, best=best)


def test_infinite_metrics(tmp_path):
    manager = Manager(tmp_path, keep=1, best="loss")
    for step, loss in enumerate([float("nan"), float("inf"), 1.0, float("-inf"), float("nan")]):
        manager.save(step, {"a": 1}, {"loss": loss})
    assert (manager.best_step(), manager.steps()) == (3, [3, 4])
    assert Manager(tmp_path, best="loss").best_step() == 3
    assert Manager(tmp_path, best="loss", mode="max").best_step() == 3


def test_folders_that_are_none(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in ("file", "file/run"):
        with pytest.raises(NotADirectoryError, match=f"Manager: .*{folder}: "):
            Manager(tmp_path / folder)
    manager = Manager(tmp_path / "run")
    (tmp_path / "run" / "step_3.safetensors").mkdir()
    assert manager.load() is None
    (tmp_path / "run" / "step_3.safetensors").rmdir()
    (tmp_path / "run").rmdir()
    for call in (manager.load, manager.steps, lambda: manager.save(1, {"a": 1})):
        with pytest.raises(FileNotFoundError, match=r"Manager: no such file: .*run"):
            call()


def test_what_does_not_fit_is_no_damage(tmp_path):
    """A wrong sharding or a missing x64 must not make a run begin anew."""
    import jax

    manager = Manager(tmp_path)
    manager.save(1, {"layer": {"weight": np.ones((3, 2))}, "count": np.array(2**40)})
    mesh = jax.make_mesh((1,), ("m",))
    deep = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(None, None, None, "m"))
    there = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with jax.enable_x64(True):
        for sharding, why in (
            ({"layer.wieght": there}, r"name 'layer\.wieght', which no tensor has; the nearest is 'layer\.weight'"),
            ({"layer.weight": deep}, r"tensor 'state\.layer\.weight': its shape \(3, 2\) does not fit"),
        ):
            with pytest.raises(ValueError, match=rf"Manager\.load: .*step_1\.safetensors: .*{why}"):
                manager.load(sharding=sharding)
        assert manager.load(sharding={"layer.weight": there}).step == 1
    with jax.enable_x64(False), pytest.raises(ValueError, match=r"tensor 'state\.count': it is int64"):
        manager.load()


def test_an_object_with_a_state_dict_is_no_state(tmp_path):
    manager = Manager(tmp_path)
    for state in (fnn.nn.Linear(2, 3), fnn.Generator()):
        with pytest.raises(
            TypeError, match=rf"state must be an array.*got {type(state).__name__}; save its state_dict\(\)"
        ):
            manager.save(1, state)
    assert manager.steps() == []
