"""Float64 NumPy evaluation of a `llama` or `bitnet-b1.58` model that was read from a GGUF file.

Shapes: T positions, D model width, H heads, K head width, V vocabulary.
"""
import numpy as np

import bpe
import gguf_reader


class Reference:
    """A model with its tokenizer, from one GGUF file.

    With `to_int8` the inputs of all matrices but the last are rounded to 127 steps
    either side of 0, each position with its own scale, as ternary models are trained.
    """

    def __init__(self, path, to_int8=False):
        self.meta, self.w, self.kinds = gguf_reader.read(path)
        self.to_int8 = to_int8
        get = self.meta.__getitem__
        arch = get("general.architecture")
        self.is_bitnet = arch == "bitnet-b1.58"
        self.n_layer, self.n_head = get(f"{arch}.block_count"), get(f"{arch}.attention.head_count")
        self.eps, self.base = get(f"{arch}.attention.layer_norm_rms_epsilon"), get(f"{arch}.rope.freq_base")
        self.tokenizer = bpe.Tokenizer([m.split(" ") for m in get("tokenizer.ggml.merges")])
        if self.tokenizer.tokens != get("tokenizer.ggml.tokens"):
            raise ValueError("token list and merges disagree")

    def _norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps) * self.w[name]

    def _input(self, x, name):
        """What matrices of a block get: x normalised by the named tensor, where there is one."""
        y = self._norm(x, name) if name in self.w else x
        if not self.to_int8:
            return y
        step = np.abs(y).max(-1, keepdims=True) / 127
        return np.rint(y / step) * step

    def _rotate(self, x):
        """x: [T, H, K]; rotates pairs (x[2i], x[2i+1]), of bitnet-b1.58 (x[i], x[i + K/2])."""
        t, _, k = x.shape
        angle = np.arange(t)[:, None] * self.base ** (-np.arange(0, k, 2) / k)[None, :]
        a, b = (x[..., :k // 2], x[..., k // 2:]) if self.is_bitnet else (x[..., 0::2], x[..., 1::2])
        z = (a + 1j * b) * np.exp(1j * angle)[:, None, :]
        if self.is_bitnet:
            return np.concatenate((z.real, z.imag), -1)
        return np.stack((z.real, z.imag), -1).reshape(x.shape)

    def _attention(self, x, p):
        """x: [T, D] (already normalised).  Returns [T, D]."""
        t, d = x.shape
        q, k, v = ((x @ self.w[p + n].T).reshape(t, self.n_head, -1) for n in ("attn_q.weight", "attn_k.weight", "attn_v.weight"))
        score = np.einsum("ihk,jhk->hij", self._rotate(q), self._rotate(k)) / np.sqrt(q.shape[-1])
        score[:, np.triu(np.ones((t, t), bool), 1)] = -np.inf
        score = np.exp(score - score.max(-1, keepdims=True))
        score /= score.sum(-1, keepdims=True)
        mixed = self._input(np.einsum("hij,jhk->ihk", score, v).reshape(t, d), p + "attn_sub_norm.weight")
        return mixed @ self.w[p + "attn_output.weight"].T

    def _activate(self, gate):
        return np.maximum(gate, 0) ** 2 if self.is_bitnet else gate / (1 + np.exp(-gate))

    def logits(self, ids):
        """ids: list of T numbers.  Returns float64 [T, V]."""
        x = self.w["token_embd.weight"][np.asarray(ids)]
        for i in range(self.n_layer):
            p = f"blk.{i}."
            x = x + self._attention(self._input(x, p + "attn_norm.weight"), p)
            y = self._input(x, p + "ffn_norm.weight")
            gate, up = y @ self.w[p + "ffn_gate.weight"].T, y @ self.w[p + "ffn_up.weight"].T
            hidden = self._input(self._activate(gate) * up, p + "ffn_sub_norm.weight")
            x = x + hidden @ self.w[p + "ffn_down.weight"].T
        return self._norm(x, "output_norm.weight") @ self.w["token_embd.weight"].T

    def log_probs(self, ids):
        """Float64 log-softmax of the logits, [T, V]."""
        z = self.logits(ids)
        z -= z.max(-1, keepdims=True)
        return z - np.log(np.exp(z).sum(-1, keepdims=True))

    def generate(self, ids, count, temperature=0.0, seed=0):
        """Continue `ids` until EOS or `count` new ids.  Returns (new ids, smallest greedy margin)."""
        rng = np.random.default_rng(seed)
        ids, start, margin = list(ids), len(ids), np.inf
        while len(ids) < start + count:
            z = self.logits(ids)[-1]
            if temperature > 0:
                p = np.exp((z - z.max()) / temperature)
                new = int(rng.choice(len(p), p=p / p.sum()))
            else:
                top = np.sort(z)[-2:]
                margin = min(margin, float(top[1] - top[0]))
                new = int(z.argmax())
            if new == self.tokenizer.eos:
                break
            ids.append(new)
        return ids[start:], margin
