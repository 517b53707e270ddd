"""Makes files of fixtures/legacy/ that PyTorch wrote before 1.6 and no longer does, and reads them with PyTorch:
python make_legacy_fixtures.py. The rest of that folder is of make_fixtures.py and make_found_fixtures.py."""

import io
import pickle
from collections import OrderedDict
from pathlib import Path

import torch

OUT = Path(__file__).parent / "fixtures" / "legacy"
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


class Storage:
    """A storage, or a part of one."""

    def __init__(self, key, data, part=None):
        self.key, self.data, self.part = key, data, part


class OldTensor:
    """A tensor as PyTorch before 0.4 wrote it."""

    def __init__(self, storage, offset, shape, strides):
        self.args = (storage, offset, shape, strides)

    def __reduce__(self):
        return torch._utils._rebuild_tensor, self.args


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, Storage):
            return "storage", torch.FloatStorage, value.key, "cuda:0", len(value.data), value.part
        return None


def write(name, value, storages, little_endian=True):
    out = io.BytesIO()
    sizes = {"short": 2, "int": 4, "long": 4}
    for part in (MAGIC, VERSION, {"protocol_version": VERSION, "little_endian": little_endian, "type_sizes": sizes}):
        pickle.dump(part, out, 2)
    Pickler(out, 2).dump(value)
    pickle.dump([storage.key for storage in storages], out, 2)
    for storage in storages:
        out.write(len(storage.data).to_bytes(8, "little"))
        out.write(torch.tensor(storage.data).numpy().astype("<f4").tobytes())
    (OUT / name).write_bytes(out.getvalue())
    return torch.load(OUT / name, map_location="cpu", weights_only=False)


whole = [float(x) for x in range(12)]
root = Storage("11", whole)
parts = Storage("11", whole, ("12", 4, 6)), Storage("11", whole, ("13", 0, 2))
old = OrderedDict(
    all=OldTensor(root, 0, (3, 4), (4, 1)),
    part=OldTensor(parts[0], 1, (2, 2), (1, 2)),
    other=OldTensor(parts[1], 0, (2,), (1,)),
)
expected = {"all": torch.tensor(whole).reshape(3, 4), "part": torch.tensor([[5.0, 7], [6, 8]]), "other": torch.tensor([0.0, 1])}
for name, little_endian in (("views.pth", True), ("big_endian.pth", False)):
    read = write(name, old, [root], little_endian)
    assert all(torch.equal(read[key], value) for key, value in expected.items())

# As RepDistiller and mdistiller save teachers: on a GPU, the accuracy a tensor of it.
torch.manual_seed(0)
network = torch.nn.Sequential(OrderedDict(fc1=torch.nn.Linear(3, 4), fc2=torch.nn.Linear(4, 2)))
teacher = {"epoch": 240, "model": network.state_dict(), "best_acc": torch.tensor([72.34])}
torch.save(teacher, OUT / "ckpt_epoch_240.pth", _use_new_zipfile_serialization=False)
torch.save(teacher, OUT / "ckpt_epoch_240.zip.pth")
