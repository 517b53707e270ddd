"""Writes fixtures/*.onnx: networks that PyTorch exported, and fixtures/onnx.json: its logits for the inputs there.

pip install torch==2.15.0 onnx==1.23.2
"""

import json
from pathlib import Path

import torch
from torch import nn

folder = Path(__file__).parent / "fixtures"
folder.mkdir(exist_ok=True)
torch.manual_seed(0)
kept = {}


def keep(name, network, shape, dynamic=True):
    """Exports a network and keeps its logits for pixels, which it takes as values (pixel / 255 - 0.4) / 0.2."""
    network.eval()
    pixels = torch.randint(0, 256, (5, *shape), dtype=torch.uint8)
    values = (pixels.float().div(255) - 0.4) / 0.2
    rows = values if dynamic else values[:2]
    with torch.no_grad():
        logits = network(values)
    torch.onnx.export(
        network,
        (rows,),
        folder / f"{name}.onnx",
        input_names=["pixels"],
        output_names=["logits"],
        dynamic_axes={"pixels": {0: "n"}, "logits": {0: "n"}} if dynamic else None,
        dynamo=False,
    )
    kept[name] = {"shape": list(shape), "pixels": pixels.flatten(1).tolist(), "logits": logits.tolist()}


class ChannelsLast(nn.Module):
    """Takes [n, height, width, channels]."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x.permute(0, 3, 1, 2))


def convolutional(channels):
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 2 * 4, 3))


keep("flat", nn.Sequential(nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 3)), (24,))
keep("nchw", convolutional(1), (1, 4, 6))
keep("fixed", convolutional(1), (1, 4, 6), dynamic=False)
keep("nhwc", ChannelsLast(convolutional(3)), (4, 6, 3))
(folder / "onnx.json").write_text(json.dumps(kept) + "\n")
