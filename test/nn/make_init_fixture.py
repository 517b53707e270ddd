"""What torch.nn.init draws: writes fixtures/init.json beside this file. A float is the shortest decimal of its bits."""
import json
import pathlib

import torch
from torch.nn import init

# Below and above 16 elements, from which PyTorch's normals are drawn in another way.
SHAPES = [[3, 5], [8, 6], [5, 4, 3, 3], [7, 3, 3]]
CASES = [("uniform", init.uniform_, [-0.3, 0.7], {}), ("normal", init.normal_, [0.25, 0.02], {}), ("normal", init.normal_, [], {}),
         ("xavierUniform", init.xavier_uniform_, [], {}), ("xavierUniform", init.xavier_uniform_, [], {"gain": 5 / 3}),
         ("xavierNormal", init.xavier_normal_, [], {"gain": 0.5}), ("kaimingUniform", init.kaiming_uniform_, [], {}),
         ("kaimingUniform", init.kaiming_uniform_, [], {"mode": "fan_out", "nonlinearity": "tanh"}),
         ("kaimingNormal", init.kaiming_normal_, [], {"mode": "fan_out", "nonlinearity": "relu"}),
         ("kaimingNormal", init.kaiming_normal_, [], {"a": 0.2})]
drawn = []
for i, shape in enumerate(SHAPES):
    for name, draw, args, options in CASES:
        torch.manual_seed(i)
        values = [float(str(x)) for x in draw(torch.empty(shape), *args, **options).flatten().numpy()]
        drawn.append({"seed": i, "shape": shape, "name": name, "args": [*args, *([options] if options else [])], "values": values})
gains = [[name, *param, init.calculate_gain(name, *param)]
         for name, *param in [("linear",), ("conv1d",), ("conv2d",), ("sigmoid",), ("tanh",), ("relu",), ("leaky_relu",), ("leaky_relu", 0.2), ("selu",)]]
path = pathlib.Path(__file__).parent / "fixtures" / "init.json"
path.write_text(json.dumps({"drawn": drawn, "gains": gains}, separators=(",", ":")) + "\n")
