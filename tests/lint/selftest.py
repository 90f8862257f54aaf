# SPDX-License-Identifier: MIT
"""selftest - snippets that the checks must find fault with, and a good one

Each case is a small tree: files, and the (line, words) that one check must
report about the first of them, no more and no less.
"""

import os
import tempfile

from checks import CHECKS
from source import Tree

SPDX = "/* SPDX-License-Identifier: MIT */\n"

# Nothing to be said against this.
GOOD = {
    "sched/good.h": SPDX + """\
/*
 * good - the contract
 */
#include <stdint.h>
#include <hwloc.h>
""",
    "sched/good.c": SPDX + """\
/*
 * good - an example
 *
 * Approach:   AO_nop_full() in a comment, and "AO_load_full" in a string.
 * Orderings:  [G1] put() -> take() : what was put is seen
 *             [G2] drop() -> drop() : the last one frees
 *             [G3] wake() -> sleep() : through the kernel
 * Reference:  none
 */
#include "sched/good.h"

#include <sys/mman.h>
#include <atomic_ops.h>

static AO_t xword;

static void put(AO_t value)
{
	AO_store_release(&xword, value); /* [G1] pairs with take() */
}

static AO_t take(void)
{
	AO_t old;

	do {
		old = AO_load(&xword); /* re-checked by the CAS */
		/*
		 * [G1] pairs with put()
		 */
	} while (!AO_compare_and_swap_acquire(&xword, old,
					      0));
	return old;
}

static void drop(void)
{
	/* [G2] pairs with itself: every thread that drops */
	if (AO_fetch_and_sub1_full(&xword) == 1)
		puts("AO_load_full");
}

static void sleep_on(void)
{
	/* [G3] pairs with the system call in wake() */
	if (AO_load_acquire(&xword))
		return;
	/* [G3] pairs with sleep_on() */
	futex();
}
""",
    "core/include/rota/good.h": SPDX + """\
/*
 * rota/good.h - public
 */
#include <stdint.h>
#include <rota/base.h>
#ifdef __cplusplus
#include <type_traits>
#endif
""",
    "meson.build": "# SPDX-License-Identifier: MIT\n",
    "tests/run": "#!/bin/sh\n# SPDX-License-Identifier: MIT\n",
}

HEAD = SPDX + """\
/*
 * bad - an example
 */
"""
ORDERINGS = SPDX + """\
/*
 * bad - an example
 *
 * Orderings:  [B1] here -> there
 */
"""
PAIR = """\
void other(void)
{
	AO_store_release(&xword, 1); /* [B1] pairs with it() */
}
"""
LONG = "void f(void)\n{\n" + "\tg();\n" * 61 + "}\n"


def one(path, text, *expected):
    return {path: text}, expected


# check -> cases. Line numbers count from HEAD's five lines and so on.
CASES = {
    "layers": [
        one("sched/bad.c", '#include "mailbox/mailbox.h"\n', (1, "mailbox/")),
        one("sched/bad.h", '#include "core/actor.h"\n', (1, "core/actor.h")),
        one("sched/bad.c", "#include <rota/base.h>\n", (1, "rota/base.h")),
        one("sched/bad.c", "#include <jansson.h>\n", (1, "jansson.h")),
        one("sched/bad.c", '#include "../core/actor.h"\n', (1, "../core")),
        one("mailbox/bad.c", ' # include "core/actor.h"\n', (1, "core/")),
        one("mailbox/bad.c", "#include <hwloc.h>\n", (1, "hwloc.h")),
        one("mailbox/bad.c", "#include <rota/actor.h>\n", (1, "rota/")),
        one("core/bad.c", '#include "tests/check.h"\n', (1, "tests/")),
        one("core/include/rota/bad.h", '#include "sched/wait.h"\n',
            (1, "public")),
        one("core/include/rota/bad.h", "#include <atomic_ops.h>\n",
            (1, "public")),
        one("tests/examples/bad.c", '#include "core/actor.h"\n', (1, "core/")),
        one("perf/wordcount/bad.c", "#include <atomic_ops.h>\n",
            (1, "atomic_ops.h")),
    ],
    "atomics": [
        one("sched/bad.c", "#include <stdatomic.h>\n", (1, "stdatomic.h")),
        one("tests/bad.c", "#include <atomic_ops_stack.h>\n", (1, "GPL")),
        one("core/bad.c", "#include <atomic_ops_malloc.h>\n", (1, "GPL")),
        one("sched/bad.c", "_Atomic int x;\n", (1, "_Atomic")),
        one("perf/bad.c", "\n__atomic_load_n(&x, 5);\n", (2, "__atomic")),
        one("sched/bad.c", "__sync_synchronize();\n", (1, "__sync")),
        one("sched/bad.c", "atomic_thread_fence(x);\n", (1, "stdatomic")),
        *[one("sched/bad.c", f"/* [B1] */ {name}(&x);\n", (1, name))
          for name in ("AO_nop_full", "AO_nop", "AO_load_full", "AO_load_read",
                       "AO_store_write", "AO_store_full",
                       "AO_load_dd_acquire_read", "AO_int_load_full",
                       "AO_compare_and_swap_release_write",
                       "AO_compare_double_and_swap_double_full",
                       "AO_double_load", "AO_or", "AO_fetch_and_add_read",
                       "AO_compiler_barrier")],
        one("sched/bad.c", "#define AO_DISABLE_GCC_ATOMICS\n",
            (1, "AO_DISABLE_GCC_ATOMICS")),
        one("sched/monitor.c", "AO_compiler_barrier();\n"),
    ],
    "labels": [
        # No label at all, in every form an operation may take.
        *[one("sched/bad.c", HEAD + f"void f(void)\n{{\n\t{text};\n}}\n",
              (7, text.split("(")[0]))
          for text in ("AO_store_release(&x, 1)",
                       "AO_int_load_acquire(&x)",
                       "AO_compare_and_swap_full(&x, 1, 2)",
                       "AO_fetch_compare_and_swap_release(&x, 1, 2)",
                       "AO_fetch_and_add1_acquire(&x)",
                       "AO_test_and_set_acquire(&x)",
                       "AO_CLEAR(&x)")],
        # A comment without a label, a label on another statement.
        one("core/bad.c", ORDERINGS + PAIR + """\
void it(void)
{
	/* [B1] pairs with other() */
	x = 1;
	AO_load_acquire(&xword); /* an explanation */
}
""", (15, "no label")),
        one("mailbox/bad.c", ORDERINGS + PAIR, (9, "no partner")),
        one("mailbox/bad.c", HEAD + """\
void f(void)
{
	AO_load_acquire(&x); /* [B1] pairs with g() */
	AO_store_release(&x, 1); /* [B1] pairs with f() */
}
""", (7, "in no file's Orderings")),
        one("sched/bad.c", ORDERINGS, (5, "at no operation")),
        ({"sched/bad.c": ORDERINGS, "sched/worse.c": ORDERINGS + PAIR + PAIR},
         [(5, "is described in sched/bad.c, sched/worse.c")]),
        ({"sched/bad.c": ORDERINGS.replace("here", "see worse.c: here"),
          "sched/worse.c": ORDERINGS + PAIR + PAIR}, []),
        ({"sched/bad.c": ORDERINGS.replace("here", "see good.c: here"),
          "sched/worse.c": ORDERINGS + PAIR + PAIR},
         [(5, "good.c does not describe")]),
        # Only in words elsewhere: not a partner.
        one("sched/bad.c", ORDERINGS + PAIR + "/* see [B1] */\n",
            (9, "no partner")),
        # A macro's body is a statement of its own.
        one("sched/bad.h", ORDERINGS + PAIR + """\
/* [B1] pairs with other() */
int x;
#define TAKE(x) AO_load_acquire(x)
""", (13, "no label")),
    ],
    "relaxed": [
        one("sched/bad.c", HEAD + "\n\n\n\n\nx = AO_load(&x);\n",
            (10, "relaxed")),
        one("core/bad.c", HEAD + "/* why */\n\n\n\nAO_store(&x, 1);\n",
            (9, "relaxed")),
        one("core/bad.c", HEAD + "/* why */\n\n\nAO_store(&x, 1);\n"),
        one("core/bad.c", "/* why */\n" + "f();\n" * 7 + "AO_store(&x, 1);\n"),
        one("core/bad.c", "/* why */\n" + "f();\n" * 8 + "AO_store(&x, 1);\n",
            (10, "relaxed")),
        one("mailbox/bad.c", "f();\n\nif (AO_compare_and_swap(&x,\n 1, 2))\n"
            "g();\n", (3, "relaxed")),
        one("sched/bad.c", "f();\nAO_test_and_set(&x);\n", (2, "relaxed")),
        one("sched/bad.c", "f();\nAO_int_fetch_and_add(&x, 1);\n",
            (2, "relaxed")),
    ],
    "length": [
        one("tests/bad.c", LONG, (2, "61 lines")),
        one("core/bad.c", "/* Short. */\n" + LONG, (3, "61 lines")),
        one("core/bad.c", "/* long because */\n" + LONG),
        one("core/bad.c", LONG.replace("\tg();", "\t/* long because: x */", 1)),
        one("core/bad.c", LONG + "/* long because */\n", (2, "61 lines")),
    ],
    "width": [
        one("core/bad.h", "/*\n * " + "x" * 82 + "\n * x\n */\n",
            (2, "85 columns")),
        one("sched/bad.c", "\t/* " + "x" * 71 + " */\n", (1, "85 columns")),
        one("tests/bad.c", "f(); /* x\n\t" + "x" * 77 + " */\n",
            (2, "88 columns")),
        one("perf/bad.c", 'f("' + "x" * 90 + '");\n'),
        one("tests/bad.c", "/*\n * expect: " + "x" * 90 + "\n * expect-c++: "
            + "x" * 90 + "\n */\n"),
    ],
    "licence": [
        one("sched/bad.c", "/* A file. */\n", (1, "SPDX")),
        one("sched/bad.h", "\n" + SPDX, (1, "SPDX")),
        one("tests/bad.py", '"""x"""\n', (1, "SPDX")),
        one("perf/bad", "#!/bin/sh\n", (1, "SPDX")),
        one(".ci/bad", "true\n", (1, "SPDX")),
        one("perf/meson.build", "x = 1\n", (1, "SPDX")),
    ],
    "title": [
        one("sched/bad.c", SPDX + "/*\n * worse - a file\n */\n", (2, "bad -")),
        one("core/bad.c", SPDX + "#include <stdio.h>\n/*\n * bad - x\n */\n",
            (2, "bad -")),
    ],
    "machine": [
        one("README.md", "cd /" + "home/me/rota\n", (1, "path")),
        one("tests/x.py", "\nopen('/" + "root/x')\n", (2, "path")),
        one(".ci/run", "curl https://deb." + "debian.org/x\n", (1, "host")),
        one("README.md", "tests/root/x and sched/work/y\n"),
    ],
}


def run_case(check, files, expected):
    """What is wrong with the check's verdict on some files."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            path = os.path.join(root, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
        found = list(CHECKS[check](Tree(root)))
    problems = []
    path = next(iter(files), None)
    for line, words in expected:
        hits = [f for f in found
                if f[0] == path and f[1] == line and words in f[2]]
        if not hits:
            problems.append(f"{path}:{line} not reported: {words}")
        for hit in hits:
            found.remove(hit)
    problems += [f"reported without reason: {hit}" for hit in found]
    if problems:
        problems.append("in " + repr(files[path]))
    return problems


def run():
    """(name, problems) of each check: its cases, then the good files."""
    for check in CHECKS:
        problems = [] if check in CASES else ["has no cases"]
        for files, expected in CASES.get(check, ()):
            problems += run_case(check, files, expected)
        problems += run_case(check, GOOD, ())
        yield check, problems
