"""``Transform``, the pair of pure functions that every rule is, and the transforms that combine or wrap rules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeAlias

import jax
import jax.numpy as jnp

from fnn.functional.checks import as_int, fail
from fnn.functional.explained import explained
from fnn.optim._checks import check_number, need_params
from fnn.optim._explained import explained_rule, tree_fault, trees_fault
from fnn.optim._leaves import by_leaf, flatten, is_leaf
from fnn.optim._scalars import bias_correction
from fnn.optim.typing import Number, PyTree
from fnn.tensor.row_sparse import RowSparse

__all__ = [
    "AccumulateState",
    "AnyTransform",
    "EmaState",
    "PartitionState",
    "Transform",
    "Update",
    "accumulate",
    "apply_updates",
    "chain",
    "clip_by_global_norm",
    "clip_by_value",
    "ema",
    "global_norm",
    "partition",
]

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # By its default an annotation may say Transform without what its state is.
    StateT = TypeVar("StateT", default=Any)
else:
    from typing import TypeVar

    StateT = TypeVar("StateT")


class Update(Protocol[StateT]):
    """The type of ``Transform.update``: ``updates, state = update(grads, state, params)``.

    Some take more by keyword, as ``lbfgs`` does ``value_fn``.
    """

    def __call__(
        self, grads: PyTree, state: StateT, params: PyTree = None, /, *args: Any, **extra: Any
    ) -> tuple[PyTree, StateT]: ...


class Transform(NamedTuple, Generic[StateT]):
    """A rule of optimization: ``state = init(params)``; ``updates, state = update(grads, state, params)``.

    Both are pure and traceable. ``updates`` are what ``apply_updates`` adds to the parameters.

    Args:
        init: makes the state, a pytree of arrays, for a pytree of parameters.
        update: gives the updates and the next state; ``grads`` is of the structure of the parameters, with ``None`` for
            a parameter that rests and ``RowSparse`` for a gradient of a few rows.

    Source: the protocol of Optax, https://github.com/google-deepmind/optax.

    Example:
        >>> import jax.numpy as jnp
        >>> halving = Transform(lambda params: (), lambda grads, state, params=None: (-params / 2, state))
        >>> updates, state = halving.update(None, halving.init(jnp.ones(1)), jnp.ones(1))
        >>> updates.tolist()
        [-0.5]
    """

    init: Callable[[PyTree], StateT]
    update: Update[StateT]


# A Transform, or the pair of such functions that another library of the same protocol has.
AnyTransform: TypeAlias = tuple[Callable[..., Any], Callable[..., Any]]


@explained
def apply_updates(params: PyTree, updates: PyTree) -> PyTree:
    """Adds the updates to the parameters.

    Args:
        params: a pytree of arrays.
        updates: a pytree of the same structure; ``None`` leaves a parameter as it is, ``RowSparse`` touches its rows.

    Shape:
        - updates: as the parameters.

    Returns:
        The new parameters; each keeps its dtype.

    Source: ``optax.apply_updates``, https://optax.readthedocs.io/en/latest/api/apply_updates.html.

    Raises:
        TypeError, ValueError: if the trees are of different structures or hold what is no array.

    Example:
        >>> import jax.numpy as jnp
        >>> apply_updates({"w": jnp.ones(2)}, {"w": jnp.full(2, 0.5)})["w"].tolist()
        [1.5, 1.5]
    """
    name = "apply_updates"
    changes, treedef = flatten(updates)
    try:
        values = treedef.flatten_up_to(params)
        return treedef.unflatten([_add(p, u) for p, u in zip(values, changes, strict=True)])
    except (TypeError, ValueError, AttributeError):
        told = tree_fault(name, "params", params) or tree_fault(name, "updates", updates)
        told = told or trees_fault(name, "updates", updates, "params", params)
        if told is None:
            raise
        raise told from None


def _add(param: Any, update: Any) -> Any:
    if param is None or update is None:
        return param
    param = jnp.asarray(param)
    if isinstance(update, RowSparse):
        return update.add_to(param)
    return (param + update).astype(param.dtype)


@explained_rule
def chain(*transforms: AnyTransform) -> Transform[tuple[Any, ...]]:
    """Applies several transforms in turn, the updates of one being the gradients of the next.

    Args:
        transforms: pairs ``(init, update)``; those of other libraries with this protocol are welcome.

    Returns:
        A ``Transform`` whose state is the tuple of the states. Keyword arguments of ``update`` go to those that take them.

    Raises:
        ValueError: at ``update``, if the state has not one part a transform.

    Source: ``optax.chain``, https://optax.readthedocs.io/en/latest/api/combining_optimizers.html.

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn.optim import sgd
        >>> tx = chain(clip_by_global_norm(1.0), sgd(lr=0.1))
        >>> updates, state = tx.update(jnp.array([3.0, 4.0]), tx.init(jnp.zeros(2)))
        >>> [round(u, 4) for u in updates.tolist()]
        [-0.06, -0.08]
    """
    pairs: list[Transform[Any]] = [Transform(*transform) for transform in transforms]

    def init(params: PyTree) -> tuple[Any, ...]:
        return tuple(pair.init(params) for pair in pairs)

    def update(
        grads: PyTree, state: tuple[Any, ...], params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, tuple[Any, ...]]:
        if len(state) != len(pairs):
            raise ValueError(f"chain: state must hold {len(pairs)} states, got {len(state)}")
        new = []
        for pair, part in zip(pairs, state, strict=True):
            grads, part = pair.update(grads, part, params, **_accepted(pair.update, extra))
            new.append(part)
        return grads, tuple(new)

    return Transform(init, update)


def _accepted(function: Callable[..., Any], extra: dict[str, Any]) -> dict[str, Any]:
    if not extra:
        return extra
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return extra
    return {k: v for k, v in extra.items() if any(p.name == k for p in parameters)}


@explained
def global_norm(tree: PyTree) -> jax.Array:
    r"""The Euclidean norm of all the arrays of a pytree taken as one vector; 0 if there are none.

    .. math:: \sqrt{\sum_i |x_i|^2}

    Args:
        tree: a pytree of arrays, ``None`` and ``RowSparse``. Half-precision arrays are summed in float32.

    Shape:
        - output: :math:`()`

    Returns:
        The norm.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.get_total_norm.html.

    Raises:
        TypeError: if the tree holds what is no array.

    Example:
        >>> import jax.numpy as jnp
        >>> float(global_norm([jnp.array([3.0]), jnp.array([4.0])]))
        5.0
    """
    if (told := tree_fault("global_norm", "tree", tree)) is not None:
        raise told
    leaves = [leaf for leaf in flatten(tree)[0] if leaf is not None]
    arrays = [leaf.coalesce().values if isinstance(leaf, RowSparse) else jnp.asarray(leaf) for leaf in leaves]
    if not arrays:
        return jnp.zeros(())
    total = sum(jnp.sum(jnp.square(jnp.abs(a.astype(jnp.promote_types(a.dtype, jnp.float32))))) for a in arrays)
    return jnp.sqrt(total)


def _no_state(params: PyTree) -> tuple[()]:
    return ()


@explained_rule
def clip_by_global_norm(max_norm: Number) -> Transform[tuple[()]]:
    r"""Scales all gradients down together so that their joint norm is at most ``max_norm``.

    .. math:: g \leftarrow g \cdot \min(1, c / (\lVert g \rVert + 10^{-6}))

    Args:
        max_norm: :math:`c`, the largest norm, a number or an array.

    Returns:
        A ``Transform`` without state, to stand before a rule in ``chain``.

    Raises:
        ValueError: if ``max_norm`` is negative.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.clip_grad_norm_.html; Pascanu et al., On the
    difficulty of training recurrent neural networks, https://arxiv.org/abs/1211.5063.

    Example:
        >>> import jax.numpy as jnp
        >>> tx = clip_by_global_norm(1.0)
        >>> round(float(tx.update(jnp.array([10.0]), tx.init(None))[0][0]), 4)
        1.0
    """
    check_number("clip_by_global_norm", "max_norm", max_norm, minimum=0)

    def update(grads: PyTree, state: tuple[()], params: PyTree = None) -> tuple[PyTree, tuple[()]]:
        scale = jnp.minimum(max_norm / (global_norm(grads) + 1e-6), 1.0)
        leaves, treedef = flatten(grads)
        return treedef.unflatten([None if g is None else g * scale.astype(g.dtype) for g in leaves]), state

    return Transform(_no_state, update)


@explained_rule
def clip_by_value(clip_value: Number) -> Transform[tuple[()]]:
    """Clips each element of each gradient to ``[-clip_value, clip_value]``.

    Args:
        clip_value: the bound, a number or an array.

    Returns:
        A ``Transform`` without state, to stand before a rule in ``chain``.

    Raises:
        ValueError: if ``clip_value`` is negative.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.clip_grad_value_.html.

    Example:
        >>> import jax.numpy as jnp
        >>> tx = clip_by_value(1.0)
        >>> tx.update(jnp.array([-3.0, 0.5]), tx.init(None))[0].tolist()
        [-1.0, 0.5]
    """
    check_number("clip_by_value", "clip_value", clip_value, minimum=0)

    def clip(g: Any) -> Any:
        if g is None:
            return None
        if isinstance(g, RowSparse):
            return g.coalesce().map(clip)
        bound = jnp.asarray(clip_value, g.dtype)
        return jnp.clip(g, -bound, bound)

    def update(grads: PyTree, state: tuple[()], params: PyTree = None) -> tuple[PyTree, tuple[()]]:
        leaves, treedef = flatten(grads)
        return treedef.unflatten([clip(g) for g in leaves]), state

    return Transform(_no_state, update)


class PartitionState(NamedTuple):
    """The state of ``partition``.

    Args:
        groups: the state of each group, by label.
    """

    groups: dict[Hashable, Any]


@explained_rule
def partition(transforms: Mapping[Any, AnyTransform | None], labels: PyTree) -> Transform[PartitionState]:
    """Parameter groups: each parameter is updated by the transform whose label it bears.

    Args:
        transforms: label to transform; ``None`` for a transform freezes its parameters.
        labels: a pytree of labels like ``params`` or a prefix of it; or a function ``(path, parameter) -> label``,
            where the path is the dotted name of the leaf, such as ``"encoder.0.weight"``. A predicate does:
            its labels are ``True`` and ``False``.

    Returns:
        A ``Transform`` with state ``PartitionState``; each group sees its own parameters as a list.

    Raises:
        ValueError: at ``init``, if a label has no transform.

    Source: https://docs.pytorch.org/docs/2.13/optim.html#per-parameter-options.

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn.optim import sgd
        >>> tx = partition({True: sgd(lr=1.0), False: sgd(lr=0.1)}, lambda path, p: path.startswith("head"))
        >>> params = {"body": jnp.ones(1), "head": jnp.ones(1)}
        >>> updates, _ = tx.update(params, tx.init(params), params)
        >>> round(float(updates["body"][0]), 3), float(updates["head"][0])
        (-0.1, -1.0)
    """
    pairs: dict[Any, Transform[Any] | None] = {
        label: None if t is None else Transform(*t) for label, t in transforms.items()
    }

    def split(tree: PyTree) -> tuple[dict[Any, list[int]], Any]:
        leaves, treedef = jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_leaf)
        if callable(labels):
            marks = [labels(_dotted(path), leaf) for path, leaf in leaves]
        else:
            try:
                spread = jax.tree.map(lambda m, sub: jax.tree.map(lambda _: m, sub, is_leaf=is_leaf), labels, tree)
            except ValueError:
                fail(ValueError, "partition", "params", f"of the structure of labels, {labels!r}", tree)
            marks = jax.tree.leaves(spread)
        members: dict[Any, list[int]] = {label: [] for label in pairs}
        for i, mark in enumerate(marks):
            if mark not in members:
                raise ValueError(f"partition: labels must be among {list(pairs)}, got {mark!r}")
            members[mark].append(i)
        return members, treedef

    def init(params: PyTree) -> PartitionState:
        members, treedef = split(params)
        leaves = treedef.flatten_up_to(params)
        return PartitionState(
            {k: () if pair is None else pair.init([leaves[i] for i in members[k]]) for k, pair in pairs.items()}
        )

    def update(
        grads: PyTree, state: PartitionState, params: PyTree = None, **extra: Any
    ) -> tuple[PyTree, PartitionState]:
        members, treedef = split(grads if params is None else params)
        grads = treedef.flatten_up_to(grads)
        values = None if params is None else treedef.flatten_up_to(params)
        updates: list[Any] = [None] * len(grads)
        new = {}
        for label, pair in pairs.items():
            chosen = members[label]
            if pair is None:
                new[label] = state.groups[label]
                continue
            own = None if values is None else [values[i] for i in chosen]
            parts, new[label] = pair.update(
                [grads[i] for i in chosen], state.groups[label], own, **_accepted(pair.update, extra)
            )
            for i, part in zip(chosen, parts, strict=True):
                updates[i] = part
        return treedef.unflatten(updates), PartitionState(new)

    return Transform(init, update)


def _dotted(path: tuple[Any, ...]) -> str:
    return ".".join(str(getattr(k, "key", getattr(k, "idx", getattr(k, "name", k)))) for k in path)


class AccumulateState(NamedTuple):
    """The state of ``accumulate``.

    Args:
        step: calls since the last update.
        grads: the sum of their gradients.
        inner: the state of the transform that is fed.
    """

    step: jax.Array
    grads: PyTree
    inner: PyTree


@explained_rule
def accumulate(transform: AnyTransform, k: int, mean: bool = True) -> Transform[AccumulateState]:
    """Gradient accumulation: ``transform`` is applied to the gradients of ``k`` calls; the calls between change nothing.

    Args:
        transform: the transform to feed.
        k: how many calls make an update.
        mean: whether it sees the mean of the gradients, or their sum.

    Returns:
        A ``Transform`` with state ``AccumulateState``; its updates are zero between.

    Raises:
        ValueError: if ``k`` is less than 1.

    Source: ``optax.MultiSteps``, https://optax.readthedocs.io/en/latest/api/optimizer_wrappers.html.

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn.optim import sgd
        >>> tx, params = accumulate(sgd(lr=1.0), 2), jnp.zeros(1)
        >>> first, state = tx.update(jnp.array([1.0]), tx.init(params), params)
        >>> second, state = tx.update(jnp.array([3.0]), state, params)
        >>> float(first[0]), float(second[0])
        (0.0, -2.0)
    """
    k = as_int("accumulate", "k", k, minimum=1)
    pair: Transform[Any] = Transform(*transform)

    def init(params: PyTree) -> AccumulateState:
        return AccumulateState(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params), pair.init(params))

    def update(grads: PyTree, state: AccumulateState, params: PyTree = None) -> tuple[PyTree, AccumulateState]:
        leaves, treedef = flatten(grads)
        sums = [s if g is None else g + s for g, s in zip(leaves, treedef.flatten_up_to(state.grads), strict=True)]

        def apply(_: None) -> tuple[PyTree, AccumulateState]:
            total = [None if g is None else (s / k if mean else s) for g, s in zip(leaves, sums, strict=True)]
            updates, inner = pair.update(treedef.unflatten(total), state.inner, params)
            empty = treedef.unflatten([jax.tree.map(jnp.zeros_like, s) for s in sums])
            return updates, AccumulateState(jnp.zeros((), jnp.int32), empty, inner)

        def wait(_: None) -> tuple[PyTree, AccumulateState]:
            zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(apply, None)[0])
            return zeros, AccumulateState(state.step + 1, treedef.unflatten(sums), state.inner)

        return jax.lax.cond(state.step + 1 >= k, apply, wait, None)

    return Transform(init, update)


class EmaState(NamedTuple):
    """The state of ``ema``.

    Args:
        step: how often it was updated.
        average: the averages, of the structure of the parameters.
    """

    step: jax.Array
    average: PyTree


@explained_rule
def ema(decay: Number, debias: bool = False) -> Transform[EmaState]:
    r"""An exponential moving average of parameters.

    .. math:: a_t = \beta a_{t-1} + (1 - \beta) p_t

    ``init(params)`` starts it at the parameters (at zero with ``debias``); ``average, state = update(params, state)``
    after each step gives the average, for evaluation. It stands beside the training transform, not in its chain.

    Args:
        decay: :math:`\beta`, in [0, 1].
        debias: whether to divide by :math:`1 - \beta^t`, the average then being one of the parameters seen only.

    Returns:
        A ``Transform`` with state ``EmaState``, to be updated by parameters instead of gradients.

    Raises:
        ValueError: if ``decay`` is outside [0, 1].

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.swa_utils.get_ema_avg_fn.html.

    Example:
        >>> import jax.numpy as jnp
        >>> average = ema(0.5)
        >>> float(average.update(jnp.array(3.0), average.init(jnp.array(1.0)))[0])
        2.0
    """
    check_number("ema", "decay", decay, minimum=0, maximum=1)

    def init(params: PyTree) -> EmaState:
        start = jax.tree.map(jnp.zeros_like if debias else jnp.asarray, params)
        return EmaState(jnp.zeros((), jnp.int32), start)

    def update(params: PyTree, state: EmaState, unused: PyTree = None) -> tuple[PyTree, EmaState]:
        need_params("ema", params)
        step = state.step + 1

        def rule(cast: Any, p: Any, _: Any, a: Any) -> tuple[Any, Any]:
            a = a + (p - a) * cast(1 - decay)
            return (a / cast(bias_correction(decay, step)) if debias else a), a

        value, average = by_leaf(rule, params, None, state.average)
        return value, EmaState(step, average)

    return Transform(init, update)
