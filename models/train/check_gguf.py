"""Check both GGUF files of a model with the independent reader and write the test data.

The logits are recomputed in float64 from the file.  When a PyTorch checkpoint is
given, its weights, rounded as they are stored, must give the same logits.
"""
import argparse
from functools import partial
import hashlib
from pathlib import Path

import numpy as np

from perplexity import chunks, perplexity
from reference import Reference
import testdata

MODELS = Path(__file__).resolve().parent.parent
NAMES = {"f16": "llm-run-tiny-f16.gguf", "q8_0": "llm-run-tiny-q8_0.gguf"}
TERNARY_NAMES = {"tq2_0": "llm-run-tiny-ternary-tq2_0.gguf", "i2_s": "llm-run-tiny-ternary-i2_s.gguf"}
METHOD = ("tokenize heldout.txt with BOS once in front; consecutive chunks of 128 ids, rest dropped; "
          "first id of a chunk replaced by BOS; empty context; positions 64..126 predict ids 65..127; exp(mean NLL)")
GREEDY_PROMPTS = ["Once upon a time", "Question: What color is the sky?\nAnswer:", "The weather today", "The server loads the weights"]


def torch_difference(reference, state, ids):
    """Largest |logit difference| between a file and a float64 PyTorch evaluation of the weights stored in it."""
    import torch
    from model import Config, Llama, TernaryLinear, rope_tables, ternary
    layers = 1 + max(int(k.split(".")[1]) for k in state if k.startswith("blocks."))
    cfg = Config(n_layer=layers, ternary=reference.is_bitnet)
    model = Llama(cfg)
    model.load_state_dict(state)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, TernaryLinear):
                module.forward = partial(torch.nn.functional.linear, weight=ternary(module.weight).double())
        model.double()
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


def difference(a, b):
    """How the logits b differ from a."""
    return {"max_abs": round(float(np.abs(a - b).max()), 6), "rms": round(float(np.sqrt(((a - b) ** 2).mean())), 6),
            "nmse": float(f"{((a - b) ** 2).sum() / (a ** 2).sum():.6g}"),
            "logit_std": round(float(a.std()), 6), "same_argmax": int((a.argmax(-1) == b.argmax(-1)).sum())}


def check(models, tests, state=None, ternary=False):
    """Return the meta dictionary after writing the files in `tests`.

    The second file is compared with the first, which is the truth of the test data;
    of a ternary model, both have the same weights, and the truth is compared with
    the first file as it was trained, with inputs of matrices as int8.
    """
    names = TERNARY_NAMES if ternary else NAMES
    refs = {k: Reference(models / name) for k, name in names.items()}
    truth, second = refs.values()
    if ternary:
        if any(not np.array_equal(truth.w[n], second.w[n]) for n in truth.w):
            raise SystemExit("the files have different weights")
        refs["int8"] = second = Reference(models / names["tq2_0"], to_int8=True)
    trained = second if ternary else truth
    heldout = (models / "heldout.txt").read_text(encoding="utf-8")
    parts = chunks(truth.tokenizer, heldout)
    ids = testdata.heldout_prompt(truth.tokenizer, heldout)
    meta = {
        "n_vocab": len(truth.tokenizer.tokens), "n_tokens": len(ids), "bos": truth.tokenizer.bos, "eos": truth.tokenizer.eos,
        "perplexity": {k: round(perplexity(r.log_probs, parts), 6) for k, r in refs.items()},
        "perplexity_method": METHOD, "perplexity_chunks": len(parts),
        "int8_vs_exact_logits" if ternary else "q8_0_vs_f16_logits": difference(truth.logits(ids), second.logits(ids)),
        "sha256": {n: hashlib.sha256((models / n).read_bytes()).hexdigest() for n in [*names.values(), "heldout.txt"]},
        "greedy": greedy_cases(truth),
    }
    if state is not None:
        diff = torch_difference(trained, state, ids)
        if diff > 1e-6:
            raise SystemExit(f"the file and PyTorch differ by {diff}")
        print(f"largest difference to PyTorch in float64: {diff:.3g}")
    testdata.write(tests, truth, heldout, meta)
    if not ternary:   # both models have the same tokenizer
        testdata.write_tokenizer_cases(tests, truth.tokenizer, heldout)
    return meta


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--models", type=Path, default=MODELS)
    p.add_argument("--tests", type=Path, default=MODELS.parent / "tests" / "data")
    p.add_argument("--ternary", action="store_true", help="check the ternary model")
    p.add_argument("--checkpoint", type=Path, help="also compare with this PyTorch checkpoint")
    args = p.parse_args()
    state = None
    if args.checkpoint:
        import torch
        state = torch.load(args.checkpoint)["model"]
    meta = check(args.models, args.tests / ("tiny-ternary" if args.ternary else "tiny"), state, args.ternary)
    print("perplexity", meta["perplexity"], "chunks", meta["perplexity_chunks"])


if __name__ == "__main__":
    main()
