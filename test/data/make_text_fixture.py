"""Ids of texts as docs/data.md says, by Python alone: writes fixtures/text_hash.json beside this file."""
import json
import pathlib
import unicodedata

TEXTS = ["", "   ", "The cat sat; the CAT", "Größe ΑΣ ΌΔΟΣ İstanbul", "数据 压缩 library", "हिन्दी भाषा", "שלום עולם",
         "👩‍💻 codes 🎉🎉 e\u0301 vs \u00e9", "a\tb\n\u00a0c\u3000d", "x" * 40, "1.5 kg, C++17 & <b>bold</b>", "ﬁne ½ ①",
         "a a a a a a a a a a a a"]
ENCODINGS = [
    dict(kind="hash", buckets=32768, words=2, characters=[3, 5], signed=False, length=256),
    dict(kind="hash", buckets=101, words=1, characters=None, signed=True, length=6),
    dict(kind="hash", buckets=16777216, words=3, characters=[1, 2], signed=True, length=64),
]


def fnv1a(text):
    value = 2166136261
    for byte in text.encode("utf-8"):
        value = ((value ^ byte) * 16777619) % 2**32
    return value


def tokens(text):
    found, run = [], ""
    for character in unicodedata.normalize("NFC", text.lower()):
        if unicodedata.category(character)[0] in "LMN":
            run += character
            continue
        if run:
            found.append(run)
        run = ""
        if not (character.isspace() and character not in "\x1c\x1d\x1e\x1f"):
            found.append(character)
    return found + [run] if run else found


def ids(encoding, text):
    words = tokens(text)
    grams = [" ".join(words[i:i + n]) for n in range(1, encoding["words"] + 1) for i in range(len(words) - n + 1)]
    if encoding["characters"]:
        least, most = encoding["characters"]
        for word in words:
            marked = "<" + word + ">"
            grams += [marked[i:i + n] for n in range(least, most + 1) for i in range(len(marked) - n + 1)]
    out = []
    for gram in grams[:encoding["length"]]:
        value = fnv1a(gram)
        row = 1 + value % (encoding["buckets"] - 1)
        out.append(-row if encoding["signed"] and value >= 2**31 else row)
    return out


cases = [dict(encoding=encoding, texts=[dict(text=text, ids=ids(encoding, text)) for text in TEXTS])
         for encoding in ENCODINGS]
path = pathlib.Path(__file__).parent / "fixtures" / "text_hash.json"
path.write_text(json.dumps(cases, ensure_ascii=True, separators=(",", ":")) + "\n")
