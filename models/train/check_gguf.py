"""Check both GGUF files with the independent reader and write the test data.

The logits are recomputed in float64 from the file.  When a PyTorch checkpoint is
given, its weights are rounded to float16 and must give the same logits.
"""
import argparse
import hashlib
from pathlib import Path

import numpy as np

from perplexity import chunks, perplexity
from reference import Reference
import testdata

MODELS = Path(__file__).resolve().parent.parent
NAMES = {"f16": "llm-run-tiny-f16.gguf", "q8_0": "llm-run-tiny-q8_0.gguf"}
METHOD = ("tokenize heldout.txt with BOS once in front; consecutive chunks of 128 ids, rest dropped; "
          "first id of a chunk replaced by BOS; empty context; positions 64..126 predict ids 65..127; exp(mean NLL)")
GREEDY_PROMPTS = ["Once upon a time", "Question: What color is the sky?\nAnswer:", "The weather today", "The server loads the weights"]


def torch_difference(reference, state, ids):
    """Largest |logit difference| between the F16 file and a float64 PyTorch evaluation."""
    import torch
    from model import Config, Llama, rope_tables
    layers = 1 + max(int(k.split(".")[1]) for k in state if k.startswith("blocks."))
    cfg = Config(n_layer=layers)
    model = Llama(cfg)
    model.load_state_dict(state)
    model.double()
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() == 2:
                p.copy_(p.half())
        model.cos, model.sin = rope_tables(cfg, cfg.n_ctx)
        out = model(torch.tensor([ids]))[0].numpy()
    return float(np.abs(out - reference.logits(ids)).max())


def greedy_cases(reference):
    """Greedy continuations with the smallest margin between the best two logits."""
    cases = []
    for prompt in GREEDY_PROMPTS:
        ids = [reference.tokenizer.bos] + reference.tokenizer.encode(prompt)
        new, margin = reference.generate(ids, 32)
        cases.append({"prompt": prompt, "prompt_ids": ids, "ids": new, "text": reference.tokenizer.decode(new), "smallest_margin": round(margin, 6)})
    return cases


def check(models, tests, state=None):
    """Return the meta dictionary after writing the files in `tests`."""
    refs = {k: Reference(models / name) for k, name in NAMES.items()}
    f16, q8 = refs["f16"], refs["q8_0"]
    heldout = (models / "heldout.txt").read_text(encoding="utf-8")
    parts = chunks(f16.tokenizer, heldout)
    ids = testdata.heldout_prompt(f16.tokenizer, heldout)
    a, b = f16.logits(ids), q8.logits(ids)
    meta = {
        "n_vocab": len(f16.tokenizer.tokens), "n_tokens": len(ids), "bos": f16.tokenizer.bos, "eos": f16.tokenizer.eos,
        "perplexity": {k: round(perplexity(r.log_probs, parts), 6) for k, r in refs.items()},
        "perplexity_method": METHOD, "perplexity_chunks": len(parts),
        "q8_0_vs_f16_logits": {"max_abs": round(float(np.abs(a - b).max()), 6), "rms": round(float(np.sqrt(((a - b) ** 2).mean())), 6),
                               "logit_std": round(float(a.std()), 6), "same_argmax": int((a.argmax(-1) == b.argmax(-1)).sum())},
        "sha256": {n: hashlib.sha256((models / n).read_bytes()).hexdigest() for n in [*NAMES.values(), "heldout.txt"]},
        "greedy": greedy_cases(f16),
    }
    if state is not None:
        diff = torch_difference(f16, state, ids)
        if diff > 1e-6:
            raise SystemExit(f"the F16 file and PyTorch differ by {diff}")
        print(f"largest difference to PyTorch in float64: {diff:.3g}")
    testdata.write(tests, f16, heldout, meta)
    return meta


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--models", type=Path, default=MODELS)
    p.add_argument("--tests", type=Path, default=MODELS.parent / "tests" / "data" / "tiny")
    p.add_argument("--checkpoint", type=Path, help="also compare with this PyTorch checkpoint")
    args = p.parse_args()
    state = None
    if args.checkpoint:
        import torch
        state = torch.load(args.checkpoint)["model"]
    meta = check(args.models, args.tests, state)
    print("perplexity", meta["perplexity"], "chunks", meta["perplexity_chunks"])
    print("Q8_0 against F16", meta["q8_0_vs_f16_logits"])


if __name__ == "__main__":
    main()
