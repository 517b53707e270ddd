"""Makes the files of fixtures/ with PyTorch: python make_fixtures.py. The tests do not need PyTorch, only these files."""

import argparse
import json
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

OUT = Path(__file__).parent / "fixtures"
LEGACY = OUT / "legacy"
# Too large, or not of torch.save's default.
ONCE = {"large_values.pth", "training.pth", "protocol4.pth"}


def save(name, value, **options):
    """Writes a file, and a second one in the format before 1.6."""
    torch.save(value, OUT / name, **options)
    if name not in ONCE:
        torch.save(value, LEGACY / name, _use_new_zipfile_serialization=False)


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))


class Training:
    """A small run, the same as in training.ts: 12 steps on one batch."""

    def __init__(self):
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 3)
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01, weight_decay=0.05)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=0.02, total_steps=12, pct_start=0.4, div_factor=20, final_div_factor=100
        )
        self.x, self.labels = torch.randn(16, 6), torch.randint(0, 3, (16,))

    def run(self, steps):
        losses = []
        for _ in range(steps):
            self.optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(self.model(self.x), self.labels)
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            losses.append(loss.item())
        return losses

    def checkpoint(self):
        parts = {name: getattr(self, name).state_dict() for name in ("model", "optimizer", "scheduler")}
        return {"epoch": 3, "best": float("inf"), **parts}


class Hostile:
    def __reduce__(self):
        return (os.system, ("echo pwned > pwned.txt",))


base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
values = torch.tensor([0.0, -0.0, 1.0, -2.5, 65504.0, 6e-8, 1e-5, float("inf"), -float("inf")])

LEGACY.mkdir(exist_ok=True, parents=True)
save("state_dict.pth", network().state_dict())
save("plain_dict.pth", {"a": torch.tensor([1.5, 2.5])})
save("empty.pth", OrderedDict())
save("strided.pth", {"transposed": base.T, "columns": base[:, 1:3], "row": base[1], "flat": base, "step": base[::2, ::3]})
save("half.pth", {"x": values.half()})
save("bfloat16.pth", {"x": values.bfloat16()})
save("double.pth", {"x": torch.tensor([0.1, 1e300, -1e-300], dtype=torch.float64)})
save("integers.pth", {"long": torch.tensor([2**62, -1]), "int": torch.tensor([[7], [-8]], dtype=torch.int32)})
save("parameter.pth", {"w": torch.nn.Parameter(torch.tensor([[3.0, 4.0]]))})
save("zero_size.pth", {"none": torch.zeros(0, 3), "scalar": torch.tensor(9.0)})
save("expanded.pth", {"x": torch.ones(1).expand(1000)})
save("complex.pth", {"x": torch.tensor([1j])})
narrow = {"int16": [300, -300], "int8": [127, -128], "uint8": [0, 255], "bool": [True, False]}
save("narrow.pth", {name: torch.tensor(items, dtype=getattr(torch, name)) for name, items in narrow.items()})
save("columns.pth", {"x": torch.arange(6, dtype=torch.uint8).reshape(2, 3).T})
numbers = {
    "f8": np.float64(0.93), "f4": np.float32(1.5), "f2": np.float16(-2.5), "b1": np.bool_(True), "i1": np.int8(-3),
    "u1": np.uint8(200), "i2": np.int16(-300), "u2": np.uint16(60000), "i4": np.int32(-70000), "u4": np.uint32(2**32 - 1),
    "i8": np.int64(-(2**62)), "small": np.int64(7), "u8": np.uint64(2**53),
}
save("numpy.pth", {"model": network().state_dict(), "best": numbers})
others = {
    "args": argparse.Namespace(lr=0.1, out=Path("runs")), "classes": {"shoe", "shirt"}, "curve": np.arange(3),
    "device": torch.device("cpu"), "size": torch.Size([2, 3]), "wave": torch.tensor([1j]), "kind": torch.float32,
    "wide": torch.tensor([1], dtype=torch.uint16), "name": np.str_("x"), "epoch": 3, "mask": torch.tensor([True]),
}
save("others.pth", {**others, "model": network().state_dict(), "hook": Hostile(), "nested": [1, {"a": (Hostile(),)}]})
save("foreign_weights.pth", {"epoch": 3, "model": {"w": torch.tensor([1.0]), "lr": np.arange(2)}})
save("nested.pth", {"epoch": 3, "loss": 0.5, "best": None, "state_dict": network().state_dict(), "steps": [1, 2, 3]})
save("tensor.pth", torch.tensor([1.0]))
save("module.pth", network())
save("hostile.pth", {"a": Hostile()})
save("protocol4.pth", {"a": torch.tensor([1.0])}, pickle_protocol=4)
torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), OUT / "script.pth")
save("two_models.pth", {"model": network().state_dict(), "ema": network().state_dict()})
scalars = {"int": -5, "large": 2**60, "float": 0.1, "nan": float("nan"), "none": None, "yes": True, "text": "späße"}
save("plain_values.pth", {**scalars, "nested": {0: [1, (2, "x")], 7: ()}, "ordered": OrderedDict(a=OrderedDict()), "t": base.T})
many = torch.arange(2000)
save("large_values.pth", {"list": list(range(2500)), "dict": {str(i): i for i in range(2500)}, "again": [many, many]})
broken = torch.tensor([1.0, float("nan"), 2.0, 3.0, -float("inf")])
save("non_finite.pth", {"clean": broken[2:4], "rest": broken[2:]})
training = Training()
before = training.run(5)
save("training.pth", training.checkpoint())
numbers = {"x": training.x.tolist(), "labels": training.labels.tolist(), "losses": before + training.run(7)}
(OUT / "training.json").write_text(json.dumps(numbers) + "\n")
