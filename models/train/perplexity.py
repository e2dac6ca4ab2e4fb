"""Held-out perplexity, with the same method that the runtime's tests use.

The whole file is tokenized (BOS once in front), the ids are cut into chunks of
128 and the rest is dropped.  In each chunk the first id is replaced by BOS, the
context starts empty, and positions 64..126 are scored on the ids 65..127.
"""
import math

CHUNK = 128
FIRST_SCORED = 64


def chunks(tokenizer, text):
    """List of id lists, each of CHUNK ids that begin with BOS."""
    ids = [tokenizer.bos] + tokenizer.encode(text)
    out = []
    for start in range(0, len(ids) - CHUNK + 1, CHUNK):
        out.append([tokenizer.bos] + ids[start + 1:start + CHUNK])
    return out


def perplexity(log_probs, parts):
    """exp(mean negative log-likelihood).

    log_probs: function from a list of n ids to an array-like [n, V] of log-probabilities.
    """
    total, count = 0.0, 0
    for ids in parts:
        table = log_probs(ids)
        for pos in range(FIRST_SCORED, CHUNK - 1):
            total -= float(table[pos][ids[pos + 1]])
            count += 1
    return math.exp(total / count)
