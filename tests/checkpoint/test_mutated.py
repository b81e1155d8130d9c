"""Files with bytes changed, cut, doubled and moved give a value or a clear error, and nothing else."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import fnn

pytest.importorskip("safetensors")

FILES = Path(__file__).parent / "files"
SEEDS = [
    (FILES / name).read_bytes()
    for name in ("shapes_zip.pt", "shapes_old.pt", "lightning.ckpt", "parts/model-00001-of-00002.safetensors")
]


def nested():
    with tempfile.TemporaryDirectory() as folder:
        fnn.save(fnn.load(FILES / "lightning.ckpt"), Path(folder) / "x")
        return (Path(folder) / "x").read_bytes()


SEEDS.append(nested())
# Where formats keep what they are read by: near the beginning and the end.
places = st.one_of(st.integers(0, 400), st.integers(-400, -1), st.integers(0, 6000))
changes = st.one_of(
    st.tuples(st.just("set"), places, st.integers(0, 255)),
    st.tuples(st.just("flip"), places, st.integers(0, 7)),
    st.tuples(st.just("number"), places, st.sampled_from([2**64 - 1, 2**63, 2**32 - 1, 2**31, 0, 1, 255])),
    st.tuples(st.just("cut"), places, st.integers(1, 40)),
    st.tuples(st.just("double"), places, st.integers(1, 40)),
    st.tuples(st.just("end"), places, st.just(0)),
)


def mutate(data, todo):
    out = bytearray(data)
    for kind, place, number in todo:
        if not out:
            break
        place %= len(out)
        if kind == "set":
            out[place] = number
        elif kind == "flip":
            out[place] ^= 1 << number
        elif kind == "number":
            size = 4 if number < 2**32 else 8
            out[place : place + size] = number.to_bytes(size, "little")
        elif kind == "cut":
            del out[place : place + number]
        elif kind == "double":
            out[place:place] = out[place : place + number]
        else:
            del out[place:]
    return bytes(out)


def check(seed, todo):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(mutate(SEEDS[seed], todo))
        for read in (fnn.load, read_one_by_one):
            said = str(path)
            try:
                read(path)
            except ValueError as error:
                said = str(error)
            assert str(path) in said
            assert len(said) < 2000


def read_one_by_one(path):
    with fnn.open_checkpoint(path) as checkpoint:
        return dict(checkpoint)


mutations = given(st.integers(0, len(SEEDS) - 1), st.lists(changes, min_size=1, max_size=4))
quiet = [HealthCheck.too_slow]


@settings(max_examples=300, deadline=None, suppress_health_check=quiet)
@mutations
def test_mutated_files(seed, todo):
    check(seed, todo)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=quiet)
@mutations
def test_ten_thousand_mutated_files(seed, todo):
    check(seed, todo)
