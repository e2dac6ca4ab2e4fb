"""Files under tests/data/tiny and tiny-ternary: token ids, reference logits, tokenizer cases."""
import json

import numpy as np

PROMPT_TOKENS = 48
FIXED_CASES = [
    "", " ", "  ", "\n", "\n\n", "\t", " \n ", "a", " a", "  a", "a ", "a  ", "a\n\nb", "a \n b", "tab\tand\ttab", "   three   spaces   ",
    "Once upon a time", "Once upon a time, there was a little girl named Lily.", "The weather today", "hello world", "Hello, world!",
    "Question: What color is the sky?\nAnswer:", "Question: What is 3 + 4?\nAnswer: 3 + 4 = 7.", "1", "12", "123 456,789.00", "0x1F and 3.14e-10",
    "I'm sure they've said it's Tom's, we'll see; she'd go, you're right, don't!", "'s 'S 'll'd''", "\"Quoted,\" she said. 'Single' too.",
    "UPPER lower MiXeD", "snake_case and kebab-case, a/b\\c", "!?!?...---***", "(a)[b]{c}<d>", "a@b.c #tag $5 100% ^_^ ~`|",
    "Zürich, café, naïve, señor, Straße", "Привет, мир!", "你好，世界。", "こんにちは世界", "안녕하세요", "שלום עולם", "مرحبا بالعالم", "ελληνικά γράμματα",
    "emoji 🙂🚀 done", "👩‍👩‍👧 family", "a\u00a0b\u00a0\u00a0c", "x\u2003y", "½ ² Ⅷ ٣٤", "e\u0301 combining", "“curly” – dash — and… dots",
    "line one\r\nline two\r\n", "def f(x):\n    return x + 1\n", "The server loads the weights from the disk.", "supercalifragilisticexpialidocious",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", " leading", "trailing ", "\n leading newline", "mixed123abc456", "A page is a small block of memory, often four kilobytes.",
]


def heldout_prompt(tokenizer, heldout):
    """BOS and the first ids of the first held-out story that begins with 'Once upon a time'."""
    text = heldout[heldout.index("Once upon a time"):]
    return [tokenizer.bos] + tokenizer.encode(text)[:PROMPT_TOKENS - 1]


def write_tokenizer_cases(folder, tokenizer, heldout):
    """Write tokenizer.jsonl."""
    cases = FIXED_CASES + [line for line in heldout.split("\n") if line][:4]
    with open(folder / "tokenizer.jsonl", "w", encoding="utf-8") as f:
        for text in cases:
            encoded = tokenizer.encode(text)
            assert tokenizer.decode(encoded) == text
            f.write(json.dumps({"text": text, "ids": encoded}, ensure_ascii=False) + "\n")


def write(folder, reference, heldout, meta):
    """Write tokens.txt, logits_true.f32 (float32 [48, V]) and meta.json."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = heldout_prompt(reference.tokenizer, heldout)
    (folder / "tokens.txt").write_text(" ".join(map(str, ids)) + "\n")
    (folder / "logits_true.f32").write_bytes(reference.logits(ids).astype("<f4").tobytes())
    (folder / "meta.json").write_text(json.dumps(meta, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert np.isfinite(np.fromfile(folder / "logits_true.f32", "<f4")).all()
