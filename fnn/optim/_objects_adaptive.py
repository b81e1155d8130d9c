"""The optimizer objects whose steps adapt to the size of past gradients: Adagrad to Rprop."""

from __future__ import annotations

from typing import Any

from fnn.nn.parameter import Parameter
from fnn.optim.adafactor import adafactor
from fnn.optim.adagrad import adadelta, adagrad
from fnn.optim.optimizer import Optimizer
from fnn.optim.rmsprop import rmsprop
from fnn.optim.rprop import rprop
from fnn.optim.transform import Transform

__all__ = ["Adadelta", "Adafactor", "Adagrad", "RMSprop", "Rprop"]


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adadelta.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        rho: decay of the averages.
        eps: added under the roots.
        weight_decay: factor of the parameters added to the gradients.
        maximize: whether to go up instead of down.
        foreach, capturable, differentiable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = Adadelta([p], eps=1.0).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        -0.6903
    """

    _rule = staticmethod(adadelta)
    _elementwise = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)


class Adafactor(Optimizer):
    """Adafactor, whose second moments are kept as a row and a column (Shazeer and Stern, 2018).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adafactor.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        beta2_decay: the exponent of the decay of the averages.
        eps: floors of the second moment's root (``None``: the dtype's epsilon) and of the scale of a parameter.
        d: clipping threshold of the update.
        weight_decay: decay of the parameters themselves.
        maximize: whether to go up instead of down.
        foreach: accepted for torch's sake; it changes nothing.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = Adafactor([p], lr=0.5).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(adafactor)

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": tuple(eps),
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adagrad.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        lr_decay: how fast the learning rate falls.
        weight_decay: factor of the parameters added to the gradients.
        initial_accumulator_value: where the sums of squares, which exist from the start, begin; as in torch, a group
            cannot change it.
        eps: added to the denominator.
        maximize: whether to go up instead of down.
        foreach, differentiable, fused: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = Adagrad([p], lr=0.5).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(adagrad)
    _elementwise = True
    _state_from_start = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _create_slots(self, transform: Transform, parameters: list[Parameter]) -> list[Parameter]:
        # torch takes the start of the sums from the constructor, not from the group.
        first = adagrad(initial_accumulator_value=self.defaults["initial_accumulator_value"])
        return super()._create_slots(first, parameters)


class RMSprop(Optimizer):
    """RMSprop (Hinton, 2012), plain, with momentum, or centered (Graves, 2013).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.RMSprop.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        alpha: decay of the averages.
        eps: added to the denominator.
        weight_decay: factor of the parameters added to the gradients.
        momentum: factor of the running sum of steps.
        centered: whether to divide by an estimate of the variance.
        maximize: whether to go up instead of down.
        capturable, foreach, differentiable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = RMSprop([p], lr=0.05).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(rmsprop)
    _elementwise = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)


class Rprop(Optimizer):
    """Rprop, resilient backpropagation (Riedmiller and Braun, 1993).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.Rprop.html.

    Args:
        params: Parameters or groups of them.
        lr: the first step of every element.
        etas: factors by which a step shrinks and grows.
        step_sizes: least and largest step.
        maximize: whether to go up instead of down.
        capturable, foreach, differentiable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = Rprop([p], lr=0.5).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(rprop)
    _elementwise = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "etas": tuple(etas),
            "step_sizes": tuple(step_sizes),
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)
