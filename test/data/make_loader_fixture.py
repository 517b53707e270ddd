"""Writes fixtures/loader.json: the orders of PyTorch's DataLoader and its stream after them, for the tests of DataLoader.

    pip install torch==2.15.0
    python make_loader_fixture.py

`npm test` reads the file and needs no Python.
"""

import json
from pathlib import Path

import torch
from torch.utils.data import DataLoader

CASES = [
    # seed, samples, batch size, shuffle, drop last
    (0, 8, 8, True, False),
    (0, 1, 1, True, False),
    (1, 2, 1, True, False),
    (7, 37, 8, True, False),
    (42, 37, 8, True, True),
    (42, 100, 100, True, False),
    (2**32 + 7, 50, 7, True, True),
    (-3, 20, 6, True, False),
    (5, 9, 4, False, False),
]


def case(seed, samples, batch_size, shuffle, drop_last):
    torch.manual_seed(seed)
    loader = DataLoader(range(samples), batch_size=batch_size, shuffle=shuffle, drop_last=drop_last)
    epochs = []
    for _ in range(3):
        batches = [batch.tolist() for batch in loader]
        epochs.append({"batches": batches, "next": torch.rand(1).item()})
    options = {"batchSize": batch_size, "shuffle": shuffle, "dropLast": drop_last}
    return {"seed": seed, "samples": samples, "options": options, "epochs": epochs}


fixture = {"torch": torch.__version__.split("+")[0], "cases": [case(*parts) for parts in CASES]}
(Path(__file__).parent / "fixtures" / "loader.json").write_text(json.dumps(fixture) + "\n")
