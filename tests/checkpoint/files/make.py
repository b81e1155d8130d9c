"""Makes the files of this folder, by torch 2.13: ``python tests/checkpoint/files/make.py``. The tests read them without torch."""

import json
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

HERE = Path(__file__).parent
DTYPES = (
    *(
        "float64 float32 float16 bfloat16 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu"
    ).split(),
    *("int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool complex128 complex64").split(),
)


def numbers():
    """Of every dtype twelve numbers that all of them know exactly: powers of two, and 0 and 1 for bool."""
    import torch

    powers = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    return {name: (powers > 2 if name == "bool" else powers).to(getattr(torch, name)) for name in DTYPES}


def shapes():
    import torch

    base = torch.arange(24.0)
    return OrderedDict(
        scalar=torch.tensor(3.0),
        empty=torch.empty(0, 3),
        five=base.reshape(2, 1, 3, 1, 4),
        transposed=base.reshape(4, 6).T,
        part=base.reshape(4, 6)[1:3, 2:5],
        steps=base[::5],
        expanded=torch.tensor([[1.0], [2.0]]).expand(2, 3),
        shared=base,
        parameter=torch.nn.Parameter(base[:2].clone()),
        conjugate=torch.tensor([1 + 2j]).conj(),
        negative=torch.tensor([1 + 2j]).conj().imag,
    )


def swapped(source, target):
    """The zip file as a big-endian machine writes it: the bytes of every storage in the other order."""
    sizes = {str(i): t.element_size() for i, t in enumerate(numbers().values())}
    sizes = {
        k: size // 2 if name.startswith("complex") else size
        for (k, size), name in zip(sizes.items(), DTYPES, strict=True)
    }
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            key = name.rpartition("/data/")[2]
            if name.endswith("byteorder"):
                data = b"big"
            elif key in sizes:
                n = sizes[key]
                data = b"".join(data[i : i + n][::-1] for i in range(0, len(data), n))
            new.writestr(name, data)


def lightning():
    """What a checkpoint of Lightning holds."""
    import torch

    model = torch.nn.Linear(2, 1)
    torch.nn.init.constant_(model.weight, 0.5)
    torch.nn.init.constant_(model.bias, 0.25)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return {
        "epoch": 3,
        "global_step": 12,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": OrderedDict((f"model.{k}", v) for k, v in model.state_dict().items()),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 3, "completed": 3}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.5), "dirpath": "a"}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 1e-3, "sizes": (1, 2), "name": None},
    }


def main():
    import torch
    from safetensors.torch import save_file

    # As a script of the user's has it.
    Own = type("Own", (torch.nn.Module,), {"__module__": "__main__"})
    globals()["Own"] = Own
    warnings.simplefilter("ignore")
    for name, zipped in (("zip", True), ("old", False)):
        save = {"_use_new_zipfile_serialization": zipped}
        torch.save(numbers(), HERE / f"dtypes_{name}.pt", **save)
        torch.save(shapes(), HERE / f"shapes_{name}.pt", **save)
    swapped(HERE / "dtypes_zip.pt", HERE / "dtypes_big_endian.pt")
    torch.save(lightning(), HERE / "lightning.ckpt")
    torch.save({"w": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}, HERE / "quantized.pt")
    torch.save({"w": torch.eye(2).to_sparse()}, HERE / "sparse.pt")
    torch.save({"w": torch.empty(2, device="meta")}, HERE / "meta.pt")
    torch.save(torch.nn.Linear(1, 1), HERE / "model_zip.pt")
    torch.save(Own(), HERE / "model_old.pt", _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), HERE / "script.pt")
    parts = HERE / "parts"
    parts.mkdir(exist_ok=True)
    save_file({"a": torch.arange(3.0), "b": torch.ones(1, 2)}, parts / "model-00001-of-00002.safetensors")
    save_file({"c": torch.arange(2, dtype=torch.bfloat16)}, parts / "model-00002-of-00002.safetensors")
    weights = {"a": "model-00001-of-00002.safetensors", "c": "model-00002-of-00002.safetensors"}
    index = {"metadata": {"total_size": 24}, "weight_map": {**weights, "b": weights["a"]}}
    (parts / "model.safetensors.index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main()
