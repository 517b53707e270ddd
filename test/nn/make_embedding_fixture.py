"""Embeddings by PyTorch in single precision: writes fixtures/embedding.json beside this file."""
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(7)
IDS = [[4, 0, 2, 4], [0, 0, 0, 0], [1, 3, 3, 0], [5, 1, 2, 2]]


def numbers(x):
    return [float(f"{v:.9g}") for v in x.detach().flatten().tolist()]


cases = []
for function, options in [("embeddingBag", dict(mode="mean")), ("embeddingBag", dict(mode="mean", padding_idx=0)),
                          ("embeddingBag", dict(mode="sum", padding_idx=2)), ("embeddingBag", dict(mode="sum", weighted=True)),
                          ("embeddingBag", dict(mode="sum", padding_idx=0, weighted=True)), ("embedding", dict()),
                          ("embedding", dict(padding_idx=2))]:
    options = dict(options)
    is_weighted = options.pop("weighted", False)
    ids, table = torch.tensor(IDS), torch.randn(6, 3, requires_grad=True)
    weights = torch.randn(4, 4, requires_grad=True)
    if function == "embedding":
        out = F.embedding(ids, table, **options)
    else:
        out = F.embedding_bag(ids, table, per_sample_weights=weights if is_weighted else None, **options)
    upstream = torch.randn(out.shape)
    (out * upstream).sum().backward()
    case = dict(function=function, options=options, ids=IDS, table=numbers(table), out=numbers(out),
                upstream=numbers(upstream), gradTable=numbers(table.grad))
    if is_weighted:
        case.update(weights=numbers(weights), gradWeights=numbers(weights.grad))
    cases.append(case)
torch.manual_seed(3)
layer = torch.nn.EmbeddingBag(5, 3, padding_idx=1)
initial = numbers(layer.weight)

path = pathlib.Path(__file__).parent / "fixtures" / "embedding.json"
path.write_text(json.dumps(dict(cases=cases, initial=initial), separators=(",", ":")) + "\n")
