"""A tiny random BERT and its sentence vectors by Hugging Face's transformers: writes fixtures/bert/ beside this file.

Needs the package `transformers`. Its tokenizer is that of test/data/fixtures/tokenizer/wordpiece.json.
"""
import json
import pathlib

import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

HERE = pathlib.Path(__file__).parent
FOLDER = HERE / "fixtures" / "bert"
TEXTS = ["", "the quick brown fox", "puzzle games with cards and dice, for one player or two", "Größe und Maß", "chess!"]

torch.manual_seed(4)
tokenizer = Tokenizer.from_file(str(HERE.parent / "data" / "fixtures" / "tokenizer" / "wordpiece.json"))
config = BertConfig(vocab_size=tokenizer.get_vocab_size(), hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20,
                    max_position_embeddings=64, initializer_range=0.4)
model = BertModel(config).eval()
with torch.no_grad():
    for parameter in model.parameters():
        # LayerNorm's ones and biases of zero would hide mistakes.
        parameter.add_(torch.randn_like(parameter) * 0.1)
model.save_pretrained(FOLDER, safe_serialization=True)
tokenizer.no_truncation()
tokenizer.enable_truncation(16)
tokenizer.enable_padding(length=16)
encoded = tokenizer.encode_batch(TEXTS)
ids, mask = torch.tensor([e.ids for e in encoded]), torch.tensor([e.attention_mask for e in encoded])
with torch.no_grad():
    hidden = model(ids, attention_mask=mask).last_hidden_state
wide = mask.unsqueeze(-1).float()
vectors = torch.nn.functional.normalize((hidden * wide).sum(1) / wide.sum(1).clamp(min=1e-9))
(FOLDER / "vectors.json").write_text(json.dumps(dict(texts=TEXTS, ids=ids.tolist(), vectors=[[float(f"{x:.8g}") for x in v] for v in vectors.tolist()]),
                                                separators=(",", ":")) + "\n")
