"""Sources of random keys: ``Generator``, ``manual_seed``, ``key_scope``."""

from __future__ import annotations

import operator
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.random.bits import _THREEFRY, _threefry, check_key, fold_in
from fnn.stateful.boxes import Box
from fnn.stateful.donation import exclusive
from fnn.stateful.protocol import Stateful
from fnn.stateful.remedies import with_remedy
from fnn.stateful.scopes import Scope, current_scopes, innermost, refuse_stray, scope_to_write
from fnn.stateful.tracing import is_eager, renew_mark, runs_once, setting, stack_depth, trace_state

__all__ = [
    "Generator",
    "advance",
    "default_generator",
    "further",
    "get_rng_state",
    "initial_seed",
    "key_scope",
    "manual_seed",
    "next_key",
    "set_rng_state",
    "settle_draws",
]


class Generator(Stateful):
    """A source of random keys, as ``torch.Generator``: a key and the count of keys already drawn from it.

    Draw number ``i`` is ``jax.random.fold_in(key, i)``, eagerly and under ``fnn.jit`` alike. A new one has a random seed.

    Args:
        device: accepted for torch's signature and kept as an attribute; keys lie where JAX puts them.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.Generator.html

    Example:
        >>> g = Generator().manual_seed(0)
        >>> g.initial_seed()
        0
    """

    def __init__(self, device: Any = None) -> None:
        self.device = device
        self._impl = _THREEFRY
        self._box = Box(label="generator state")
        self._seed = 0
        self._depth = 0
        self._draws: dict[Generator, int] = {}
        self._stateful_origin_ = trace_state()
        self.manual_seed(secrets.randbits(63))

    @classmethod
    def _of_key(cls, key: Any, depth: int) -> Generator:
        """A generator that draws from a given key, traced or not, for what is deeper in the stack than ``depth``."""
        self = cls.__new__(cls)
        self.device = None
        self._seed = 0
        self._stateful_origin_ = trace_state()
        self._depth = depth
        self._draws = {}
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            self._impl = str(jax.random.key_impl(key))
            key = jax.random.key_data(key)
        else:
            self._impl = str(setting("jax_default_prng_impl"))
        zero = np.zeros(1, np.uint32)
        if isinstance(key, Tracer):
            state = jnp.concatenate([key, zero])
        else:
            state = np.concatenate([np.asarray(key), zero])
        self._box = Box(state, label="generator state")
        return self

    def manual_seed(self, seed: int) -> Generator:
        """Starts the sequence of a seed.

        Args:
            seed: an int in [-2**63, 2**64).

        Returns:
            the generator.

        Raises:
            TypeError: if the seed is no integer.
            RuntimeError: if it is out of range, or in a JAX transformation that fnn does not run.
        """
        try:
            seed = operator.index(seed)
        except TypeError:
            raise TypeError(f"manual_seed: seed must be an int, got {seed!r}") from None
        if not -(2**63) <= seed < 2**64:
            raise RuntimeError(f"manual_seed: seed must be in [-2**63, 2**64), got {seed}")
        self._refuse_stray("manual_seed")
        state = np.array([(seed >> 32) & 0xFFFFFFFF, seed & 0xFFFFFFFF, 0], np.uint32)
        self._box.data = state
        self._seed = seed % 2**64
        self._impl = _THREEFRY
        return self

    def seed(self) -> int:
        """Seeds from the operating system and returns the seed."""
        self.manual_seed(secrets.randbits(63))
        return self._seed

    def initial_seed(self) -> int:
        """The seed last given."""
        return self._seed

    def get_state(self) -> Any:
        """The state as an array of uint32: the words of the key, then the count of draws."""
        return np.array(self._box.data)

    def set_state(self, state: Any) -> Generator:
        """Puts back a state from ``get_state``; returns the generator.

        Raises:
            ValueError: if the array is no state of this kind of generator.
            RuntimeError: in a JAX transformation that fnn does not run.
        """
        self._refuse_stray("set_state")
        state = np.asarray(state)
        if state.dtype != np.uint32 or state.shape != self._box.data.shape:
            raise ValueError(
                f"set_state: state must be uint32{list(self._box.data.shape)}, got {state.dtype}{list(state.shape)}"
            )
        self._box.data = state.copy()
        return self

    def state_dict(self) -> dict[str, Any]:
        """Where the sequence stands, as plain values and an array: what ``fnn.save`` takes.

        Example:
            >>> import fnn
            >>> a, b = fnn.Generator().manual_seed(0), fnn.Generator()
            >>> b.load_state_dict(a.state_dict())
            >>> bool((a.next_key() == b.next_key()).all())
            True
        """
        return {"state": self.get_state(), "seed": self._seed, "impl": self._impl}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Goes on where another one stood.

        Args:
            state_dict: what ``state_dict`` gave, also as it comes from a file.

        Raises:
            ValueError: if it is none of a generator, or of one of another kind; the generator is as it was.
        """
        if not isinstance(state_dict, Mapping) or state_dict.keys() != {"state", "seed", "impl"}:
            raise ValueError(f"load_state_dict: must be a state_dict of a Generator, got {state_dict!r:.80}")
        if state_dict["impl"] != self._impl:
            raise ValueError(
                f"load_state_dict: it is of a generator of {state_dict['impl']!r} keys, this one draws {self._impl!r} keys"
            )
        seed = operator.index(state_dict["seed"])
        self.set_state(state_dict["state"])
        self._seed = seed

    def _refuse_stray(self, function: str) -> None:
        instead = "seed outside of the transformed function, or open fnn.random.key_scope(key) inside it"
        refuse_stray(f"{function}: the state of a generator", self._box._origin, instead)

    def next_key(self) -> Any:
        """Draws one key (raw uint32 words for the default kind, else a typed key)."""
        if self._depth or current_scopes() or not is_eager():
            return self._next_key_in_scope()
        with exclusive:  # no other thread draws the same key, and no program that is running
            state = self._box.peek()
            if self._impl != _THREEFRY:
                return self._next_key_of(state)
            key = self._key_at(state)
            self._box.write(advanced(state, 1), owned=True)
        return key

    def _next_key_of(self, state: Any) -> Any:
        key = self._key_at(state)
        advance(self._box, state, 1)
        return key

    def _key_at(self, state: Any) -> Any:
        if self._impl == _THREEFRY and not isinstance(state, Tracer):
            host = np.asarray(state)
            return np.concatenate(_threefry(host[:2], np.zeros(1, np.uint32), host[2:].copy()))
        state = jnp.asarray(state)
        return fold_in(jax.random.wrap_key_data(state[:-1], impl=self._impl), state[-1])

    def _next_key_in_scope(self) -> Any:
        """Draws at the level of a scope, or in a transformation within it, such as jax.checkpoint, where the state cannot be
        written: there the draws are counted, for the state to take them up later."""
        scope = innermost()
        counts = self._draws if self._depth or scope is None else scope.draws
        if scope is not None and not scope.may_draw:
            raise RuntimeError("the scope around cannot take the new state")
        try:
            scope_to_write(self._box)
        except RuntimeError:
            depth = self._depth or (scope.depth if scope is not None else 0)
            if not depth or not runs_once(depth):
                raise
            count = counts.get(self, 0)
            key = self._key_at(advanced(self._box.peek(), count))
            counts[self] = count + 1
            renew_mark()
            return key
        self._take_up(counts)
        pending = 0 if self._depth else self._pending_outside(scope)
        if pending:
            advance(self._box, self._box.peek(), pending)
        return self._next_key_of(self._box.peek())

    def _pending_outside(self, scope: Scope | None) -> int:
        """Draws counted around a scope, and not yet in the state; those of a state that the scope has are in it."""
        if scope is None or scope.values.get(self._box.place()) is not None:
            return 0
        return sum(outer.draws.get(self, 0) for outer in current_scopes() if outer is not scope)

    def _take_up(self, counts: dict[Generator, int]) -> None:
        count = counts.pop(self, 0)
        if count:
            advance(self._box, self._box.peek(), count)

    def _stateful_boxes_(self) -> Iterable[Box]:
        return (self._box,)

    def _stateful_key_(self) -> str:
        return self._impl

    def __repr__(self) -> str:
        return f"fnn.Generator(seed={self._seed})"


def _ones(state: Any) -> np.ndarray[Any, Any]:
    """What a draw adds to a state."""
    one = np.zeros(state.shape, np.uint32)
    one[-1] = 1
    return one


def further(state: Any, count: jax.Array) -> jax.Array:
    """A state after a number of draws that is traced."""
    return jnp.asarray(state) + _ones(state) * count


def advanced(state: Any, count: int) -> Any:
    """A state after so many draws; of one on the host, again one on the host."""
    return (state if isinstance(state, Tracer) else np.asarray(state)) + _ones(state) * np.uint32(count)


def advance(box: Box, state: Any, count: int) -> None:
    """Moves a generator's state, as it is now, on by so many draws; the scope to which that belongs counts them."""
    scope = innermost()
    before = None if scope is None else scope.advanced_by(box)
    box.data = advanced(state, count)
    if scope is not None and before is not None and box.place() in scope.writes:
        scope.note_advance(box, before + count)


def count_draws(scope: Scope) -> None:
    """To be called when a scope is about to end: the states of generators count the draws in traces within it."""
    for generator in list(scope.draws):
        generator._take_up(scope.draws)


def can_draw() -> bool:
    """Whether the ambient generator's state can be written here, and so from a scope that hands on what it writes."""
    generator = current_generator()
    scope = innermost()
    if scope is not None and not scope.may_draw:
        return False
    try:
        scope_to_write(generator._box)
    except RuntimeError:
        return False
    return True


def settle_draws() -> None:
    """To be called before a trace that reads the states of generators: they count the draws made so far at this level."""
    state = trace_state()
    scope = innermost()
    if scope is not None and scope.trace == state:
        count_draws(scope)
    for generator in _scopes.get():
        if generator._draws and generator._stateful_origin_ == state:
            generator._take_up(generator._draws)


default_generator: Generator = Generator()


# The generators of the open key scopes of this thread, outermost first.
_scopes: ContextVar[tuple[Generator, ...]] = ContextVar("fnn_key_scopes", default=())


def current_generator() -> Generator:
    """The generator that random functions without ``rng=`` draw from.

    Returns:
        that of the innermost key scope, else the default one.

    Example:
        >>> import fnn
        >>> fnn.random.current_generator() is fnn.random.default_generator
        True
    """
    scopes = _scopes.get()
    return scopes[-1] if scopes else default_generator


def manual_seed(seed: int) -> Generator:
    """Seeds the default generator, from which random functions draw that are given no key.

    Args:
        seed: an int in [-2**63, 2**64).

    Returns:
        the default generator.

    Raises:
        TypeError: if the seed is no integer.
        RuntimeError: if it is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.manual_seed.html

    Example:
        >>> import fnn
        >>> fnn.manual_seed(0).initial_seed()
        0
    """
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The seed of the default generator.

    Returns:
        the seed that ``fnn.manual_seed`` set, or that it began with.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.initial_seed.html

    Example:
        >>> import fnn
        >>> generator = fnn.manual_seed(3)
        >>> fnn.initial_seed()
        3
    """
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The state of the default generator.

    Returns:
        a uint8 array, for ``fnn.set_rng_state``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.get_rng_state.html

    Example:
        >>> import fnn
        >>> state = fnn.get_rng_state()
        >>> first = fnn.random.next_key("example")
        >>> fnn.set_rng_state(state)
        >>> bool((first == fnn.random.next_key("example")).all())
        True
    """
    return default_generator.get_state()


def set_rng_state(state: Any) -> None:
    """Puts back a state of the default generator.

    Args:
        state: what ``get_rng_state`` gave.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.set_rng_state.html

    Example:
        >>> import fnn
        >>> state = fnn.get_rng_state()
        >>> fnn.set_rng_state(state)
    """
    default_generator.set_state(state)


@contextmanager
def key_scope(key: Any) -> Iterator[Generator]:
    """Random functions inside draw from ``key`` (traced keys too): draw number ``i`` uses ``fold_in(key, i)``.

    Args:
        key: a JAX PRNG key, typed or legacy.

    Returns:
        a context manager; it gives the scope's generator.

    Raises:
        TypeError: if ``key`` is no such key.

    Example:
        >>> import jax, fnn
        >>> with fnn.random.key_scope(jax.random.key(0)):
        ...     a = fnn.random.next_key("example")
        >>> with fnn.random.key_scope(jax.random.key(0)):
        ...     b = fnn.random.next_key("example")
        >>> bool((a == b).all())
        True
    """
    generator = Generator._of_key(check_key("key_scope", key, "key"), stack_depth() - 2)  # the caller's frame
    _scopes.set((*_scopes.get(), generator))
    try:
        yield generator
    finally:
        _scopes.set(tuple(one for one in _scopes.get() if one is not generator))


def next_key(function: str = "next_key", rng: Any = None) -> Any:
    """The key a random function shall use: ``rng`` if given, else the next one of the ambient source.

    Code of your own that draws by ``jax.random`` takes its keys here, and so follows ``fnn.manual_seed``, ``key_scope``,
    ``functional_call(..., rng=)`` and ``fnn.jit`` as the layers do.

    Args:
        function: name of the calling function, for error messages.
        rng: a JAX PRNG key, typed or legacy, or ``None``.

    Returns:
        a key: ``rng`` as it is, or raw uint32 words for generators of the default kind, else a typed key.

    Raises:
        TypeError: if ``rng`` is no key.
        RuntimeError: under a JAX transformation that fnn does not run, with neither ``rng`` nor a key scope inside it.

    Example:
        >>> import fnn, jax
        >>> jax.random.normal(fnn.random.next_key("noise"), (3,)).shape
        (3,)
    """
    if rng is not None:
        return check_key(function, rng)
    try:
        return current_generator().next_key()
    except RuntimeError as error:
        if current_scopes() or _scopes.get():
            raise with_remedy(
                RuntimeError(
                    f"{function}: a random draw inside a loop (scan, while_loop, fori_loop, map) or jax.vmap needs a key of its "
                    "own, for all its runs would share one: use fnn.scan or fnn.vmap, which give each its own; or make the keys "
                    "outside, as by jax.random.split, give them to the transformed function as an argument, and pass rng= or "
                    "open fnn.random.key_scope(key) inside it"
                ),
                "a-draw-needs-a-key",
            ) from error
        raise with_remedy(
            RuntimeError(
                f"{function}: a random draw under a JAX transformation (jit, grad, vmap, scan, checkpoint, ...) needs a key of "
                "its own: pass rng=, or open fnn.random.key_scope(key) inside the transformed function, or use "
                "fnn.functional_call(..., rng=key) or fnn.jit; outside of jax.jit and within fnn.jit, fnn.remat, fnn.scan, "
                "fnn.cond, fnn.vmap and fnn.grad draw as plain code does, and stand for JAX's"
            ),
            "a-draw-needs-a-key",
        ) from error
