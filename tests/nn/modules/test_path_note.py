"""An error that leaves a model says in which layer it came up, by the names of torch's ``named_modules``."""

import gc
import pickle
import threading
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn


class Broken(nn.Module):
    """Raises what it was given, or passes."""

    def __init__(self, error=None):
        super().__init__()
        self.error = error

    def forward(self, x):
        if self.error is not None:
            raise self.error
        return x


class Net(nn.Module):
    """Calls a layer of a list, which itself is not called."""

    def __init__(self, layer):
        super().__init__()
        self.body = nn.ModuleDict({"layers": nn.ModuleList([nn.Identity(), nn.Sequential(nn.Tanh(), layer)])})

    def forward(self, x):
        return self.body["layers"][1](x)


X = np.ones((2, 3), "float32")


def notes(error):
    return [note for note in getattr(error, "__notes__", ()) if note.startswith("in ")]


def path_of(model, layer):
    return next(name for name, part in model.named_modules() if part is layer)


def test_the_path_is_that_of_named_modules():
    layer = nn.Linear(4, 2)
    model = Net(layer)
    with pytest.raises(ValueError, match=r"^linear: input must be of shape") as caught:
        model(X)
    assert path_of(model, layer) == "body.layers.1.1"
    assert notes(caught.value) == ["in Net.body.layers.1.1 (Linear)"]


def test_a_model_that_is_one_layer():
    with pytest.raises(ValueError) as caught:
        nn.Linear(4, 2)(X)
    assert notes(caught.value) == ["in Linear"]


CALLS = {
    "fnn.jit": lambda model: fnn.jit(model)(X),
    "jax.jit": lambda model: jax.jit(model)(X),
    "backward": lambda model: fnn.backward(lambda: model(X).sum(), model),
    "step": lambda model: fnn.optim.SGD(model.parameters(), lr=0.1).step(lambda: model(X).sum()),
    "functional_call": lambda model: fnn.functional_call(model, *fnn.state(model), X),
    "checkpoint": lambda model: jax.checkpoint(model)(X),
}


@pytest.mark.parametrize("call", CALLS)
def test_under_transformations(call):
    with pytest.raises(ValueError) as caught:
        CALLS[call](Net(nn.Linear(4, 2)))
    assert notes(caught.value) == ["in Net.body.layers.1.1 (Linear)"]


def test_a_message_with_a_traced_array_that_is_written_anew_keeps_it():
    class Says(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(jnp.ones(()))

        def forward(self, x):
            return nn.functional.dropout(x * self.scale, x)

    with pytest.raises((TypeError, ValueError)) as caught:
        fnn.backward(lambda: Net(Says())(X).sum(), Says())
    assert notes(caught.value) == ["in Net.body.layers.1.1 (Says)"]


def test_any_exception_and_its_type_stay():
    class Own(Exception):
        __slots__ = ()

    for error in (Own("mine"), KeyError("k"), StopIteration(), AssertionError()):
        with pytest.raises(type(error)) as caught:
            Net(Broken(error))(X)
        assert caught.value is error
        assert notes(error) == ["in Net.body.layers.1.1 (Broken)"]
        assert str(error) == str(type(error)(*error.args))


def test_an_interrupt_is_left_alone():
    error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        Net(Broken(error))(X)
    assert not hasattr(error, "__notes__")


def test_an_error_that_a_model_handles():
    class Tries(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = Broken(ValueError("first")), Broken(TypeError("second"))

        def forward(self, x):
            try:
                return self.first(x)
            except ValueError:
                return self.second(x)

    model = Tries()
    with pytest.raises(TypeError) as caught:
        model(X)
    assert notes(caught.value) == ["in Tries.second (Broken)"]
    assert notes(model.first.error) == ["in Broken"]


def test_an_error_raised_again_is_noted_once_for_each_way():
    error = ValueError("kept")
    layer = Broken(error)
    for _ in range(2):
        with pytest.raises(ValueError):
            layer(X)
    assert notes(error) == ["in Broken"]
    with pytest.raises(ValueError):
        Net(layer)(X)
    assert notes(error) == ["in Net.body.layers.1.1 (Broken)"]


def test_a_layer_that_is_no_part_of_the_model():
    hidden = Net(nn.Linear(4, 2))

    class Outer(nn.Module):
        def forward(self, x):
            return hidden(x)

    with pytest.raises(ValueError) as caught:
        nn.Sequential(Outer())(X)
    assert notes(caught.value) == ["in Net.body.layers.1.1 (Linear)"]


def test_endless_recursion_ends_as_python_ends_it():
    class Endless(nn.Module):
        def forward(self, x):
            return self(x)

    with pytest.raises(RecursionError) as caught:
        Endless()(X)
    assert caught.value.__context__ is None


def test_the_error_can_be_pickled_and_holds_no_model():
    model = Net(nn.Linear(4, 2))
    gone = weakref.ref(model)
    with pytest.raises(ValueError) as caught:
        model(X)
    error = caught.value.with_traceback(None)
    assert notes(pickle.loads(pickle.dumps(error))) == notes(error)
    del model, caught
    gc.collect()
    assert gone() is None
    assert notes(error) == ["in Net.body.layers.1.1 (Linear)"]


def test_threads_do_not_mix():
    inner, outer = threading.Event(), threading.Event()
    found = {}

    class Waits(nn.Module):
        def forward(self, x):
            inner.set()
            outer.wait(10)
            raise ValueError("waited")

    def run(name, model):
        try:
            model(X)
        except ValueError as error:
            found[name] = notes(error)

    thread = threading.Thread(target=run, args=("waits", Net(Waits())))
    thread.start()
    inner.wait(10)
    run("other", nn.Sequential(nn.Linear(4, 2)))
    outer.set()
    thread.join()
    assert found == {"waits": ["in Net.body.layers.1.1 (Waits)"], "other": ["in Sequential.0 (Linear)"]}
