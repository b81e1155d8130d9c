"""torch's Tensor methods, which ``Parameter`` and ``Buffer`` have: thin forms of the functions of ``fnn.tensor``."""

from __future__ import annotations

from fnn.nn.tensor_methods.arithmetic import ArithmeticMethods
from fnn.nn.tensor_methods.arithmetic_in_place import ArithmeticInPlace
from fnn.nn.tensor_methods.conversion import ConversionMethods
from fnn.nn.tensor_methods.creation import CreationMethods
from fnn.nn.tensor_methods.drawing_in_place import DrawingInPlace
from fnn.nn.tensor_methods.elementwise import ElementwiseMethods
from fnn.nn.tensor_methods.elementwise_in_place import ElementwiseInPlace
from fnn.nn.tensor_methods.indexing import IndexingMethods
from fnn.nn.tensor_methods.inspecting import InspectingMethods
from fnn.nn.tensor_methods.ordering import OrderingMethods
from fnn.nn.tensor_methods.places_in_place import PlacesInPlace
from fnn.nn.tensor_methods.products import ProductMethods
from fnn.nn.tensor_methods.reducing import ReducingMethods
from fnn.nn.tensor_methods.shaping import ShapingMethods

__all__ = ["TensorMethods"]


class TensorMethods(
    ArithmeticMethods,
    ArithmeticInPlace,
    ConversionMethods,
    CreationMethods,
    DrawingInPlace,
    ElementwiseMethods,
    ElementwiseInPlace,
    IndexingMethods,
    InspectingMethods,
    OrderingMethods,
    PlacesInPlace,
    ProductMethods,
    ReducingMethods,
    ShapingMethods,
):
    """All of them. Those that torch ends with ``_`` write into the box and return it; the others return arrays."""

    __slots__ = ()
