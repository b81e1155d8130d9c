"""The equation of a jaxpr that first made a NaN or an infinity which reached a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, jaxpr_as_fun

from fnn.kernels.operation import inner_jaxprs
from fnn.transforms.module_scopes import Where

__all__ = ["Origin", "find_origin", "kinds_of"]


class Origin(NamedTuple):
    """What made it.

    Attributes:
        operation: the name of JAX's operation.
        kind: "nan" or "inf".
        where: whose operation it is.
        inputs: types and ranges of what it took.
        source: what JAX noted of the place in the code.
    """

    operation: str
    kind: str
    where: Where
    inputs: list[str]
    source: Any


@jax.jit
def _flags(values: list[jax.Array]) -> list[tuple[jax.Array, jax.Array]]:
    return [(jnp.isnan(value).any(), jnp.isinf(value).any()) for value in values]


def kinds_of(values: Sequence[Any]) -> list[str]:
    """Of each value "nan", "inf", or "" if it is finite or no floating array."""
    floating = {i: v for i, v in enumerate(values) if hasattr(v, "dtype") and jnp.issubdtype(v.dtype, jnp.inexact)}
    flags = dict(zip(floating, jax.device_get(_flags(list(floating.values()))) if floating else [], strict=True))
    return [
        "" if i not in flags else "nan" if flags[i][0] else "inf" if flags[i][1] else "" for i in range(len(values))
    ]


def find_origin(
    closed: Any, arguments: Sequence[Any], where: Callable[[str, Where | None], Where], *, inf: bool
) -> Origin | None:
    """Evaluates a jaxpr equation by equation, and goes back from results that are not finite to where that began.

    Args:
        closed: the closed jaxpr.
        arguments: its arguments.
        where: tells from the names on an equation, and those around, whose it is.
        inf: whether infinities count.

    Returns:
        the origin; ``None`` if all that is not finite came in.
    """
    return _Search(where, inf).look(closed.jaxpr, closed.consts, list(arguments), None)


class _Search:
    def __init__(self, where: Callable[[str, Where | None], Where], inf: bool) -> None:
        self._where = where
        self._inf = inf

    def look(self, jaxpr: Jaxpr, consts: Sequence[Any], arguments: list[Any], around: Where | None) -> Origin | None:
        values: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
        values.update(zip(jaxpr.invars, arguments, strict=True))

        def read(var: Any) -> Any:
            return var.val if hasattr(var, "val") else values[var]

        kinds: dict[Any, str] = {}
        for eqn in jaxpr.eqns:
            results = _evaluate(eqn, list(map(read, eqn.invars)))
            values.update(zip(eqn.outvars, results, strict=True))
            kinds.update(zip(eqn.outvars, kinds_of(results), strict=True))
        wanted = {var for var in jaxpr.outvars if not hasattr(var, "val") and self._counts(kinds.get(var, ""))}
        origins: list[JaxprEqn] = []
        for eqn in reversed(jaxpr.eqns):
            if wanted.isdisjoint(eqn.outvars):
                continue
            taken = kinds_of([read(var) for var in eqn.invars])
            made = {kinds[var] for var in eqn.outvars if var in wanted}
            if ("nan" in made and "nan" not in taken) or (made == {"inf"} and not any(taken)):
                origins.append(eqn)
            wanted.update(v for v, kind in zip(eqn.invars, taken, strict=True) if not hasattr(v, "val") and kind)
        while origins:
            eqn = origins.pop()
            found = self._within(eqn, list(map(read, eqn.invars)), [kinds[var] for var in eqn.outvars], around)
            if found is not None:
                return found
        return None

    def _counts(self, kind: str) -> bool:
        return kind == "nan" or (self._inf and kind == "inf")

    def _within(self, eqn: JaxprEqn, taken: list[Any], made: list[str], around: Where | None) -> Origin | None:
        """The origin inside of an equation, or the equation itself."""
        own = self._where(str(eqn.source_info.name_stack), around)
        name = eqn.primitive.name
        inner = list(inner_jaxprs(eqn))
        found = None
        if name == "scan":
            found = self._scan(eqn, inner[0], taken, own)
        elif name == "while":
            found = self._while(eqn, taken, own)
        elif name == "cond":
            branch = eqn.params["branches"][min(max(int(taken[0]), 0), len(inner) - 1)]
            found = self.look(*_open(branch), taken[1:], own)
        elif inner and len(inner[0].invars) == len(taken) and len(inner[0].outvars) == len(eqn.outvars):
            params = [value for value in eqn.params.values() if hasattr(_open(value)[0], "eqns")]
            found = self.look(*_open(params[0]), taken, own)
        if found is not None:
            return found
        kind = "nan" if "nan" in made else "inf"
        return Origin(name, kind, own, [_describe(value) for value in taken], eqn.source_info)

    def _scan(self, eqn: JaxprEqn, body: Jaxpr, taken: list[Any], own: Where) -> Origin | None:
        params = eqn.params
        # Rows have an axis more outside than inside; what is neither row nor carried is constant.
        rows_in, rows_out = (
            _rows(outer, inner) for outer, inner in ((eqn.invars, body.invars), (eqn.outvars, body.outvars))
        )
        count = len(eqn.outvars) - rows_out
        first = len(taken) - rows_in - count
        consts, carry, rows = taken[:first], taken[first : first + count], taken[first + count :]
        jaxpr, closed = _open(params["jaxpr"])
        steps = range(params["length"])
        for i in reversed(steps) if params["reverse"] else steps:
            arguments = [*consts, *carry, *(row[i] for row in rows)]
            results = jaxpr_as_fun(_closed(jaxpr, closed))(*arguments)
            if any(map(self._counts, kinds_of(results))):
                found = self.look(jaxpr, closed, arguments, own)
                if found is not None:
                    return found
            carry = list(results[:count])
        return None

    def _while(self, eqn: JaxprEqn, taken: list[Any], own: Where) -> Origin | None:
        params = eqn.params
        cond_count, body_count = params["cond_nconsts"], params["body_nconsts"]
        cond_consts, body_consts = taken[:cond_count], taken[cond_count : cond_count + body_count]
        carry = taken[cond_count + body_count :]
        jaxpr, closed = _open(params["body_jaxpr"])
        goes_on = jaxpr_as_fun(_closed(*_open(params["cond_jaxpr"])))
        while bool(goes_on(*cond_consts, *carry)[0]):
            arguments = [*body_consts, *carry]
            results = jaxpr_as_fun(_closed(jaxpr, closed))(*arguments)
            if any(map(self._counts, kinds_of(results))):
                found = self.look(jaxpr, closed, arguments, own)
                if found is not None:
                    return found
            carry = list(results)
        return None


def _rows(outer: Sequence[Any], inner: Sequence[Any]) -> int:
    return sum(len(a.aval.shape) > len(b.aval.shape) for a, b in zip(outer, inner, strict=True))


def _open(value: Any) -> tuple[Any, Sequence[Any]]:
    """The jaxpr and the constants of a parameter of an equation, closed or not."""
    return getattr(value, "jaxpr", value), getattr(value, "consts", ())


def _closed(jaxpr: Any, consts: Sequence[Any]) -> Any:
    return ClosedJaxpr(jaxpr, list(consts))


def _evaluate(eqn: JaxprEqn, taken: list[Any]) -> list[Any]:
    results = eqn.primitive.bind(*taken, **eqn.primitive.get_bind_params(eqn.params))
    return list(results) if eqn.primitive.multiple_results else [results]


def _describe(value: Any) -> str:
    """Type and range of an array: ``float32[3] in [-1, 0]``."""
    array = jnp.asarray(value)
    text = f"{array.dtype}{list(array.shape)}"
    if not array.size or not jnp.issubdtype(array.dtype, jnp.number) or jnp.iscomplexobj(array):
        return text
    return f"{text} in [{float(array.min()):.4g}, {float(array.max()):.4g}]"
