"""``DataLoader``: batches, orders, resumption, errors; beside torch's own."""

import gc
import threading
import traceback
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import fnn
from fnn.data import DataLoader, IterableDataset, Subset, TensorDataset
from tests.oracle import needs_torch

X, Y = np.arange(20.0).reshape(10, 2), np.arange(10)


class Squares:
    """A map-style dataset of one's own."""

    def __init__(self, count=10):
        self.count = count
        self.read = []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.read.append(index)
        return {"x": np.full(2, index, np.float32), "y": index**2}


class Counting(IterableDataset):
    """An iterable dataset."""

    def __init__(self, count=10):
        self.count = count
        self.read = 0

    def __iter__(self):
        for i in range(self.count):
            self.read += 1
            yield i


class Resumable(Counting):
    """One that knows where it stands."""

    def __init__(self, count=10):
        super().__init__(count)
        self.at = 0

    def __iter__(self):
        for i in range(self.at, self.count):
            self.read += 1
            self.at = i + 1
            yield i
        self.at = 0

    def state_dict(self):
        return {"at": self.at}

    def load_state_dict(self, state):
        self.at = state["at"]


def loader_threads():
    return [t for t in threading.enumerate() if t.name == "fnn.data"]


def test_arrays_come_in_their_structure():
    (batch,) = DataLoader(X, batch_size=10)
    assert (batch == X).all()
    assert not np.shares_memory(batch, X)
    (batch,) = DataLoader({"a": X, "b": (Y, jnp.asarray(Y))}, batch_size=10)
    assert (batch["b"][1] == Y).all()
    assert isinstance(batch["b"][1], np.ndarray)
    first, *_ = DataLoader(Subset(Subset(TensorDataset(X, Y), list(range(9, -1, -1))), np.arange(0, 10, 2)), 2)
    assert first[1].tolist() == [9, 7]
    assert DataLoader(np.zeros((0, 3)), 4).__len__() == 0
    assert list(DataLoader(np.zeros((0, 3)), 4)) == []


@needs_torch
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 3},
        {"batch_size": 3, "drop_last": True},
        {"batch_size": None},
        {"batch_size": 4, "sampler": [3, 1, 2, 9, 5]},
        {"batch_size": 4, "sampler": [3, 1, 2, 9, 5], "drop_last": True},
        {"batch_size": None, "sampler": [3, 1, 2]},
        {"batch_sampler": [[1, 2], [3], [4, 5, 6]]},
        {"batch_size": 4, "collate_fn": len},
    ],
    ids=repr,
)
@pytest.mark.parametrize("make", [lambda: TensorDataset(X, Y), Squares, lambda: [(x, 1.5) for x in X]])
def test_batches_are_torchs(make, options):
    from torch.utils import data

    dataset = make()
    ours, theirs = DataLoader(dataset, **options), data.DataLoader(dataset, **options)
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        a, b = jax.tree.leaves(mine), jax.tree.leaves(other)
        assert len(a) == len(b)
        for one, two in zip(a, b, strict=True):
            assert np.asarray(one).dtype == np.asarray(two).dtype
            np.testing.assert_array_equal(one, np.asarray(two))


@needs_torch
@pytest.mark.parametrize("options", [{"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None}])
def test_iterables_are_torchs(options):
    from torch.utils import data

    class Theirs(Counting, data.IterableDataset):
        pass

    ours = [np.asarray(b).tolist() for b in DataLoader(Theirs(), **options)]
    assert ours == [np.asarray(b).tolist() for b in data.DataLoader(Theirs(), **options)]
    assert ours == [b.tolist() if hasattr(b, "tolist") else b for b in DataLoader((i for i in range(10)), **options)]


@needs_torch
@pytest.mark.parametrize(
    ("dataset", "options"),
    [
        (range(10), {"shuffle": True, "sampler": [1]}),
        (range(10), {"batch_sampler": [[1]], "batch_size": 2}),
        (range(10), {"batch_sampler": [[1]], "shuffle": True}),
        (range(10), {"batch_sampler": [[1]], "sampler": [1]}),
        (range(10), {"batch_sampler": [[1]], "drop_last": True}),
        (range(10), {"batch_size": None, "drop_last": True}),
        (range(10), {"batch_size": 0}),
        (range(10), {"timeout": -1}),
        (range(10), {"num_workers": -1}),
        (range(10), {"persistent_workers": True}),
    ],
)
def test_what_torch_refuses_is_refused(dataset, options):
    from torch.utils import data

    with pytest.raises(ValueError):
        data.DataLoader(dataset, **options)
    with pytest.raises(ValueError, match=r"DataLoader: \w+ must be"):
        DataLoader(dataset, **options)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="shuffle must be not given with an iterable"):
        DataLoader(Counting(), shuffle=True)
    with pytest.raises(TypeError, match="dataset must be arrays, a map-style dataset"):
        DataLoader(3)
    with pytest.raises(TypeError, match="map-style dataset"):
        DataLoader(Counting(), num_workers=1)
    with pytest.raises(ValueError, match="pad_last must be False where drop_last"):
        DataLoader(X, 3, drop_last=True, pad_last=True)
    with pytest.raises(ValueError, match="device must be None where sharding"):
        DataLoader(X, device="cpu", sharding=jax.sharding.SingleDeviceSharding(jax.devices()[0]))
    with pytest.raises(TypeError, match="sharding must be a"):
        DataLoader(X, sharding=3)
    with pytest.raises(TypeError, match="no len"):
        len(DataLoader(Counting()))
    with pytest.raises(TypeError, match="rng must be an int"):
        iter(DataLoader(X, shuffle=True, rng=0.5))
    with pytest.raises(TypeError, match="batch_size must be an int"):
        DataLoader(X, 2.5)


@needs_torch
def test_torchs_samplers_and_datasets():
    import torch
    from torch.utils import data

    x = torch.arange(12.0).reshape(6, 2)
    (batch,) = DataLoader(data.TensorDataset(x, torch.arange(6)), 6)
    assert (batch[0] == x.numpy()).all()
    assert isinstance(batch[0], np.ndarray)
    sampler = data.WeightedRandomSampler([0, 0, 1.0, 0, 0, 0], 4)
    (rows,) = DataLoader(np.arange(6), 4, sampler=sampler)
    assert rows.tolist() == [2, 2, 2, 2]
    batches = data.BatchSampler(data.SequentialSampler(range(6)), 4, False)
    assert [b.tolist() for b in DataLoader(range(6), batch_sampler=batches)] == [[0, 1, 2, 3], [4, 5]]
    (whole,) = DataLoader(x, 6)
    assert (whole == x.numpy()).all()


@needs_torch
def test_torchs_loader_feeds_a_step():
    """What the guide says: the batches of torch's own DataLoader go into a compiled step as they are."""
    import torch
    from torch.utils import data

    fnn.manual_seed(0)
    model = fnn.nn.Linear(2, 1)
    optimizer = fnn.optim.SGD(model.parameters(), lr=0.001)

    @fnn.jit
    def step(x, y):
        return optimizer.step(lambda: ((model(x)[:, 0] - y) ** 2).mean())

    dataset = data.TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(X.sum(1), dtype=torch.float32))
    losses = [float(step(x, y)) for _ in range(5) for x, y in data.DataLoader(dataset, 5)]
    assert losses[-1] < losses[0]


# The order


def epochs(loader, count):
    return [[b.tolist() for b in loader] for _ in range(count)]


def test_every_epoch_has_another_order_of_the_seed():
    first = epochs(DataLoader(Y, 3, shuffle=True, rng=1), 3)
    assert first[0] != first[1] != first[2]
    assert all(sorted(row for batch in epoch for row in batch) == list(range(10)) for epoch in first)
    assert epochs(DataLoader(Y, 3, shuffle=True, generator=1), 3) == first
    assert epochs(DataLoader(Y, 3, shuffle=True, rng=2), 3) != first


def test_manual_seed_governs_the_order():
    loader = DataLoader(Y, 3, shuffle=True)  # made before: the draw is at the first loop, as torch's
    fnn.manual_seed(5)
    first = epochs(loader, 2)
    fnn.manual_seed(5)
    assert epochs(DataLoader(Y, 3, shuffle=True), 2) == first
    assert epochs(DataLoader(Y, 3, shuffle=True), 2) != first
    before = fnn.get_rng_state()
    list(DataLoader(Y, 3))
    assert (fnn.get_rng_state() == before).all()  # nothing is drawn where nothing is shuffled


@pytest.mark.parametrize("options", [{}, {"device": "cpu"}, {"pad_last": True}, {"drop_last": True}])
def test_ten_thousand_batches_resumed_in_the_middle(options):
    rows = np.arange(20_001)
    whole = DataLoader(rows, 2, shuffle=True, rng=3, **options)
    batches, state = [], None
    for epoch in range(2):
        for number, batch in enumerate(whole):
            batches.append(batch)
            if (epoch, number) == (1, 4321):
                state, stopped = whole.state_dict(), len(batches)
    assert len(batches) >= 20_000
    resumed = DataLoader(rows, 2, shuffle=True, **options)
    resumed.load_state_dict(state)
    assert resumed.epoch == 1
    rest = list(resumed)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), batches[stopped:], rest))
    both = next(iter(whole)), next(iter(resumed))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), *both))  # and so does the epoch after


def test_resuming_reads_nothing_again():
    dataset = Squares(10)
    loader = DataLoader(dataset, 2, shuffle=True, rng=0)
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    state = loader.state_dict()
    again = Squares(10)
    resumed = DataLoader(again, 2, shuffle=True)
    resumed.load_state_dict(state)
    list(resumed)
    assert len(again.read) == 4
    assert sorted(again.read + dataset.read) == list(range(10))


def test_states_at_the_seams():
    loader = DataLoader(Y, 5, shuffle=True, rng=0)
    start = loader.state_dict()
    expected = epochs(DataLoader(Y, 5, shuffle=True, rng=0), 3)
    inside = []
    for _ in loader:
        inside.append(loader.state_dict())
    after = loader.state_dict()
    assert (after["epoch"], after["batch"]) == (1, 0)

    def rest(state, count):
        other = DataLoader(Y, 5, shuffle=True)
        other.load_state_dict(state)
        return epochs(other, count)

    assert rest(start, 3) == expected
    assert rest(inside[0], 2) == [expected[0][1:], expected[1]]
    assert rest(inside[1], 2) == [[], expected[1]]
    assert rest(after, 2) == expected[1:]
    next(iter(loader))  # a loop that is left: the next one is the next epoch
    assert epochs(loader, 1) == expected[2:]


def test_a_state_that_does_not_fit():
    state = DataLoader(Y, 5, shuffle=True, rng=0).state_dict()
    with pytest.raises(ValueError, match=r"load_state_dict: rows must be 9, that of this loader, got 10"):
        DataLoader(Y[:9], 5, shuffle=True).load_state_dict(state)
    with pytest.raises(ValueError, match="batch_size must be 4"):
        DataLoader(Y, 4, shuffle=True).load_state_dict(state)
    with pytest.raises(ValueError, match="seed must be of a loader with shuffle"):
        DataLoader(Y, 5, shuffle=True).load_state_dict(DataLoader(Y, 5).state_dict())


def test_a_state_goes_through_a_checkpoint(tmp_path):
    loader = DataLoader(Y, 3, shuffle=True, rng=0)
    batches = iter(loader)
    next(batches)
    fnn.save({"loader": loader.state_dict()}, tmp_path / "run.safetensors")
    other = DataLoader(Y, 3, shuffle=True)
    other.load_state_dict(fnn.load(tmp_path / "run.safetensors")["loader"])
    assert [b.tolist() for b in batches] == [b.tolist() for b in other]


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize(("kind", "read"), [(Counting, 10), (Resumable, 4)])
def test_iterables_are_resumed(kind, read, device):
    loader = DataLoader(kind(), 2, device=device)
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    state = loader.state_dict()
    batches.close()
    again = kind()
    other = DataLoader(again, 2, device=device)
    other.load_state_dict(state)
    assert [b.tolist() for b in other] == [[6, 7], [8, 9]]
    assert again.read == read
    assert [b.tolist() for b in other] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]


def test_a_sampler_is_resumed_by_its_own_order():
    loader = DataLoader(Y, 2, sampler=[5, 4, 3, 2, 1])
    batches = iter(loader)
    next(batches)
    other = DataLoader(Y, 2, sampler=[5, 4, 3, 2, 1])
    other.load_state_dict(loader.state_dict())
    assert [b.tolist() for b in other] == [[3, 2], [1]]


def test_two_loops_at_once():
    loader = DataLoader(Y, 5, shuffle=True, rng=0)
    first, second = epochs(DataLoader(Y, 5, shuffle=True, rng=0), 2)
    pairs = list(zip(loader, loader, strict=True))
    assert [a.tolist() for a, _ in pairs] == first
    assert [b.tolist() for _, b in pairs] == second


# Padding


@pytest.mark.parametrize("dataset", [X, [*X], (row for row in X)], ids=["arrays", "samples", "iterable"])
def test_padding_repeats_rows_and_says_so(dataset):
    batches = list(DataLoader(dataset, 4, pad_last=True))
    assert [batch.shape for batch, _ in batches] == [(4, 2)] * 3
    assert [mask.tolist() for _, mask in batches] == [[True] * 4] * 2 + [[True, True, False, False]]
    np.testing.assert_array_equal(batches[-1][0], X[[8, 9, 8, 9]])


def test_nothing_recompiles_with_padding():
    traced = []

    @jax.jit
    def use(batch, mask):
        traced.append(batch.shape)
        return jnp.where(mask, batch, 0).sum()

    loader = DataLoader(Y, 4, pad_last=True, shuffle=True, rng=0, device="cpu")
    assert sum(int(use(*item)) for item in loader) == Y.sum()
    assert traced == [(4,)]


def test_a_batch_larger_than_the_data():
    ((batch, mask),) = DataLoader(Y[:3], 8, pad_last=True)
    assert batch.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert mask.sum() == 3


# On devices


def test_batches_on_a_device():
    batches = list(DataLoader((X, Y), 4, device="cpu"))
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(batches))
    assert batches[0][0].devices() == {jax.devices("cpu")[0]}
    assert not loader_threads()
    without = list(DataLoader((X, Y), 4, device="cpu", prefetch=0))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), batches, without))
    first, *_ = DataLoader([("a", 1), ("b", 2)], 2, device="cpu")
    assert first[0] == ["a", "b"]
    assert isinstance(first[1], jax.Array)


def test_the_x64_setting_of_the_loop_holds_in_the_thread():
    with jax.enable_x64(False):
        (batch,) = DataLoader(X, 10, device="cpu")
        assert batch.dtype == jnp.float32
    (batch,) = DataLoader(X, 10, device="cpu")
    assert batch.dtype == jnp.float64


def test_batches_on_a_sharding():
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    (x, y), *_ = DataLoader((X, Y), 4, sharding=sharding)
    assert x.sharding.is_equivalent_to(sharding, 2)
    assert y.sharding.is_equivalent_to(sharding, 1)


@pytest.mark.parametrize("where", ["dataset", "collate_fn"])
@pytest.mark.parametrize("options", [{}, {"device": "cpu"}, {"timeout": 60}])
def test_an_exception_comes_out_of_the_loop_with_its_traceback(where, options):
    def fails(value):
        raise KeyError("the tenth row")

    class Broken(Squares):
        def __getitem__(self, index):
            return fails(index) if index == 5 else index

    loader = (
        DataLoader(Broken(), 2, **options)
        if where == "dataset"
        else DataLoader(range(9), 2, collate_fn=lambda rows: fails(rows) if 5 in rows else rows, **options)
    )
    seen = []
    with pytest.raises(KeyError, match="the tenth row") as caught:
        seen.extend(loader)
    assert len(seen) == 2
    assert "fails" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert not loader_threads()


def test_a_dataset_cannot_end_the_loop_by_stop_iteration():
    class Ends(Squares):
        def __getitem__(self, index):
            raise StopIteration

    for options in ({}, {"device": "cpu"}):
        with pytest.raises(RuntimeError, match="StopIteration"):
            list(DataLoader(Ends(), 2, **options))


def test_a_loop_that_is_left_leaves_no_thread():
    for _ in DataLoader(Y, 1, device="cpu"):
        break
    assert not loader_threads()
    with pytest.raises(ZeroDivisionError):
        list(map(lambda _: 1 / 0, DataLoader(Y, 1, device="cpu")))  # noqa: C417
    gc.collect()
    assert not loader_threads()
    batches = iter(DataLoader(Y, 1, device="cpu"))
    next(batches)
    assert len(loader_threads()) == 1
    del batches
    gc.collect()
    assert not loader_threads()


def test_nothing_is_kept_alive():
    class Held(Squares):
        pass

    dataset = Held()
    dead = weakref.ref(dataset)
    loader = DataLoader(dataset, 2, device="cpu")
    next(iter(loader))
    list(loader)
    del loader, dataset
    gc.collect()
    assert dead() is None


def test_the_thread_is_a_few_batches_ahead_and_no_more():
    dataset = Squares(100)
    batches = iter(DataLoader(dataset, 1, device="cpu", prefetch=3))
    next(batches)
    for _ in range(200):
        if len(dataset.read) == 5:
            break
        threading.Event().wait(0.01)
    threading.Event().wait(0.05)
    assert len(dataset.read) == 5  # one out, three waiting, one that waits for its place
    batches.close()


def test_a_batch_that_takes_too_long():
    release = threading.Event()

    class Slow(Squares):
        def __getitem__(self, index):
            if index == 2:
                release.wait(20)
            return index

    batches = iter(DataLoader(Slow(), 1, timeout=0.2))
    next(batches), next(batches)
    threading.Timer(0.4, release.set).start()
    with pytest.raises(RuntimeError, match=r"DataLoader: timeout must be long enough .* got 0.2"):
        next(batches)
    assert not loader_threads()


def test_a_loader_says_what_it_gives():
    x = np.zeros((5, 3), np.float32)
    assert repr(DataLoader(x, 2)) == "DataLoader(float32[5, 3], batch_size=2)"
    pair = DataLoader((x, {"y": x}), batch_size=2, shuffle=True, pad_last=True, num_workers=0)
    assert repr(pair) == "DataLoader((float32[5, 3], {'y': float32[5, 3]}), batch_size=2, shuffle=True, pad_last=True)"
    assert repr(DataLoader(Squares(7))) == "DataLoader(Squares of 7, batch_size=1)"
    assert repr(DataLoader([1] * 9, sampler=range(4), collate_fn=list)) == (
        "DataLoader(list of 9, batch_size=1, sampler=range(0, 4), collate_fn=list)"
    )
    stream = DataLoader((i for i in range(3)), batch_size=None, timeout=3)
    assert repr(stream) == "DataLoader(generator, batch_size=None, timeout=3)"
    assert repr(DataLoader(x, batch_size=5, device="cpu")) == (
        f"DataLoader(float32[5, 3], batch_size=5, device={jax.devices('cpu')[0]!r})"
    )


def test_workers_of_an_iterable_are_told_what_to_do():
    with pytest.raises(
        TypeError, match=r"^DataLoader: dataset must be a map-style .*num_workers=0.*Grain.* got 'generator'"
    ):
        DataLoader((i for i in range(3)), num_workers=2)
