"""Makes the files of fixtures/ with PyTorch: python make_fixtures.py. The tests do not need PyTorch, only these files."""

import os
from collections import OrderedDict
from pathlib import Path

import torch

OUT = Path(__file__).parent / "fixtures"


def save(name, value, **options):
    torch.save(value, OUT / name, **options)


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))


class Hostile:
    def __reduce__(self):
        return (os.system, ("echo pwned > pwned.txt",))


base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
values = torch.tensor([0.0, -0.0, 1.0, -2.5, 65504.0, 6e-8, 1e-5, float("inf"), -float("inf")])

OUT.mkdir(exist_ok=True)
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
save("bool.pth", {"mask": torch.tensor([True])})
save("nested.pth", {"epoch": 3, "loss": 0.5, "best": None, "state_dict": network().state_dict(), "steps": [1, 2, 3]})
save("tensor.pth", torch.tensor([1.0]))
save("module.pth", network())
save("hostile.pth", {"a": Hostile()})
save("legacy.pth", {"a": torch.tensor([1.0])}, _use_new_zipfile_serialization=False)
save("protocol4.pth", {"a": torch.tensor([1.0])}, pickle_protocol=4)
torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), OUT / "script.pth")
