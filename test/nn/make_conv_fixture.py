"""Writes fixtures/conv.json: layers of images by PyTorch: their text, initial values, outputs and gradients.

Run with PyTorch 2.15: python test/nn/make_conv_fixture.py
"""
import json
from pathlib import Path

import torch
from torch import nn

LAYERS = [
    ("Conv2d", [3, 4, 3], {"padding": 1}, [2, 3, 5, 4]),
    ("Conv2d", [4, 6, 1], {"bias": False, "stride": 2}, [2, 4, 5, 5]),
    ("Conv2d", [4, 8, [3, 2]], {"stride": [2, 1], "padding": [1, 0], "dilation": [1, 2], "groups": 2}, [1, 4, 5, 6]),
    ("Conv2d", [3, 3, 3], {"groups": 3, "padding": 1, "bias": False}, [2, 3, 4, 4]),
    ("Conv1d", [3, 4, 3], {"padding": 1, "stride": 2}, [2, 3, 9]),
    ("Conv1d", [4, 4, 5], {"dilation": 2, "groups": 2, "bias": False}, [1, 4, 12]),
    ("Conv2d", [2, 3, 3], {"padding": "same", "dilation": [1, 2]}, [2, 2, 5, 4]),
    ("Conv2d", [2, 4, [4, 3]], {"padding": "same", "groups": 2}, [2, 2, 5, 6]),
    ("Conv2d", [3, 2, [2, 4]], {"padding": "same", "dilation": [3, 1], "bias": False}, [1, 3, 3, 4]),
    ("Conv2d", [2, 3, 2], {"padding": "valid", "stride": 2}, [2, 2, 5, 4]),
    ("Conv1d", [3, 4, 4], {"padding": "same"}, [2, 3, 7]),
    ("Conv1d", [2, 2, 4], {"padding": "same", "dilation": 2}, [2, 2, 3]),
    ("Conv1d", [2, 2, 3], {"padding": "valid"}, [2, 2, 5]),
    ("BatchNorm2d", [3], {}, [4, 3, 5, 2]),
    ("BatchNorm2d", [2], {"eps": 0.001, "momentum": 0.3}, [2, 2, 1, 1]),
    ("MaxPool2d", [2], {}, [1, 2, 5, 4]),
    ("MaxPool2d", [3], {"stride": 2, "padding": 1, "ceil_mode": True}, [1, 2, 6, 5]),
    ("AvgPool2d", [[2, 3]], {"stride": [1, 2], "padding": [1, 0]}, [1, 2, 5, 5]),
    ("AdaptiveAvgPool2d", [[2, None]], {}, [2, 2, 5, 3]),
    ("Flatten", [], {}, [2, 3, 2, 2]),
    ("Flatten", [0, 1], {}, [2, 3, 2]),
    ("Identity", [], {}, [2, 3]),
    ("ReLU6", [], {}, [2, 9]), ("LeakyReLU", [], {}, [2, 9]), ("LeakyReLU", [0.2], {}, [3]), ("SiLU", [], {}, [2, 9]),
    ("GELU", [], {}, [2, 9]), ("GELU", [], {"approximate": "tanh"}, [2, 9]), ("Hardswish", [], {}, [2, 9]),
    ("Softmax", [1], {}, [2, 3, 4]),
    ("GroupNorm", [2, 6], {}, [3, 6, 4, 5]),
    ("GroupNorm", [3, 3], {"eps": 0.002, "affine": False}, [2, 3, 7]),
    ("Upsample", [], {"scale_factor": 2, "mode": "nearest"}, [1, 2, 3, 4]),
    ("Upsample", [], {"scale_factor": [1.5, 0.7], "mode": "nearest"}, [1, 2, 7, 11]),
    ("Upsample", [], {"size": [5, 9], "mode": "nearest"}, [1, 2, 3, 7]),
    ("Dropout2d", [0.4], {}, [3, 4, 2, 3]),
    ("GroupNorm", [1, 2], {"bias": False}, [2, 2, 3]),
    ("MaxPool1d", [2], {}, [2, 3, 7]),
    ("MaxPool1d", [3], {"stride": 2, "padding": 1, "dilation": 2, "ceil_mode": True}, [1, 2, 10]),
    ("AvgPool1d", [2], {}, [2, 3, 7]),
    ("AvgPool1d", [3], {"stride": 2, "padding": 1, "ceil_mode": True}, [1, 2, 8]),
    ("AvgPool1d", [4], {"stride": 3, "padding": 2, "count_include_pad": False}, [2, 1, 9]),
]


def numbers(x):
    return [float(f"{v:.9g}") for v in x.detach().flatten().tolist()]


def case(name, args, options, shape):
    python = [tuple(a) if isinstance(a, list) else a for a in args]
    torch.manual_seed(7)
    layer = getattr(nn, name)(*python, **{key: tuple(v) if isinstance(v, list) else v for key, v in options.items()})
    after = torch.rand(1).item()
    state = {key: value.clone() for key, value in layer.state_dict().items()}
    x = torch.randn(shape, requires_grad=True)
    torch.manual_seed(9)
    out = layer(x)
    upstream = torch.randn(out.shape)
    (out * upstream).sum().backward()
    evaluated = layer.eval()(x)
    return {
        "name": name, "args": args, "options": options, "repr": repr(layer), "after": after,
        "state": {key: {"shape": list(v.shape), "values": numbers(v)} for key, v in state.items()},
        "moved": {key: numbers(v) for key, v in layer.state_dict().items()},
        "x": {"shape": shape, "values": numbers(x)},
        "out": {"shape": list(out.shape), "values": numbers(out)}, "evaluated": numbers(evaluated),
        "upstream": numbers(upstream), "gradX": numbers(x.grad),
        "grads": {key: numbers(p.grad) for key, p in layer.named_parameters()},
    }


if __name__ == "__main__":
    cases = ",\n".join(json.dumps(case(*layer)) for layer in LAYERS)
    (Path(__file__).parent / "fixtures" / "conv.json").write_text(f"[\n{cases}\n]\n")
