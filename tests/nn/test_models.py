"""Whole models, written once for both libraries: torch's weights in, the same outputs, gradients and buffers out."""

import warnings
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from tests.oracle import assert_close, from_torch, needs_torch, rand


def ours():
    return SimpleNamespace(
        nn=fnn.nn, F=fnn.nn.functional, cat=jnp.concatenate, arange=jnp.arange, rnn=fnn.nn.utils.rnn, double=jnp.float64
    )


def theirs():
    import torch

    return SimpleNamespace(
        nn=torch.nn,
        F=torch.nn.functional,
        cat=torch.cat,
        arange=torch.arange,
        rnn=torch.nn.utils.rnn,
        double=torch.float64,
    )


def resnet18(lib, width=4, classes=5):
    nn, F = lib.nn, lib.F

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.downsample = None
            if stride != 1 or inputs != outputs:
                self.downsample = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, x):
            out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
            return F.relu(out + (x if self.downsample is None else self.downsample(x)))

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.maxpool = nn.MaxPool2d(3, 2, 1)
            widths = [width, width, 2 * width, 4 * width, 8 * width]
            for i in range(4):
                stride = 1 if i == 0 else 2
                blocks = [Block(widths[i], widths[i + 1], stride), Block(widths[i + 1], widths[i + 1], 1)]
                setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
            self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
            self.fc = nn.Linear(8 * width, classes)

        def forward(self, x):
            x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return self.fc(self.avgpool(x).reshape(x.shape[0], -1))

    return ResNet()


def mobilenet_v2(lib):
    nn = lib.nn

    def conv(inputs, outputs, kernel, stride=1, groups=1):
        return [
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        ]

    class InvertedResidual(nn.Module):
        def __init__(self, inputs, outputs, stride, expand):
            super().__init__()
            hidden = inputs * expand
            self.residual = stride == 1 and inputs == outputs
            layers = [*conv(inputs, hidden, 1), nn.ReLU6()] if expand != 1 else []
            layers += [*conv(hidden, hidden, 3, stride, hidden), nn.ReLU6(), *conv(hidden, outputs, 1)]
            self.conv = nn.Sequential(*layers)

        def forward(self, x):
            return x + self.conv(x) if self.residual else self.conv(x)

    return nn.Sequential(
        *conv(3, 4, 3, 2),
        nn.ReLU6(),
        InvertedResidual(4, 4, 1, 1),
        InvertedResidual(4, 6, 2, 3),
        InvertedResidual(6, 6, 1, 3),
        *conv(6, 12, 1),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.0),
        nn.Linear(12, 5),
    )


def unet(lib):
    nn, cat = lib.nn, lib.cat

    def double(inputs, outputs):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(2, outputs), nn.SiLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, padding_mode="reflect"), nn.InstanceNorm2d(outputs, affine=True),
            nn.LeakyReLU(0.1),
        )  # fmt: skip

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.ModuleList([double(2, 4), double(4, 8)])
            self.pool = nn.MaxPool2d(2)
            self.middle = double(8, 16)
            self.up = nn.ModuleDict(
                {"a": nn.ConvTranspose2d(16, 8, 2, 2), "b": nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1)}
            )
            self.merge = nn.ModuleList([double(16, 8), double(8, 4)])
            self.smooth = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
            self.head = nn.Conv2d(4, 3, 1)

        def forward(self, x):
            a = self.down[0](x)
            b = self.down[1](self.pool(a))
            middle = self.middle(self.pool(b))
            b = self.merge[0](cat([self.up["a"](middle), b], 1))
            a = self.merge[1](cat([self.up["b"](b), a], 1))
            return self.smooth(self.head(a))

    return UNet()


def gpt(lib, words=11, width=8, heads=2, layers=2, length=6):
    nn, F = lib.nn, lib.F

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.RMSNorm(width, eps=1e-6)
            self.c_attn = nn.Linear(width, 3 * width)
            self.c_proj = nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
            )

        def attention(self, x):
            batch, time, _ = x.shape
            parts = self.c_attn(x).reshape(batch, time, 3, heads, width // heads)
            q, k, v = (parts[:, :, i].swapaxes(1, 2) for i in range(3))
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.c_proj(out.swapaxes(1, 2).reshape(batch, time, width))

        def forward(self, x):
            x = x + self.attention(self.ln_1(x))
            return x + self.mlp(self.ln_2(x))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(words, width), nn.Embedding(length, width)
            self.h = nn.ModuleList([Block() for _ in range(layers)])
            self.ln_f = nn.LayerNorm(width)
            self.lm_head = nn.Linear(width, words, bias=False)
            self.lm_head.weight = self.wte.weight  # tied

        def forward(self, tokens):
            x = self.wte(tokens) + self.wpe(lib.arange(tokens.shape[1]))
            for block in self.h:
                x = block(x)
            return self.lm_head(self.ln_f(x))

    return GPT()


def translator(lib, words=9, width=8):
    nn = lib.nn

    class Translator(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(words, width, padding_idx=0)
            self.transformer = nn.Transformer(width, 2, 1, 2, 16, 0.0, batch_first=True, norm_first=True)
            self.out = nn.Linear(width, words)

        def forward(self, source, target):
            padding = source == 0
            causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1], dtype=lib.double)
            out = self.transformer(
                self.embed(source),
                self.embed(target),
                tgt_mask=causal,
                src_key_padding_mask=padding,
                memory_key_padding_mask=padding,
            )
            return self.out(out)

    return Translator()


def tagger(lib, lengths=(5, 2, 4)):
    nn, rnn = lib.nn, lib.rnn

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(10, 4)
            self.lstm = nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True)
            self.tags = nn.Linear(6, 4)

        def forward(self, tokens):
            packed = rnn.pack_padded_sequence(self.embed(tokens), list(lengths), True, enforce_sorted=False)
            output, _ = rnn.pad_packed_sequence(self.lstm(packed)[0], True)
            return self.tags(output)

    return Tagger()


TOKENS = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3], [5, 8, 9, 7, 9]])
MODELS = {
    "ResNet-18": (resnet18, [rand(0, 2, 3, 32, 32)]),
    "MobileNetV2": (mobilenet_v2, [rand(1, 2, 3, 16, 16)]),
    "U-Net": (unet, [rand(2, 2, 2, 8, 8)]),
    "GPT": (gpt, [TOKENS]),
    "Transformer": (translator, [np.array([[1, 2, 3, 0], [4, 5, 6, 7]]), np.array([[2, 3, 4], [5, 6, 7]])]),
    "LSTM tagger": (tagger, [TOKENS]),
}
SLOW = ("ResNet-18", "MobileNetV2", "U-Net", "Transformer")


@needs_torch
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else []) for n in MODELS])
def test_against_torch(name):
    import torch

    make, inputs = MODELS[name]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="enable_nested_tensor")
        torch_model = make(theirs()).double()
    model = make(ours()).double()
    model.load_state_dict(torch_model.state_dict())
    assert list(model.state_dict()) == list(torch_model.state_dict())

    tensors = [torch.from_numpy(x).requires_grad_(x.dtype == np.float64) for x in inputs]
    expected = torch_model(*tensors)
    weights = rand(7, *expected.shape)
    (expected * torch.from_numpy(weights)).sum().backward()

    params, buffers = fnn.state(model)
    floats = [x for x in inputs if x.dtype == np.float64]

    def loss(params, floats):
        out, new = fnn.functional_call(model, params, buffers, *(floats or inputs))
        return (out * weights).sum(), (out, new)

    grads, (out, new) = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, floats)
    assert_close(out, from_torch(expected), rtol=1e-9, atol=1e-10)
    for key, parameter in torch_model.named_parameters():
        assert_close(grads[0][key], from_torch(parameter.grad), rtol=1e-8, atol=1e-9, what=key)
    for grad, tensor in zip(grads[1], tensors, strict=False):
        assert_close(grad, from_torch(tensor.grad), rtol=1e-8, atol=1e-9)
    for key, buffer in torch_model.named_buffers():
        assert_close(new[key], from_torch(buffer), rtol=1e-9, what=key)
    fnn.update(model, params, new)
    model.eval()
    assert_close(jax.jit(model)(*inputs), from_torch(torch_model.eval()(*tensors)), rtol=1e-9, atol=1e-10)


def test_an_object_trains_in_the_torch_way():
    fnn.manual_seed(0)
    model = tagger(ours())
    optimizer = fnn.optim.Adam(model.parameters(), lr=0.1)
    targets = TOKENS % 4

    @fnn.jit
    def step(tokens, targets):
        return optimizer.step(lambda: fnn.nn.functional.cross_entropy(model(tokens).swapaxes(1, 2), targets))

    losses = [float(step(TOKENS, targets)) for _ in range(25)]
    assert losses[-1] < 0.5 * losses[0]
