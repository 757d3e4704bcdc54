"""Fills the tables of the docs from the tables of the source, between marker lines.

    python3 tests/tidy/tables.py         writes the docs (tools/docs does just that)

A block `<!-- options:begin -->` ... `<!-- options:end -->` is replaced whole. The source is a macro
whose entries are `X(...)`; tidy/docs checks that the docs hold what the source says.
"""

import os
import re

from source import ROOT

TEXT = r'"(?:\\.|[^"\\])*"(?:\s*"(?:\\.|[^"\\])*")*'
ARGUMENT = re.compile(rf"\s*({TEXT}|(?:[^,()\"]|\([^()]*\))+)\s*(?:,|$)", re.S)
US = [(86400000000, "d"), (3600000000, "h"), (60000000, "m"), (1000000, "s"), (1000, "ms"),
      (1, "us")]
BYTES = [(1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"), (1, "")]


def entries_read(text, macro):
    """The arguments of each X(...) of one macro, texts unquoted and joined."""
    body = re.search(rf"#define {macro}\(X\)(.*?[^\\])\n", text, re.S).group(1)
    body = body.replace("\\\n", " ")
    for match in re.finditer(rf"X\(((?:{TEXT}|\([^()]*\)|[^()\"])*)\)", body):
        yield [plain(argument) for argument in ARGUMENT.findall(match.group(1))]


def plain(argument):
    if not argument.startswith('"'):
        return argument.strip()
    return "".join(re.findall(r'"((?:\\.|[^"\\])*)"', argument)).replace('\\"', '"')


def number(text):
    """The value of a constant such as UINT64_C(1) << 46."""
    text = re.sub(r"U?INT64_C\((\w+)\)", r"\1", text).rstrip("uUlL")
    left, _, shift = text.partition("<<")
    return int(left, 0) << int(shift or "0", 0)


def amount(value, units):
    if value == 0:
        return "0"
    size, name = next(unit for unit in units if value % unit[0] == 0)
    return f"{value // size}{name}"


def option_range(kind, low, high, form):
    if kind == "BYTES":
        return f"{amount(number(low), BYTES)} to {amount(number(high), BYTES)}"
    if kind == "DURATION":
        return f"{amount(number(low), US)} to {amount(number(high), US)}"
    if kind == "COUNT":
        return f"{number(low)} to {number(high)}"
    if kind == "CHOICE":
        return ", ".join(form.split("|"))
    return "" if kind == "BOOL" else form.replace("|", ", ")


def table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def options_table(text):
    rows = []
    for name, kind, default, low, high, form, words in entries_read(text, "SERVER_OPTIONS"):
        default = "" if kind == "BOOL" or not default else f"`{default}`"
        spelled = "--" + name.replace("_", "-")
        rows.append([f"`{spelled}`", option_range(kind, low, high, form), default, words])
    return table(["option", "values", "default", "meaning"], rows)


def statuses_table(text):
    rows = [[code, f"`{name}`", words]
            for name, code, words in entries_read(text, "FST_STATUS_TABLE")]
    return table(["code", "status", "meaning"], rows)


def metrics_table(text):
    rows = [[f"`{name}`", kind.lower(), words]
            for _, kind, name, words in entries_read(text, "METRIC_TABLE")]
    return table(["metric", "kind", "meaning"], rows)


def memory_table(text):
    rows = [[f"`{name}`", words] for _, name, words in entries_read(text, "PARTITION_MEMORY")]
    return table(["memory", "meaning"], rows)


# Block: the file of its source, and what makes the table.
BLOCKS = {
    "options": ("src/server/server_options.h", options_table),
    "statuses": ("include/fstore/status.h", statuses_table),
    "metrics": ("src/base/metrics.h", metrics_table),
    "memory": ("storage/online/partition.h", memory_table),
}
PAGES = ["docs/operations.md"]


def blocks_fill(text, blocks):
    """`text` with every block replaced, and the names of blocks that have no markers."""
    missing = []
    for name, made in blocks.items():
        pattern = rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->\n)"
        text, count = re.subn(pattern, lambda match: match[1] + made + match[2], text, flags=re.S)
        if count != 1:
            missing.append(name)
    return text, missing


def blocks_make():
    made = {}
    for name, (path, make) in BLOCKS.items():
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            made[name] = make(file.read())
    return made


def page_read(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        return file.read()


def main():
    for page in PAGES:
        text = page_read(page)
        filled, missing = blocks_fill(text, blocks_make())
        for name in missing:
            print(f"{page}: expected one block {name}")
        if filled != text:
            with open(os.path.join(ROOT, page), "w", encoding="utf-8") as file:
                file.write(filled)
            print(f"{page}: written")


if __name__ == "__main__":
    main()
