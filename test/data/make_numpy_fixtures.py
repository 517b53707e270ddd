"""Writes fixtures/numpy with NumPy: arrays of every type, order and version, archives, and expected.json with their
elements row by row. The tests do not need NumPy, only these files. Run with NumPy 2: python make_numpy_fixtures.py."""

import json
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent / "fixtures" / "numpy"
OUT.mkdir(parents=True, exist_ok=True)
expected = {}


def keep(name, array, version=(1, 0)):
    with open(OUT / f"{name}.npy", "wb") as file:
        np.lib.format.write_array(file, array, version=version)
    elements = np.ascontiguousarray(array).ravel()
    texts = [str(x) for x in elements.tolist()] if array.dtype.kind == "i" else elements.tolist()
    expected[name] = {"shape": list(array.shape), "elements": texts}


numbers = np.arange(24).reshape(2, 3, 4)
for kind, scale in [("u1", 10), ("i4", -(2**20)), ("i8", 2**40), ("f4", 0.1), ("f8", 1e-3)]:
    for order in "<>":
        values = (numbers * scale).astype(np.dtype(kind).newbyteorder(order))
        name = f"{kind}_{'little' if order == '<' else 'big'}"
        keep(f"{name}_c", values)
        keep(f"{name}_fortran", np.asfortranarray(values))
keep("version_2", numbers.astype("<f4"), (2, 0))
keep("version_3", numbers.astype("<f4"), (3, 0))
keep("one_axis", np.array([3, -1, 2], "<i8"))
keep("one_element", np.array([2.5], "<f4"))
keep("no_axis", np.array(2.5, "<f4"))
keep("half", numbers.astype("<f2"))
keep("truth", numbers > 3)
keep("texts", np.array(["a", "bc"]))
keep("records", np.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f8")]))
for name in ("truth", "texts", "records", "half"):
    del expected[name]

images = (numbers * 10).astype(np.uint8)
colours = np.arange(4 * 2 * 2 * 3, dtype=np.uint8).reshape(4, 2, 2, 3)
labels = np.array([1, 0], np.uint8)
np.savez(OUT / "stored.npz", x_train=images, y_train=labels, x_test=images[::-1], y_test=labels[::-1])
np.savez_compressed(OUT / "compressed.npz", x_train=images, y_train=labels, x_test=images[::-1], y_test=labels[::-1])
np.savez_compressed(OUT / "colours.npz", images=colours, labels=np.array([[0], [1], [1], [0]]))
np.savez(OUT / "objects.npz", x=np.array([{}, None], object), y=labels)
(OUT / "expected.json").write_text(json.dumps(expected) + "\n")
