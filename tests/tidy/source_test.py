"""Shows that every file of the tree keeps every rule, by reading all of them."""

import sys

import rules
from source import files_find, source_read


def main():
    paths = files_find()
    problems = list(rules.tree_check(paths))
    files_count = 0
    for path in paths:
        source = source_read(path)
        if source is None:
            continue
        files_count += 1
        for name, rule in rules.RULES.items():
            problems += [f"{path}:{line}: {name}: {text}" for line, text in rule(source)]
    print("\n".join(problems))
    print(f"{files_count} files, {len(rules.RULES) + 1} rules, {len(problems)} problems")
    return 1 if problems or files_count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
