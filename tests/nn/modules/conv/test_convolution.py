"""Convolution layers against torch."""

from tests.nn.modules.cases import IMAGE, LINE, VOLUME, LayerTests


class TestConvolution(LayerTests):
    CASES = [
        ("Conv1d", (4, 6, 3), {"padding": 2, "dilation": 2, "groups": 2}, LINE),
        ("Conv2d", (4, 6, 3), {"stride": (2, 1), "padding": 1, "padding_mode": "reflect"}, IMAGE),
        ("Conv2d", (4, 4, (3, 2)), {"padding": "same", "bias": False, "groups": 4}, IMAGE),
        ("Conv3d", (2, 2, 2), {}, VOLUME),
    ]
    MORE = [
        *[
            ("Conv1d", (4, 6, 3), {"padding": "same", "padding_mode": m}, LINE)
            for m in ("circular", "replicate", "zeros")
        ],
        ("Conv1d", (4, 6, 3), {"padding": "valid", "stride": 2, "padding_mode": "circular"}, (4, 9)),
        *[("Conv2d", (4, 6, 3), {"padding": (2, 1), "padding_mode": m}, IMAGE) for m in ("circular", "replicate")],
        ("Conv2d", (4, 6, (1, 3)), {"dilation": (1, 2), "groups": 2, "bias": False}, IMAGE[1:]),
        ("Conv3d", (2, 4, (1, 2, 3)), {"stride": (2, 1, 1), "padding": (0, 1, 2), "groups": 2}, VOLUME),
        ("Conv3d", (2, 1, 3), {"padding": 1, "padding_mode": "replicate"}, VOLUME),
    ]
    BAD = [
        (TypeError, "Conv1d: in_channels must be an int", "Conv1d", (None, 4, 3), {}),
        (ValueError, "Conv2d: out_channels must be at least 0", "Conv2d", (4, -4, 3), {}),
        (ValueError, "Conv2d: groups must be at least 1, got 0", "Conv2d", (4, 4, 3), {"groups": 0}),
        (ValueError, "Conv2d: in_channels must be divisible by groups", "Conv2d", (3, 4, 3), {"groups": 2}),
        (ValueError, "Conv3d: out_channels must be divisible by groups", "Conv3d", (4, 3, 3), {"groups": 2}),
        (ValueError, "Conv2d: padding must be .*'same'", "Conv2d", (4, 4, 3), {"padding": "full"}),
        (ValueError, "padding must be other than 'same' for strided", "Conv2d", (4, 4, 3, 2), {"padding": "same"}),
        (ValueError, "Conv1d: padding_mode must be", "Conv1d", (4, 4, 3), {"padding_mode": "mirror"}),
    ]
    COMPILED = ["Conv2d"]
