"""The layer that mixes groups of channels against torch."""

from tests.nn.modules.cases import IMAGE, LayerTests


class TestChannelshuffle(LayerTests):
    CASES = [
        ("ChannelShuffle", (2,), {}, IMAGE),
    ]
    MORE = [
        ("ChannelShuffle", (4,), {}, (1, 8, 3)),
    ]
