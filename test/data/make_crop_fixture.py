"""Writes fixtures/crop32.json: CIFAR's augmentation by torchvision, RandomCrop(32, padding=4) and RandomHorizontalFlip, on bytes.

    pip install torch==2.15.0 torchvision==0.29.2 numpy
    python make_crop_fixture.py

Of 1000 images it keeps where each was cut out and whether it was mirrored, the pixels of the first at each corner (base64), mirrored
or not, and a hash of all. `npm test` reads the file and needs no Python.
"""

import base64
import hashlib
import json
from pathlib import Path

import torch
from torchvision import transforms as T
from torchvision.transforms import functional as F

COUNT, SEED = 1000, 11


def image(i):
    at = torch.arange(3 * 32 * 32)
    return ((at * 37 + at // 7 * 11 + i * 101) % 256).to(torch.uint8).reshape(3, 32, 32)


transform = T.Compose([T.RandomCrop(32, padding=4), T.RandomHorizontalFlip()])
torch.manual_seed(SEED)
changed = [transform(image(i)) for i in range(COUNT)]
after = torch.rand(1).item()

# The same draws once more, for the offsets.
torch.manual_seed(SEED)
draws = []
for i in range(COUNT):
    top, left, _, _ = T.RandomCrop.get_params(torch.zeros(3, 40, 40), (32, 32))
    flipped = bool(torch.rand(1) < 0.5)
    cut = F.crop(F.pad(image(i), [4]), top, left, 32, 32)
    assert torch.equal(F.hflip(cut) if flipped else cut, changed[i])
    draws.append([top, left, int(flipped)])

corners = {}
for i, draw in enumerate(draws):
    if draw[0] in (0, 8) and draw[1] in (0, 8):
        pixels = base64.b64encode(changed[i].numpy().tobytes()).decode()
        corners.setdefault(str(draw), {"image": i, "draw": draw, "pixels": pixels})
assert len(corners) == 8
digest = hashlib.sha256(b"".join(x.numpy().tobytes() for x in changed)).hexdigest()
fixture = {"seed": SEED, "draws": draws, "corners": list(corners.values()), "sha256": digest, "next": after}
text = json.dumps(fixture, separators=(",", ":"))
(Path(__file__).parent / "fixtures" / "crop32.json").write_text(text + "\n")
