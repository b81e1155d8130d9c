"""ResNets in torch, with torchvision's names."""

COUNTS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


def make_twin(kind, classes=5, width=4):
    """The network in torch, with random weights and statistics in float64."""
    import torch
    from torch import nn as tnn

    class Block(tnn.Module):
        def __init__(self, before, inner, stride):
            super().__init__()
            self.deep = kind == "resnet50"
            after = 4 * inner if self.deep else inner
            # For each convolution: channels in and out, kernel, stride.
            if self.deep:
                sizes = [(before, inner, 1, 1), (inner, inner, 3, stride), (inner, after, 1, 1)]
            else:
                sizes = [(before, inner, 3, stride), (inner, inner, 3, 1)]
            self.depth = len(sizes)
            for i, (a, b, kernel, step) in enumerate(sizes, 1):
                self.add_module(f"conv{i}", tnn.Conv2d(a, b, kernel, step, kernel // 2, bias=False))
                self.add_module(f"bn{i}", tnn.BatchNorm2d(b))
            self.downsample = None
            if before != after or stride > 1:
                convolution = tnn.Conv2d(before, after, 1, stride, bias=False)
                self.downsample = tnn.Sequential(convolution, tnn.BatchNorm2d(after))

        def forward(self, x):
            y = x
            for i in range(1, self.depth + 1):
                y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
                y = y.relu() if i < self.depth else y
            return (y + (x if self.downsample is None else self.downsample(x))).relu()

    class Net(tnn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = tnn.Conv2d(3, width, 7, 2, 3, bias=False)
            self.bn1 = tnn.BatchNorm2d(width)
            before = width
            for i, count in enumerate(COUNTS[kind]):
                blocks = []
                for j in range(count):
                    blocks.append(Block(before, width << i, 2 if i and not j else 1))
                    before = (width << i) * (4 if kind == "resnet50" else 1)
                self.add_module(f"layer{i + 1}", tnn.Sequential(*blocks))
            self.fc = tnn.Linear(before, classes)

        def forward(self, x):
            x = torch.nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
            for i in range(1, 5):
                x = getattr(self, f"layer{i}")(x)
            return self.fc(torch.nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))

    draw = torch.Generator().manual_seed(0)
    net = Net().double()
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if "bn" in name or "downsample.1" in name:
                if tensor.is_floating_point():
                    positive = name.endswith(("weight", "running_var"))
                    tensor.copy_(positive + 0.2 * torch.rand(tensor.shape, generator=draw, dtype=tensor.dtype))
            else:
                scale = tensor[0].numel() ** -0.5 if tensor.ndim > 1 else 0.1
                tensor.copy_(scale * torch.randn(tensor.shape, generator=draw, dtype=tensor.dtype))
    return net
