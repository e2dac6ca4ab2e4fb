"""Train the model with one command: text, tokenizer, training, export, model card.

Everything is seeded and the number of steps is fixed.  Matrix products run in
bfloat16 (autocast), or with --float32 in float32; parameters and optimizer state
are float32.  --ternary trains the sibling whose matrices are ternary.
"""
import argparse
import json
import math
import os
from pathlib import Path
import random
import tempfile
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")   # must be set before PyTorch starts its threads

import numpy as np
import torch
import torch.nn.functional as F

import bpe
import corpus
from model import Config, Llama, count_parameters
from perplexity import chunks, perplexity

MODELS = Path(__file__).resolve().parent.parent
HELDOUT_BYTES = 52_000
SHORT, LONG = 256, 512          # row length; the last part of training uses LONG
LONG_SHARE = 0.12
TAIL = 64                       # a row may be followed by the start of a document up to TAIL ids back


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--steps", type=int, default=4500)
    p.add_argument("--batch", type=int, default=2048, help="tokens a step, a multiple of 512")
    p.add_argument("--flat", type=float, default=0, help="share of the steps before the learning rate decays")
    p.add_argument("--shards", type=int, default=33, help="training text, in units of 2000 documents")
    p.add_argument("--layers", type=int, default=5)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--work", type=Path, help="folder of working files (default: one in the temporary folder)")
    p.add_argument("--out", type=Path, default=MODELS)
    p.add_argument("--tests", type=Path, help="folder of test data (default: tests/data/tiny or tiny-ternary)")
    p.add_argument("--ternary", action="store_true", help="train the model with ternary matrices")
    p.add_argument("--float32", action="store_true", help="for processors without bfloat16 instructions")
    p.add_argument("--resume", action="store_true", help="continue from the checkpoint in --work")
    args = p.parse_args()
    name = "tiny-ternary" if args.ternary else "tiny"
    args.work = args.work or Path(tempfile.gettempdir()) / f"llm-run-{name}"
    args.tests = args.tests or MODELS.parent / "tests" / "data" / name
    return args


def prepare_text(args):
    """Return (tokenizer, stream int32 [N], starts int64 [n_docs], heldout text, data facts)."""
    docs = corpus.training_documents(args.seed, args.shards, args.threads)
    heldout = corpus.heldout_text(args.seed, HELDOUT_BYTES, set(docs))
    tokenizer = bpe.Tokenizer(bpe.learn(docs, Config().n_vocab))
    stream, starts = [], []
    for doc in docs:
        starts.append(len(stream))
        stream.append(tokenizer.bos)
        stream.extend(tokenizer.encode(doc))
    stream.append(tokenizer.eos)
    facts = {"documents": len(docs), "bytes": sum(len(d.encode()) for d in docs), "tokens": len(stream)}
    return tokenizer, np.array(stream, np.int32), np.array(starts), heldout, facts


def row_starts(starts, n_ids, length):
    """Positions at which training rows of length + 1 ids begin.

    Rows follow each other; when a document begins in the last TAIL ids of a row,
    the next row begins with that document, so many rows start at a BOS.
    """
    rows, pos = [], 0
    while pos + length + 1 <= n_ids:
        rows.append(pos)
        pos += length
        i = np.searchsorted(starts, pos, side="right") - 1
        if pos - starts[i] <= TAIL:
            pos = int(starts[i])
    return rows


def batches(args, stream, starts):
    """Yield (step, int64 [B, T+1]) for all steps; depends on the seed only."""
    first_long = int(args.steps * (1 - LONG_SHARE))
    for length, begin, end in ((SHORT, 0, first_long), (LONG, first_long, args.steps)):
        rng = random.Random(f"rows-{args.seed}-{length}")
        rows = row_starts(starts, len(stream), length)
        queue = []
        for step in range(begin, end):
            take = args.batch // length
            if len(queue) < take:
                rng.shuffle(rows)
                queue = list(rows)
            picked = [queue.pop() for _ in range(take)]
            yield step, torch.from_numpy(np.stack([stream[p:p + length + 1] for p in picked]).astype(np.int64))


def learning_rate(args, step):
    """Linear warm-up, constant until --flat of the steps, then cosine decay to 2 % of the peak.

    Before the decay nothing depends on --steps: a run that is resumed with another number by
    then gives what it would have given with that number from the start.
    """
    warm = 150
    if step < warm:
        return args.lr * (step + 1) / warm
    begin = max(warm, int(args.steps * args.flat))
    x = max(0, step - begin) / max(1, args.steps - begin)
    return args.lr * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * x)))


def make_optimizer(model, lr):
    decay = [p for n, p in model.named_parameters() if p.dim() == 2 and n != "embed.weight"]
    plain = [p for n, p in model.named_parameters() if p.dim() != 2 or n == "embed.weight"]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), eps=1e-9)


@torch.no_grad()
def quick_perplexity(model, parts):
    def log_probs(ids):
        return F.log_softmax(model(torch.tensor([ids]))[0], -1)
    return perplexity(log_probs, parts)


def save(path, **state):
    """Write a checkpoint so that a reader never sees half of it."""
    tmp = path.with_suffix(".tmp")
    torch.save(state, tmp)
    os.replace(tmp, path)


def train(args, model, optimizer, stream, starts, parts, state):
    """Run all remaining steps; `state` holds step, seconds and history."""
    done, clock = state["step"], time.time() - state["seconds"]
    recent = []
    for step, ids in batches(args, stream, starts):
        if step < done:
            continue
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(args, step)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not args.float32):
            logits = model(ids[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        recent.append(loss.item())
        state["step"], state["seconds"] = step + 1, time.time() - clock
        if (step + 1) % 50 == 0:
            mean = sum(recent) / len(recent)
            recent = []
            print(f"step {step + 1}/{args.steps}  loss {mean:.4f}  {state['seconds']:.0f} s  "
                  f"{(step + 1) * args.batch / state['seconds']:.0f} tokens/s", flush=True)
            state["history"].append((step + 1, mean))
        if (step + 1) % 150 == 0 or step + 1 == args.steps:
            ppl = quick_perplexity(model, parts[:40])
            print(f"step {step + 1}  held-out perplexity (40 chunks) {ppl:.3f}", flush=True)
            save(args.work / "checkpoint.pt", model=model.state_dict(), optimizer=optimizer.state_dict(), **state)


def main():
    args = arguments()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    begin = time.time()
    tokenizer, stream, starts, heldout, facts = prepare_text(args)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "heldout.txt").write_text(heldout, encoding="utf-8")
    (args.work / "merges.json").write_text(json.dumps(tokenizer.merges))
    print(f"text: {facts} in {time.time() - begin:.0f} s", flush=True)
    cfg = Config(n_layer=args.layers, ternary=args.ternary)
    model = Llama(cfg)
    optimizer = make_optimizer(model, args.lr)
    facts.update(parameters=count_parameters(model), steps=args.steps, layers=args.layers, seed=args.seed, ternary=args.ternary, float32=args.float32,
                 batch=args.batch, flat=args.flat, peak_lr=args.lr, torch=torch.__version__, threads=args.threads)
    (args.work / "facts.json").write_text(json.dumps(facts))
    print(f"model: {facts['parameters']} parameters", flush=True)
    state = {"step": 0, "seconds": 0.0, "history": []}
    if args.resume:
        saved = torch.load(args.work / "checkpoint.pt")
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        state = {k: saved[k] for k in state}
    train(args, model, optimizer, stream, starts, chunks(tokenizer, heldout), state)
    import export
    export.run(args.work, args.out, args.tests)


if __name__ == "__main__":
    main()
