"""Shows that each rule fails where it should, on the samples, and is silent on good files."""

import sys

import layers
import rules
from samples import BAD, GOOD
from source import Source


def bad_check():
    for rule, path, text, words in BAD:
        messages = [message for _, message in rules.RULES[rule](Source(path, text))]
        if not any(words in message for message in messages):
            yield f"{rule}: expected \"{words}\" for {path}, found {messages}: {text[:60]!r}"
    for rule in sorted(set(rules.RULES) - {sample[0] for sample in BAD}):
        yield f"{rule}: has no bad sample"


def good_check():
    for path, text in GOOD:
        for name, rule in rules.RULES.items():
            for line, message in rule(Source(path, text)):
                yield f"{name}: expected silence for {path}:{line}, found: {message}"


def tree_check():
    whole = sorted(rules.TOP_LEVEL) + [".ci/run"]
    cases = [
        (whole, []),
        (whole + ["notes/x.txt"], ["notes: not one"]),
        (whole[1:], [f"{whole[0]}: missing"]),
    ]
    for paths, expected in cases:
        found = list(rules.tree_check(paths))
        if len(found) != len(expected) or not all(map(str.startswith, found, expected)):
            yield f"tree: expected {expected}, found {found}"


def layers_check():
    """The table has no cycle: each folder may use only folders that may not use it."""
    for folder, allowed in layers.ALLOWED.items():
        for lower in allowed:
            if folder in layers.ALLOWED.get(lower, []):
                yield f"layers: {folder} and {lower} may use each other"


def main():
    problems = [*bad_check(), *good_check(), *tree_check(), *layers_check()]
    print("\n".join(problems))
    print(f"{len(BAD)} bad samples, {len(GOOD)} good ones, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
