"""Tokenizers of Hugging Face, trained on a few lines, and their ids of texts: writes fixtures/tokenizer/ beside this file.

Needs the package `tokenizers`.
"""
import json
import pathlib

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = pathlib.Path(__file__).parent / "fixtures" / "tokenizer"
LINES = ["the quick brown fox jumps over the lazy dog", "a library for numerical algebra in C++ and Python",
         "puzzle games with cards and dice, for one player or two", "daemon that serves files over the network",
         "Größe und Maß von Körpern", "play the piano; learn to play chess!", "unlabelled texts are texts, too"] * 4
TEXTS = ["", "the quick brown fox", "Playing chess in Größe, naïve & UNLABELLED!", "emoji 🎲 and 漢字 text", "a  b\t\nc", "x" * 150,
         "[SEP] inside [PAD] a text", "the library for the games with the cards and the dice over the network", "e\u0301te\u0301 \u212b \ufb01ne", "\ud83c".encode("utf-16", "surrogatepass").decode("utf-16", "replace")]
LENGTH = 12


def cases(tokenizer, pad):
    def ids(text):
        return tokenizer.encode(text).ids
    tokenizer.no_truncation()
    whole = [ids(text) for text in TEXTS]
    tokenizer.enable_truncation(LENGTH)
    return dict(pad=pad, length=LENGTH, texts=[dict(text=text, ids=all, cut=ids(text)) for text, all in zip(TEXTS, whole)])


FOLDER.mkdir(exist_ok=True)
wordpiece = Tokenizer(models.WordPiece(unk_token="[UNK]"))
wordpiece.normalizer = normalizers.BertNormalizer(lowercase=True)
wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
wordpiece.train_from_iterator(LINES, trainers.WordPieceTrainer(vocab_size=160, special_tokens=special, show_progress=False))
wordpiece.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                                                         special_tokens=[(t, wordpiece.token_to_id(t)) for t in ["[CLS]", "[SEP]"]])
wordpiece.decoder = decoders.WordPiece()

bpe = Tokenizer(models.BPE())
bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
bpe.train_from_iterator(LINES, trainers.BpeTrainer(vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
bpe.decoder = decoders.ByteLevel()

unigram = Tokenizer(models.Unigram())
unigram.normalizer = normalizers.NFKC()
unigram.pre_tokenizer = pre_tokenizers.Metaspace()
unigram.train_from_iterator(LINES, trainers.UnigramTrainer(vocab_size=90, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
unigram.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
unigram.decoder = decoders.Metaspace()

wordlevel = Tokenizer(models.WordLevel(unk_token="[UNK]"))
wordlevel.pre_tokenizer = pre_tokenizers.Whitespace()
wordlevel.train_from_iterator(LINES, trainers.WordLevelTrainer(vocab_size=60, special_tokens=["[UNK]"], show_progress=False))

found = {}
for name, tokenizer, offset in [("wordpiece", wordpiece, 0), ("bpe", bpe, 1), ("unigram", unigram, 1), ("wordlevel", wordlevel, 1)]:
    tokenizer.no_truncation()
    tokenizer.save(str(FOLDER / f"{name}.json"), pretty=False)
    found[name] = cases(tokenizer, offset) | dict(rows=tokenizer.get_vocab_size() + offset)
(FOLDER / "ids.json").write_text(json.dumps(found, ensure_ascii=True, separators=(",", ":")) + "\n")


# Parts of tokenizers, on words that are their own letters, known or not.
SHORT = ["ΟΔΟΣ ΑΣ.", "a\U00020000b", "a--b- -", "a..b", "½½ ½a", "a1²b12", "a  b", "a\ufeffb", "- a-"]
letters = sorted(set("".join(SHORT) + "οδσςα▁¹").difference("½"))
vocab = {"[UNK]": 0} | {word: i for i, word in enumerate([w for c in letters for w in (c, "##" + c)] + ["--", "..", "▁▁"], 1)}
word = models.WordPiece(vocab, unk_token="[UNK]")
piece = models.Unigram([(w, -float(len(w))) for w in vocab if not w.startswith("##")], 0)
behaviors = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
whitespace = pre_tokenizers.WhitespaceSplit()
parts = {
    "bert": (word, normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
    "lowercase": (word, normalizers.Sequence([normalizers.Lowercase()]), whitespace),
    "replace": (word, normalizers.Replace("a", "$&"), whitespace),
    "unigram": (piece, None, whitespace),
    "metaspace": (piece, None, pre_tokenizers.Metaspace()),
    "digits": (word, None, pre_tokenizers.Digits(True)),
    **{f"punctuation {b}": (word, None, pre_tokenizers.Sequence([whitespace, pre_tokenizers.Punctuation(b)])) for b in behaviors},
    **{f"split {b} {invert}": (word, None, pre_tokenizers.Split("-", b, invert)) for b in behaviors for invert in (False, True)},
    **{f"regex {b}": (word, None, pre_tokenizers.Split(Regex(r"\s+|-{1,2}"), b)) for b in behaviors},
}


def part(model, normalizer, pre_tokenizer):
    made = Tokenizer(model)
    if normalizer is not None:
        made.normalizer = normalizer
    made.pre_tokenizer = pre_tokenizer
    json_ = json.loads(made.to_str())
    return dict(ids=[made.encode(text).ids for text in SHORT], **{k: json_[k] for k in ("normalizer", "pre_tokenizer")}, model=json_["model"]["type"])


written = dict(texts=SHORT, models={m["type"]: m for m in (json.loads(Tokenizer(m).to_str())["model"] for m in (word, piece))},
               parts={name: part(*of) for name, of in parts.items()})
(FOLDER / "parts.json").write_text(json.dumps(written, ensure_ascii=True, separators=(",", ":")) + "\n")
