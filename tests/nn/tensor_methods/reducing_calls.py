"""Calls of the methods that reduce, sort and find."""

import jax.numpy as jnp
import numpy as np

from tests.nn.tensor_methods.comparison import DType, call, f64, i64, mask, positive, some_nan

_F32 = f64(2, 3).astype(np.float32)
_BF16 = f64(2, 3).astype(jnp.bfloat16)
_TIES = np.array([[2, 1, 2, 1, 3], [1, 1, 0, 0, 1]])
_ALONG = [(), (0,), (1,), (-1,), ((0, 2),), ((-1, 0),), (3,), ((0, 0),)]
_SEVERAL = "sum nansum mean nanmean amax amin all any count_nonzero std var logsumexp".split()
_ONE = "prod argmax argmin".split()
_TWO_RESULTS = "max min median nanmedian".split()

CALLS = [
    *(call(n, f64(2, 3, 4), *a) for n in _SEVERAL for a in _ALONG if a or n != "logsumexp"),
    *(call(n, some_nan(2, 3), *a) for n in _SEVERAL for a in ((), (1,)) if a or n != "logsumexp"),
    *(call(n, f64(2, 3), 1, keepdim=True) for n in _SEVERAL if n != "count_nonzero"),
    *(call(n, f64(2, 3), dim=(0, 1), keepdim=True) for n in _SEVERAL if n != "count_nonzero"),
    *(
        call(n, x)
        for n in _SEVERAL + _ONE
        for x in (i64(2, 3), mask(2, 3), f64(), _F32, _BF16, f64(0, 3))
        if n != "logsumexp" and (n[:3] != "arg" or x.dtype != bool)
    ),
    *(call(n, f64(), d) for n in _SEVERAL for d in (0, -1)),
    *(call(n, f64(0, 3), d) for n in _SEVERAL + _ONE + _TWO_RESULTS for d in (0, 1)),
    *(
        call(n, f64(2, 3, 4), *a, **k)
        for n in _ONE
        for a in ((), (0,), (-1,), (3,))
        for k in ({}, {"keepdim": True})
        if a or not k or n != "prod"
    ),
    *(
        call(n, x, *a, **k)
        for n in _TWO_RESULTS
        for x in (f64(2, 3, 4), some_nan(3, 4), i64(5))
        for a in ((), (0,), (-1,))
        for k in ({}, {"keepdim": True})
        if a or not k
    ),
    *(call(n, f64(), 0) for n in _TWO_RESULTS + _ONE),
    *(call(n, f64(2, 3), f64(3)) for n in ("max", "min")),
    call("max", i64(3), f64(3)),
    *(call(n, f64(2, 3), axis=1) for n in ("sum", "mean", "argmax", "max")),
    call("sum", f64(2, 3), axis=1, keepdims=True),
    call("sum", f64(2, 3), dtype=DType("float32")),
    call("sum", i64(2, 3), 0, dtype=DType("float32")),
    call("mean", i64(2, 3), dtype=DType("float64")),
    call("mean", i64(2, 3)),
    call("prod", i64(2, 3), 1, dtype=DType("float64")),
    call("sum", np.array([1, 2, 255], np.uint8)),
    call("any", np.array([1, 0], np.uint8)),
    *(
        call(n, f64(2, 3), *a, **k)
        for n in ("std", "var")
        for a, k in (
            ((False,), {}),
            ((1, False), {}),
            ((1, True, True), {}),
            ((), {"unbiased": False}),
            ((1,), {"unbiased": False, "keepdim": True}),
            ((), {"dim": 0, "correction": 0}),
            ((1,), {"correction": 2}),
            ((1,), {"correction": 5}),
            ((), {"dim": (0, 1)}),
        )
    ),
    call("var", f64(2, 3) + 1j * f64(2, 3)[::-1]),
    call("std", f64(1)),
    call("aminmax", f64(2, 3)),
    call("aminmax", f64(2, 3), dim=1, keepdim=True),
    *(
        call("norm", f64(2, 3), *a, **k)
        for a, k in (
            ((), {}),
            ((2,), {}),
            ((1, 1), {}),
            ((2, (0, 1), True), {}),
            ((float("inf"), 0), {}),
            ((-float("inf"),), {}),
            ((0,), {}),
            ((3, -1), {}),
            (("fro",), {"dim": 1}),
            (("nuc",), {}),
            ((0.5,), {}),
        )
    ),
    call("norm", i64(3)),
    call("norm", _BF16),
    call("norm", np.zeros(3)),
    call("norm", f64(2, 3) + 1j),
    *(call(n, f64(3, 4), p, d, 1.0) for n in ("renorm", "renorm_") for p, d in ((2, 0), (1, 1), (2, -1))),
    call("renorm", f64(3), 2, 0, 1.0),
    call("renorm_", f64(3, 4), 0, 0, 1.0),
    *(
        call(n, x, d)
        for n in ("cumsum", "cumprod", "cummax", "cummin")
        for x in (f64(2, 3), i64(2, 5), some_nan(3, 4), f64(0))
        for d in (0, -1)
    ),
    *(call(n, x, d) for n in ("logcumsumexp",) for x in (f64(2, 3), f64(4)) for d in (0, -1)),
    *(call(n, f64(2, 3), 1) for n in ("cumsum_", "cumprod_")),
    call("cumsum_", i64(3), 0),
    call("cumsum", f64(), 0),
    call("cummax", f64(), 0),
    call("cummax", _TIES, 1),
    call("cummin", _TIES, 1),
    call("cumsum", mask(4), 0),
    call("cumsum", f64(3), 1),
    call("cumsum", f64(3), dim=0, dtype=DType("float32")),
    *(
        call("diff", f64(2, 4), **k)
        for k in ({}, {"n": 2}, {"dim": 0}, {"prepend": f64(2, 1)}, {"append": f64(2, 2)}, {"n": 0}, {"n": 5})
    ),
    call("diff", mask(4)),
    call("trace", f64(3, 2)),
    call("trace", i64(3, 3)),
    call("trace", f64(3)),
    *(
        call("cov", f64(3, 4), **k)
        for k in ({}, {"correction": 0}, {"fweights": np.array([1, 2, 1, 3])}, {"aweights": positive(4)})
    ),
    call("cov", f64(4)),
    call("corrcoef", f64(3, 4)),
    *(
        call("bincount", np.array([1, 3, 1, 0]), *a, **k)
        for a, k in (((), {}), ((positive(4),), {}), ((), {"minlength": 6}))
    ),
    call("bincount", np.array([-1])),
    call("bincount", np.zeros(0, np.int64)),
    *(
        call("histc", f64(50), *a, **k)
        for a, k in (((), {}), ((4,), {}), ((4, -1, 1), {}), ((), {"bins": 5, "min": 0, "max": 1}))
    ),
    call("histc", np.full(3, 2.0), 4),
    *(
        call("histogram", f64(50), *a, **k)
        for a, k in (
            ((4,), {}),
            ((4,), {"range": (-1.0, 1.0)}),
            ((np.array([-2.0, 0.0, 0.5, 2.0]),), {}),
            ((3,), {"density": True}),
            ((3,), {"weight": positive(50)}),
        )
    ),
]

_SORTED = [f64(2, 5), i64(2, 5), some_nan(3, 5), mask(6), f64(), f64(0), _BF16]

CALLS += [
    *(
        call(n, x, **k)
        for n in ("sort", "argsort")
        for x in _SORTED
        for k in ({"stable": True}, {"dim": 0, "stable": True}, {"descending": True, "stable": True})
    ),
    call("sort", f64(2, 5), 0),
    call("sort", f64(2, 5), 1, True),
    call("argsort", f64(2, 5), 0, True),
    call("sort", f64(3), 1),
    call("msort", f64(4, 2)),
    *(call("topk", x, 2, **k) for x in (f64(3, 5), f64(4)) for k in ({}, {"dim": 0}, {"largest": False})),
    call("topk", some_nan(2, 6), 3),
    call("topk", np.array([1.0, np.nan, 0.5]), 3, largest=False),
    call("topk", f64(3), 4),
    call("topk", f64(), 1),
    call("topk", f64(3), 0),
    call("topk", f64(3), -1),
    *(call("kthvalue", f64(3, 5), k, *a) for k in (1, 3) for a in ((), (0,), (1, True))),
    call("kthvalue", f64(3), 0),
    call("kthvalue", f64(3), 4),
    call("median", f64(0)),
    call("median", i64(6)),
    call("nanmedian", np.full(3, np.nan)),
    call("mode", _TIES, 1),
    call("mode", np.array([2.0, 1.0, 2.0, 3.0])),
    call("mode", np.array([2.0, 1.0, 2.0, 3.0]), keepdim=True),
    call("mode", f64()),
    *(
        call(n, x, q, *a, **k)
        for n in ("quantile", "nanquantile")
        for x in (f64(3, 5), some_nan(3, 5))
        for q, a, k in (
            (0.3, (), {}),
            (np.array([0.1, 0.5, 0.9]), (1,), {}),
            (0.5, (0, True), {}),
            (0.25, (), {"interpolation": "lower"}),
            (0.25, (1,), {"interpolation": "nearest"}),
            (0.25, (), {"interpolation": "midpoint"}),
        )
    ),
    call("quantile", f64(3), 1.5),
    call("quantile", i64(3), 0.5),
    *(
        call("nonzero", x, **k)
        for x in (i64(2, 3, low=0, high=2), mask(4), f64(), np.zeros(()), f64(0, 2))
        for k in ({}, {"as_tuple": True})
    ),
    call("argwhere", mask(2, 3)),
    call("nonzero_static", mask(2, 3), size=4),
    call("nonzero_static", mask(2, 3), size=1, fill_value=7),
    *(
        call("unique", _TIES, **k)
        for k in (
            {},
            {"return_inverse": True},
            {"return_counts": True},
            {"return_inverse": True, "return_counts": True},
            {"dim": 0},
            {"dim": 1, "return_inverse": True},
        )
    ),
    *(
        call("unique_consecutive", _TIES, **k)
        for k in (
            {},
            {"return_inverse": True},
            {"return_counts": True},
            {"return_inverse": True, "return_counts": True},
            {"dim": 1, "return_inverse": True, "return_counts": True},
        )
    ),
    call("unique_consecutive", f64(0)),
]
