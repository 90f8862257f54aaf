# SPDX-License-Identifier: MIT
"""suites - builds each configuration, runs the suites on it, counts tests

Called by tests/run. A suite is a list of steps: Meson suites in configurations,
and scripts. What failed is printed in full, the rest is one line.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
JOBS = len(os.sched_getaffinity(0))

SANITIZER_ENV = {
    # A test that expects a fault must get the signal itself.
    "ASAN_OPTIONS": "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:"
                    "strict_string_checks=1:detect_leaks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:"
                    "halt_on_error=1:second_deadlock_stack=1",
}


class Config:
    """A build folder: compiler, Meson options; and how its tests are run."""

    def __init__(self, compiler, *options, chains="yes", stress=100,
                 patience=1, build=None):
        self.build = build          # whose build folder, if not its own
        self.compiler = compiler
        self.options = ["-Db_colorout=auto", *options]
        self.chains = chains        # $ROTA_CHAINS, both are to be seen
        self.stress = stress        # percent of $ROTA_STRESS
        self.patience = patience    # factor of all time-outs


# What a report shows of the program is lines, and no more is written down.
LINES = ("-Ddebug=false", "-Dc_args=-g1")
ASAN = (*LINES, "-Doptimization=1", "-Db_lundef=false",
        "-Db_sanitize=address,undefined")
TSAN = (*LINES, "-Doptimization=1", "-Db_lundef=false",
        "-Db_sanitize=thread")


def linked(*flags):
    """How a hundred and fifty programs are linked. Of the two linkers of
    binutils gold, where it is, takes half the time."""
    if shutil.which("ld.gold"):
        flags = ("-fuse-ld=gold", *flags)
    return f"-Dc_link_args={' '.join(flags)}"


# Beside each other gcc's shared runtimes have 12 MB of zeroes, in all of which
# each test looks for what leads to its blocks.
STATIC = ("-static-libasan", "-static-libubsan")

CONFIGS = {
    "debug": Config("gcc", linked(), stress=45),
    "unchained": Config("gcc", chains="no", stress=75, build="debug"),
    "asan-gcc": Config("gcc", *ASAN, linked(*STATIC), chains="no", stress=9,
                       patience=2),
    "asan-clang": Config("clang", *ASAN, linked(), stress=33, patience=2),
    # The same races are looked for twice, and gcc's runtime is the slower one.
    "tsan-gcc": Config("gcc", *TSAN, linked(), chains="no", stress=2,
                       patience=4),
    "tsan-clang": Config("clang", *TSAN, linked(), stress=3, patience=4),
    "aarch64": Config("cross", chains="no", stress=10, patience=10),
}

# The run of all suites is to take a quarter of an hour on two processors. What
# looks once more for what a step before it finds is left to the suite "rest";
# so is what a script says of itself when told so. A suite that is named is run
# whole.
FIRST, REST, BOTH = "first", "rest", "both"

SUITES = {
    "lint": [("script", "tests/lint/lint.py", FIRST),
             ("sources", "debug", FIRST)],
    "unit": [("debug", "unit", FIRST)],
    "api": [("script", "tests/api/run", BOTH)],
    "examples": [("debug", "examples", FIRST), ("debug", "perf", FIRST)],
    "stress": [("debug", "stress", FIRST), ("unchained", "stress", REST)],
    "asan": [("asan-gcc", "unit", BOTH), ("asan-gcc", "stress", FIRST),
             ("asan-clang", "unit", REST), ("asan-clang", "stress", REST)],
    # What gcc's finds in the unit tests clang's does, three times as fast.
    "tsan": [("tsan-clang", "unit", BOTH), ("tsan-clang", "stress", FIRST),
             ("tsan-gcc", "stress", REST)],
    "aarch64": [("debug" if os.uname().machine == "aarch64" else "aarch64",
                 "unit", BOTH)],
}

# What an engine does, on top of memory, words, queues, stacks and waits.
ON_TOP = set("""
    abandon abandon_process allocator asking blocking closure cycle
    cycle_forks cycle_reads deadline deadlock exits fairness flush here id
    join limit order overflow own pause place process protocol quiesce
    quota reads receive reply roam room spawn status stop stuck
    thread_names workers""".split())

# Of a step that belongs to both parts, what is left to the rest. An emulator
# looks for what is wrong with assembly, with atomics and with sizes. What stands
# upon that alone uses its memory where ThreadSanitizer looks as well, and with
# one thread that finds nothing.
LATER = {
    ("aarch64", "unit"): ON_TOP,
    ("asan-gcc", "unit"): ON_TOP,
    ("tsan-clang", "unit"): set("""
        arrange cgroup chance chart check context id_bits lane memory message
        options_copy queue sift spill steal strerror version""".split()),
}

# Per build: what is wanted() of it, for whose sake it is made. None in their
# place: all that there is. Filled by plan().
NEEDS = {name: [] for name in CONFIGS}


def wanted(test, step):
    """Whether a test, (Meson suites, name), belongs to a step: (configuration,
    Meson suite, program if only that, part)."""
    config, suite, program, part = step
    suites, name = test
    if suite not in suites or program not in ("", name):
        return False
    later = LATER.get((config, suite))
    return not later or part is None or (name in later) == (part == REST)


class Count:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


def say(suite, where, what, start):
    print(f"{suite:9} {where:11} {what:40} {time.monotonic() - start:7.1f} s",
          flush=True)


def show(title, text):
    """What a program said, but for the lines of what passed."""
    lines = [line for line in text.splitlines() if not re.match(r"ok\b", line)]
    print("\n".join([f"---- {title}", *lines, "----"]), flush=True)


def count_results(text):
    """Results in a program's output, and whether it came to its end: a last
    line like ours, or TAP with as many results as it announced."""
    if match := re.search(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$"
                          r"\Z", text, re.MULTILINE):
        return Count(*(int(n or 0) for n in match.groups())), True
    count = Count()
    plan = None
    for line in text.splitlines():
        if match := re.match(r"1\.\.(\d+)", line):
            plan = int(match[1])
        elif re.match(r"not ok\b", line):
            count.failed += 1
        elif re.match(r"ok\b.*# *SKIP", line, re.I):
            count.skipped += 1
        elif re.match(r"ok\b", line):
            count.passed += 1
    total = count.passed + count.failed + count.skipped
    return count, plan is not None and plan == total


# ---- building


def list_sources():
    """What decides whether Meson has to look again."""
    found = []
    for folder in ("sched", "mailbox", "core", "tests", "perf"):
        for path, folders, files in os.walk(os.path.join(ROOT, folder)):
            folders.sort()
            found += [os.path.join(os.path.relpath(path, ROOT), file)
                      for file in sorted(files)
                      if file.endswith((".c", ".h", ".S", ".cpp"))]
    return found


def run_logged(command, log, **options):
    with open(log, "a") as output:
        print("+", *command, file=output, flush=True)
        return subprocess.run(command, stdout=output, stdin=subprocess.DEVNULL,
                              stderr=subprocess.STDOUT, **options).returncode


def configure(name, config, folder, log):
    """Meson anew if options changed, again if a source came or went."""
    options = [config.compiler, *config.options]
    env = dict(os.environ)
    if config.compiler == "cross":
        with open(log, "a") as output:
            cross = subprocess.run(
                [os.path.join(ROOT, "tests/aarch64"), BUILD], check=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=output, text=True).stdout.strip()
        options += ["--cross-file", cross]
    else:
        env["CC"] = config.compiler
        env["CXX"] = {"gcc": "g++", "clang": "clang++"}[config.compiler]
    stamp = os.path.join(folder, "rota-stamp.json")
    now = {"options": options, "sources": list_sources()}
    try:
        with open(stamp) as file:
            before = json.load(file)
    except (OSError, ValueError):
        before = {}
    if before == now:
        return True
    if before.get("options") != options:
        shutil.rmtree(folder, ignore_errors=True)
        command = ["meson", "setup", folder, ROOT, *options[1:]]
    else:
        command = ["meson", "setup", "--reconfigure", folder, ROOT]
    if run_logged(command, log, env=env) != 0:
        return False
    with open(stamp, "w") as file:
        json.dump(now, file)
    return True


def read_info(folder, what):
    with open(os.path.join(folder, "meson-info", f"intro-{what}.json")) as file:
        return json.load(file)


def tests_of(folder, step):
    """What Meson knows of the tests of a step."""
    return [test for test in read_info(folder, "tests")
            if wanted(({suite.rpartition(":")[2] for suite in test["suite"]},
                       test["name"]), step)]


def targets(name, folder):
    """What ninja is to make: what the tests that are wanted of this build need,
    or, if more than tests is wanted, all."""
    if None in NEEDS[name]:
        return []
    files = {target["id"]: target["filename"]
             for target in read_info(folder, "targets")}
    found = set()
    for step in NEEDS[name]:
        for test in tests_of(folder, step):
            found.update(os.path.relpath(path, folder)
                         for target in test["depends"] for path in files[target])
    # A program of that name may be in another suite only.
    return sorted(found) or ["build.ninja"]


def build(suite, name, built={}):
    """True if build/NAME is up to date. Tried once per run."""
    if name in built:
        return built[name]
    start = time.monotonic()
    folder = os.path.join(BUILD, name)
    os.makedirs(BUILD, exist_ok=True)
    log = os.path.join(BUILD, name + ".log")
    open(log, "w").close()
    try:
        built[name] = (configure(name, CONFIGS[name], folder, log) and
                       run_logged(["ninja", "-C", folder, f"-j{JOBS}",
                                   *targets(name, folder)], log) == 0)
    except subprocess.CalledProcessError:
        built[name] = False
    say(suite, name, "built" if built[name] else "BUILD FAILED", start)
    if not built[name]:
        with open(log) as file:
            lines = file.read().splitlines()
        first = next((i for i, line in enumerate(lines)
                      if re.search(r"FAILED:|ERROR:|error:", line)), 0)
        show(f"{log}, from the first error",
             "\n".join(lines[first:first + 60]))
    return built[name]


# ---- running


def environment(config):
    env = dict(os.environ)
    for name, value in SANITIZER_ENV.items():
        env[name] = value + (":" + env[name] if name in env else "")
    stress = float(env.get("ROTA_STRESS", "100"))
    patience = float(env.get("ROTA_TIMEOUT_SCALE", "1"))
    env["ROTA_CHAINS"] = config.chains
    env["ROTA_STRESS"] = f"{stress * config.stress / 100:g}"
    env["ROTA_TIMEOUT_SCALE"] = f"{patience * config.patience:g}"
    return env


def wrapper(name):
    """TSan of these compilers cannot live with 32 bits of randomness."""
    if not name.startswith("tsan"):
        return []
    try:
        with open("/proc/sys/vm/mmap_rnd_bits") as file:
            if int(file.read()) <= 28:
                return []
    except (OSError, ValueError):
        pass
    command = ["setarch", os.uname().machine, "-R"]
    if subprocess.run([*command, "true"], stderr=subprocess.DEVNULL).returncode:
        return []
    return ["--wrapper", " ".join(command)]


def judge(result, single):
    """The count of one line of Meson's testlog.json."""
    good = result["result"] in ("OK", "SKIP")
    if single:
        if result["result"] == "SKIP":
            return Count(skipped=1)
        return Count(passed=1) if good else Count(failed=1)
    count, complete = count_results(result.get("stdout", ""))
    if count.failed == 0 and not (good and complete):
        count.failed = 1
    return count


def read_results(path):
    try:
        with open(path) as file:
            return [json.loads(line) for line in file]
    except OSError:
        return []


# ---- a second run
#
# A machine that others use as well stops any thread anywhere, for as long as it
# likes, and among nine thousand tests there is always one that had not thought
# of that. With $ROTA_SECOND_RUN, and under an emulator, a program whose tests
# came to their end with an assertion that failed and nothing worse is run
# again, alone. What passes then is shown and listed as shaky, for somebody to
# mend. A sanitizer's report, a crash, a hang, and what comes after MAX_SHAKY
# such programs are failures.

AGAIN = 3
MAX_SHAKY = 3
SHAKY = []
WORSE = re.compile(r"Sanitizer|runtime error:|[Tt]imed out|signal|CRASH|leak",
                   re.MULTILINE)


def said(result):
    return result.get("stdout", "") + result.get("stderr", "")


def may_run_again(config, result):
    """Whether no more than assertions failed, and seldom until now."""
    wanted = os.environ.get("ROTA_SECOND_RUN", "0") != "0"
    return ((wanted or config == "aarch64")
            and len(SHAKY) < MAX_SHAKY
            and result.get("returncode") == 1
            and count_results(result.get("stdout", ""))[1]
            and not WORSE.search(said(result)))


def run_again(command, config, result, log, results):
    """The results of AGAIN runs of one program, alone."""
    again = []
    for _ in range(AGAIN):
        run_logged([*command, result["name"].split(" / ")[-1]], log,
                   env=environment(CONFIGS[config]))
        again += read_results(results) or [result]
    return again


def show_quoted(title, text):
    """So that nobody takes its lines for the run's own."""
    show(title, "\n".join("| " + line for line in text.splitlines()
                          if not re.match(r"ok\b", line)))


def run_meson(suite, step):
    config, meson_suite, program, part = step
    built = CONFIGS[config].build or config
    if not build(suite, built):
        return Count(failed=1)
    start = time.monotonic()
    folder = os.path.join(BUILD, built)
    results = os.path.join(folder, "meson-logs", "testlog.json")
    if os.path.exists(results):
        os.remove(results)
    command = ["meson", "test", "-C", folder, "--no-rebuild",
               "--suite", meson_suite,
               # An emulator wants both processors for one program.
               "--num-processes", str(1 if config == "aarch64" else JOBS),
               "--timeout-multiplier", str(CONFIGS[config].patience),
               *wrapper(config)]
    programs = []
    if program:
        programs = [program]
    elif part and (config, meson_suite) in LATER:
        programs = [test["name"] for test in tests_of(folder, step)]
    log = os.path.join(BUILD, built + ".log")
    run_logged([*command, *programs], log, env=environment(CONFIGS[config]))
    count = Count()
    lines = read_results(results)
    for result in lines:
        one = judge(result, meson_suite == "examples")
        if one.failed and not program and may_run_again(config, result):
            again = run_again(command, config, result, log, results)
            if all(judge(each, False).failed == 0 for each in again):
                SHAKY.append(f"{config} {meson_suite}: {result['name']}")
                show_quoted(f"{SHAKY[-1]} failed, then passed "
                            f"{AGAIN} times alone", said(result))
                result, one = again[-1], judge(again[-1], False)
        count.add(one)
        if one.failed:
            show(f"{config} {result['name']}: {result['result']}",
                 said(result))
    if not lines and not program:
        show(f"{config} {meson_suite}", f"nothing was run, see {log}")
        count.failed += 1
    say(suite, f"{config}", f"{meson_suite}: {count}", start)
    return count


def run_script(suite, script, program, part):
    start = time.monotonic()
    command = [sys.executable, os.path.join(ROOT, script)]
    if not os.path.exists(command[1]):
        say(suite, "", f"there is no {script}", start)
        return Count(failed=1)
    if part:
        command.append(f"--part={part}")
    if program:
        command.append(program)
    done = subprocess.run(command, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace")
    count, complete = count_results(done.stdout)
    if count.failed == 0 and (done.returncode or not complete
                              or count.passed == 0):
        count.failed = 1
    if count.failed:
        show(script, done.stdout)
    say(suite, "", str(count), start)
    return count


def run_sources(suite, config):
    """Every source that exists is built by somebody."""
    if not build(suite, config):
        return Count(failed=1)
    start = time.monotonic()
    targets = json.loads(subprocess.run(
        ["meson", "introspect", "--targets", os.path.join(BUILD, config)],
        check=True, stdout=subprocess.PIPE, text=True).stdout)
    known = {os.path.relpath(os.path.realpath(source), os.path.realpath(ROOT))
             for target in targets for group in target["target_sources"]
             for source in group["sources"]}
    lost = [path for path in list_sources() if path.endswith((".c", ".S"))
            and not path.startswith("tests/api/") and path not in known]
    if lost:
        show("no meson.build knows", "\n".join(lost))
    count = Count(failed=1) if lost else Count(passed=1)
    say(suite, config, f"sources: {count}", start)
    return count


def steps(suite, part):
    """What of a suite belongs to a part, all of it if that is None: (kind,
    what, the part of it that is wanted, None if all is)."""
    return [(kind, what, part if where == BOTH else None)
            for kind, what, where in SUITES[suite]
            if part in (None, where) or where == BOTH]


def plan(wanted):
    """Nothing is built that nobody is going to run."""
    for suite, program, part in wanted:
        for kind, what, told in steps(suite, part):
            if kind == "sources":
                NEEDS[what].append(None)
            elif kind != "script":
                NEEDS[CONFIGS[kind].build or kind].append((kind, what, program,
                                                           told))


def run_suite(suite, program, part):
    count = Count()
    for kind, what, told in steps(suite, part):
        if kind == "script":
            count.add(run_script(suite, what, program, told))
        elif kind == "sources":
            count.add(run_sources(suite, what))
        else:
            count.add(run_meson(suite, (kind, what, program, told)))
    return count


def parse(arguments):
    """What is wanted: (suite, program, part)."""
    if not arguments:
        return [(suite, "", FIRST) for suite in SUITES]
    wanted = []
    for argument in arguments:
        suite, _, program = argument.partition(":")
        if argument == REST:
            wanted += [(suite, "", REST) for suite in SUITES
                       if steps(suite, REST)]
        elif suite in SUITES:
            wanted.append((suite, program, None))
        else:
            print(f"tests/run: there is no suite {argument}. See --help.",
                  file=sys.stderr)
            sys.exit(2)
    return wanted


def main():
    wanted = parse(sys.argv[1:])
    plan(wanted)
    total = Count()
    start = time.monotonic()
    for suite, program, part in wanted:
        count = run_suite(suite, program, part)
        if count.passed + count.failed + count.skipped == 0:
            print(f"Nothing was run: there is no {program or 'program'} in "
                  f"{suite}.")
            count.failed = 1
        total.add(count)
    say("these" if sys.argv[1:] else "all", "", "", start)
    for program in SHAKY:
        print(f"shaky: {program}")
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
