"""A small language model in PyTorch: `llama`, or with ternary matrices `bitnet-b1.58`.

The layout follows the GGUF conventions: rotary position embedding acts on
neighbouring pairs (x[2i], x[2i+1]) of each head (`llama`) or on its two halves
(`bitnet-b1.58`), so weights can be exported without any permutation.  Shapes use
B (batch), T (positions), D (model width), H (heads), K (head width), V (vocabulary).

A ternary matrix is kept and trained in float and used as -s, 0 and s, where s is
its mean absolute value; its inputs are rounded to int8 with one scale a position.
Gradients pass both roundings unchanged (Ma et al. 2024, BitNet b1.58).
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
    ternary: bool = False

    @property
    def d_head(self):
        return self.d_model // self.n_head


def ternary_scale(w):
    """The one scale of a matrix, as the file stores it (float16)."""
    return w.abs().mean().half().to(w.dtype)


def ternary(w):
    """w rounded to -s, 0 and s."""
    s = ternary_scale(w)
    return (w / s).round_().clamp_(-1, 1).mul_(s)


def int8(x):
    """x rounded to 127 steps either side of 0, each row with its own scale."""
    step = x.abs().amax(-1, keepdim=True).clamp_(min=1e-5).div_(127)
    return (x / step).round_().mul_(step)


class Rounded(torch.autograd.Function):
    """`rounding` of x, whose gradient passes unchanged."""

    @staticmethod
    def forward(ctx, x, rounding):
        return rounding(x)

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class RMSNorm(nn.Module):
    """y = x / sqrt(mean(x^2) + eps) * weight over the last axis; int8 as input of ternary matrices."""

    def __init__(self, dim, eps, to_int8=False):
        super().__init__()
        self.eps = eps
        self.to_int8 = to_int8
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
        y = x * scale * self.weight
        return Rounded.apply(y, int8) if self.to_int8 else y


class TernaryLinear(nn.Linear):
    """A matrix without bias whose weights are used as ternary ones."""

    def forward(self, x):
        return F.linear(x, Rounded.apply(self.weight, ternary))


def linear(cfg, n_in, n_out):
    """A matrix of the kind that `cfg` says, without bias."""
    return (TernaryLinear if cfg.ternary else nn.Linear)(n_in, n_out, bias=False)


def norm(cfg, dim):
    """A norm in front of matrices."""
    return RMSNorm(dim, cfg.rms_eps, to_int8=cfg.ternary)


def sub_norm(cfg, dim):
    """The norm that ternary models have in front of the last matrix of a half block."""
    return norm(cfg, dim) if cfg.ternary else nn.Identity()


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


def rotate_halves(x, cos, sin):
    """Rotate pairs (x[i], x[i + K/2]).  x: [B, H, T, K]; cos, sin: [T, K/2]."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)


class Attention(nn.Module):
    """Causal multi-head self-attention without biases."""

    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        d = cfg.d_model
        self.q = linear(cfg, d, d)
        self.k = linear(cfg, d, d)
        self.v = linear(cfg, d, d)
        self.sub_norm = sub_norm(cfg, d)
        self.o = linear(cfg, d, d)

    def forward(self, x, cos, sin, mask):
        """x: [B, T, D]; mask: [T, T] with 0 (visible) or -inf.  Returns [B, T, D]."""
        b, t, d = x.shape
        h, k = self.cfg.n_head, self.cfg.d_head

        def heads(y):
            return y.view(b, t, h, k).transpose(1, 2)

        rotate = rotate_halves if self.cfg.ternary else rotate_pairs
        query = rotate(heads(self.q(x)), cos, sin) * (1.0 / math.sqrt(k))
        key = rotate(heads(self.k(x)), cos, sin)
        prob = F.softmax(query @ key.transpose(-1, -2) + mask, dim=-1)
        return self.o(self.sub_norm((prob @ heads(self.v(x))).transpose(1, 2).reshape(b, t, d)))


def squared_relu(x):
    return F.relu(x).square()


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x)); ternary with squared ReLU: down(norm(relu(gate(x))^2 * up(x)))."""

    def __init__(self, cfg):
        super().__init__()
        self.activate = squared_relu if cfg.ternary else F.silu
        self.gate = linear(cfg, cfg.d_model, cfg.d_ff)
        self.up = linear(cfg, cfg.d_model, cfg.d_ff)
        self.sub_norm = sub_norm(cfg, cfg.d_ff)
        self.down = linear(cfg, cfg.d_ff, cfg.d_model)

    def forward(self, x):
        return self.down(self.sub_norm(self.activate(self.gate(x)) * self.up(x)))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, cfg):
        super().__init__()
        self.attn_norm = norm(cfg, cfg.d_model)
        self.attn = Attention(cfg)
        self.ffn_norm = norm(cfg, cfg.d_model)
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
