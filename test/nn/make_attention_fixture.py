"""Attention and the transformer's layer by PyTorch in single precision: writes fixtures/attention.json beside this file."""
import json
import pathlib

import torch

torch.manual_seed(11)
PADDING = [[0, 0, 0, 1, 1], [0, 0, 0, 0, 0], [1, 0, 1, 0, 1]]


def numbers(x):
    return [float(f"{v:.8g}") for v in x.detach().flatten().tolist()]


def tensor_of(x):
    return dict(shape=list(x.shape), data=numbers(x))


def run(layer, inputs, call):
    for parameter in layer.parameters():
        # Biases of zero would hide mistakes.
        torch.nn.init.normal_(parameter, std=0.5)
    inputs = {name: torch.randn(shape, requires_grad=True) for name, shape in inputs.items()}
    out = call(layer, inputs)
    upstream = torch.randn(out.shape)
    (out * upstream).sum().backward()
    return dict(state={k: tensor_of(v) for k, v in layer.state_dict().items()}, inputs={k: tensor_of(v) for k, v in inputs.items()},
                out=tensor_of(out), upstream=numbers(upstream), gradInputs={k: numbers(v.grad) for k, v in inputs.items()},
                grads={k: numbers(p.grad) for k, p in layer.named_parameters()})


def masked(padding):
    return None if padding is None else torch.tensor(padding, dtype=torch.bool)


attention = []
for width, heads, options, padding, shapes in [
        (6, 2, dict(batch_first=True), PADDING, dict(query=[3, 5, 6])),
        (6, 3, dict(batch_first=False, bias=False), PADDING, dict(query=[5, 3, 6])),
        (5, 1, dict(batch_first=True), None, dict(query=[1, 1, 5])),
        (4, 4, dict(batch_first=True), PADDING, dict(query=[3, 2, 4], key=[3, 5, 4], value=[3, 5, 4])),
        (4, 2, dict(), None, dict(query=[7, 2, 4], key=[3, 2, 4])),
]:
    def call(layer, inputs, padding=padding):
        query = inputs["query"]
        key = inputs.get("key", query)
        return layer(query, key, inputs.get("value", key), key_padding_mask=masked(padding), need_weights=False)[0]

    layer = torch.nn.MultiheadAttention(width, heads, **options)
    attention.append(dict(width=width, heads=heads, options=options, padding=padding, **run(layer, shapes, call)))

layers = []
for width, heads, options, padding, shape in [
        (6, 2, dict(dim_feedforward=7, batch_first=True), PADDING, [3, 5, 6]),
        (6, 3, dict(dim_feedforward=5, activation="gelu", norm_first=True), PADDING, [5, 3, 6]),
        (3, 1, dict(dim_feedforward=4, activation="gelu", batch_first=True, bias=False, layer_norm_eps=1e-3), None, [2, 1, 3]),
        (8, 4, dict(dim_feedforward=9, norm_first=True, batch_first=True), None, [1, 7, 8]),
]:
    layer = torch.nn.TransformerEncoderLayer(width, heads, dropout=0.0, **options)
    case = run(layer, dict(src=shape), lambda layer, inputs, padding=padding: layer(inputs["src"], src_key_padding_mask=masked(padding)))
    layers.append(dict(width=width, heads=heads, options=options, padding=padding, **case))

torch.manual_seed(5)
layer = torch.nn.TransformerEncoderLayer(4, 2, dim_feedforward=3, dropout=0.3, batch_first=True)
x = torch.randn(2, 3, 4)
drawn = dict(state={k: tensor_of(v) for k, v in layer.state_dict().items()}, x=tensor_of(x), out=numbers(layer(x)))

torch.manual_seed(12)
CAUSAL = torch.ones(5, 5).triu(1)
masks = []
for width, heads, options, padding, mask, shapes in [
        (6, 2, dict(batch_first=True), None, CAUSAL, dict(query=[3, 5, 6])),
        (4, 2, dict(), PADDING, (torch.rand(6, 2, 5) < 0.3).float() * torch.tensor([1.0, 0, 1, 1, 1]), dict(query=[2, 3, 4], key=[5, 3, 4])),
]:
    def call(layer, inputs, padding=padding, mask=mask):
        query = inputs["query"]
        key = inputs.get("key", query)
        return layer(query, key, key, key_padding_mask=masked(padding), attn_mask=mask.bool(), need_weights=False)[0]

    layer = torch.nn.MultiheadAttention(width, heads, **options)
    masks.append(dict(width=width, heads=heads, options=options, padding=padding, mask=mask.tolist(), **run(layer, shapes, call)))

torch.manual_seed(13)
widths = []
for width, heads, options, padding, shapes in [
        (6, 2, dict(batch_first=True, kdim=4, vdim=5), PADDING, dict(query=[3, 2, 6], key=[3, 5, 4], value=[3, 5, 5])),
        (4, 2, dict(kdim=3, bias=False), None, dict(query=[2, 3, 4], key=[5, 3, 3], value=[5, 3, 4])),
        (4, 1, dict(vdim=7), None, dict(query=[2, 3, 4], key=[5, 3, 4], value=[5, 3, 7])),
]:
    def call(layer, inputs, padding=padding):
        return layer(inputs["query"], inputs["key"], inputs["value"], key_padding_mask=masked(padding), need_weights=False)[0]

    layer = torch.nn.MultiheadAttention(width, heads, **options)
    widths.append(dict(width=width, heads=heads, options=options, padding=padding, **run(layer, shapes, call)))

torch.manual_seed(6)
initial = {k: tensor_of(v) for k, v in torch.nn.MultiheadAttention(4, 2, kdim=3, vdim=5).state_dict().items()}

torch.manual_seed(14)
for width, heads, options, padding, shape in [
        (6, 2, dict(dim_feedforward=7, batch_first=True), None, [5, 5, 6]),
        (4, 2, dict(dim_feedforward=5, activation="gelu", norm_first=True), PADDING[:2], [5, 2, 4]),
]:
    layer = torch.nn.TransformerEncoderLayer(width, heads, dropout=0.0, **options)
    case = run(layer, dict(src=shape), lambda layer, inputs, padding=padding: layer(inputs["src"], CAUSAL.bool(), masked(padding)))
    layers.append(dict(width=width, heads=heads, options=options, padding=padding, mask=CAUSAL.tolist(), **case))

torch.manual_seed(15)
layer = torch.nn.TransformerEncoderLayer(6, 2, dim_feedforward=7, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
encoders = []
for norm, padding, mask in [(True, PADDING, None), (False, None, CAUSAL)]:
    stack = torch.nn.TransformerEncoder(layer, 2, torch.nn.LayerNorm(6) if norm else None, enable_nested_tensor=False)
    case = run(stack, dict(src=[3, 5, 6]), lambda stack, inputs: stack(inputs["src"], None if mask is None else mask.bool(), masked(padding)))
    encoders.append(dict(width=6, heads=2, options=dict(norm=norm), padding=padding, **({} if mask is None else dict(mask=mask.tolist())), **case))

path = pathlib.Path(__file__).parent / "fixtures" / "attention.json"
path.write_text(json.dumps(dict(attention=attention, layers=layers, drawn=drawn, masks=masks, widths=widths, initial=initial, encoders=encoders), separators=(",", ":")) + "\n")
