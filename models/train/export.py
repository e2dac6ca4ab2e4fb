"""Export a checkpoint to GGUF (F16 and Q8_0; ternary: TQ2_0 and I2_S), check it, and write the model card."""
import argparse
import json
from pathlib import Path

import torch

import bpe
import card
import check_gguf
import gguf_writer as gguf
from gguf_writer import I32, U32
from model import Config, ternary

MODELS = Path(__file__).resolve().parent.parent
LAYER = {"attn_norm": "attn_norm", "attn.q": "attn_q", "attn.k": "attn_k", "attn.v": "attn_v", "attn.o": "attn_output",
         "ffn_norm": "ffn_norm", "ffn.gate": "ffn_gate", "ffn.up": "ffn_up", "ffn.down": "ffn_down"}
SUB_NORMS = {"attn.sub_norm": "attn_sub_norm", "ffn.sub_norm": "ffn_sub_norm"}
# Name in check_gguf, general.file_type, type of matrices.
FILES = [("f16", 1, gguf.TYPE_F16), ("q8_0", 7, gguf.TYPE_Q8_0)]
TERNARY_FILES = [("tq2_0", 37, gguf.TYPE_TQ2_0), ("i2_s", 40, gguf.TYPE_I2_S)]


def metadata(cfg, tokenizer, file_type):
    """GGUF metadata of the model."""
    arch, name = ("bitnet-b1.58", "llm-run-tiny-ternary") if cfg.ternary else ("llama", "llm-run-tiny")
    normal, control = 1, 3
    types = [I32(control if i == tokenizer.eos else normal) for i in range(len(tokenizer.tokens))]
    return {
        "general.architecture": arch, "general.name": name, "general.license": "mit",
        "general.file_type": U32(file_type), "general.quantization_version": U32(2),
        f"{arch}.context_length": U32(cfg.n_ctx), f"{arch}.embedding_length": U32(cfg.d_model),
        f"{arch}.block_count": U32(cfg.n_layer), f"{arch}.feed_forward_length": U32(cfg.d_ff),
        f"{arch}.attention.head_count": U32(cfg.n_head), f"{arch}.attention.head_count_kv": U32(cfg.n_head),
        f"{arch}.attention.layer_norm_rms_epsilon": float(cfg.rms_eps), f"{arch}.rope.freq_base": float(cfg.rope_base),
        f"{arch}.rope.dimension_count": U32(cfg.d_head), f"{arch}.vocab_size": U32(cfg.n_vocab),
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": tokenizer.tokens,
        "tokenizer.ggml.token_type": types, "tokenizer.ggml.merges": [" ".join(m) for m in tokenizer.merges],
        "tokenizer.ggml.bos_token_id": U32(tokenizer.bos), "tokenizer.ggml.eos_token_id": U32(tokenizer.eos),
        "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": False,
    }


def tensors(cfg, state, kind):
    """List of (GGUF name, float32 array [out, in] or [D], type); matrices get `kind`.

    Matrices are rounded to float16 first, so the Q8_0 file is what a conversion of the F16 file gives.
    Of a ternary model the embedding is F16.
    """
    names = [("embed.weight", "token_embd.weight")]
    layer = LAYER | SUB_NORMS if cfg.ternary else LAYER
    for i in range(cfg.n_layer):
        names += [(f"blocks.{i}.{a}.weight", f"blk.{i}.{b}.weight") for a, b in layer.items()]
    names.append(("norm.weight", "output_norm.weight"))
    assert len(names) == len(state)
    out = []
    for source, target in names:
        x = state[source]
        if x.dim() == 1:
            out.append((target, x.numpy(), gguf.TYPE_F32))
        elif cfg.ternary and source != "embed.weight":
            out.append((target, ternary(x).numpy(), kind))
        else:
            out.append((target, x.half().float().numpy(), gguf.TYPE_F16 if cfg.ternary else kind))
    return out


def run(work, models, tests):
    """Write all shipped files from the checkpoint in folder `work`."""
    saved = torch.load(work / "checkpoint.pt")
    facts = json.loads((work / "facts.json").read_text())
    tokenizer = bpe.Tokenizer(json.loads((work / "merges.json").read_text()))
    cfg = Config(n_layer=facts["layers"], ternary=facts["ternary"])
    names = check_gguf.TERNARY_NAMES if cfg.ternary else check_gguf.NAMES
    for name, file_type, kind in TERNARY_FILES if cfg.ternary else FILES:
        path = models / names[name]
        part = path.with_suffix(".part")
        gguf.write(part, metadata(cfg, tokenizer, file_type), tensors(cfg, saved["model"], kind))
        part.replace(path)
    meta = check_gguf.check(models, tests, saved["model"], cfg.ternary)
    facts.update(step=saved["step"], seconds=saved["seconds"], history=saved["history"])
    card.write(models, facts, meta)
    print("perplexity", meta["perplexity"], "at step", saved["step"])


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--work", type=Path, required=True, help="folder with checkpoint.pt, merges.json and facts.json")
    p.add_argument("--out", type=Path, default=MODELS)
    p.add_argument("--tests", type=Path, required=True, help="folder of test data")
    args = p.parse_args()
    run(args.work, args.out, args.tests)


if __name__ == "__main__":
    main()
