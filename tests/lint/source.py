# SPDX-License-Identifier: MIT
"""source - C text as the checks want it: code, comments, statements

Not a parser: it knows comments, literals, preprocessor lines and the kernel's
brace style, which clang-format guarantees.
"""

import bisect
import os
import re

FLOORS = ("sched", "mailbox", "core")
FOLDERS = FLOORS + ("tests", "perf")

TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<literal>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""",
    re.DOTALL | re.VERBOSE)

DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.)*", re.MULTILINE | re.DOTALL)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


class Comment:
    def __init__(self, first, last, text):
        self.first, self.last, self.text = first, last, text


class Source:
    """One file. Lines count from 1."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.starts = [0] + [m.end() for m in re.finditer("\n", text)]
        self.comments = []
        self.code = TOKEN.sub(self._strip_comment, text)
        self.bare = TOKEN.sub(lambda m: blank(m[0]), self.code)
        self.edges = self._find_edges()

    def _strip_comment(self, match):
        if not match["comment"]:
            return match[0]
        self.comments.append(Comment(self.line(match.start()),
                                     self.line(match.end() - 1), match[0]))
        return blank(match[0])

    def _find_edges(self):
        """Offsets where a statement may begin or end."""
        edges = {m.start() for m in re.finditer(r"[;{}]", self.bare)}
        for match in DIRECTIVE.finditer(self.bare):
            edges.add(match.start())
            edges.add(match.end())
        return sorted(edges)

    def line(self, offset):
        return bisect.bisect_right(self.starts, offset)

    def statement(self, offset):
        """First and last line of the statement around an offset."""
        i = bisect.bisect_right(self.edges, offset)
        first = self.edges[i - 1] if i else 0
        if i and self.bare[first] in ";{}":
            first += 1
        last = self.edges[i] if i < len(self.edges) else len(self.bare)
        text = self.bare[first:offset]
        first += len(text) - len(text.lstrip())
        return self.line(first), self.line(min(last, len(self.text) - 1))

    def paragraph(self, line):
        """First of the lines without a blank one that end with this line."""
        lines = self.text.split("\n")
        while line > 1 and lines[line - 2].strip():
            line -= 1
        return line

    def comments_in(self, first, last):
        return [c for c in self.comments
                if c.first <= last and c.last >= first]

    def comments_at(self, first, last):
        """Comments on some lines, and those that end right above them."""
        found = self.comments_in(first, last)
        for comment in reversed(self.comments):
            if comment.last == first - 1:
                found.append(comment)
                first = comment.first
        return found

    def header(self):
        """The comments before the first line of code."""
        match = re.search(r"\S", self.code)
        end = self.line(match.start()) if match else len(self.starts)
        return [c for c in self.comments if c.last < end]

    def includes(self):
        """(line, "<" or '"', name) of each #include."""
        return [(self.line(m.start()), m[1], m[2]) for m in re.finditer(
            r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)', self.code,
            re.MULTILINE)]

    def functions(self):
        """(first line of its head, line of {, line of }) of each function."""
        for match in re.finditer(r"^\{", self.bare, re.MULTILINE):
            end = re.compile(r"^\}", re.MULTILINE).search(self.bare,
                                                          match.end())
            if end:
                # One step back: the brace itself is an edge.
                head = self.statement(max(match.start() - 1, 0))[0]
                yield head, self.line(match.start()), self.line(end.start())


class Tree:
    """The files of a checkout. Build folders and .git are not part of it."""

    def __init__(self, root):
        self.root = root
        self.paths = []
        for path, folders, files in os.walk(root):
            folders[:] = sorted(
                f for f in folders
                if f != ".git" and f != "__pycache__"
                and not (path == root and f.startswith("build")))
            here = os.path.relpath(path, root)
            self.paths += [os.path.normpath(os.path.join(here, f))
                           for f in sorted(files) if f != ".git"]
        self.sources = {}

    def read(self, path):
        with open(os.path.join(self.root, path), errors="replace") as file:
            return file.read()

    def source(self, path):
        if path not in self.sources:
            self.sources[path] = Source(path, self.read(path))
        return self.sources[path]

    def c_files(self, *folders):
        """Sources of C in some folders, headers included."""
        for path in self.paths:
            if (path.startswith(tuple(f + os.sep for f in folders or FOLDERS))
                    and path.endswith((".c", ".h"))):
                yield self.source(path)
