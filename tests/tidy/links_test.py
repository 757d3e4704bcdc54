"""Shows that each library uses only symbols of the folders below it, by reading the archives.

An include line can be avoided by declaring a function by hand; an undefined symbol cannot.
Takes the build folder as its argument. First shows that a wrong use would be seen.
"""

import os
import subprocess
import sys

import layers


def symbols_read(archive):
    """(defined, undefined) names of an archive."""
    defined, undefined = set(), set()
    text = subprocess.run(["nm", "-g", archive], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:
            defined.add(words[2])
        elif len(words) == 2 and words[0] in "Uw":
            undefined.add(words[1])
    return defined, undefined


def problems_find(symbols):
    """`symbols`: folder -> (defined, undefined)."""
    for folder, (own, undefined) in symbols.items():
        allowed = layers.ALLOWED.get(folder, ["src/base"])
        for other, (defined, _) in symbols.items():
            if other in allowed or other == folder:
                continue
            if folder == "net" and other == "net/frame.h":
                continue
            is_public = layers.PUBLIC.get(folder) == other
            for name in sorted((undefined - own) & defined):
                if is_public and name.startswith("fst_"):
                    continue
                yield f"{folder} uses {name} of {other}"


def sample_check():
    symbols = {"src/base": ({"pool_get"}, {"row_find"}), "src/model": ({"row_find"}, {"pool_get"})}
    return list(problems_find(symbols)) == ["src/base uses row_find of src/model"]


def main():
    libraries = os.path.join(sys.argv[1], "lib")
    symbols = {}
    for folder, library in layers.LIBRARIES.items():
        archive = os.path.join(libraries, f"lib{library}.a")
        if os.path.exists(archive):
            symbols[folder] = symbols_read(archive)
    problems = list(problems_find(symbols))
    if not sample_check():
        problems.append("a library that uses a higher one was not seen")
    if "src/base" not in symbols or not symbols["src/base"][0]:
        problems.append(f"{libraries}: expected the libraries of the folders, found none")
    print("\n".join(problems))
    print(f"{len(symbols)} libraries, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
