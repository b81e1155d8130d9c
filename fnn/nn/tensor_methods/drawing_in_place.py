"""torch's Tensor methods that fill a tensor with random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import ArrayLike, known
from fnn.functional.checks import as_array, as_int, check_floating, fail
from fnn.nn.tensor_methods.writing import Writing
from fnn.random import Generator
from fnn.stateful.boxes import Box
from fnn.tensor import drawing
from fnn.tensor.arithmetic import check_broadcast

__all__ = ["DrawingInPlace"]


class DrawingInPlace(Writing):
    """Draws, written into the box. Without ``generator`` they come from the ambient source (``fnn.manual_seed``)."""

    __slots__ = ()

    def _draw(self, function: str, generator: Generator | None, rule: Callable[..., jax.Array], *options: Any) -> Self:
        old = self.peek()
        value = rule(drawing.next_key(function, generator), old.shape, old.dtype, *options)
        return self._set_in_place(function, value, owned=True)

    def _draw_floats(
        self, function: str, generator: Generator | None, rule: Callable[..., jax.Array], *options: Any
    ) -> Self:
        check_floating(function, input=self.peek())
        return self._draw(function, generator, rule, *options)

    def normal_(self, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Self:
        """Fills with normal numbers; returns the box."""
        drawing.check_number("normal_", "mean", mean)
        drawing.check_number("normal_", "std", std, 0.0)
        return self._draw_floats("normal_", generator, drawing.normal, mean, std)

    def uniform_(self, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None) -> Self:
        """Fills with uniform numbers in [from_, to); returns the box."""
        drawing.check_number("uniform_", "from_", from_)
        drawing.check_number("uniform_", "to", to)
        low, high = known(from_), known(to)
        if low is not None and high is not None and not np.all(low <= high):
            fail(RuntimeError, "uniform_", "to", f"at least from_ ({from_})", to)
        return self._draw_floats("uniform_", generator, drawing.uniform, from_, to)

    def log_normal_(self, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Self:
        """Fills with numbers whose logarithms are normal; returns the box."""
        drawing.check_number("log_normal_", "mean", mean)
        drawing.check_number("log_normal_", "std", std, 0.0, strict=True)
        return self._draw_floats("log_normal_", generator, drawing.log_normal, mean, std)

    def exponential_(self, lambd: float = 1.0, *, generator: Generator | None = None) -> Self:
        """Fills with exponentially distributed numbers of rate ``lambd``; returns the box."""
        drawing.check_number("exponential_", "lambd", lambd, 0.0, strict=True)
        return self._draw_floats("exponential_", generator, drawing.exponential, lambd)

    def cauchy_(self, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Self:
        """Fills with Cauchy distributed numbers; returns the box."""
        drawing.check_number("cauchy_", "median", median)
        drawing.check_number("cauchy_", "sigma", sigma, 0.0, strict=True)
        return self._draw_floats("cauchy_", generator, drawing.cauchy, median, sigma)

    def geometric_(self, p: float, *, generator: Generator | None = None) -> Self:
        """Fills with the numbers of trials, each of chance ``p``, up to the first success; returns the box."""
        drawing.check_number("geometric_", "p", p, 0.0, strict=True)
        chance = known(p)
        if chance is not None and not np.all(chance < 1):
            fail(RuntimeError, "geometric_", "p", "below 1", p)
        return self._draw("geometric_", generator, drawing.geometric, p)

    def random_(self, *bounds: int, to: int | None = None, generator: Generator | None = None) -> Self:
        """Fills with integers: below ``to``, or from the first of two bounds on; without any, all that the dtype can tell.

        ``random_()``, ``random_(to)``, ``random_(from, to)``; returns the box.
        """
        given = [as_int("random_", "from or to", b) for b in (*bounds, *(() if to is None else (to,)))]
        if len(given) > 2:
            raise TypeError(f"random_: two bounds at most, got {given}")
        low, high = (0, drawing.greatest_integer(self.peek().dtype) + 1) if not given else (0, *given)[-2:]
        if not low < high:
            fail(RuntimeError, "random_", "to", f"above {low}", high)
        return self._draw("random_", generator, drawing.integers, low, high)

    def bernoulli_(self, p: ArrayLike = 0.5, *, generator: Generator | None = None) -> Self:
        """Fills with 1 with probability ``p``, a number or an array that broadcasts, else 0; returns the box."""
        chance: Any = p.data if isinstance(p, Box) else p
        if hasattr(chance, "dtype"):
            chance = as_array("bernoulli_", "p", chance)
            shape = self.peek().shape
            check_broadcast("bernoulli_", "p", chance, shape)
            if jnp.broadcast_shapes(shape, chance.shape) != shape:
                fail(RuntimeError, "bernoulli_", "p", f"of a shape that broadcasts to {list(shape)}", chance)
        else:
            drawing.check_number("bernoulli_", "p", chance)
        drawing.check_probabilities("bernoulli_", "p", chance)
        return self._draw("bernoulli_", generator, drawing.bernoulli, chance)
