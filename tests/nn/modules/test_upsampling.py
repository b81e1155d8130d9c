"""Layers that resize against torch."""

from tests.nn.modules.cases import IMAGE, LINE, VOLUME, LayerTests


class TestUpsampling(LayerTests):
    CASES = [
        ("Upsample", (), {"scale_factor": (2, 1.5), "mode": "bilinear", "align_corners": True}, IMAGE),
        ("UpsamplingNearest2d", (), {"scale_factor": 2}, IMAGE),
        ("UpsamplingBilinear2d", ((3, 7),), {}, IMAGE),
    ]
    MORE = [
        *[("Upsample", (7,), {"mode": m}, LINE) for m in ("nearest", "linear", "area", "nearest-exact")],
        ("Upsample", ((7, 9),), {"mode": "bicubic", "align_corners": False}, IMAGE),
        ("Upsample", (), {"scale_factor": 1.5, "mode": "trilinear", "recompute_scale_factor": True}, VOLUME),
        ("UpsamplingNearest2d", (7,), {}, IMAGE),
    ]
    BAD = [
        (ValueError, "Upsample: scale_factor must be a number", "Upsample", (), {"scale_factor": "a"}),
        (
            ValueError,
            "UpsamplingBilinear2d: scale_factor must be a number",
            "UpsamplingBilinear2d",
            (None, ("a", 2)),
            {},
        ),
    ]
