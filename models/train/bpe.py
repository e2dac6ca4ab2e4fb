"""Byte-level BPE: learner and encoder.

Text is cut into pieces by the GPT-2 pre-tokenizer pattern, each piece is turned
into bytes, bytes are written in the printable GPT-2 alphabet, and merges are
applied inside a piece in rank order.
"""
from collections import Counter, defaultdict

import regex

PATTERN = regex.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
END_OF_TEXT = "<|endoftext|>"


def byte_alphabet():
    """Map each byte to one printable character; printable Latin-1 maps to itself."""
    keep = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table, extra = {}, 0
    for b in range(256):
        if b in keep:
            table[b] = chr(b)
        else:
            table[b] = chr(256 + extra)
            extra += 1
    return table


BYTE_TO_CHAR = byte_alphabet()
CHAR_TO_BYTE = {c: b for b, c in BYTE_TO_CHAR.items()}


def to_alphabet(text):
    """UTF-8 bytes of `text`, one alphabet character per byte."""
    return "".join(BYTE_TO_CHAR[b] for b in text.encode("utf-8"))


def _merge_pair(symbols, pair):
    out, i = [], 0
    while i < len(symbols):
        if i + 1 < len(symbols) and (symbols[i], symbols[i + 1]) == pair:
            out.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


def learn(documents, n_vocab):
    """Learn merges so that 256 bytes + merges + one special token give n_vocab tokens.

    Ties are broken by the pair itself, so the result depends on the text only.
    """
    counts = Counter()
    for doc in documents:
        counts.update(PATTERN.findall(doc))
    words = [list(to_alphabet(piece)) for piece in counts]
    freq = list(counts.values())
    pair_count, pair_words = Counter(), defaultdict(set)
    for i, word in enumerate(words):
        for pair in zip(word, word[1:]):
            pair_count[pair] += freq[i]
            pair_words[pair].add(i)
    merges = []
    while len(merges) < n_vocab - 257:
        live = [(n, p) for p, n in pair_count.items() if n > 0]
        if not live:
            raise ValueError("the text is too small for this vocabulary size")
        best = max(live)[1]
        merges.append(best)
        for i in sorted(pair_words[best]):
            for pair in zip(words[i], words[i][1:]):
                pair_count[pair] -= freq[i]
            words[i] = _merge_pair(words[i], best)
            for pair in zip(words[i], words[i][1:]):
                pair_count[pair] += freq[i]
                pair_words[pair].add(i)
    return merges


class Tokenizer:
    """Encoder and decoder.  Ids: bytes 0..255, merges in rank order, then the special token."""

    def __init__(self, merges):
        self.merges = [tuple(m) for m in merges]
        self.tokens = [BYTE_TO_CHAR[b] for b in range(256)]
        known = set(self.tokens)
        for a, b in self.merges:
            if a + b in known:
                raise ValueError(f"token {a + b!r} is made by two merges")
            known.add(a + b)
            self.tokens.append(a + b)
        self.tokens.append(END_OF_TEXT)
        self.bos = self.eos = len(self.tokens) - 1
        self.ids = {t: i for i, t in enumerate(self.tokens)}
        self.rank = {m: i for i, m in enumerate(self.merges)}
        self._cache = {}

    def _encode_piece(self, piece):
        symbols = list(to_alphabet(piece))
        while len(symbols) > 1:
            best = min(zip(symbols, symbols[1:]), key=lambda p: self.rank.get(p, 1 << 30))
            if best not in self.rank:
                break
            symbols = _merge_pair(symbols, best)
        return [self.ids[s] for s in symbols]

    def encode(self, text):
        """Ids of `text`, without BOS or EOS."""
        out = []
        for piece in PATTERN.findall(text):
            ids = self._cache.get(piece)
            if ids is None:
                ids = self._cache[piece] = self._encode_piece(piece)
            out.extend(ids)
        return out

    def decode(self, ids):
        """Text of `ids`; the special token is skipped."""
        data = bytes(CHAR_TO_BYTE[c] for i in ids if i != self.eos for c in self.tokens[i])
        return data.decode("utf-8", errors="replace")
