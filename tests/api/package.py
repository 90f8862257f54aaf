# SPDX-License-Identifier: MIT
"""package - is what `meson install` leaves behind of use to somebody else?

Cases of tests/api/run. Each compiler, with LTO and without, builds a release,
installs it below build/package and looks at it from outside:

symbols   both libraries export what tests/api/symbols lists, no more, no less
outside/  a C and a C++ program are built with what pkg-config says, with the
          shared and with the static library, and run
man       every installed program has a page that mandoc has nothing against

The same two programs are also built with rota as a Meson subproject of theirs.
"""

import glob
import json
import os
import shlex
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, "build", "package")
OUTSIDE = os.path.join(HERE, "outside")
PROGRAMS = {"c": ("outside.c", ["-std=c11"]),
            "c++": ("outside.cpp", ["-std=c++11"])}
TIMEOUT = 600 * float(os.environ.get("ROTA_TIMEOUT_SCALE", "1"))
CXX = {"gcc": "g++", "clang": "clang++"}


class Failure(Exception):
    pass


def run(*argv, **options):
    """What a command prints; if it fails, that is what is wrong."""
    env = {**os.environ, "LC_ALL": "C", **options.pop("env", {})}
    done = subprocess.run(argv, text=True, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, timeout=TIMEOUT, **options)
    if done.returncode:
        lines = done.stdout.splitlines()
        first = next((i for i, line in enumerate(lines) if "FAILED:" in line),
                     max(0, len(lines) - 40))
        raise Failure("\n".join([f"{shlex.join(argv)}: exit status "
                                 f"{done.returncode}",
                                 *lines[first:first + 40]]))
    return done.stdout


def one(pattern):
    found = glob.glob(pattern, recursive=True)
    if len(found) != 1:
        raise Failure(f"{pattern}: there are {len(found)}")
    return found[0]


# ---- building


def set_up(source, folder, compiler, *options):
    """A build folder; anew if the options are not those of last time."""
    stamp = os.path.join(folder, "options.txt")
    now = shlex.join([source, compiler, *options])
    try:
        with open(stamp, encoding="utf-8") as file:
            if file.read() == now:
                return
    except OSError:
        pass
    shutil.rmtree(folder, ignore_errors=True)
    run("meson", "setup", folder, source, "-Dbuildtype=release", *options,
        env={"CC": compiler, "CXX": CXX[compiler]})
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(now)


def targets(folder, tags):
    """What has to be built before it can be installed."""
    # Writes the plan again if a meson.build has changed.
    run("ninja", "-C", folder, "build.ninja")
    with open(os.path.join(folder, "meson-info", "intro-install_plan.json"),
              encoding="utf-8") as file:
        plan = json.load(file)
    return [os.path.relpath(path, folder)
            for section in plan.values() for path, entry in section.items()
            if path.startswith(folder + os.sep) and not path.endswith(".pc")
            and (not tags or entry["tag"] in tags)]


def install(compiler, lto, tags):
    """Builds and installs; returns the prefix."""
    folder = os.path.join(BUILD, compiler + ("-lto" if lto else ""))
    prefix = os.path.join(folder, "prefix")
    set_up(ROOT, folder, compiler, f"-Db_lto={str(lto).lower()}",
           f"--prefix={prefix}")
    run("ninja", "-C", folder, *targets(folder, tags))
    shutil.rmtree(prefix, ignore_errors=True)
    run("meson", "install", "-C", folder, "--no-rebuild",
        *(["--tags", ",".join(tags)] if tags else []))
    return prefix


# ---- looking at it


def announced():
    with open(os.path.join(HERE, "symbols"), encoding="ascii") as file:
        lines = file.read().splitlines()
    names = [line for line in lines if line and not line.startswith("#")]
    if names != sorted(set(names)):
        raise Failure("tests/api/symbols is not sorted, or names one twice")
    return set(names)


def exported(library):
    """The names that a linker sees in it."""
    dynamic = [] if library.endswith(".a") else ["--dynamic"]
    lines = run("nm", "--extern-only", "--defined-only",
                "--format=posix", *dynamic, library).splitlines()
    return {line.split()[0] for line in lines
            if line and not line.endswith(":")}


def check_symbols(library):
    names, wanted = exported(library), announced()
    problems = [f"exports {name}, which tests/api/symbols does not announce"
                for name in sorted(names - wanted)]
    problems += [f"does not export {name}, which tests/api/symbols lists"
                 for name in sorted(wanted - names)]
    if problems:
        raise Failure("\n".join(f"{library} {p}" for p in problems))


def check_libraries(prefix):
    static = one(f"{prefix}/**/librota.a")
    shared = one(f"{prefix}/**/librota.so")
    with open(static, "rb") as file:
        if file.read(8) != b"!<arch>\n":
            raise Failure(f"{static} is no archive that can be moved")
    check_symbols(static)
    check_symbols(shared)
    version = run("pkg-config", "--modversion", "rota",
                  env=paths(prefix)).strip()
    major, minor, _ = version.split(".")
    soname = "librota.so." + (major if major != "0" else f"0.{minor}")
    if f"soname: [{soname}]" not in run("readelf", "--dynamic", shared):
        raise Failure(f"{shared} does not have the soname {soname}")


def paths(prefix):
    return {"PKG_CONFIG_PATH":
            os.path.dirname(one(f"{prefix}/**/rota.pc"))}


def static_flags(prefix):
    """Ours static, the libraries below it shared, as most will want it.

    pkg-config --static is for programs that have no shared library at all.
    """
    folder = os.path.join(prefix, "static")
    os.makedirs(folder, exist_ok=True)
    shutil.copy2(one(f"{prefix}/lib/**/librota.a"), folder)
    below = run("pkg-config", "--print-requires-private", "rota",
                env=paths(prefix)).split()
    if sorted(below) != ["atomic_ops", "hwloc"]:
        raise Failure(f"rota.pc requires {below}")
    # Where no shared one is, the linker takes this.
    return [f"-L{folder}",
            *run("pkg-config", "--cflags", "--libs", "rota", *below,
                 env=paths(prefix)).split()]


def shared_flags(prefix):
    return run("pkg-config", "--cflags", "--libs", "rota",
               env=paths(prefix)).split()


def check_program(prefix, compiler, language, is_static):
    source, options = PROGRAMS[language]
    program = os.path.join(prefix, source + ".out")
    flags = static_flags(prefix) if is_static else shared_flags(prefix)
    run(compiler if language == "c" else CXX[compiler], *options, "-O2",
        "-Wall", "-Wextra", "-Werror", os.path.join(OUTSIDE, source), *flags,
        "-o", program)
    needed = run("readelf", "--dynamic", program)
    if ("[librota.so" in needed) == is_static:
        raise Failure(f"{program} has taken the wrong library")
    library = os.path.dirname(one(f"{prefix}/lib/**/librota.so"))
    said = run(program, env={"LD_LIBRARY_PATH": "" if is_static else library})
    version = run("pkg-config", "--modversion", "rota", env=paths(prefix))
    if said != version:
        raise Failure(f"{program} says {said}, pkg-config {version}")


def check_outside(prefix, compiler):
    """Both programs, with the library beside them and with it inside."""
    for language in PROGRAMS:
        for is_static in (False, True):
            check_program(prefix, compiler, language, is_static)


def check_page(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page],
                          text=True, stdin=subprocess.DEVNULL,
                          capture_output=True, check=False)
    problems = done.stdout + done.stderr
    if problems:
        raise Failure(problems.rstrip())


def check_programs(prefix):
    """What is installed to be run says who it is, and has a page."""
    folder = os.path.join(prefix, "bin")
    programs = sorted(os.listdir(folder) if os.path.exists(folder) else [])
    if programs != ["rota-bench", "rota-micro", "rota-places",
                    "rota-wordcount"]:
        raise Failure(f"the programs in {folder} are {programs}")
    version = run("pkg-config", "--modversion", "rota", env=paths(prefix))
    for name in programs:
        said = run(os.path.join(prefix, "bin", name), "--version")
        if said != f"{name} {version}":
            raise Failure(f"{name} --version says {said}")
        if not shutil.which("help2man"):
            raise Failure("man pages need help2man, which is not installed")
        check_page(one(f"{prefix}/share/man/man1/{name}.1"))


# ---- the cases


def check_install(compiler, lto, tags):
    prefix = install(compiler, lto, tags)
    check_libraries(prefix)
    check_outside(prefix, compiler)
    if not tags:
        check_programs(prefix)


def check_subproject(compiler):
    """A project of somebody's, rota below its subprojects/."""
    project = os.path.join(BUILD, "subproject")
    rota = os.path.join(project, "subprojects", "rota")
    shutil.rmtree(project, ignore_errors=True)
    # Times are kept: what did not change is not built again.
    shutil.copytree(OUTSIDE, project)
    for folder in ("sched", "mailbox", "core"):
        shutil.copytree(os.path.join(ROOT, folder), os.path.join(rota, folder))
    shutil.copy2(os.path.join(ROOT, "meson.build"), rota)
    folder = os.path.join(BUILD, "subproject-" + compiler)
    # How well it is optimised is seen in the packages.
    set_up(project, folder, compiler, "--force-fallback-for=rota",
           "-Doptimization=0")
    run("ninja", "-C", folder)
    run("meson", "test", "-C", folder, "--no-rebuild")
    check_symbols(one(f"{folder}/**/librota.a"))


def quietly(check, *arguments):
    try:
        check(*arguments)
    except (Failure, OSError, subprocess.TimeoutExpired) as failure:
        return str(failure)
    return None


def cases(compilers, part):
    """(name, function that returns None or what is wrong) of each case of a
    part, of all if that is None."""
    found = []
    for compiler in compilers:
        for lto in (False, True):
            # All that is installed once, the libraries in all variants.
            is_first = compiler == "gcc" and not lto
            tags = [] if is_first else ["devel", "runtime"]
            if part in (None, "first" if is_first else "rest"):
                found.append((f"package {compiler}{' lto' if lto else ''}",
                              lambda c=compiler, l=lto, t=tags:
                              quietly(check_install, c, l, t)))
    if "gcc" in compilers and part != "first":
        found.append(("package as a subproject",
                      lambda: quietly(check_subproject, "gcc")))
    return found
