# SPDX-License-Identifier: MIT
"""checks - the rules of the house that a machine can check

Each check takes a Tree and yields (path, line, message) for what is wrong.
"""

import collections
import os
import re
import socket

from source import FLOORS

# ---- layers

LIBC = set("""
    alloca assert byteswap complex cpuid ctype dirent dlfcn elf endian err errno
    error execinfo fcntl features fenv float fnmatch ftw getopt glob grp
    inttypes iso646 libgen limits link locale malloc math mntent netdb poll
    pthread pwd regex sched search semaphore setjmp signal spawn stdalign
    stdarg stdbool stddef stdint stdio stdlib stdnoreturn string strings syslog
    termios threads time ucontext unistd wchar wctype wordexp
""".split())
LIBC_FOLDERS = ("sys/", "linux/", "asm/", "arpa/", "net/", "netinet/",
                "sanitizer/")

# What quoted includes of a floor may begin with.
BELOW = {
    "sched": ("sched/",),
    "mailbox": ("mailbox/", "sched/"),
    "core": ("core/", "mailbox/", "sched/"),
}


def is_libc(name):
    return (name.startswith(LIBC_FOLDERS)
            or (name.endswith(".h") and name[:-2] in LIBC))


def may_include(floor, mark, name):
    if mark == '"':
        return name.startswith(BELOW[floor])
    if name.startswith("rota/"):
        return floor == "core"
    if name == "hwloc.h" or name.startswith("hwloc/"):
        return floor == "sched"
    return name == "atomic_ops.h" or is_libc(name)


def may_publish(mark, name):
    """A public header: itself, libc, and the standard headers of C++."""
    return mark == "<" and (name.startswith("rota/") or is_libc(name)
                            or re.fullmatch(r"[a-z_]+", name) is not None)


def check_layers(tree):
    """Includes point down; programs for users stay outside."""
    for source in tree.c_files():
        floor = source.path.split(os.sep)[0]
        public = source.path.startswith("core/include/")
        outside = source.path.startswith(("tests/examples/",
                                          "perf/wordcount/"))
        for line, mark, name in source.includes():
            if public:
                good = may_publish(mark, name)
            elif floor in FLOORS:
                good = may_include(floor, mark, name)
            elif outside:
                good = (not name.startswith(BELOW["core"])
                        and name != "atomic_ops.h"
                        and not name.startswith("hwloc"))
            else:
                good = True
            if not good:
                where = "a public header" if public else os.path.dirname(
                    source.path)
                yield source.path, line, f"{where} may not include {name}"


# ---- atomics

ALLOWED_ATOMIC = re.compile(r"""AO_(?:
    t | TS_t | TS_VAL_t | TS_INITIALIZER | TS_SET | TS_CLEAR | CLEAR
  | HAVE_\w+
  | test_and_set(?:_acquire|_full)?
  | (?:char_|short_|int_)?(?:
        load(?:_acquire)?
      | store(?:_release)?
      | (?:fetch_)?compare_and_swap(?:_acquire|_release|_full)?
      | fetch_and_(?:add|add1|sub1)(?:_acquire|_release|_full)?))""",
                            re.VERBOSE)

FORBIDDEN = [
    (r"\b_Atomic\b", "_Atomic: atomics are libatomic_ops"),
    (r"\b__(?:atomic|sync|c11_atomic)_\w+", "builtins: atomics are "
     "libatomic_ops"),
    (r"\batomic_(?:load|store|exchange|fetch|compare|thread_fence|"
     r"signal_fence|init|flag|is_lock)\w*", "stdatomic: atomics are "
     "libatomic_ops"),
]
FORBIDDEN_HEADERS = {
    "stdatomic.h": "atomics are libatomic_ops",
    "atomic": "atomics are libatomic_ops",
    "atomic_ops_stack.h": "it is under the GPL",
    "atomic_ops_malloc.h": "it is under the GPL",
}
# D8: the owner and the monitor, who has membarrier for both.
COMPILER_BARRIER = re.compile(r"sched/(?:monitor|worker)\.[ch]")


def check_atomics(tree):
    """Loads and stores up to acquire and release, CAS, fetch-and-add."""
    for source in tree.c_files():
        for line, _, name in source.includes():
            if name in FORBIDDEN_HEADERS:
                yield (source.path, line,
                       f"{name}: {FORBIDDEN_HEADERS[name]}")
        for match in re.finditer(r"\bAO_\w+", source.bare):
            if ALLOWED_ATOMIC.fullmatch(match[0]):
                continue
            if (match[0] == "AO_compiler_barrier"
                    and COMPILER_BARRIER.fullmatch(source.path)):
                continue
            yield (source.path, source.line(match.start()),
                   f"{match[0]} is not allowed")
        for pattern, why in FORBIDDEN:
            for match in re.finditer(pattern, source.bare):
                yield (source.path, source.line(match.start()),
                       f"{match[0]}: {why}")


# ---- ordering labels

LABEL = re.compile(r"\[([A-Z]+[0-9]+[a-z]?)\]")
OPERATION = re.compile(r"\bAO_(?:(?:char_|short_|int_)?(?:load|store|"
                       r"(?:fetch_)?compare_and_swap|fetch_and_\w+?)|"
                       r"test_and_set|CLEAR)"
                       r"(?P<order>_acquire|_release|_full)?\s*\(")


def is_ordered(match):
    return match["order"] is not None or match[0].startswith("AO_CLEAR")


def operations(tree):
    """(source, match, first line, last line) of each atomic operation."""
    for source in tree.c_files(*FLOORS):
        for match in OPERATION.finditer(source.bare):
            yield (source, match, *source.statement(match.start()))


def described_labels(source):
    """[label, line, text] of what the Orderings: section of a file lists."""
    found = []
    for comment in source.header():
        inside = False
        for i, line in enumerate(comment.text.splitlines()):
            line = line.strip().lstrip("*/").strip()
            if match := re.match(r"([A-Z][a-z]+):", line):
                inside = match[1] == "Orderings"
                line = line[match.end():].strip()
            if not inside:
                continue
            if LABEL.match(line):
                heads = re.match(rf"(?:{LABEL.pattern}[\s,]*)+", line)[0]
                found += [[label, comment.first + i, line]
                          for label in LABEL.findall(heads)]
            elif found:
                found[-1][2] += " " + line
    return found


def label_homes(tree):
    """Label -> places that describe it, label -> (place, file referred to)."""
    homes = collections.defaultdict(list)
    references = collections.defaultdict(list)
    for source in tree.c_files(*FLOORS):
        for label, line, text in described_labels(source):
            place = (source.path, line)
            if match := re.search(r"\b(?:see|of)\s+([\w/]+\.[ch])\b", text):
                references[label].append((place, os.path.basename(match[1])))
            else:
                homes[label].append(place)
    return homes, references


def check_homes(homes, references):
    """One file describes a label; others that have an end refer to it."""
    for label, places in homes.items():
        if len(places) > 1:
            files = ", ".join(path for path, _ in places)
            yield (*places[0], f"[{label}] is described in {files}: one "
                   'describes it, the others say "see" that one, or they are '
                   "different labels")
    for label, places in references.items():
        for place, name in places:
            if not any(os.path.basename(path) == name
                       for path, _ in homes[label]):
                yield *place, f"{name} does not describe [{label}]"


def check_labels(tree):
    """Each ordered operation has a label, each label a partner and a text."""
    homes, references = label_homes(tree)
    yield from check_homes(homes, references)

    ends = collections.Counter()
    seen = {}
    at_operations = set()
    for source, match, first, last in operations(tree):
        if not is_ordered(match):
            continue
        line = source.line(match.start())
        comments = source.comments_at(first, last)
        at_operations.update(id(c) for c in comments)
        labels = {label for c in comments for label in LABEL.findall(c.text)}
        if not labels:
            yield (source.path, line, f"{match[0].rstrip('( ')}: no label "
                   "such as /* [S1] pairs with foo() */")
        for label in labels:
            # One place may be both ends: many threads run it.
            alone = any(re.search(rf"\[{label}\][^\[]*pairs\s+(?:\*\s+)?with"
                                  r"\s+(?:\*\s+)?itself", c.text)
                        for c in comments)
            ends[label] += 2 if alone else 1
            seen.setdefault(label, (source.path, line))

    # The other end may be a system call or a plain access that says so.
    for source in tree.c_files(*FLOORS):
        for comment in source.comments:
            if id(comment) in at_operations or comment in source.header():
                continue
            for match in re.finditer(
                    LABEL.pattern + r"[^\[]*pairs\s+(?:\*\s+)?with",
                    comment.text):
                ends[match[1]] += 1
                seen.setdefault(match[1], (source.path, comment.first))

    for label, where in seen.items():
        if ends[label] < 2:
            yield *where, f"[{label}] has no partner"
        if not homes[label]:
            yield *where, f"[{label}] is in no file's Orderings:"
    for label, places in homes.items():
        if label not in seen and places:
            yield *places[0], f"[{label}] is described but at no operation"


def check_relaxed(tree):
    """A relaxed operation says in a comment why that is enough.

    The comment stands in the three lines above, or, for a row of them, at the
    head of the paragraph, up to eight lines above.
    """
    for source, match, first, last in operations(tree):
        above = max(first - 8, source.paragraph(first))
        if not is_ordered(match) and not source.comments_in(
                min(above, first - 3), last):
            yield (source.path, source.line(match.start()),
                   f"{match[0].rstrip('( ')}: no word on why relaxed is "
                   "enough")


# ---- form


def check_length(tree):
    """A function of more than 60 lines says why."""
    for source in tree.c_files():
        for head, first, last in source.functions():
            if last - first - 1 <= 60:
                continue
            comments = source.comments_at(head, last)
            if not any(re.search(r"long\s+(?:\*\s+)?because", c.text)
                       for c in comments):
                yield (source.path, first, f"{last - first - 1} lines: "
                       'shorter, or a comment with "long because"')


# Four more than clang-format has code be: it lets comments alone.
WIDTH = 84


def check_width(tree):
    """A comment is wrapped; what a test of messages expects cannot be."""
    for source in tree.c_files():
        lines = source.text.split("\n")
        for comment in source.comments:
            for number in range(comment.first, comment.last + 1):
                line = lines[number - 1]
                width = len(line.expandtabs(8))
                if width > WIDTH and not re.match(r" \* expect[-+\w]*:", line):
                    yield (source.path, number,
                           f"a comment of {width} columns")


def is_script(tree, path):
    return "." not in os.path.basename(path) and \
        tree.read(path).startswith("#!")


def check_licence(tree):
    """Every source begins with its licence."""
    for path in tree.paths:
        if path.endswith((".c", ".h", ".S", ".cpp")):
            good = tree.read(path).startswith(
                "/* SPDX-License-Identifier: MIT */\n")
        elif (path.endswith((".py", ".sh", "meson.build"))
              or path.startswith(".ci" + os.sep) or is_script(tree, path)):
            good = "# SPDX-License-Identifier: MIT" in \
                tree.read(path).splitlines()[:3]
        else:
            continue
        if not good:
            yield path, 1, "no SPDX-License-Identifier: MIT"


def check_title(tree):
    """A file of the three floors opens with its name and a sentence."""
    for source in tree.c_files(*FLOORS):
        stem = os.path.splitext(os.path.basename(source.path))[0]
        names = rf"(?:{re.escape(stem)}|rota/{re.escape(stem)}\.h)"
        if not re.search(rf"\*\s+{names} - \S",
                         "".join(c.text for c in source.header()[:2])):
            yield source.path, 2, f'does not open with "{stem} - ..."'


# Written so that they do not find themselves.
MACHINE = [
    (r"(?<![\w.])/(?:home|root|Users|w[o]rk)/\w", "a path of one machine"),
    (r"\b(?:deb|security|archive|registry|pypi|crates|proxy)"
     r"\.(?:[a-z0-9-]+\.)*(?:org|com|io|net|dev)\b",
     "a package registry's host"),
]


def check_machine(tree):
    """Nothing knows the machine it was written on."""
    patterns = [(re.compile(p), why) for p, why in MACHINE]
    path = os.path.realpath(tree.root)
    host = socket.gethostname()
    for text, why, telling in (
            (path, "this checkout's path", path.count(os.sep) > 2),
            (host, "this machine's name", re.search(r"[\d.-]", host))):
        if telling:  # and not an ordinary word
            patterns.append((re.compile(rf"(?<!\w){re.escape(text)}(?!\w)"),
                             why))
    for path in tree.paths:
        for number, line in enumerate(tree.read(path).splitlines(), 1):
            for pattern, why in patterns:
                if match := pattern.search(line):
                    yield path, number, f"{match[0]}: {why}"


CHECKS = {
    "layers": check_layers,
    "atomics": check_atomics,
    "labels": check_labels,
    "relaxed": check_relaxed,
    "length": check_length,
    "width": check_width,
    "licence": check_licence,
    "title": check_title,
    "machine": check_machine,
}
