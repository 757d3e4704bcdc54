"""Shows that each header compiles alone, and public ones as C++ too, by compiling just them.

Takes the build folder as its argument, for the generated headers. First shows that a header that
lacks an include would be seen.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from source import ROOT, files_find

C = ["gcc", "-std=c17", "-D_GNU_SOURCE", "-x", "c"]
CXX = ["g++", "-std=c++11", "-x", "c++"]
WARNINGS = ["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def header_compile(compiler, folder, text):
    roots = [f"-I{os.path.join(ROOT, root)}" for root in ("include", "src", ".")]
    command = [*compiler, *WARNINGS, *roots, "-isystem", os.path.join(folder, "include"), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def main():
    folder = os.path.abspath(sys.argv[1])
    headers = [path for path in files_find() if path.endswith(".h")]
    # Twice, so that a guard that does not guard is seen.
    work = [(C, path, f'#include "{path}"\n' * 2) for path in headers]
    if shutil.which("g++"):
        public = [path for path in headers if path.startswith("include/")]
        work += [(CXX, path, f'#include "{path}"\n' * 2) for path in public]

    problems = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda item: header_compile(item[0], folder, item[2]), work)
        for (compiler, path, _), result in zip(work, results):
            if result.returncode != 0:
                problems.append(f"{path}: not alone with {compiler[0]}:\n{result.stderr}")
    if header_compile(C, folder, "size_t f(void);\n").returncode == 0:
        problems.append("a header that lacks an include was not seen")
    print("\n".join(problems))
    print(f"{len(work)} headers, {len(problems)} problems")
    return 1 if problems or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
