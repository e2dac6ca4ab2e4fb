"""Seeded generator of the whole training text and of the held-out text."""
from multiprocessing import Pool
import random

from facts import fact, fact_questions, fact_statements, qa_block
from prose import lesson, prose
from stories import story

SHARD_DOCS = 2000


def document(rng):
    """Draw one document (plain text without special tokens)."""
    k = rng.random()
    if k < 0.52:
        text, _, facts = story(rng)
        if rng.random() < 0.3:
            pairs = rng.sample(facts, rng.randint(1, min(4, len(facts))))
            if rng.random() < 0.15:
                pairs.append(fact(rng))
            text += "\n\n" + qa_block(pairs)
        return text
    if k < 0.68:
        return fact_questions(rng)
    if k < 0.71:
        return fact_statements(rng)
    if k < 0.75:
        return lesson(rng)
    return prose(rng)


def shard(seed):
    """A list of SHARD_DOCS documents that depends only on the seed."""
    rng = random.Random(seed)
    return [document(rng) for _ in range(SHARD_DOCS)]


def training_documents(seed, n_shards, workers=2):
    """n_shards * SHARD_DOCS documents; the result does not depend on `workers`."""
    with Pool(workers) as pool:
        parts = pool.map(shard, [f"train-{seed}-{i}" for i in range(n_shards)])
    return [doc for part in parts for doc in part]


def heldout_text(seed, n_bytes, forbidden):
    """About n_bytes of documents, none of which is in the set `forbidden`."""
    rng = random.Random(f"heldout-{seed}")
    out, size = [], 0
    while size < n_bytes:
        doc = document(rng)
        if doc not in forbidden:
            out.append(doc)
            size += len(doc.encode()) + 2
    return "\n\n".join(out) + "\n"


if __name__ == "__main__":
    for text in shard("preview")[:40]:
        print(text, end="\n\n-----\n\n")
