"""The rules of the source, one function each: a Source in, (line, message) out.

RULES lists them with their names. `tree_check` is the one rule about the tree as a whole. Every
rule has bad samples in samples.py, so that it is seen to fail.
"""

import os
import re

import layers
from source import ROOT, parameters_count

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 6
NESTING_MAX = 4
COLUMNS_MAX = 100
TOP_LEVEL = {
    "CMakeLists.txt", "README.md", "bench", "docs", "include", "net", "src", "storage", "tests",
    "tools",
}
CODE_SUFFIXES = (".c", ".h", ".py", ".sh", ".cmake", ".proto", ".yaml")
KEYWORDS = {"if", "for", "while", "switch", "return", "sizeof", "do", "else", "case"}


def includes_of(source):
    for number, line in enumerate(source.lines, 1):
        match = re.match(r'\s*#\s*include\s+([<"])([^">]+)[">]', line)
        if match:
            yield number, match.group(1) == '"', match.group(2)


def target_folder(include):
    """The row of layers.ALLOWED that an include line with quotes points to; None if unknown."""
    if include == "net/frame.h":
        return include
    for prefix in ("", "src/"):
        folder = layers.folder_of(prefix + include)
        if folder:
            return folder
    return "include" if include.startswith("fstore/") else None


def layer(source):
    folder = layers.folder_of(source.path)
    if not source.is_c or folder is None:
        return
    for number, is_ours, include in includes_of(source):
        if not is_ours or include.endswith(".pb-c.h"):
            continue
        target = target_folder(include)
        if target is None:
            yield number, f'"{include}" does not spell a folder of the table of layers'
        elif target not in [folder, *layers.ALLOWED[folder]] and not include.startswith(folder):
            yield number, f"{folder} may not include {target}"


def confined(source):
    if not source.is_c:
        return
    for number, is_ours, include in includes_of(source):
        table = layers.GENERATED if include.endswith(".pb-c.h") else layers.CONFINED
        for header, places in table.items():
            if include.startswith(header) and not source.path.startswith(tuple(places)):
                if table is layers.CONFINED and is_ours:
                    continue
                yield number, f"{include} belongs to {' '.join(places) or 'no file'}"


def file_length(source):
    if source.is_c and len(source.lines) - 1 > FILE_LINES_MAX:
        yield FILE_LINES_MAX, f"{len(source.lines) - 1} lines, at most {FILE_LINES_MAX}"


def function_length(source):
    for function in source.functions:
        if len(function.lines) > FUNCTION_LINES_MAX:
            yield function.first, (
                f"{function.name} has {len(function.lines)} lines, at most {FUNCTION_LINES_MAX}")


def parameters(source):
    found = [(f.first, f.name, f.parameters_count) for f in source.functions]
    if source.is_header:
        text = "\n".join(source.code)
        for match in re.finditer(r"^[a-zA-Z][^;{}#=]*?(\w+)\(([^;{}]*)\)[^;{}()]*;", text, re.M):
            # An attribute after the parameters is taken as more of them by the pattern: cut it.
            signature = re.sub(r"\)\s*__attribute__.*", ")", match.group(0), flags=re.S)
            count = parameters_count(signature)
            found.append((text[: match.start()].count("\n") + 1, match.group(1), count))
    for number, name, count in found:
        if count > PARAMETERS_MAX:
            yield number, f"{name} has {count} parameters, at most {PARAMETERS_MAX}"


def nesting(source):
    for function in source.functions:
        deepest = nesting_depth("\n".join(function.lines))
        if deepest > NESTING_MAX:
            yield function.first, f"{function.name} nests {deepest} deep, at most {NESTING_MAX}"


def nesting_depth(body):
    """Deepest block of statements, the function's own not counted, nor braces of initialisers."""
    stack = []
    deepest = 0
    for position, letter in enumerate(body):
        if letter == "{":
            before = body[:position].rstrip()
            stack.append(before.endswith((")", "else", "do", "{", ";", "}", ":")))
            deepest = max(deepest, sum(stack) - 1)
        elif letter == "}" and stack:
            stack.pop()
    return deepest


def recursion(source):
    if source.is_test:
        return
    for function in source.functions:
        body = "\n".join(function.lines).partition("{")[2]
        if re.search(rf"(?<![\w.>]){function.name}\s*\(", body):
            yield function.first, f"{function.name} calls itself"


def conditional(source):
    for function in source.functions:
        for offset, line in enumerate(function.lines):
            if re.match(r"\s*#\s*(if|ifdef|ifndef|elif|else)\b", line):
                yield function.first + offset, f"conditional compilation inside {function.name}"


def forward_declaration(source):
    if not source.is_c:
        return
    text = "\n".join(source.code)
    for match in re.finditer(r"^static\b[^;{}=#]*\([^;{}]*\)[^;{}=]*;", text, re.M):
        if "__attribute__" in match.group(0):
            continue  # C has no place for it in the definition.
        number = text[: match.start()].count("\n") + 1
        yield number, "forward declaration of a static function: define it before its use"


MUTABLE = re.compile(
    r"^(?!typedef|__extension__ typedef|extern|enum \w+;|struct \w+;)(?!.*\bconst\b)"
    r"[a-z_][\w ]*[ *]+\w+(\[[^\]]*\])*\s*(=.*|;)$"
)


def mutable_state(source):
    # One process has one standard error, so the logger has one level; main.c has the signals.
    if not source.is_c or source.is_test or source.path.endswith(("/main.c", "/base/logger.c")):
        return
    depth = 0
    for number, line in enumerate(source.code, 1):
        if depth == 0 and line and not line[0].isspace() and MUTABLE.match(line):
            yield number, "file-level state that can change: hang it off a struct of the caller"
        depth += line.count("{") - line.count("}")


def unfinished(source):
    words = r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b"
    for number, line in enumerate(source.lines, 1):
        if re.search(words, line):
            yield number, "unfinished work is finished or left out, not marked"


def sleep(source):
    if not source.is_test or source.path.startswith("tests/tidy/"):
        return
    calls = re.compile(r"\b(u|nano|clock_nano|time\.)?sleep\s*\((?!0\))|\bthrd_sleep\b")
    for number, line in enumerate(source.code if source.is_c else source.lines, 1):
        if calls.search(line):
            yield number, "a test waits for an event, never for time to pass"


def guard_names(path):
    """The path in capitals; src/, include/, bench/ and tools/ may be left out."""
    short = re.sub(r"^(src|include)/", "", path)
    shorter = re.sub(r"^(bench|tools)/(?=.*/)", "", short)
    return [re.sub(r"[^A-Z0-9]", "_", name.upper()) for name in (short, shorter)]


def header_form(source):
    if not source.is_header:
        return
    noun = os.path.basename(source.path)[:-2]
    head = re.match(r"/\*(?:\n \*)? (\S+): \S", source.text)
    if not head or head.group(1) != noun:
        yield 1, f'expected a comment at the head that starts with "{noun}: "'
    directives = [line for line in source.lines if line.startswith("#")]
    forms = [[f"#ifndef {name}", f"#define {name}"] for name in guard_names(source.path)]
    if directives[:2] not in forms or directives[-1] != "#endif":
        yield 1, f"expected the include guard {guard_names(source.path)[0]}"


def test_form(source):
    if source.path.endswith("_test.c") and not re.match(r"/\*(?:\n \*)? \w", source.text):
        yield 1, "a test starts with a sentence: what is shown, and how"


def own_header(source):
    if not source.path.endswith(".c") or source.is_test:
        return
    own = re.sub(r"^(src|include)/", "", source.path)[:-2] + ".h"
    names = [include for _, _, include in includes_of(source)]
    if own in names and names[0] != own:
        yield 1, f'"{own}" comes first, so that a header that lacks an include is seen'


def columns(source):
    if not source.path.endswith(CODE_SUFFIXES) and not source.text.startswith("#!"):
        return
    for number, line in enumerate(source.lines, 1):
        if len(line) > COLUMNS_MAX:
            yield number, f"{len(line)} columns, at most {COLUMNS_MAX}"


def whitespace(source):
    for number, line in enumerate(source.lines, 1):
        if line.endswith((" ", "\t", "\r")):
            yield number, "white space at the end of the line"
        if source.is_c and "\t" in line:
            yield number, "a tab: indent by four spaces"
    if source.text and not source.text.endswith("\n"):
        yield len(source.lines), "no newline at the end"


def machine_path(source):
    places = "|".join(["work", "home", "root", "Users"])
    for number, line in enumerate(source.lines, 1):
        if re.search(rf"(?<![\w.$}})/-])/({places})/\w", line):
            yield number, "a path of one machine"


def outside_world(source):
    files = "DESIGN" + r"\.md|STYLE" + r"\.md"
    for number, line in enumerate(source.lines, 1):
        if re.search(rf"\b({files})\b|\bissue (#)?\d|\bshared/", line):
            yield number, "points to something a reader of this tree does not have"


def module_name(source):
    name = re.sub(r"_(test|fuzz)$", "", os.path.splitext(os.path.basename(source.path))[0])
    if source.is_c and name in ("util", "utils", "common", "helper", "helpers", "manager", "misc"):
        yield 1, f'"{name}" says nothing: a module is one noun'


def links(source):
    if not source.path.endswith(".md"):
        return
    folder = os.path.dirname(source.path)
    for number, line in enumerate(source.lines, 1):
        for target in re.findall(r"\]\(([^)#\s]+)", line):
            path = os.path.normpath(os.path.join(ROOT, folder, target))
            if "://" not in target and not os.path.exists(path):
                yield number, f"the link to {target} leads nowhere"


RULES = {
    "layer": layer,
    "confined": confined,
    "file_length": file_length,
    "function_length": function_length,
    "parameters": parameters,
    "nesting": nesting,
    "recursion": recursion,
    "conditional": conditional,
    "forward_declaration": forward_declaration,
    "mutable_state": mutable_state,
    "unfinished": unfinished,
    "sleep": sleep,
    "header_form": header_form,
    "test_form": test_form,
    "own_header": own_header,
    "columns": columns,
    "whitespace": whitespace,
    "machine_path": machine_path,
    "outside_world": outside_world,
    "module_name": module_name,
    "links": links,
}


def tree_check(paths):
    """Top-level names that should not be there, or are missing; names with a dot are free."""
    found = {path.split("/")[0] for path in paths if not path.startswith(".")}
    for name in sorted(found - TOP_LEVEL):
        yield f"{name}: not one of the top-level entries"
    for name in sorted(TOP_LEVEL - found):
        yield f"{name}: missing at the top level"
