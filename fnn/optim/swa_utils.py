"""Averages of weights over training: stochastic weight averaging and exponential moving averages."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.functional.arrays import index_dtype
from fnn.functional.checks import as_int, check_choice, fail
from fnn.functional.explained import checked, explained
from fnn.nn.array_box import ArrayBox
from fnn.nn.modules.batchnorm import _BatchNorm
from fnn.nn.modules.module import Module
from fnn.nn.placement import beside, parse_device
from fnn.optim._checks import check_number
from fnn.optim._scalars import branch, clip_to_unit, cos
from fnn.optim.lr_scheduler.scheduler import LRScheduler, check_optimizer, per_group
from fnn.optim.optimizer import Optimizer
from fnn.optim.typing import Number
from fnn.stateful.exports import unquote
from fnn.transforms.jit.function import jit

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


# What averages one array, and several: of an average, the present values, and the number of updates before.
AverageFn: TypeAlias = Callable[[jax.Array, jax.Array, Any], jax.Array]
MultiAverageFn: TypeAlias = Callable[[Any, Any, Any], Any]


# Rules of averaging. They are values, equal if they do the same, so that models share one compiled program.


@dataclass(frozen=True)
class _RunningMean:
    def __call__(self, averaged: Any, current: Any, num_averaged: Any) -> Any:
        return averaged + (current - averaged) / (num_averaged + 1)


@dataclass(frozen=True)
class _MovingMean:
    decay: float

    def __call__(self, averaged: Any, current: Any, num_averaged: Any) -> Any:
        if not jnp.issubdtype(averaged.dtype, jnp.inexact):
            # torch's result type of an integer tensor and a Python float.
            averaged, current = averaged.astype(jnp.float32), current.astype(jnp.float32)
        return self.decay * averaged + (1 - self.decay) * current


@dataclass(frozen=True)
class _OnLists:
    """A rule for lists: Parameters and buffers get the averages in place; they are also returned."""

    rule: _RunningMean | _MovingMean

    def __call__(self, averaged: Sequence[Any], current: Sequence[Any], num_averaged: Any) -> list[jax.Array]:
        pairs = [(_array(a), _array(c)) for a, c in zip(averaged, current, strict=True)]
        new = [self.rule(a, c, num_averaged).astype(a.dtype) for a, c in pairs]
        for old, value in zip(averaged, new, strict=True):
            if isinstance(old, ArrayBox):
                old.data = value
        return new


def _array(value: Any) -> Any:
    return value.data if isinstance(value, ArrayBox) else jnp.asarray(value)


def get_swa_avg_fn() -> AverageFn:
    """The running mean, ``averaged + (current - averaged) / (num_averaged + 1)``.

    Returns:
        ``avg_fn(averaged, current, num_averaged)``, which returns the new average of one array.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.swa_utils.get_swa_avg_fn.html.

    Example:
        >>> import jax.numpy as jnp
        >>> float(get_swa_avg_fn()(jnp.array(1.0), jnp.array(4.0), 2))
        2.0
    """
    return _RunningMean()


def get_swa_multi_avg_fn() -> Callable[[Sequence[Any], Sequence[Any], Any], list[jax.Array]]:
    """The running mean on lists.

    Returns:
        ``multi_avg_fn(averaged, current, num_averaged)``, which returns the new averages, and writes them into those
        items of ``averaged`` that are Parameters or buffers.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.swa_utils.get_swa_multi_avg_fn.html.

    Example:
        >>> import jax.numpy as jnp
        >>> [float(a) for a in get_swa_multi_avg_fn()([jnp.array(1.0)], [jnp.array(4.0)], 2)]
        [2.0]
    """
    return _OnLists(_RunningMean())


@checked
def get_ema_avg_fn(decay: float = 0.999) -> AverageFn:
    """The exponential moving average, ``decay * averaged + (1 - decay) * current``.

    Args:
        decay: in [0, 1].

    Returns:
        ``avg_fn(averaged, current, num_averaged)``, which returns the new average of one array.

    Raises:
        ValueError: if ``decay`` is outside [0, 1].

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.swa_utils.get_ema_avg_fn.html.

    Example:
        >>> import jax.numpy as jnp
        >>> float(get_ema_avg_fn(0.5)(jnp.array(1.0), jnp.array(4.0), 2))
        2.5
    """
    check_number("get_ema_avg_fn", "decay", decay, 0, 1)
    return _MovingMean(float(decay))


@checked
def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[[Sequence[Any], Sequence[Any], Any], list[jax.Array]]:
    """The exponential moving average on lists.

    Args:
        decay: in [0, 1].

    Returns:
        ``multi_avg_fn(averaged, current, num_averaged)``, which returns the new averages, and writes them into those
        items of ``averaged`` that are Parameters or buffers.

    Raises:
        ValueError: if ``decay`` is outside [0, 1].

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.swa_utils.get_ema_multi_avg_fn.html.

    Example:
        >>> import jax.numpy as jnp
        >>> [float(a) for a in get_ema_multi_avg_fn(0.5)([jnp.array(1.0)], [jnp.array(4.0)], 2)]
        [2.5]
    """
    check_number("get_ema_multi_avg_fn", "decay", decay, 0, 1)
    return _OnLists(_MovingMean(float(decay)))


def _update(
    averaged: Sequence[ArrayBox],
    current: Sequence[Any],
    copied: Sequence[ArrayBox],
    sources: Sequence[Any],
    counter: ArrayBox,
    rule: Any,
) -> None:
    """One update by a rule of this file; the first one copies."""
    count = counter.data
    for box, value in zip(averaged, current, strict=True):
        old = box.data
        box.data = jnp.where(count == 0, value.astype(old.dtype), rule(old, value, count).astype(old.dtype))
    for box, value in zip(copied, sources, strict=True):
        box.data = value.astype(box.dtype)
    counter.data = count + 1


_update_compiled = jit(_update, static_argnames="rule")


class AveragedModel(Module):
    """A copy of a model that holds averages of its parameters: of stochastic weight averaging, or moving ones.

    Calling it calls the copy, ``module``. The buffer ``n_averaged`` counts the updates; the first one copies.

    Args:
        model: the model that is trained.
        device: where the averages are kept; with the model if ``None``.
        avg_fn: ``avg_fn(averaged, current, num_averaged)`` gives the new average of one array; the running mean if
            neither function is given. Those of this file run as one compiled program, others as they are.
        multi_avg_fn: ``multi_avg_fn(averaged, current, num_averaged)`` updates the Parameters and buffers in the list
            ``averaged`` in place, from the arrays in ``current``, or returns their new values; it is called once a dtype.
        use_buffers: whether buffers are averaged too; else they are copied at each update.

    Shape:
        as the model's.

    Raises:
        AssertionError: if both functions are given.
        TypeError: if ``model`` is no Module.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.swa_utils.AveragedModel.html;
    Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, https://arxiv.org/abs/1803.05407.

    Example:
        >>> import fnn, numpy as np
        >>> model = fnn.nn.Linear(1, 1)
        >>> average = AveragedModel(model)
        >>> for value in (1.0, 4.0):
        ...     _ = model.weight.fill_(value)
        ...     average.update_parameters(model)
        >>> average.module.weight.item(), int(average.n_averaged)
        (2.5, 2)
    """

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: AverageFn | None = None,
        multi_avg_fn: MultiAverageFn | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(model, Module):
            fail(TypeError, "AveragedModel", "model", "a Module", model)
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("AveragedModel: only one of avg_fn and multi_avg_fn may be given, got both")
        self.module: Module = copy.deepcopy(model)
        for parameter in self.module.parameters():
            parameter.grad = None
        if device is not None:
            self.module.to(device)
            # An array put where it is already shares its memory, which a compiled update would give away.
            for box in (*self.module.parameters(), *self.module.buffers()):
                box.data = box.data.copy()
        self.register_buffer("n_averaged", jax.device_put(np.zeros((), index_dtype()), parse_device(device)))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the averaged model.

        Args:
            args, kwargs: as the model's.

        Shape:
            as the model's.

        Returns:
            What the averaged model returns.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.swa_utils.AveragedModel.html.

        Example:
            >>> import fnn, numpy as np
            >>> AveragedModel(fnn.nn.Linear(2, 1))(np.ones((3, 2), np.float32)).shape
            (3, 1)
        """
        return self.module(*args, **kwargs)

    @explained
    def update_parameters(self, model: Module) -> None:
        """Takes the model's present parameters into the averages.

        Args:
            model: the model that is trained.

        Raises:
            ValueError: if the model is not of the structure of the one that was copied.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.swa_utils.AveragedModel.html.

        Example:
            >>> import fnn
            >>> model = fnn.nn.Linear(1, 1)
            >>> average = AveragedModel(model)
            >>> average.update_parameters(model)
            >>> int(average.n_averaged)
            1
        """
        averaged, current = list(self.module.parameters()), list(model.parameters())
        copied, sources = list(self.module.buffers()), list(model.buffers())
        _check_pairs("parameters", averaged, current)
        _check_pairs("buffers", copied, sources)
        if self.use_buffers:
            averaged, current, copied, sources = [*averaged, *copied], [*current, *sources], [], []
        values = [beside(source.data, box.peek()) for box, source in zip(averaged, current, strict=True)]
        exact = [beside(source.data, box.peek()) for box, source in zip(copied, sources, strict=True)]
        rule = self.multi_avg_fn or self.avg_fn or _RunningMean()
        rule = rule.rule if isinstance(rule, _OnLists) else rule
        if isinstance(rule, _RunningMean | _MovingMean):
            _update_compiled(averaged, values, copied, exact, self.n_averaged, rule=rule)
        else:
            self._update_by_function(averaged, values)
            _update([], [], copied, exact, self.n_averaged, None)

    def _update_by_function(self, averaged: list[Any], values: list[Any]) -> None:
        """The update by a function of the user's, which need not be traceable."""
        count = self.n_averaged.data
        values = [value.astype(box.dtype) for box, value in zip(averaged, values, strict=True)]
        traced = isinstance(count, Tracer)
        if not traced and count == 0:
            for box, value in zip(averaged, values, strict=True):
                box.data = value
            return
        if self.avg_fn is not None:
            for box, value in zip(averaged, values, strict=True):
                box.copy_(self.avg_fn(box.data, value, count))
        elif self.multi_avg_fn is not None:
            by_dtype: dict[Any, list[tuple[Any, Any]]] = {}
            for box, value in zip(averaged, values, strict=True):
                by_dtype.setdefault(box.dtype, []).append((box, value))
            for pairs in by_dtype.values():
                boxes = [box for box, _ in pairs]
                new = self.multi_avg_fn(boxes, [value for _, value in pairs], count)
                for box, value in zip(boxes, () if new is None else new, strict=new is not None):
                    box.copy_(value)
        if traced:
            for box, value in zip(averaged, values, strict=True):
                box.data = jnp.where(count == 0, value, box.data)


def _check_pairs(kind: str, averaged: list[Any], current: list[Any]) -> None:
    ours, theirs = [box.shape for box in averaged], [box.shape for box in current]
    if len(ours) != len(theirs):
        raise ValueError(
            f"AveragedModel.update_parameters: model must have {len(ours)} {kind} like the averaged one, got {len(theirs)}"
        )
    for i, (own, other) in enumerate(zip(ours, theirs, strict=True)):
        if own != other:
            raise ValueError(
                f"AveragedModel.update_parameters: {kind}[{i}] of the model must have shape {own}, got {other}"
            )


@explained
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Computes the running statistics of the batch norms anew, as averages over one pass through the data.

    An averaged model needs this before evaluation, for the statistics of an average are not the average of statistics.

    Args:
        loader: gives the batches; of one that is a tuple or list, the first item is the input.
        model: the model, put into training mode meanwhile.
        device: where the inputs are put first.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.swa_utils.update_bn.html.

    Example:
        >>> import fnn, numpy as np
        >>> norm = fnn.nn.BatchNorm1d(1)
        >>> update_bn([np.full((2, 1), 3.0, np.float32), np.full((2, 1), 5.0, np.float32)], norm)
        >>> norm.running_mean.numpy().tolist(), norm.momentum
        ([4.0], 0.1)
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    training = model.training
    place = parse_device(device)
    for norm in norms:
        norm.reset_running_stats()
    try:
        model.train()
        for norm in norms:
            norm.momentum = None
        for batch in loader:
            value = batch[0] if isinstance(batch, list | tuple) else batch
            model(value if place is None else jax.device_put(value, place))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.train(training)


class SWALR(LRScheduler):
    """Moves each rate to ``swa_lr`` in ``anneal_epochs`` epochs, and holds it there.

    Args:
        optimizer: the optimizer.
        swa_lr: the rate to end at, or one a group.
        anneal_epochs: how long it takes; 0 goes there at once.
        anneal_strategy: 'cos' or 'linear'.
        last_epoch: the epoch to resume after.

    Raises:
        ValueError: if an option is out of range, or ``swa_lr`` has not one value a group.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.swa_utils.SWALR.html.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
        >>> scheduler = SWALR(sgd, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
        >>> sgd.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.75]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Number | Sequence[Number],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        rates = per_group(self, "swa_lr", optimizer, swa_lr)
        last_epoch = as_int("SWALR", "last_epoch", last_epoch)
        check_choice("SWALR", "anneal_strategy", anneal_strategy, ("cos", "linear"))
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            fail(ValueError, "SWALR", "anneal_epochs", "an integer of at least 0", anneal_epochs)
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        super().__init__(optimizer, last_epoch)

    def anneal_func(self, t: Number) -> Number:
        """The weight of ``swa_lr`` after a share of the way.

        Args:
            t: the share, in [0, 1].

        Returns:
            The weight, in [0, 1].

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.swa_utils.SWALR.html.

        Example:
            >>> import fnn, numpy as np
            >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
            >>> round(SWALR(sgd, swa_lr=0.5).anneal_func(0.5), 6)
            0.5
        """
        return (1 - cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def get_lr(self) -> list[Number]:
        """The rates, by way of those that the annealing must have begun at.

        Returns:
            One rate a group.
        """
        self._warn_outside_step()
        step, length = self._step_count - 1, max(1, self.anneal_epochs)
        if self.anneal_epochs == 0:
            step = branch(step < 1, lambda: 1, lambda: step)
        before = self.anneal_func(clip_to_unit((step - 1) / length))
        weight = self.anneal_func(clip_to_unit(step / length))

        def start(rate: Number, goal: Number) -> Number:
            return branch(before == 1, lambda: goal, lambda: (rate - before * goal) / (1 - before))

        return [
            group["swa_lr"] * weight + start(group["lr"], group["swa_lr"]) * (1 - weight)
            for group in self.optimizer.param_groups
        ]


def __dir__() -> list[str]:
    return __all__


unquote(*(globals()[name] for name in __all__))
