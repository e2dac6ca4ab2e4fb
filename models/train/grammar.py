"""Template expansion: nested choices `{a|b}`, variables `<name>`, light grammar fixes."""
from functools import lru_cache
import re

_TOKEN = re.compile(r"[{}|]|<\w+>|[^{}|<]+|<")


def _parse(tokens, pos, depth):
    """Parse a sequence of alternatives; return (alternatives, next position)."""
    alternatives, current = [], []
    while pos < len(tokens):
        tok = tokens[pos]
        pos += 1
        if tok == "{":
            inner, pos = _parse(tokens, pos, depth + 1)
            current.append(tuple(inner))
        elif tok == "|" and depth:
            alternatives.append(tuple(current))
            current = []
        elif tok == "}" and depth:
            alternatives.append(tuple(current))
            return alternatives, pos
        else:
            current.append(tok)
    if depth:
        raise ValueError("unbalanced braces in template: " + "".join(tokens))
    return [tuple(current)], pos


@lru_cache(maxsize=None)
def _compile(template):
    return _parse(_TOKEN.findall(template), 0, 0)[0][0]


def _emit(rng, parts, variables, out):
    for part in parts:
        if isinstance(part, tuple):
            _emit(rng, part[int(rng.random() * len(part))], variables, out)
        elif part[0] == "<" and len(part) > 1:
            out.append(str(variables[part[1:-1]]))
        else:
            out.append(part)


_SPACES = re.compile(r" {2,}")
_SPACE_BEFORE = re.compile(r" +([.,!?;\n])")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiouAEIOU])(?!one\b|once\b|use|uni|Eur)")
_SENTENCE = re.compile(r"((?:^|(?<=\n)|(?<=[.!?] ))\"?)([a-z])")


def polish(text):
    """Fix spaces, a/an, and capitals at the beginning of sentences."""
    text = _SPACES.sub(" ", text).strip(" ")
    text = _SPACE_BEFORE.sub(r"\1", text).replace("\n ", "\n")
    text = _ARTICLE.sub(r"\1n ", text)
    return _SENTENCE.sub(lambda m: m.group(1) + m.group(2).upper(), text)


def expand(rng, template, variables=None):
    """Expand one template with random choices and return polished text."""
    out = []
    _emit(rng, _compile(template), variables or {}, out)
    return polish("".join(out))
