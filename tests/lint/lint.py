# SPDX-License-Identifier: MIT
"""lint - checks the rules of the house; prints TAP

usage: lint.py [CHECK...]

Checks: layers atomics labels relaxed length width licence title machine
format headers selftest; all of them if none is named. Called by tests/run lint.
"""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from checks import CHECKS
from source import Tree
import selftest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

n_results = 0


def result(name, problems, skip=None):
    """One line of TAP, and what is wrong below it."""
    global n_results
    n_results += 1
    print(f"{'not ok' if problems else 'ok'} {n_results} - {name}"
          + (f" # SKIP {skip}" if skip else ""))
    for problem in problems:
        print(f"#   {problem}")
    sys.stdout.flush()
    return not problems


# ---- the checks that need a tool


def find_clang_format():
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path and " 14." in subprocess.run(
                [path, "--version"], capture_output=True, text=True).stdout:
            return path
    return None


def lint_format(tree):
    """Another version formats otherwise, so only this one counts."""
    tool = find_clang_format()
    if not tool:
        return result("format", [], skip="no clang-format 14")
    paths = [source.path for source in tree.c_files()]
    done = subprocess.run([tool, "--dry-run", "-Werror", *paths],
                          cwd=tree.root, capture_output=True, text=True)
    places = {}
    for path, line in re.findall(r"^([^:\s]+):(\d+):\d+: error", done.stderr,
                                 re.MULTILINE):
        places.setdefault(path, []).append(line)
    problems = [f"{path}: {tool} would change line "
                + ", ".join(dict.fromkeys(lines))
                for path, lines in places.items()]
    if done.returncode and not problems:
        problems = done.stderr.splitlines()
    return result("format", problems)


HEADER_BUILDS = [(compiler, "c", "c11") for compiler in ("gcc", "clang")] + [
    (compiler, "c++", standard) for compiler in ("g++", "clang++")
    for standard in ("c++11", "c++17", "c++20")]


def compile_header(name, compiler, language, standard):
    """What the compiler says to a file that includes one header, twice."""
    command = [compiler, "-x", language, f"-std={standard}", "-fsyntax-only",
               "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror",
               "-I", "core/include", "-"]
    if language == "c":
        # In C++ a function beside a struct of its name already shadows.
        command.insert(1, "-Wshadow")
    text = f"#include <{name}>\n#include <{name}>\n"
    try:
        done = subprocess.run(command, cwd=ROOT, input=text,
                              capture_output=True, text=True)
    except OSError as error:
        return [f"{compiler}: {error}"]
    if done.returncode == 0:
        return []
    return [f"{compiler} -std={standard}: {line}"
            for line in done.stderr.splitlines()[:20]]


def lint_headers(tree):
    """Each public header compiles alone, as C and as C++."""
    good = True
    folder = "core/include/"
    for path in tree.paths:
        if path.startswith(folder) and path.endswith(".h"):
            name = path[len(folder):]
            good &= result(f"header {name}", [
                problem for build in HEADER_BUILDS
                for problem in compile_header(name, *build)])
    return good


def lint_selftest(tree):
    """Every check finds what it is there to find."""
    good = True
    for name, problems in selftest.run():
        good &= result(f"selftest {name}", problems)
    return good


TOOLS = {
    "format": lint_format,
    "headers": lint_headers,
    "selftest": lint_selftest,
}


def main():
    wanted = sys.argv[1:] or [*CHECKS, *TOOLS]
    if "--help" in wanted or "-h" in wanted:
        print(__doc__)
        return 0
    for name in wanted:
        if name not in CHECKS and name not in TOOLS:
            print(f"lint: what is {name}? See --help.", file=sys.stderr)
            return 2
    tree = Tree(ROOT)
    good = True
    for name in wanted:
        if name in CHECKS:
            good &= result(name, [f"{path}:{line}: {message}" for
                                  path, line, message in CHECKS[name](tree)])
        else:
            good &= TOOLS[name](tree)
    print(f"1..{n_results}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
