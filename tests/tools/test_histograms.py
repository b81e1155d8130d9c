"""Histograms against numpy, curves by what matplotlib was given, TensorBoard by reading its file back."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.tools import histograms, log_tensorboard, plot_losses


def layer():
    fnn.manual_seed(0)
    made = nn.Linear(30, 20)
    fnn.backward(lambda: made(jnp.ones((4, 30), jnp.float32)).sum(), made)
    return made


@pytest.fixture
def drawn():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_numbers_are_numpys():
    made = layer()
    found = histograms(made, bins=7)
    assert [(h.name, h.kind) for h in found] == [(n, k) for n in ("weight", "bias") for k in ("parameter", "gradient")]
    weight = np.asarray(made.weight)
    counts, edges = np.histogram(weight.astype(np.float64), 7)
    np.testing.assert_array_equal(found[0].counts, counts)
    np.testing.assert_allclose(found[0].edges, edges)
    np.testing.assert_allclose([found[0].mean, found[0].std], [weight.mean(), weight.std()], atol=1e-7)
    np.testing.assert_allclose(found[0].norm, np.linalg.norm(weight), rtol=1e-6)
    assert (found[1].mean, found[1].std, found[1].zeros) == (4, 0, 0)


def test_values_that_are_not_finite_and_odd_arrays():
    made = nn.ParameterList([jnp.asarray([0.0, jnp.nan, jnp.inf, 2.0]), jnp.zeros(0), jnp.full(2, jnp.nan)])
    found = histograms(made)
    assert [(h.size, h.nonfinite, h.zeros) for h in found] == [(4, 2, 1), (0, 0, 0), (2, 2, 0)]
    assert (found[0].mean, found[0].norm) == (1, 2)
    assert "not finite" in repr(found)
    assert "<table>" in found._repr_html_()
    assert found[2].bars() == ""
    assert len(found[0].bars(10)) == 10
    assert histograms(nn.LazyLinear(3)).found == []
    assert histograms(nn.Embedding(3, 2, sparse=True))[0].size == 6


def test_they_are_drawn(drawn):
    figure = histograms(layer()).plot(columns=3)
    assert [axis.get_title() for axis in figure.axes] == [
        "weight",
        "weight (gradient)",
        "bias",
        "bias (gradient)",
        "",
        "",
    ]
    with pytest.raises(ValueError, match="nothing to draw"):
        histograms(nn.ReLU()).plot()


def test_curves(drawn):
    axis = plot_losses([jnp.float32(3), 2.0, np.float64(1)])
    np.testing.assert_array_equal(axis.lines[0].get_xydata(), [[0, 3], [1, 2], [2, 1]])
    again = plot_losses({"a": np.arange(4.0) + 1, "b": [(0, 1.0), (3, 0.5)]}, smooth=0.5, log=True, ax=axis)
    assert again is axis
    assert axis.get_yscale() == "log"
    np.testing.assert_array_equal(axis.lines[3].get_xydata(), [[0, 1], [3, 0.5]])
    smoothed = axis.lines[2].get_ydata()
    np.testing.assert_allclose(smoothed[:3], [1, (1 + 2 * 2) / 3, (1 + 2 * 2 + 4 * 3) / 7])


def test_errors(monkeypatch):
    with pytest.raises(ValueError, match=r"plot_losses: smooth must be in \[0, 1\), got 1"):
        plot_losses([1.0], smooth=1)
    with pytest.raises(ValueError, match="plot_losses: losses of 'loss' must be numbers, or pairs"):
        plot_losses([[1.0, 2.0, 3.0]])
    with pytest.raises(TypeError, match=r"histograms: model must be an fnn.nn.Module"):
        histograms(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="histograms: bins must be at least 1, got 0"):
        histograms(nn.ReLU(), bins=0)
    with pytest.raises(ValueError, match=r"log_tensorboard: scalars\['a'\] must have one element, got shape \(2,\)"):
        log_tensorboard(None, 0, {"a": np.ones(2)})
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"plot_losses: needs matplotlib; pip install \"fnn\[plot\]\""):
        plot_losses([1.0])


def test_tensorboard(tmp_path):
    tensorboardX = pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    made = layer()
    with tensorboardX.SummaryWriter(str(tmp_path)) as writer:
        log_tensorboard(writer, 7, {"loss": jnp.ones((1,)) * 0.5}, made)
    (file,) = tmp_path.iterdir()
    data, values = file.read_bytes(), {}
    while data:
        size = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + size])
        values.update((value.tag, value) for value in event.summary.value)
        assert not event.summary.value or event.step == 7
        data = data[16 + size :]
    assert values["loss"].simple_value == 0.5
    assert values["norms/gradients/bias"].simple_value == pytest.approx(4 * 20**0.5)
    assert values["parameters/weight"].histo.num == 600
    assert sum(values["gradients/weight"].histo.bucket) == 600
