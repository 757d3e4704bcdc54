"""Shows that the docs name every option, metric, status and log event, as the source has them.

Tables must be what tests/tidy/tables.py makes of the source; log events are looked up by name.
First shows that a table that is behind, and an event that is not named, would be seen.
"""

import re
import sys

import tables
from source import files_find, source_read

PAGE = "docs/operations.md"
EVENT = re.compile(r'\blog_(?:info|warn|error)\(\s*"([a-z_.]+)"')


def page_check(page, text, blocks):
    filled, missing = tables.blocks_fill(text, blocks)
    yield from (f"{page}: expected one block {name}" for name in missing)
    if filled != text:
        yield f"{page}: a table is behind the source; run tools/docs"


def events_check(page, text, sources):
    for source in sources:
        for event in EVENT.findall(source):
            if f"`{event}`" not in text:
                yield f"{page}: does not name the log event {event}"


SAMPLE_OPTIONS = """
#define SERVER_OPTIONS(X)                                                    \\
    X(listen, TEXT, "", 0, 0, "HOST:PORT", "an address, \\"host\\" (or not)"   \\
      " and port")                                                           \\
    X(memory, BYTES, "4G", 64 << 20, UINT64_C(1) << 46, NULL, "limit")        \\
    X(wait_time, DURATION, "5s", 1000, 3600000000, NULL, "time")

int x;
"""
SAMPLE_TABLE = """| option | values | default | meaning |
| --- | --- | --- | --- |
| `--listen` | HOST:PORT |  | an address, "host" (or not) and port |
| `--memory` | 64M to 64T | `4G` | limit |
| `--wait-time` | 1ms to 1h | `5s` | time |
"""


def sample_check():
    if tables.options_table(SAMPLE_OPTIONS) != SAMPLE_TABLE:
        yield f"the sample table came out as:\n{tables.options_table(SAMPLE_OPTIONS)}"
    page = "<!-- a:begin -->\nold\n<!-- a:end -->\n"
    if len(list(page_check("p", page, {"a": "new\n"}))) != 1:
        yield "a table that is behind was not seen"
    if list(page_check("p", page, {"a": "old\n"})):
        yield "a good table was complained about"
    if len(list(page_check("p", page, {"a": "old\n", "b": ""}))) != 1:
        yield "a block that is not there was not seen"
    if len(list(events_check("p", "`a.b`", ['log_warn("a.b", x); log_info(\n  "a.c")']))) != 1:
        yield "an event that is not named was not seen"


def main():
    text = tables.page_read(PAGE)
    paths = [path for path in files_find() if path.endswith(".c") and not path.startswith("tests/")]
    sources = [source_read(path).text for path in paths]
    problems = [*sample_check(), *page_check(PAGE, text, tables.blocks_make())]
    problems += sorted(set(events_check(PAGE, text, sources)))
    print("\n".join(problems))
    print(f"{len(tables.BLOCKS)} tables, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
