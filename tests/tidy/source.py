"""Reads source files, and finds the functions of a C file that clang-format has laid out.

Nothing here knows a rule. Functions are found by layout, not by parsing: a definition starts in the
first column and ends with a brace in the first column.
"""

import os
import re
from functools import cached_property

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED = {".git", "build", "__pycache__", ".pytest_cache"}
BINARY_FOLDERS = ("tests/corpus/",)


class Function:
    def __init__(self, name, signature, first, lines):
        self.name = name
        self.signature = signature
        self.first = first  # Line number of the first line, from 1.
        self.lines = lines

    @property
    def parameters_count(self):
        return parameters_count(self.signature)


class Source:
    def __init__(self, path, text):
        self.path = path
        self.text = text

    @cached_property
    def lines(self):
        return self.text.split("\n")

    @cached_property
    def code(self):
        """The text without comments and literals, line by line: same line numbers."""
        return code_only(self.text).split("\n")

    @property
    def is_c(self):
        return self.path.endswith((".c", ".h"))

    @property
    def is_header(self):
        return self.path.endswith(".h")

    @property
    def is_test(self):
        return self.path.startswith("tests/")

    @cached_property
    def functions(self):
        return list(functions_find(self.code)) if self.is_c else []


TOKENS = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' """, re.S | re.X
)


def code_only(text):
    def blank(match):
        token = match.group(0)
        kept = token[0] * 2 if token[0] in "\"'" else ""
        return kept + "\n" * token.count("\n")

    # The path of an include is a literal that rules want to see.
    hidden = re.sub(r'(?m)^(#\s*include\s+)"([^"\n]*)"', r"\1<\2>", text)
    return TOKENS.sub(blank, hidden)


def parameters_count(signature):
    inner = signature[signature.index("(") + 1 : signature.rindex(")")]
    if inner.strip() in ("", "void"):
        return 0
    depth = 0
    count = 1
    for letter in inner:
        depth += (letter in "([") - (letter in ")]")
        count += letter == "," and depth == 0
    return count


def functions_find(code):
    """Splits the file into statements of the outermost level; those with a body are functions."""
    start = None
    depth = 0
    is_macro = False
    for number, line in enumerate(code):
        is_directive = is_macro or line.lstrip().startswith("#")
        is_macro = is_directive and line.endswith("\\")
        if is_directive or not line.strip() or line == 'extern "" {':
            continue
        if depth == 0 and line.startswith("}"):
            continue  # The end of extern "C".
        if start is None:
            start = number
        depth += line.count("{") - line.count("}")
        is_bare_macro = start == number and re.fullmatch(r"[A-Z_0-9]+\([^()]*\)", line)
        if depth > 0 or not (line.endswith((";", "}")) or is_bare_macro):
            continue
        signature, has_body, _ = "\n".join(code[start : number + 1]).partition("{")
        match = re.search(r"(\w+)\s*\(", signature)
        if has_body and match and "=" not in signature:
            yield Function(match.group(1), signature, start + 1, code[start : number + 1])
        start = None


def files_find():
    """Paths of the tree, relative to its root, sorted; what git ignores is left out by name."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), ROOT)
            if path != "compile_commands.json" and not name.endswith(".pyc"):
                found.append(path)
    return sorted(found)


def source_read(path):
    """The file as a Source; None where it is not text."""
    if path.startswith(BINARY_FOLDERS):
        return None
    with open(os.path.join(ROOT, path), "rb") as file:
        data = file.read()
    if b"\0" in data:
        return None
    return Source(path, data.decode("utf-8", errors="replace"))
