"""Calls of the methods that compute each element, of one array or of several."""

import jax.numpy as jnp
import numpy as np

from tests.nn.tensor_methods.comparison import call, f64, i64, mask, positive, some_nan

_SPECIAL = np.array([-np.inf, -2.5, -1.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 1.5, 2.5, np.inf, np.nan])
_F16 = np.array([-1.5, -0.5, 0.25, 0.75, 2.0], np.float16)
_BF16 = np.array([-1.5, -0.5, 0.25, 0.75, 2.0]).astype(jnp.bfloat16)
_F32 = f64(2, 3).astype(np.float32)
_COMPLEX = f64(2, 3) + 1j * f64(2, 3)[::-1]

_FLOATING = """sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan asin arcsin acos arccos atan arctan sinh cosh
tanh asinh arcsinh acosh arccosh atanh arctanh sinc deg2rad rad2deg sigmoid logit erf erfc erfinv lgamma digamma i0""".split()
_KEEPING = """square abs absolute neg negative positive sign sgn signbit floor ceil trunc fix round frac angle conj conj_physical
nan_to_num isnan isinf isfinite isposinf isneginf isreal logical_not relu""".split()
_NOT_IN_PLACE = {"angle", "conj", "isnan", "isinf", "isfinite", "isposinf", "isneginf", "isreal", "signbit", "positive"}
_COMPLEX_TOO = (
    "sqrt exp log sin cos tanh sigmoid reciprocal square abs neg sgn sign angle conj isreal isnan real imag".split()
)

CALLS = [
    *(call(n, x) for n in _FLOATING for x in (f64(2, 3), i64(4), _SPECIAL)),
    *(call(n, positive(3)) for n in ("acosh", "logit", "erfinv", "digamma")),
    *(call(n, x) for n in _KEEPING for x in (f64(2, 3), i64(4), _SPECIAL)),
    *(
        call(n, x)
        for n in ("exp", "sqrt", "abs", "sign", "square", "relu", "logical_not", "neg", "floor")
        for x in (mask(4), _F32, _BF16, _F16, f64(), f64(0, 3))
    ),
    *(call(n, _COMPLEX) for n in _COMPLEX_TOO if n not in ("real", "imag")),
    *(call(n + "_", x) for n in _FLOATING for x in (f64(2, 3), i64(4))),
    *(call(n + "_", x) for n in _KEEPING if n not in _NOT_IN_PLACE for x in (f64(2, 3), i64(4))),
    call("round", f64(5) * 100, decimals=2),
    call("round", f64(5) * 100, decimals=-1),
    call("round_", f64(5) * 100, decimals=1),
    call("logit", f64(4), 0.2),
    call("logit_", f64(4), eps=0.1),
    call("nan_to_num", _SPECIAL, 1.0, 2.0, -3.0),
    call("nan_to_num_", _SPECIAL, nan=1.0),
    *(call(n, positive(3), k) for n in ("polygamma", "polygamma_") for k in (0, 1, 2)),
    call("mvlgamma", positive(3) + 3, 2),
    call("mvlgamma_", positive(3) + 3, p=3),
    call("frexp", f64(2, 3) * 10),
    call("bitwise_not", i64(4)),
    call("bitwise_not", mask(4)),
    call("bitwise_not", f64(4)),
    call("bitwise_not_", i64(4)),
    call("logical_not_", f64(4)),
    call("prelu", f64(2, 3), np.array([0.1, 0.2, 0.3])),
    call("hardshrink", f64(5)),
    call("hardshrink", f64(5), 1.0),
    call("softmax", f64(2, 3), 1),
    call("softmax", f64(2, 3), dim=0),
    call("log_softmax", f64(2, 3), -1),
    call("resolve_conj", f64(2)),
    call("resolve_neg", f64(2)),
    call("relu_", _F32),
]

_PAIRS = [
    (f64(2, 3), f64(3)),
    (f64(2, 3), 2),
    (f64(2, 3), 0.5),
    (i64(2, 3), i64(2, 1)),
    (i64(2, 3), 3),
    (i64(2, 3), 1.5),
    (_F32, f64(2, 3)),
    (_F32, f64()),
    (i64(3), f64()),
    (i64(3), _F32[0]),
    (mask(3), i64(3)),
    (mask(3), 2.5),
    (_BF16, 0.1),
    (_F16, i64()),
    (f64(), f64(2)),
    (f64(2, 3), f64(4)),
]
_ARITHMETIC = "add sub mul div floor_divide remainder fmod maximum minimum fmax fmin atan2 hypot copysign".split()
_COMPARISONS = "eq ne lt le gt ge logical_and logical_or logical_xor".split()
_NO_NUMBERS = {"maximum", "minimum", "fmax", "fmin", "atan2", "hypot", "logical_and", "logical_or", "logical_xor"}
_WRITTEN = "add sub mul div floor_divide remainder fmod copysign".split()

CALLS += [
    *(
        call(n, x, y)
        for n in _ARITHMETIC + _COMPARISONS
        for x, y in _PAIRS
        if n not in _NO_NUMBERS or isinstance(y, np.ndarray)
    ),
    *(call(n + "_", x, y) for n in _WRITTEN for x, y in _PAIRS),
    *(
        call(n + "_", x, y)
        for n in _COMPARISONS
        for x, y in _PAIRS[:4]
        if n not in _NO_NUMBERS or isinstance(y, np.ndarray)
    ),
    *(
        call(n, f64(2, 3), f64(3))
        for n in (
            "subtract",
            "multiply",
            "divide",
            "true_divide",
            "arctan2",
            "not_equal",
            "less",
            "less_equal",
            "greater",
            "greater_equal",
        )
    ),
    *(
        call(n + "_", f64(2, 3), f64(3))
        for n in (
            "subtract",
            "multiply",
            "divide",
            "true_divide",
            "arctan2",
            "atan2",
            "hypot",
            "not_equal",
            "less",
            "less_equal",
            "greater",
            "greater_equal",
        )
    ),
    call("add", f64(3), f64(3), alpha=2),
    call("add", i64(3), i64(3), alpha=2),
    call("add", i64(3), i64(3), alpha=0.5),
    call("add", _F32, 3, alpha=0.5),
    call("add_", f64(3), f64(3), alpha=-0.5),
    call("add_", _BF16, 0.001),
    call("sub", f64(3), 2, alpha=3),
    call("sub_", f64(3), f64(3), alpha=2),
    call("sub", mask(3), mask(3)),
    call("add", mask(3), mask(3)),
    call("mul", mask(3), mask(3)),
    call("mul_", _BF16, 0.999),
    *(
        call("div", x, y, rounding_mode=m)
        for m in ("trunc", "floor")
        for x, y in ((f64(4), f64(4)), (i64(4), np.array([2, -3, 4, -1])), (i64(4), 2), (f64(4), 0.3))
    ),
    call("div", f64(2), 2, rounding_mode="ceil"),
    call("div_", i64(4), 2, rounding_mode="floor"),
    call("div_", i64(4), 2),
    call("div_", f64(4), f64(4), rounding_mode="trunc"),
    *(
        call(n, x, y)
        for n in ("pow", "pow_")
        for x, y in (
            (positive(3), f64(3)),
            (f64(3), 2),
            (i64(3), 2),
            (i64(3), -1),
            (i64(3), 0.5),
            (_F32, 3),
            (f64(3), np.array([1, 2, 3])),
            (i64(3), np.array([0, 1, 2])),
        )
    ),
    *(call("float_power", x, y) for x, y in ((positive(3), f64(3)), (_F32, 2), (i64(3), 2))),
    call("float_power_", f64(3), 2),
    call("float_power_", _F32, 2),
    *(
        call(n, *a)
        for n in ("clamp", "clip", "clamp_", "clip_")
        for a in (
            (f64(5), -0.5, 0.5),
            (f64(5), -0.5),
            (f64(5), f64(5), f64(5) + 1),
            (i64(5), -1, 2),
            (some_nan(5), 0, 1),
            (f64(5), 1, 0),
            (i64(5), 0.5),
            (f64(2, 3), f64(3)),
            (f64(3), f64(2, 3)),
        )
    ),
    call("clamp", f64(5), max=0.5),
    call("clamp", f64(5), min=0.5),
    call("clamp", f64(5)),
    call("clamp_", f64(5), max=0.5),
    *(call(n, f64(5), 0.3) for n in ("clamp_min", "clamp_max", "clamp_min_", "clamp_max_")),
    call("clamp_min", f64(5), f64(5)),
    call("nextafter", f64(3), f64(3)[::-1].copy()),
    call("nextafter_", f64(3), f64(3)[::-1].copy()),
    call("heaviside", np.array([-1.0, 0.0, 2.0]), np.array(0.5)),
    call("heaviside", np.array([-1.0, 0.0, 2.0]), _F32[0]),
    call("heaviside_", np.array([-1.0, 0.0, 2.0]), np.array([0.5])),
    call("logaddexp", f64(3), f64(3)),
    call("logaddexp2", f64(3), f64(2, 3)),
    *(call(n, i64(4), i64(4)) for n in ("gcd", "lcm", "gcd_", "lcm_")),
    *(call(n, f64(4), i64(4)) for n in ("ldexp", "ldexp_")),
    call("ldexp", i64(4), i64(4)),
    *(call(n, np.array([0.0, 1.0, 0.0]), np.array([0.0, 2.0, np.nan])) for n in ("xlogy", "xlogy_")),
    call("xlogy", i64(3), 2.0),
    *(call(n, positive(3) * 3, positive(3) * 4) for n in ("igamma", "igammac", "igamma_", "igammac_")),
    *(call(n, f64(2, 3), f64(2, 3), w) for n in ("lerp", "lerp_") for w in (0.3, 0.8, positive(3), positive(2, 3))),
    call("lerp", _F32, f64(2, 3), 0.5),
    call("lerp_", _BF16, _BF16[::-1].copy(), 0.01),
    *(call(n, f64(2, 3), f64(3), f64(2, 1)) for n in ("addcmul", "addcmul_", "addcdiv", "addcdiv_")),
    *(call(n, f64(2, 3), f64(3), f64(2, 1), value=0.5) for n in ("addcmul", "addcmul_", "addcdiv", "addcdiv_")),
    call("addcmul", i64(3), i64(3), i64(3), value=2),
    call("addcdiv", i64(3), i64(3), i64(3)),
    call("addcmul_", f64(3), f64(2, 3), f64(3)),
    *(call("dist", f64(2, 3), f64(3), p) for p in (2, 1, 0, float("inf"), 3)),
    *(
        call(n + s, i64(4), y)
        for n in ("bitwise_and", "bitwise_or", "bitwise_xor")
        for s in ("", "_")
        for y in (i64(4)[::-1].copy(), 3, True)
    ),
    *(call(n, mask(4), mask(4)[::-1].copy()) for n in ("bitwise_and", "bitwise_or", "bitwise_xor")),
    call("bitwise_and", f64(4), 1),
    *(
        call(n + s, i64(4), np.array([0, 1, 2, 3]))
        for n in ("bitwise_left_shift", "bitwise_right_shift")
        for s in ("", "_")
    ),
    *(call("isclose", f64(3), f64(3) + d) for d in (0, 1e-9, 1e-3)),
    call("isclose", some_nan(3), some_nan(3), equal_nan=True),
    call("allclose", f64(3), f64(3) + 1e-10),
    call("allclose", f64(3), f64(3) + 1e-2),
    call("allclose", f64(3), f64(3) + 1e-2, rtol=0, atol=1e-1),
    call("allclose", f64(3), _F32[0]),
    call("equal", f64(3), f64(3)),
    call("equal", f64(3), f64(2)),
    call("equal", i64(3), i64(3)),
    call("where", f64(2, 3), mask(2, 3), f64(3)),
    call("where", _F32, mask(2, 3), 0),
    call("where", i64(3), mask(3), 1.5),
    call("where", f64(3), i64(3), f64(3)),
]
