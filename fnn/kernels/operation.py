"""``Operation``: a fast lowering beside its plain form, with a derivative rule of its own, under every transformation.

This is the one place of fnn that defines JAX primitives (``jax.extend.core`` and ``jax.interpreters``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, cached_property, lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Jaxpr, JaxprEqn, Primitive
from jax.interpreters import ad, batching, mlir
from jax.typing import ArrayLike

from fnn.kernels.no_inline import no_inline

__all__ = ["Arrays", "Operation", "cpu_jaxpr", "inner_jaxprs", "is_sharded", "plain", "plain_selected", "selection"]

Arrays = tuple[jax.Array, ...]
Plain = Callable[..., jax.Array | Arrays]
Forward = Callable[..., tuple[Arrays, Arrays]]
Backward = Callable[[tuple[int, ...], Arrays, Arrays, Arrays, Arrays], Sequence[jax.Array]]


_plain: ContextVar[bool] = ContextVar("fnn_plain", default=False)
_eigen: ContextVar[bool] = ContextVar("fnn_eigen", default=False)


class Selection:
    """Which forms this thread's functions take: the plain ones; those that count on the options of ``fnn.kernels.eigen``."""

    @property
    def plain(self) -> bool:
        """The plain ones."""
        return _plain.get()

    @plain.setter
    def plain(self, value: bool) -> None:
        _plain.set(value)

    @property
    def eigen(self) -> bool:
        """Those that count on the options."""
        return _eigen.get()

    @eigen.setter
    def eigen(self, value: bool) -> None:
        _eigen.set(value)


selection: Selection = Selection()


@contextmanager
def plain() -> Iterator[None]:
    """Within it, functions use the plain ``lax`` forms; one that was compiled outside compiles once more.

    Returns:
        a context manager.

    Example:
        >>> import jax.numpy as jnp, fnn
        >>> with fnn.kernels.plain():
        ...     fnn.nn.functional.max_pool1d(jnp.arange(4.0)[None], 2).tolist()
        [[1.0, 3.0]]
    """
    before, selection.plain = selection.plain, True
    try:
        # The mark is part of the key by which JAX keeps traces and programs, so none of either kind is taken for the other.
        with set_xla_metadata(fnn_kernels="plain"):
            yield
    finally:
        selection.plain = before


def plain_selected() -> bool:
    """Whether the caller is within ``plain()``.

    Returns:
        whether it is, in this thread.

    Example:
        >>> import fnn
        >>> with fnn.kernels.plain():
        ...     fnn.kernels.plain_selected()
        True
    """
    return selection.plain


class Operation:
    """A function of arrays in two forms that agree: the plain one, and a fast one for the CPU.

    Under ``grad`` the fast ``backward`` runs; forward mode and higher derivatives go through ``plain``. Other platforms
    run ``plain`` throughout, save CUDA where ``cuda`` is given. Make one Operation for one configuration and keep it
    (``lru_cache``): its identity is what compiled programs are cached by.

    Args:
        plain: ``plain(*args)`` returns an array or a tuple of arrays, by differentiable ``lax`` operations.
        forward: ``forward(*args)`` returns ``(outputs, residuals)``, two tuples of arrays; ``outputs`` equal ``plain``'s.
        backward: ``backward(wanted, args, outputs, residuals, cotangents)`` returns the gradients of the arguments at
            the positions in the tuple ``wanted``. Without it gradients are those of ``plain``.
        eigen: whether the fast forms count on the compiler options of ``fnn.kernels.eigen``.
        no_inline: whether XLA compiles the fast forms on their own, see ``fnn.kernels.no_inline``.
        cuda: returns what ``plain`` does, in programs for CUDA alone. If there is a ``backward``, the gradients there
            are those of ``cuda``, by reverse mode. It must take further leading axes, the same on every argument:
            under ``vmap`` it is given them.
    """

    def __init__(
        self,
        plain: Plain,
        forward: Forward,
        backward: Backward | None = None,
        *,
        eigen: bool = False,
        no_inline: bool = False,
        cuda: Plain | None = None,
    ) -> None:
        self.plain = plain
        self.forward = forward
        self.backward = backward
        self.eigen = eigen
        self.no_inline = no_inline
        self.cuda = cuda

    def __call__(self, *args: ArrayLike) -> Any:
        """The value by the fast form on the CPU, by the plain one elsewhere, in ``plain()`` and for types that say more.

        Those are the types within ``shard_map``, which say what varies over which mesh axis, and of arrays on a mesh of
        explicit axes, which say how they are sharded: JAX would have to be told the same of each result.
        """
        arrays = tuple(jnp.asarray(a) for a in args)
        if selection.plain or any(map(_varies, arrays)) or any(map(is_sharded, arrays)):
            return self.plain(*arrays)
        structure = _shapes(self, *map(jax.typeof, arrays))[0]
        outs = _bind(self, arrays)
        return outs[0] if structure is None else tuple(outs[:structure])

    def _compiled_alike(
        self, plain: Plain, forward: Forward, backward: Backward | None = None, cuda: Plain | None = None
    ) -> Operation:
        return Operation(plain, forward, backward, eigen=self.eigen, no_inline=self.no_inline, cuda=cuda)

    @cached_property
    def fast_flat(self) -> Callable[..., Arrays]:
        """Outputs and residuals as one tuple; compiled as one function however often a program calls it."""

        def run(*args: Any) -> Arrays:
            outs, residuals = self.forward(*args)
            return (*outs, *residuals)

        return no_inline(run) if self.no_inline else jax.jit(run)

    @cached_property
    def plain_flat(self) -> Callable[..., Arrays]:
        """``fast_flat`` by the plain form, with zeros for the residuals, which nobody reads then."""
        return self._flat(self.plain)

    @cached_property
    def cuda_flat(self) -> Callable[..., Arrays]:
        """``plain_flat`` by the form for CUDA, if there is one."""
        return self.plain_flat if self.cuda is None else self._flat(self.cuda)

    def _flat(self, function: Callable[..., Any]) -> Callable[..., Arrays]:
        def run(*args: Any) -> Arrays:
            outs = _tuple(function(*args))
            rest = _shapes(self, *map(jax.typeof, args))[1][len(outs) :]
            return (*outs, *(jnp.zeros(r.shape, r.dtype) for r in rest))

        return jax.jit(run)

    @cached_property
    def gradients(self) -> Callable[[tuple[int, ...], int, int], Operation]:
        """The Operation ``(*args, *outputs, *residuals, *cotangents) -> gradients`` for some positions, kept."""

        @cache
        def make(wanted: tuple[int, ...], n_args: int, n_outs: int) -> Operation:
            def pulled(function: Callable[..., Any], *operands: Any) -> Arrays:
                args, cotangents = operands[:n_args], operands[len(operands) - n_outs :]
                outs, pull = jax.vjp(_of(function, args, wanted), *(args[i] for i in wanted))
                return pull(tuple(jnp.asarray(c, o.dtype) for c, o in zip(cotangents, outs, strict=True)))

            plain_gradients = partial(pulled, self.plain)

            def fast_gradients(*operands: Any) -> tuple[Arrays, Arrays]:
                if self.backward is None:
                    return plain_gradients(*operands), ()
                end = len(operands) - n_outs
                args, outs, residuals = (
                    operands[:n_args],
                    operands[n_args : n_args + n_outs],
                    operands[n_args + n_outs : end],
                )
                grads = self.backward(wanted, args, outs, residuals, operands[end:])
                return tuple(g.astype(args[i].dtype) for g, i in zip(grads, wanted, strict=True)), ()

            cuda = None if self.cuda is None or self.backward is None else partial(pulled, self.cuda)
            return self._compiled_alike(plain_gradients, fast_gradients, cuda=cuda)

        return make

    @cached_property
    def batched(self) -> Callable[[tuple[int | None, ...]], Operation]:
        """This Operation over a leading axis of the arguments whose entry is 0, kept."""

        @cache
        def make(axes: tuple[int | None, ...]) -> Operation:
            of_one = self.backward
            cuda = None if self.cuda is None else _broadcast(self.cuda, axes)
            plain, forward = jax.vmap(self.plain, axes), jax.vmap(self.forward, axes)
            if of_one is None:
                return self._compiled_alike(plain, forward, cuda=cuda)

            def backward(wanted: Any, args: Any, outs: Any, residuals: Any, cotangents: Any) -> Sequence[Any]:
                over = jax.vmap(partial(of_one, wanted), in_axes=(axes, 0, 0, 0))
                grads = over(args, outs, residuals, cotangents)
                return [g if axes[i] == 0 else g.sum(0) for g, i in zip(grads, wanted, strict=True)]

            return self._compiled_alike(plain, forward, backward, cuda)

        return make


def _varying_axes(array: jax.Array) -> frozenset[Any]:
    """The axes of a ``shard_map`` that it is in over which the array varies (JAX has renamed what tells it)."""
    kind = getattr(jax.typeof(array), "manual_axis_type", None)
    return frozenset(getattr(jax.typeof(array), "vma", ()) if kind is None else kind.varying)


def _varies(array: jax.Array) -> bool:
    """Whether the array varies over an axis of a ``shard_map`` that it is in."""
    return bool(_varying_axes(array))


def varying_as(array: jax.Array, *others: Any) -> jax.Array:
    """The array, marked as one that varies over the axes of a ``shard_map`` over which some of the others do.

    What a loop starts with must vary over the axes over which its steps make it.

    Example:
        >>> import jax.numpy as jnp
        >>> varying_as(jnp.zeros(2), jnp.ones(3)).tolist()
        [0.0, 0.0]
    """
    axes = frozenset[Any]().union(*map(_varying_axes, jax.tree.leaves(others))) - _varying_axes(array)
    return jax.lax.pcast(array, tuple(sorted(axes)), to="varying") if axes else array


def is_sharded(array: jax.Array) -> bool:
    """Whether the array's type says that it is sharded over an axis of a mesh."""
    return any(jax.typeof(array).sharding.spec)


def _tuple(value: Any) -> Arrays:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _of(function: Callable[..., Any], args: Arrays, wanted: tuple[int, ...]) -> Callable[..., Arrays]:
    """``function`` of the arguments at ``wanted`` alone, the others fixed."""

    def run(*some: Any) -> Arrays:
        every = list(args)
        for i, value in zip(wanted, some, strict=True):
            every[i] = value
        return _tuple(function(*every))

    return run


def _broadcast(function: Plain, axes: tuple[int | None, ...]) -> Plain:
    """``function`` with the leading axis on all arguments: those whose entry is ``None`` are broadcast along it."""

    def run(*args: Any) -> Any:
        size = next(a.shape[0] for a, axis in zip(args, axes, strict=True) if axis == 0)
        return function(
            *(a if axis == 0 else jnp.broadcast_to(a, (size, *a.shape)) for a, axis in zip(args, axes, strict=True))
        )

    return run


@lru_cache(maxsize=4096)
def _shapes(op: Operation, *avals: Any) -> tuple[int | None, tuple[Any, ...]]:
    """The number of outputs (``None`` for a bare one), and the shapes of outputs and residuals."""
    bare = []

    def run(*args: Any) -> Arrays:
        outs, residuals = op.forward(*args)
        bare.append(len(outs))
        return (*outs, *residuals)

    examples = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in avals]
    shapes = jax.eval_shape(run, *examples)
    single = not isinstance(jax.eval_shape(op.plain, *examples), tuple | list)
    return (None if single else bare[0]), tuple(jax.typeof(s) for s in shapes)


def _count(op: Operation, avals: Iterable[Any]) -> int:
    return _shapes(op, *avals)[0] or 1


# The call: operands are the arguments, results the outputs and the residuals. JAX looks into a primitive's jaxprs for
# others that need the devices when they are lowered, as calls of cuDNN do: hence that of the form for CUDA is with it.

_call = Primitive("fnn_operation")
_call.multiple_results = True


def _bind(op: Operation, args: Iterable[Any]) -> Any:
    args = tuple(args)
    return _call.bind(*args, op=op, cuda=None if op.cuda is None else _jaxpr(op.cuda_flat, *map(jax.typeof, args)))


@lru_cache(maxsize=4096)
def _jaxpr(function: Callable[..., Any], *avals: Any, **options: Any) -> Any:
    return jax.make_jaxpr(partial(function, **options))(*(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in avals))


@_call.def_abstract_eval
def _call_abstract(*avals: Any, op: Operation, cuda: Any) -> Arrays:
    return _shapes(op, *avals)[1]


@_call.def_impl
@partial(jax.jit, static_argnames=("op", "cuda"))
def _call_impl(*args: Any, op: Operation, cuda: Any) -> Any:
    return _call.bind(*args, op=op, cuda=cuda)


def _call_jvp(primals: Sequence[Any], tangents: Sequence[Any], *, op: Operation, cuda: Any) -> tuple[Any, Any]:
    results = _call.bind(*primals, op=op, cuda=cuda)
    wanted = tuple(i for i, t in enumerate(tangents) if type(t) is not ad.Zero)
    n_outs = _count(op, map(jax.typeof, primals))
    out_tangents = _tangent.bind(
        *primals, *results, *(_dense(tangents[i]) for i in wanted), op=op, wanted=wanted, n_args=len(primals)
    )
    # What depends on the residuals is differentiated by the plain form, as a function of the arguments.
    zeros = [ad.Zero(jax.typeof(r).to_tangent_aval()) for r in results[n_outs:]]
    return results, [*out_tangents, *zeros]


def _call_batch(args: Sequence[Any], dims: Sequence[Any], *, op: Operation, cuda: Any) -> tuple[Any, Any]:
    axes = tuple(0 if isinstance(d, int) else None for d in dims)
    results = _bind(op.batched(axes), map(_front, args, dims))
    return results, [0] * len(results)


ad.primitive_jvps[_call] = _call_jvp
batching.primitive_batchers[_call] = _call_batch


def _lowering(flat: Callable[[Operation], Callable[..., Arrays]]) -> Any:
    return mlir.lower_fun(lambda *args, op, cuda: flat(op)(*args), multiple_results=True)


mlir.register_lowering(_call, _lowering(lambda op: op.plain_flat))
mlir.register_lowering(_call, _lowering(lambda op: op.fast_flat), platform="cpu")
mlir.register_lowering(_call, _lowering(lambda op: op.cuda_flat), platform="cuda")


# Its tangent: operands are the arguments, the results of the call, and the tangents of the arguments at ``wanted``, in
# which it is linear. Its transpose is the Operation of the gradients.

_tangent = Primitive("fnn_operation_tangent")
_tangent.multiple_results = True


def _split(operands: Sequence[Any], wanted: tuple[int, ...], n_args: int) -> tuple[Any, Any, Any]:
    cut = len(operands) - len(wanted)
    return tuple(operands[:n_args]), tuple(operands[n_args:cut]), tuple(operands[cut:])


def _tangent_plain(args: Arrays, tangents: Arrays, op: Operation, wanted: tuple[int, ...]) -> Arrays:
    return jax.jvp(_of(op.plain, args, wanted), tuple(args[i] for i in wanted), tangents)[1]


def _tangent_run(*operands: Any, op: Operation, wanted: tuple[int, ...], n_args: int) -> Arrays:
    args, _, tangents = _split(operands, wanted, n_args)
    return _tangent_plain(args, tangents, op, wanted)


@_tangent.def_abstract_eval
def _tangent_abstract(*avals: Any, op: Operation, wanted: tuple[int, ...], n_args: int) -> Arrays:
    return _shapes(op, *avals[:n_args])[1][: _count(op, avals[:n_args])]


@_tangent.def_impl
@partial(jax.jit, static_argnames=("op", "wanted", "n_args"))
def _tangent_impl(*operands: Any, op: Operation, wanted: tuple[int, ...], n_args: int) -> Any:
    return _tangent.bind(*operands, op=op, wanted=wanted, n_args=n_args)


def _tangent_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, op: Operation, wanted: tuple[int, ...], n_args: int
) -> tuple[Any, Any]:
    results = _tangent.bind(*primals, op=op, wanted=wanted, n_args=n_args)
    args, saved, linear = _split(primals, wanted, n_args)
    of_args, _, of_linear = _split(tangents, wanted, n_args)
    moved = [k for k, t in enumerate(of_linear) if type(t) is not ad.Zero]
    parts = []
    if moved:
        some = tuple(wanted[k] for k in moved)
        direct = (_dense(of_linear[k]) for k in moved)
        parts.append(_tangent.bind(*args, *saved, *direct, op=op, wanted=some, n_args=n_args))
    changed = tuple(i for i, t in enumerate(of_args) if type(t) is not ad.Zero)
    if changed:
        run = _of(lambda *a: _tangent_plain(a, linear, op, wanted), args, changed)
        parts.append(jax.jvp(run, tuple(args[i] for i in changed), tuple(_dense(of_args[i]) for i in changed))[1])
    if not parts:
        return results, [ad.Zero(jax.typeof(r).to_tangent_aval()) for r in results]
    return results, [sum(terms[1:], terms[0]) for terms in zip(*parts, strict=True)]


def _tangent_transpose(
    cotangents: Sequence[Any], *operands: Any, op: Operation, wanted: tuple[int, ...], n_args: int
) -> list[Any]:
    args, saved, _ = _split(operands, wanted, n_args)
    if all(type(c) is ad.Zero for c in cotangents):
        return [None] * len(operands)
    gradients = op.gradients(wanted, n_args, len(cotangents))
    grads = _bind(gradients, (*args, *saved, *map(_dense, cotangents)))
    return [None] * (len(operands) - len(wanted)) + list(grads)


def _tangent_batch(
    operands: Sequence[Any], dims: Sequence[Any], *, op: Operation, wanted: tuple[int, ...], n_args: int
) -> tuple[Any, Any]:
    size = next(x.shape[d] for x, d in zip(operands, dims, strict=True) if isinstance(d, int))
    args, saved, linear = _split(operands, wanted, n_args)
    of_args, of_saved, of_linear = _split(dims, wanted, n_args)
    mapped = [isinstance(d, int) for d in of_args]
    for k, i in enumerate(wanted):
        mapped[i] = mapped[i] or isinstance(of_linear[k], int)

    def place(x: Any, d: Any, batch: bool) -> Any:
        x = _front(x, d)
        return jnp.broadcast_to(x, (size, *x.shape)) if batch and not isinstance(d, int) else x

    new = [place(x, d, m) for x, d, m in zip(args, of_args, mapped, strict=True)]
    new += [place(x, d, True) for x, d in zip(saved, of_saved, strict=True)]
    new += [place(linear[k], of_linear[k], mapped[i]) for k, i in enumerate(wanted)]
    axes = tuple(0 if m else None for m in mapped)
    results = _tangent.bind(*new, op=op.batched(axes), wanted=wanted, n_args=n_args)
    return results, [0] * len(results)


ad.primitive_jvps[_tangent] = _tangent_jvp
ad.primitive_transposes[_tangent] = _tangent_transpose
batching.primitive_batchers[_tangent] = _tangent_batch
mlir.register_lowering(_tangent, mlir.lower_fun(_tangent_run, multiple_results=True))


def _dense(tangent: Any) -> Any:
    return ad.instantiate_zeros(tangent)


def _front(array: Any, dim: Any) -> Any:
    return jnp.moveaxis(array, dim, 0) if isinstance(dim, int) and dim else array


# What programs are made of.


def inner_jaxprs(equation: JaxprEqn) -> Iterator[Jaxpr]:
    """The jaxprs that are parameters of an equation: those of a call, of a loop, of branches."""
    for value in equation.params.values():
        for inner in value if isinstance(value, tuple | list) else (value,):
            inner = _opened(inner)
            if hasattr(inner, "eqns"):
                yield inner


def _opened(jaxpr: Any) -> Any:
    """What a closed jaxpr holds; anything else, and in JAX 0.12 every jaxpr, as it is."""
    return getattr(jaxpr, "jaxpr", jaxpr)


def cpu_jaxpr(equation: JaxprEqn) -> Jaxpr | None:
    """The jaxpr that the CPU runs for an equation of an Operation, ``None`` for any other equation."""
    if equation.primitive not in (_call, _tangent):
        return None
    avals, params = [operand.aval for operand in equation.invars], equation.params
    if equation.primitive is _call:
        return _opened(_jaxpr(params["op"].fast_flat, *avals))
    return _opened(_jaxpr(_tangent_run, *avals, **params))
