"""A small Llama-architecture language model in PyTorch.

The layout follows the GGUF `llama` convention: rotary position embedding acts
on neighbouring pairs (x[2i], x[2i+1]) of each head, so weights can be exported
without any permutation.  Shapes use B (batch), T (positions), D (model width),
H (heads), K (head width), V (vocabulary).
"""
from dataclasses import dataclass
import math

import torch
from torch import nn
import torch.nn.functional as F


@dataclass(frozen=True)
class Config:
    """Hyper-parameters; every matrix dimension is a multiple of 256."""
    n_vocab: int = 2048
    d_model: int = 256
    n_head: int = 4
    n_layer: int = 4
    d_ff: int = 768
    n_ctx: int = 512
    rms_eps: float = 1e-5
    rope_base: float = 10000.0

    @property
    def d_head(self):
        return self.d_model // self.n_head


class RMSNorm(nn.Module):
    """y = x / sqrt(mean(x^2) + eps) * weight over the last axis."""

    def __init__(self, dim, eps):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
        return x * scale * self.weight


def rope_tables(cfg, n_pos):
    """Return cos and sin, each [n_pos, d_head/2], computed in float64."""
    k = cfg.d_head
    freq = cfg.rope_base ** (-torch.arange(0, k, 2, dtype=torch.float64) / k)
    angle = torch.arange(n_pos, dtype=torch.float64)[:, None] * freq[None, :]
    return angle.cos(), angle.sin()


def rotate_pairs(x, cos, sin):
    """Rotate pairs (x[2i], x[2i+1]).  x: [B, H, T, K]; cos, sin: [T, K/2]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Attention(nn.Module):
    """Causal multi-head self-attention without biases."""

    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        d = cfg.d_model
        self.q = nn.Linear(d, d, bias=False)
        self.k = nn.Linear(d, d, bias=False)
        self.v = nn.Linear(d, d, bias=False)
        self.o = nn.Linear(d, d, bias=False)

    def forward(self, x, cos, sin, mask):
        """x: [B, T, D]; mask: [T, T] with 0 (visible) or -inf.  Returns [B, T, D]."""
        b, t, d = x.shape
        h, k = self.cfg.n_head, self.cfg.d_head

        def heads(y):
            return y.view(b, t, h, k).transpose(1, 2)

        query = rotate_pairs(heads(self.q(x)), cos, sin) * (1.0 / math.sqrt(k))
        key = rotate_pairs(heads(self.k(x)), cos, sin)
        prob = F.softmax(query @ key.transpose(-1, -2) + mask, dim=-1)
        return self.o((prob @ heads(self.v(x))).transpose(1, 2).reshape(b, t, d))


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x))."""

    def __init__(self, cfg):
        super().__init__()
        self.gate = nn.Linear(cfg.d_model, cfg.d_ff, bias=False)
        self.up = nn.Linear(cfg.d_model, cfg.d_ff, bias=False)
        self.down = nn.Linear(cfg.d_ff, cfg.d_model, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, cfg):
        super().__init__()
        self.attn_norm = RMSNorm(cfg.d_model, cfg.rms_eps)
        self.attn = Attention(cfg)
        self.ffn_norm = RMSNorm(cfg.d_model, cfg.rms_eps)
        self.ffn = FeedForward(cfg)

    def forward(self, x, cos, sin, mask):
        x = x + self.attn(self.attn_norm(x), cos, sin, mask)
        return x + self.ffn(self.ffn_norm(x))


class Llama(nn.Module):
    """Decoder with input and output embeddings tied."""

    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.embed = nn.Embedding(cfg.n_vocab, cfg.d_model)
        self.blocks = nn.ModuleList(Block(cfg) for _ in range(cfg.n_layer))
        self.norm = RMSNorm(cfg.d_model, cfg.rms_eps)
        cos, sin = rope_tables(cfg, cfg.n_ctx)
        self.register_buffer("cos", cos.float(), persistent=False)
        self.register_buffer("sin", sin.float(), persistent=False)
        mask = torch.full((cfg.n_ctx, cfg.n_ctx), float("-inf")).triu(1)
        self.register_buffer("mask", mask, persistent=False)
        self._init_weights()

    def _init_weights(self):
        residual = 0.02 / math.sqrt(2 * self.cfg.n_layer)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                small = name.endswith(("attn.o.weight", "ffn.down.weight"))
                nn.init.normal_(p, std=residual if small else 0.02)

    def forward(self, ids):
        """ids: int64 [B, T] with T <= n_ctx.  Returns logits [B, T, V]."""
        t = ids.shape[1]
        cos, sin = self.cos[:t].to(self.embed.weight.dtype), self.sin[:t].to(self.embed.weight.dtype)
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, cos, sin, self.mask[:t, :t].to(x.dtype))
        return F.linear(self.norm(x), self.embed.weight)


def count_parameters(model):
    """Number of trained scalars (tied embedding counted once)."""
    return sum(p.numel() for p in model.parameters())
