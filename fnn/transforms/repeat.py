"""``repeat``: a stack of layers that exists, as one loop."""

from __future__ import annotations

from fnn.functional.checks import fail
from fnn.functional.explained import explained
from fnn.nn.lifting.policy import Policy
from fnn.nn.modules.container import ModuleList, Repeated, Sequential

__all__ = ["repeat"]


@explained
def repeat(layers: Sequential | ModuleList, *, remat: bool | Policy = None) -> Repeated:
    """Layers of one kind as an ``nn.Repeated``, with the numbers they have: a loop that is compiled once.

    Args:
        layers: a ``Sequential`` or ``ModuleList`` of Modules of one class, structure and options; it is left alone.
        remat: whether the intermediate arrays of a layer are computed again for the gradient: ``True``, or a policy as
            ``fnn.remat`` takes it.

    Returns:
        the Module to put in its place; the ``state_dict`` has the same keys.

    Raises:
        TypeError: if ``layers`` is of another kind.
        ValueError: if there are no layers, or they differ in structure, options, shapes or dtypes.

    Example:
        >>> import fnn
        >>> from fnn import nn
        >>> encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 3)
        >>> encoder.layers = fnn.repeat(encoder.layers)
        >>> list(encoder.state_dict())[-1]
        'layers.2.norm2.bias'
    """
    if not isinstance(layers, Sequential | ModuleList):
        fail(TypeError, "repeat", "layers", "a Sequential or a ModuleList", layers)
    return Repeated.of(list(layers), remat=remat)
