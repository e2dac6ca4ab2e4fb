"""Write one model's part of MODEL_CARD.md from the facts of a training run."""
import random
import re

import check_gguf
from facts import fact
from reference import Reference

SAMPLES = [("Once upon a time", 160, 0.0, 0), ("Once upon a time", 200, 0.8, 1), ("Question: What color is the sky?\nAnswer:", 24, 0.0, 0),
           ("The weather today", 80, 0.8, 2), ("The server loads the weights", 80, 0.8, 3),
           ("Question: What is 7 + 8?\nAnswer:", 24, 0.0, 0)]

TEMPLATE = """# llm-run-tiny

A small English language model of our own, trained from scratch, so that a fresh
clone can load something and produce readable text. It is a toy and a test
object: it tells short children's stories, answers very simple questions and
writes about the weather and about computers. It knows nothing else.

| file | tensors | bytes | held-out perplexity |
|---|---|---|---|
| `llm-run-tiny-f16.gguf` | F16 matrices, F32 norms | {bytes_f16:,} | {ppl_f16:.4f} |
| `llm-run-tiny-q8_0.gguf` | Q8_0 matrices, F32 norms | {bytes_q8_0:,} | {ppl_q8_0:.4f} |

Licence: MIT (weights, text and scripts).

## Architecture

GGUF architecture `llama`: {parameters:,} parameters, {layers} layers, width 256,
4 heads of 64 (4 key/value heads), SwiGLU width 768, RMSNorm (eps 1e-5), rotary
embedding on neighbouring pairs (base 10000), context 512, vocabulary 2048,
output matrix tied to the embedding (there is no `output.weight`). Every matrix
dimension is a multiple of 256.

## Tokenizer

Byte-level BPE learned by the same script from the training text: 256 bytes, 1791
merges, and `<|endoftext|>` (id 2047), which is both BOS and EOS. The pre-tokenizer
is the GPT-2 pattern. BOS stands in front of every document.

## Data

All text comes from the grammar in `train/` (`corpus.py`, `stories.py`, `facts.py`,
`prose.py`, `words.py`); no outside text was used. {documents:,} documents,
{data_bytes:,} bytes, {tokens:,} tokens:

- about 52 % stories from 14 plots with remembered state (who has what, where, when,
  weather), a third of them followed by questions about the story;
- about 16 % question blocks about simple facts (colours, days, months, animals,
  opposites, counting, arithmetic up to 22, capitals), 7 % facts as plain sentences
  or small lessons;
- about 25 % descriptions, weather reports, letters, dialogues, instructions and
  short texts about computers.

`heldout.txt` ({heldout_bytes:,} bytes) comes from the same grammar with another
seed; no document of it is in the training text. Because both come from one
grammar, the perplexity says how well the grammar was learned, not how well the
model knows English.

## Training

{step:,} of {steps:,} steps of {batch} tokens ({seen:,} tokens), AdamW (betas 0.9 and 0.95,
weight decay 0.1), peak learning rate {peak_lr:g} with 150 warm-up steps and cosine
decay, gradient norm clipped at 1. Rows of 256 tokens, and of 512 tokens in the
last 12 % of the steps. {precision} matrix products, float32 parameters. Seed {seed}.
{minutes:.0f} minutes on a shared machine with two CPU cores ({rate:.0f} tokens/s), PyTorch {torch}.

| step | training loss (mean of 50 steps) |
|---|---|
{history}

The loss rises for a moment where the rows become longer, because positions after
256 are new then.

## Held-out perplexity

Method: {method}.
There are {chunks} chunks. The weights are those stored in the file (dequantized), and
the evaluation is done in float64.

F16: **{ppl_f16:.4f}**. Q8_0: **{ppl_q8_0:.4f}**. On the first 48 held-out tokens, the logits of
the Q8_0 file differ from those of the F16 file by {q_rms:.4f} (root mean square;
the logits have a standard deviation of {q_std:.2f}), and the best token is the same at
{q_same} of 48 positions.

## Simple questions

{n_facts} questions drawn from the grammar (they occur in the training text too),
answered greedily from the F16 weights; an answer counts when it is equal to the
expected sentence: arithmetic {sums_right} of {sums}, all other facts {others_right} of {others}.

## Samples

Taken as they came, from the F16 weights; the prompt is in bold.

{samples}

## Limits

- The vocabulary of ideas is that of the grammar: some hundred nouns, 14 plots, a
  few hundred facts. Other prompts give fluent but wrong or unrelated text.
- It mixes up names, colours and places now and then, mostly in long stories.
- Arithmetic is weak even for small numbers (see above).
- Text in other languages is tokenized (byte by byte) but not understood.
- It must not be used for anything where a wrong answer matters.
"""

TERNARY_HEADING = "# llm-run-tiny-ternary\n"
TERNARY_TEMPLATE = TERNARY_HEADING + """
Its sibling with ternary weights, so that the BitNet path is exercised by a model
that speaks: the same text, tokenizer and held-out text, the same limits.

| file | matrices | bytes | held-out perplexity |
|---|---|---|---|
| `llm-run-tiny-ternary-tq2_0.gguf` | TQ2_0, a scale for 256 weights | {bytes_tq2_0:,} | {ppl_tq2_0:.4f} |
| `llm-run-tiny-ternary-i2_s.gguf` | I2_S, a scale for a matrix | {bytes_i2_s:,} | {ppl_i2_s:.4f} |

Both hold the same weights: every block of TQ2_0 has the scale of its matrix. The
embedding, which is the output matrix too, is F16, norms are F32.

## Architecture

GGUF architecture `bitnet-b1.58` (Ma et al. 2024): {parameters:,} parameters, {layers} layers,
width 256, 4 heads of 64 (4 key/value heads), FFN width 768 with squared ReLU,
`attn_sub_norm` and `ffn_sub_norm` in front of the last matrix of each half block,
rotary embedding on the halves of a head (base 10000), RMSNorm (eps 1e-5), context 512.

## Training

    {command}

Quantization-aware from the first step: a matrix is used as -s, 0 and s, where s is the
mean absolute value of its float weights, rounded to float16; inputs of matrices are
rounded to int8, each position with its own scale; gradients pass both roundings
unchanged. The embedding is not rounded.

{step:,} of {steps:,} steps of {batch} tokens ({seen:,} tokens, {share:.0f} % of the text), AdamW (betas 0.9 and
0.95, weight decay 0.1), peak learning rate {peak_lr:g} with 150 warm-up steps, constant for
{flat:.0f} % of the steps, then cosine decay; gradient norm clipped at 1. Rows of 256 tokens, and of
512 tokens in the last 12 % of the steps. {precision} matrix products, float32 parameters. Seed {seed}.
{minutes:.0f} minutes on a shared machine ({rate:.0f} tokens/s), PyTorch {torch}.

| step | training loss (mean of 50 steps) |
|---|---|
{history}

## Held-out perplexity

Method and text as above, {chunks} chunks, evaluated in float64: **{ppl_tq2_0:.4f}** with inputs of
matrices as they are, **{ppl_int8:.4f}** with inputs rounded to int8 as in training. This
rounding changes the logits of the first 48 held-out tokens by {q_rms:.4f} (root mean square;
the logits have a standard deviation of {q_std:.2f}); the best token is the same at
{q_same} of 48 positions.

## Simple questions

The {n_facts} questions from above: arithmetic {sums_right} of {sums}, all other facts {others_right} of {others}.

## Samples

Taken as they came, in float64, inputs of matrices as they are; the prompt is in bold.

{samples}
"""


def _sample(reference, prompt, count, temperature, seed):
    ids = [reference.tokenizer.bos] + reference.tokenizer.encode(prompt)
    new, _ = reference.generate(ids, count, temperature, seed)
    text = reference.tokenizer.decode(new)
    how = "greedy" if temperature == 0 else f"temperature {temperature}, seed {seed}"
    end = "" if len(new) < count else " [...]"
    quoted = "\n".join("> " + line if line else ">" for line in (f"**{prompt}**{text}{end}").split("\n"))
    return f"{how}, at most {count} tokens:\n\n{quoted.replace(chr(10) + 'Answer:**', '**' + chr(10) + '> **Answer:**')}"


def fact_accuracy(reference, count=120, seed=5):
    """Greedy answers to `count` questions: ((right, all) for sums, (right, all) for the rest)."""
    rng = random.Random(seed)
    score = {True: [0, 0], False: [0, 0]}
    for question, answer in (fact(rng) for _ in range(count)):
        tok = reference.tokenizer
        ids = [tok.bos] + tok.encode(f"Question: {question}\nAnswer:")
        new, _ = reference.generate(ids, len(tok.encode(" " + answer)))
        tally = score[bool(re.search(r"\d [+-] \d| plus | minus ", question))]
        tally[0] += tok.decode(new) == " " + answer
        tally[1] += 1
    return score[True], score[False]


def _numbers(models, facts, meta, names):
    """What both templates have places for; the first of `names` is the file that answers and speaks."""
    reference = Reference(models / next(iter(names.values())))
    every = max(1, len(facts["history"]) // 9)
    rows = facts["history"][every - 1::every]
    compared = meta["int8_vs_exact_logits" if facts["ternary"] else "q8_0_vs_f16_logits"]
    sums, others = fact_accuracy(reference)
    sizes = {f"bytes_{k}": (models / name).stat().st_size for k, name in names.items()}
    perplexities = {f"ppl_{k}": x for k, x in meta["perplexity"].items()}
    return dict(
        sizes, **perplexities, parameters=facts["parameters"], layers=facts["layers"],
        n_facts=sums[1] + others[1], sums_right=sums[0], sums=sums[1], others_right=others[0], others=others[1],
        step=facts["step"], steps=facts["steps"], batch=facts["batch"], seen=facts["step"] * facts["batch"], peak_lr=facts["peak_lr"], seed=facts["seed"],
        minutes=facts["seconds"] / 60, rate=facts["step"] * facts["batch"] / facts["seconds"], torch=facts["torch"],
        precision="float32" if facts["float32"] else "bfloat16",
        history="\n".join(f"| {s} | {x:.3f} |" for s, x in rows), chunks=meta["perplexity_chunks"],
        q_rms=compared["rms"], q_std=compared["logit_std"], q_same=compared["same_argmax"],
        samples="\n\n".join(_sample(reference, *s) for s in SAMPLES))


def write(models, facts, meta):
    """Write the part of models/MODEL_CARD.md that is about this model, and leave the other."""
    path = models / "MODEL_CARD.md"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    first, heading, second = old.partition(TERNARY_HEADING)
    if facts["ternary"]:
        command = f"train.py --ternary{' --float32' if facts['float32'] else ''} --layers {facts['layers']} " \
                  f"--lr {facts['peak_lr']:g} --steps {facts['steps']} " \
                  f"--batch {facts['batch']} --flat {facts['flat']:g} --threads {facts['threads']}"
        second = TERNARY_TEMPLATE.format(
            command=command, flat=100 * facts["flat"],
            share=100 * facts["step"] * facts["batch"] / facts["tokens"],
            **_numbers(models, facts, meta, check_gguf.TERNARY_NAMES))
        text = (first.rstrip("\n") + "\n\n" if first else "") + second
    else:
        text = TEMPLATE.format(
            documents=facts["documents"], data_bytes=facts["bytes"], tokens=facts["tokens"],
            heldout_bytes=(models / "heldout.txt").stat().st_size, method=meta["perplexity_method"],
            **_numbers(models, facts, meta, check_gguf.NAMES))
        text += "\n" + heading + second if heading else ""
    path.write_text(text, encoding="utf-8")
