"""Writes fixtures/augment.json: what torchvision makes of images, for the tests of augment.

    pip install torch==2.15.0 torchvision==0.29.2 numpy
    python make_augment_fixture.py

`npm test` reads the file and needs no Python. Floats are written as the shortest decimals that give back the same bits.
"""

import json
from pathlib import Path

import torch
from torchvision import transforms as T

CHANNELS, HEIGHT, WIDTH, IMAGES = 2, 5, 6, 8
MEAN, STD = [0.4914, 0.25], [0.2023, 0.5]


def numbers(values):
    return [float(str(x)) for x in values.flatten().numpy()]


def images():
    count = IMAGES * CHANNELS * HEIGHT * WIDTH
    pixels = torch.tensor([(i * 37) % 256 for i in range(count)], dtype=torch.uint8)
    normalise = T.Normalize(MEAN, STD)
    return [normalise(x) for x in pixels.reshape(IMAGES, CHANNELS, HEIGHT, WIDTH).float() / 255]


def crop(padding):
    # torchvision pads before it normalises, which makes 0 black: here after, so each channel gets its black.
    black = T.Normalize(MEAN, STD)(torch.zeros(CHANNELS, HEIGHT + 2 * padding, WIDTH + 2 * padding))
    window = T.RandomCrop((HEIGHT, WIDTH))

    def change(image):
        padded = black.clone()
        padded[:, padding : padding + HEIGHT, padding : padding + WIDTH] = image
        return window(padded)

    return change


def noise(std):
    return lambda image: image + std * torch.randn_like(image)


CASES = {
    "crop": ({"crop": 2}, [crop(2)]),
    "shift": ({"shift": 4}, [crop(4)]),
    "flip": ({"flip": 0.5}, [T.RandomHorizontalFlip(0.5)]),
    "noise": ({"noise": 0.1}, [noise(0.1)]),
    "all": ({"crop": 1, "flip": 0.3, "noise": 0.25}, [crop(1), T.RandomHorizontalFlip(0.3), noise(0.25)]),
}


def case(options, transforms):
    torch.manual_seed(5)
    change = T.Compose(transforms)
    changed = torch.stack([change(x) for x in images()])
    return {"options": options, "values": numbers(changed), "next": torch.rand(1).item()}


image = {"channels": CHANNELS, "height": HEIGHT, "width": WIDTH, "mean": MEAN, "std": STD}
fixture = {
    "torch": torch.__version__.split("+")[0],
    "image": image,
    "inputs": numbers(torch.stack(images())),
    "cases": {name: case(*parts) for name, parts in CASES.items()},
}
folder = Path(__file__).parent / "fixtures"
folder.mkdir(exist_ok=True)
(folder / "augment.json").write_text(json.dumps(fixture) + "\n")
