"""Writes fixtures/torch_text.json: what PyTorch prints for modules, their state keys and its load_state_dict errors.

Run with PyTorch 2.15: python test/nn/make_fixtures.py
"""

import json
from pathlib import Path

import torch
from torch import nn


class TeacherNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.bn1, self.dropout1 = nn.Linear(784, 2048), nn.BatchNorm1d(2048), nn.Dropout(0.3)
        self.fc2, self.bn2, self.dropout2 = nn.Linear(2048, 1024), nn.BatchNorm1d(1024), nn.Dropout(0.3)
        self.fc3, self.bn3, self.dropout3 = nn.Linear(1024, 512), nn.BatchNorm1d(512), nn.Dropout(0.2)
        self.fc4 = nn.Linear(512, 10)


class StudentNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(784, 512), nn.Linear(512, 256), nn.Linear(256, 10)


class Block(nn.Module):
    """Its own parameter and buffer are assigned after a child, and come before it."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4, eps=0.0015, momentum=0.25), nn.ReLU())
        self.scale = nn.Parameter(torch.ones(4))
        self.register_buffer("offset", torch.zeros(4))

    def extra_repr(self):
        return "width=4"


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)])
        self.block = Block()


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.second = nn.Linear(2, 2, bias=False)
        self.second.weight = self.first.weight
        self.again = self.first


MODULES = {
    "TeacherNet": TeacherNet(),
    "StudentNet": StudentNet(),
    "Sequential": nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 10))),
    "Empty": nn.Sequential(),
    "Block": Block(),
    "Stack": Stack(),
    "Tied": Tied(),
    "BatchNorm1d": nn.BatchNorm1d(8),
    "BatchNorm1d of small eps": nn.BatchNorm1d(8, eps=2.5e-7),
    "Dropout": nn.Dropout(0.25),
    "BatchNorm1d, not affine": nn.BatchNorm1d(4, affine=False),
    "BatchNorm1d without bias": nn.BatchNorm1d(8, bias=False),
}


def failure(module, state, strict=True):
    try:
        module.load_state_dict(state, strict=strict)
    except RuntimeError as error:
        return str(error)
    return None


def failures():
    state = Block().state_dict()
    without = {key: value for key, value in state.items() if key not in ("scale", "body.1.running_var")}
    misfits = {**state, "scale": torch.ones(5), "body.0.weight": torch.ones(3, 4)}
    everything = {**without, "body.0.weight": torch.ones(12), "head.weight": torch.ones(1), "extra": torch.ones(1)}
    return {
        "missing": failure(Block(), without),
        "unexpected": failure(Block(), {**state, "head.weight": torch.ones(1), "extra": torch.ones(1)}),
        "sizes": failure(Block(), misfits),
        "everything": failure(Block(), everything),
        "everything, not strict": failure(Block(), everything, strict=False),
        "missing, not strict": failure(Block(), without, strict=False),
    }


def tree_of(module):
    """Without ModuleLists, which are arrays there."""
    paths = {one: name for name, one in module.named_modules()}
    children = [one for child in module.children() for one in (child if isinstance(child, nn.ModuleList) else [child])]
    applied = []
    module.apply(applied.append)
    tree = {
        "modules": module.modules(),
        "children": children,
        "applied": applied,
    }
    return {
        **{key: [paths[one] for one in ones if not isinstance(one, nn.ModuleList)] for key, ones in tree.items()},
        "withDuplicates": [
            name for name, one in module.named_modules(remove_duplicate=False) if not isinstance(one, nn.ModuleList)
        ],
    }


def text_of(module):
    return {
        "printed": repr(module),
        **tree_of(module),
        "parameters": [name for name, _ in module.named_parameters()],
        "count": sum(parameter.numel() for parameter in module.parameters()),
        "buffers": [name for name, _ in module.named_buffers()],
        "state": {name: list(value.shape) for name, value in module.state_dict().items()},
    }


if __name__ == "__main__":
    content = {"modules": {name: text_of(module) for name, module in MODULES.items()}, "failures": failures()}
    path = Path(__file__).parent / "fixtures" / "torch_text.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
