"""Makes the files of fixtures/found/ with PyTorch, as people's programs write them: python make_found_fixtures.py"""

import argparse
import datetime
import random
import warnings
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

OUT = Path(__file__).parent / "fixtures" / "found"
LEGACY = OUT.parent / "legacy"
OUT.mkdir(parents=True, exist_ok=True)
LEGACY.mkdir(exist_ok=True)
TWICE = {"data_parallel.pth", "lightning.ckpt", "trained.pth", "protocol5.pth", "tagged.pth"}
warnings.simplefilter("ignore")


def save(name, value, **options):
    """Writes a file and, of some, a second one in the format before 1.6."""
    torch.save(value, OUT / name, **options)
    if name in TWICE:
        torch.save(value, LEGACY / name, _use_new_zipfile_serialization=False, **options)


def prefixed(prefix, state):
    return OrderedDict((prefix + key, value) for key, value in state.items())


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 2)


class Teacher(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3, self.fc4 = nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm1d(3), nn.BatchNorm1d(3), nn.BatchNorm1d(3)


torch.manual_seed(0)
net, teacher = Student(), Teacher()
optimizer = torch.optim.Adam(net.parameters())
sum(p.sum() for p in net.parameters()).backward()
optimizer.step()
state = net.state_dict()
# The weights themselves, which the others are compared with.
save("plain.pth", state)

save("data_parallel.pth", nn.DataParallel(net).state_dict())
# As torch.compile writes it, whose import takes minutes.
save("compiled.pth", prefixed("_orig_mod.", state))
save("compiled_parallel.pth", prefixed("_orig_mod.", nn.DataParallel(net).state_dict()))
save("averaged.pth", AveragedModel(net).state_dict())
save("averaged_parallel.pth", AveragedModel(nn.DataParallel(net)).state_dict())
for prefix in ("net.", "student.", "ema.", "model._orig_mod.", "student.model.net."):
    save(f"{prefix}pth", prefixed(prefix, state))
save("backbone.pth", prefixed("backbone.", state))
save("distiller.pth", {**prefixed("student.", state), **prefixed("teacher.", teacher.state_dict())})
save(
    "lightning.ckpt",
    {
        "epoch": 3, "global_step": 9, "pytorch-lightning_version": "2.5.0", "state_dict": prefixed("model.", state),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.9), "best_model_path": "a.ckpt"}},
        "optimizer_states": [optimizer.state_dict()], "lr_schedulers": [],
        "hyper_parameters": argparse.Namespace(lr=1e-3),
    },
)
save(
    "trained.pth",
    {
        "epoch": np.int64(3), "best": torch.tensor(88.1), "args": argparse.Namespace(out=Path("runs"), tags={"a"}),
        "net": state, "optimizer": optimizer.state_dict(), "torch_rng": torch.get_rng_state(),
        "numpy_rng": np.random.RandomState(0).get_state(), "python_rng": random.Random(0).getstate(),
        "when": datetime.datetime(2026, 1, 2), "day": np.datetime64("2026-01-02"), "seed": 2**80, "huge": 2**3000,
        "history": defaultdict(list, loss=[np.float32(0.5)]), "file": "caf\udce9.csv", "name": np.str_("x"),
        "wave": torch.tensor([1j]), "sparse": torch.eye(2).to_sparse(), "kind": torch.float16, "raw": b"\xff\x00",
        "hooked": torch.ones(1).requires_grad_().clone()[0].detach(), "row": np.zeros(1, dtype=[("a", "f4")])[0],
    },
)
noted = OrderedDict(state)
noted.note = "mine"
save("numbers_among.pth", {**state, "epoch": 3, "config": argparse.Namespace(lr=0.1), "name": "net"})
save("attributes.pth", noted)
for parameter in net.parameters():
    parameter.tag = "mine"
save("parameters.pth", net.state_dict(keep_vars=True))
tagged = OrderedDict((key, value.detach().clone()) for key, value in state.items())
for value in tagged.values():
    value.tag = "mine"
save("tagged.pth", tagged)
save("best_beside.pth", {"epoch": 3, "state_dict": state, "best_acc1": torch.tensor(88.1), "mean": torch.ones(3)})
save("deep.pth", {"checkpoint": {"network": state, "step": 3}})
save("pair.pth", (state, optimizer.state_dict()))
save("two.pth", {"epoch": 3, "model": state, "model_ema": prefixed("", state), "optimizer": optimizer.state_dict()})
save("optimizer.pth", optimizer.state_dict())
save("module_inside.pth", {"epoch": 3, "model": nn.Sequential(nn.Linear(2, 2))})
save("numpy_weights.pth", {key: value.numpy() for key, value in state.items()})
save("protocol5.pth", state, pickle_protocol=5)
old = {key: value for key, value in teacher.state_dict().items() if "num_batches_tracked" not in key}
save("batch_norm_0.4.0.pth", old)
