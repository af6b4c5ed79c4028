#!/usr/bin/env python3
"""tidy - the rules of the house that a compiler does not check; runs as the test `tidy`.

    tools/tidy.py [ROOT]            print what is wrong, `file:line: what; what instead`; status 1 if anything is
    tools/tidy.py --mend [ROOT]     break the C lines that are too long, and only those, with clang-format
    tools/tidy.py --ratchet [ROOT]  lower tools/long_functions.txt and long_lines.txt to what the code is now

Rules: layers.txt, private headers, banned calls, long functions, long lines, leftovers, READMEs, dead files, paths
of somebody's home. Exceptions and their reasons are in tools/tidy_exceptions.txt; a needless one is told."""
import os
import re
import subprocess
import sys

FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 120

MEMORY = "weir_alloc, weir_try_alloc, weir_free with an account (base/memory.h)"
SEAM = "go through the seams of io/io.h"
# Banned everywhere: they write or read without a bound, or hide an error.
UNSAFE = {
    "strcpy": "weir_arena_text_copy or snprintf", "strcat": "weir_buffer_append_text", "sprintf": "snprintf",
    "vsprintf": "vsnprintf", "gets": "fgets", "atoi": "weir_parse_i64", "atol": "weir_parse_i64",
    "atoll": "weir_parse_i64", "atof": "weir_parse_f64", "strtok": "a loop over weir_bytes",
    "rand": "io_random", "srand": "io_random", "random": "io_random", "drand48": "io_random", "time": "io_wall_ms",
}
# Banned outside src/base, tests included: the budget must know of every byte.
HEAP = {"malloc": MEMORY, "calloc": MEMORY, "realloc": MEMORY, "free": MEMORY, "strdup": "weir_strdup",
        "strndup": "weir_strdup", "asprintf": "weir_arena_format", "vasprintf": "weir_arena_format"}
# Banned outside src/io/real: the world is behind the seams. Tests may hold threads and files of their own.
WORLD = {name: SEAM for name in (
    "clock_gettime", "gettimeofday", "nanosleep", "usleep", "sleep", "pthread_create", "thrd_create", "open",
    "openat", "fopen", "pread", "preadv", "preadv2", "pwrite", "pwritev", "fsync", "fdatasync", "ftruncate", "rename",
    "unlink", "socket", "accept", "accept4", "getrandom", "sendfile")}

CODE = (".c", ".h", ".def")
TEXT = CODE + (".py", ".cmake", ".sh", ".txt", ".md", ".json", ".wire", ".y", ".re", ".js", ".html", ".css", ".sql",
               ".yml", ".yaml", ".conf", "Makefile")
LEFTOVER = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")) + r")\b")
HOME_PATH = re.compile(r"(?<![\w.~$}*])/(?:home|work|root|Users)/\w")
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)
CALL = re.compile(r"(?<![\w.>])(" + "|".join({**UNSAFE, **HEAP, **WORLD}) + r")\s*\(")


def blank(match):
    """Comments and literals become blanks of the same shape, so that places stay places."""
    return re.sub(r"[^\n]", " ", match.group())


def line_of(text, at):
    return text.count("\n", 0, at) + 1


class Tidy:
    def __init__(self, root):
        self.root = root
        self.found = []
        self.files = self.list_files()
        self.text = {}
        for path in self.files:
            if path.endswith(TEXT) or self.is_script(path):
                with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
                    self.text[path] = file.read()
        self.code = {path: TOKEN.sub(blank, text) for path, text in self.text.items() if path.endswith(CODE)}
        self.layers = self.read_layers()
        self.exceptions = self.read_exceptions()
        self.long_functions = {}
        self.long_lines = {}

    def list_files(self):
        git = subprocess.run(["git", "-C", self.root, "ls-files", "-co", "--exclude-standard"], capture_output=True,
                             text=True, check=False)
        if git.returncode == 0 and os.path.exists(os.path.join(self.root, ".git")):
            return sorted(p for p in set(git.stdout.splitlines()) if os.path.isfile(os.path.join(self.root, p)))
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [f for f in folders if f not in ("build", ".git", "node_modules", "__pycache__")]
            found += [os.path.relpath(os.path.join(folder, name), self.root) for name in names]
        return sorted(found)

    def is_script(self, path):
        if "." in os.path.basename(path):
            return False
        with open(os.path.join(self.root, path), "rb") as file:
            return file.read(2) == b"#!"

    def tell(self, path, line, what):
        self.found.append((path, line, what))

    def read_lines(self, path):
        """(line number, text without its comment) of a list file."""
        for number, line in enumerate(self.text.get(path, "").splitlines(), 1):
            line = line.split("#")[0].strip()
            if line:
                yield number, line

    def read_layers(self):
        layers = {}
        for number, line in self.read_lines("layers.txt"):
            if ":" not in line:
                self.tell("layers.txt", number, "no module; write `module: allowed ... | tests: more ...`")
                continue
            module, rest = line.split(":", 1)
            allowed, _, tests = rest.partition("| tests:")
            layers[module.strip()] = (set(allowed.split()), set(tests.split()))
        return layers

    def read_exceptions(self):
        exceptions = {}
        path = "tools/tidy_exceptions.txt"
        for number, line in enumerate(self.text.get(path, "").splitlines(), 1):
            entry, _, why = line.partition("#")
            if not entry.strip():
                continue
            if len(entry.split()) != 2 or not why.strip():
                self.tell(path, number, "no exception; write `file call  # reason`")
                continue
            exceptions[tuple(entry.split())] = [number, False]
        return exceptions

    def excepted(self, path, name):
        entry = self.exceptions.get((path, name))
        if entry:
            entry[1] = True
        return entry is not None

    def module_of(self, path):
        """The longest module of layers.txt that a path below src/ lies in, or None."""
        parts = path.split("/")
        for length in range(len(parts) - 1, 0, -1):
            if "/".join(parts[:length]) in self.layers:
                return "/".join(parts[:length])
        return None

    # ---- rules -------------------------------------------------------------------------------------------------------

    def check_includes(self, path):
        own = self.module_of(path[4:])
        if own is None:
            self.tell(path, 1, "is in no module of layers.txt; add a line there and to src/modules.cmake")
            return
        allowed, for_tests = self.layers[own]
        is_test = path.endswith(("_test.c", "_test.h"))
        for match in INCLUDE.finditer(self.text[path]):
            target, line = match.group(1), line_of(self.text[path], match.start(1))
            if "/" not in target:
                self.tell(path, line, f'#include "{target}"; write its path from src/')
                continue
            if target.endswith("_int.h") and os.path.dirname(target) != os.path.dirname(path[4:]):
                self.tell(path, line, f'"{target}" is private to its folder; use the public header')
            module = self.module_of(target)
            if module in (None, own, "base") or module in allowed or (is_test and module in for_tests):
                continue
            self.tell(path, line, f"{own} may not include {module}; hand in a small vtable from above, or change "
                                  "layers.txt with a reason")

    def check_calls(self, path):
        is_test = path.endswith(("_test.c", "_test.h"))
        for match in CALL.finditer(self.code[path]):
            name = match.group(1)
            start = self.code[path].rfind("\n", 0, match.start()) + 1
            if self.code[path][start:match.start()].lstrip().startswith("#"):
                continue
            if name in UNSAFE:
                instead = UNSAFE[name]
            elif name in HEAP:
                instead = None if path.startswith("src/base/") else HEAP[name]
            else:
                instead = None if is_test or path.startswith("src/io/real/") else WORLD[name]
            if instead and not self.excepted(path, name):
                self.tell(path, line_of(self.code[path], match.start()), f"{name}() is banned here; {instead}")

    def functions_of(self, path):
        """(name, first line, lines) of each function: a block at the outermost level behind a closing parenthesis."""
        code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", blank, self.code[path], flags=re.M)
        depth, start, head = 0, 0, 0
        for at, c in enumerate(code):
            if c == "{":
                if depth == 0:
                    start = at
                depth += 1
            elif c == "}":
                depth = max(0, depth - 1)
                if depth == 0:
                    before = code[head:start].strip()
                    name = re.search(r"(\w+)\s*\(", before)
                    if before.endswith(")") and name and "=" not in before:
                        first = line_of(code, head + len(code[head:start]) - len(code[head:start].lstrip()))
                        yield name.group(1), first, line_of(code, at) - first + 1
                    head = at + 1
            elif c == ";" and depth == 0:
                head = at + 1

    def check_functions(self, known):
        path_of_list = "tools/long_functions.txt"
        for path in self.code:
            for name, line, lines in self.functions_of(path):
                if lines <= FUNCTION_LINES_MAX:
                    continue
                self.long_functions[path, name] = lines
                limit = known.get((path, name), (FUNCTION_LINES_MAX, 0))[0]
                if lines > limit:
                    self.tell(path, line, f"{name}() has {lines} lines, allowed {limit}; the parent owns the branches, "
                                          "move loops into leaves")
        for (path, name), (limit, number) in known.items():
            if self.long_functions.get((path, name), 0) < limit:
                self.tell(path_of_list, number, f"{name}() of {path} is shorter now; run tools/tidy.py --ratchet")

    def check_columns(self, known):
        for path, text in self.text.items():
            if not (path.endswith(CODE + (".py", ".cmake")) or self.is_script(path)):
                continue
            lines = [n for n, line in enumerate(text.splitlines(), 1) if len(line) > COLUMNS_MAX]
            if lines:
                self.long_lines[path] = len(lines)
            limit = known.get(path, (0, 0))[0]
            if len(lines) > limit:
                for line in lines if limit == 0 else lines[:1]:
                    more = f" ({len(lines)} such lines, allowed {limit})" if limit else ""
                    self.tell(path, line, f"more than {COLUMNS_MAX} columns{more}; break it (tools/tidy.py --mend)")

    def check_leftovers(self):
        for path, text in self.text.items():
            for number, line in enumerate(text.splitlines(), 1):
                if LEFTOVER.search(line) and not self.excepted(path, "leftover"):
                    self.tell(path, number, "a leftover; do it, or leave it out and say so in the module's README")
                if HOME_PATH.search(line) and not self.excepted(path, "path"):
                    self.tell(path, number, "a path of one machine; make it relative or ask the environment")

    def check_modules(self):
        cmake = "\n".join(t for p, t in self.text.items() if p.endswith((".cmake", "CMakeLists.txt")))
        modules = set(re.findall(r"^\s*weir_module\(\s*(\S+?)[\s)]", cmake, re.M))
        for module in self.layers:
            built = any(os.path.dirname(p) == f"src/{module}" and p.endswith(".c") for p in self.files)
            if built and f"src/{module}/README.md" not in self.files:
                self.tell(f"src/{module}/README.md", 1, "is missing; one screen: purpose, map, never, test, start")
        included = {}
        for path, text in self.text.items():
            for target in INCLUDE.findall(text) if path.endswith(CODE + (".y", ".re", ".py")) else ():
                included.setdefault(os.path.basename(target), set()).add(path)
        for path in self.code:
            if path.startswith("src/") and path.endswith(".c"):
                folder = os.path.dirname(path)[4:]
                if folder not in modules and f"src/{folder}/" not in cmake and path not in cmake:
                    self.tell(path, 1, f"nobody builds this; weir_module({folder} ...) in src/modules.cmake")
            if path.endswith((".h", ".def")) and path.startswith("src/"):
                module = self.module_of(path[4:])
                planned = not any(p.startswith(f"src/{module}/") and p.endswith(".c") for p in self.files)
                if not planned and not included.get(os.path.basename(path), set()) - {path}:
                    self.tell(path, 1, "nobody includes this; remove it or use it")

    def read_ratchet(self, path, keys):
        known = {}
        for number, line in self.read_lines(path):
            parts = line.split()
            if len(parts) != keys + 1 or not parts[-1].isdigit():
                self.tell(path, number, "no entry; write `file " + ("function lines`" if keys == 2 else "lines`"))
                continue
            known[parts[0] if keys == 1 else tuple(parts[:keys])] = (int(parts[-1]), number)
        return known

    def run(self):
        for path in self.code:
            if path.startswith("src/"):
                self.check_includes(path)
                self.check_calls(path)
        functions = self.read_ratchet("tools/long_functions.txt", 2)
        lines = self.read_ratchet("tools/long_lines.txt", 1)
        self.check_functions(functions)
        self.check_columns(lines)
        self.check_leftovers()
        self.check_modules()
        for (path, name), (number, used) in self.exceptions.items():
            if not used:
                self.tell("tools/tidy_exceptions.txt", number, f"{path} needs no `{name}` any more; remove the line")
        return functions, lines


def ratchet(tidy, functions, lines):
    """Lowers what is listed; never adds. A new long function is entered by hand, with its reason behind a #."""
    for path, known, now in (("tools/long_functions.txt", functions, tidy.long_functions),
                             ("tools/long_lines.txt", lines, tidy.long_lines)):
        kept = []
        for number, line in enumerate(tidy.text.get(path, "").splitlines(), 1):
            key = next((k for k, (_, n) in known.items() if n == number), None)
            if key is None:
                kept.append(line)
            elif now.get(key):
                kept.append(re.sub(r"\d+(\s*(#.*)?)$", str(min(known[key][0], now[key])) + r"\1", line))
        with open(os.path.join(tidy.root, path), "w", encoding="utf-8") as file:
            file.write("\n".join(kept) + "\n")


def mend(tidy):
    """Reformats the long lines of C code where they are, after shortening rulers (`---- name ------`)."""
    for path in tidy.long_lines:
        if not path.endswith((".c", ".h")):
            continue
        lines = [re.sub(r"-{4,} \*/$", lambda ruler, over=len(line) - COLUMNS_MAX: "-" * max(
            4, len(ruler.group()) - 3 - over) + " */", line) if len(line) > COLUMNS_MAX else line
                 for line in tidy.text[path].split("\n")]
        with open(os.path.join(tidy.root, path), "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        long = [f"--lines={n}:{n}" for n, line in enumerate(lines, 1) if len(line) > COLUMNS_MAX]
        if long:
            subprocess.run(["clang-format", "-i", *long, path], cwd=tidy.root, check=True)


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    root = arguments[0] if arguments else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    tidy = Tidy(os.path.abspath(root))
    functions, lines = tidy.run()
    if "--mend" in sys.argv:
        mend(tidy)
        return 0
    if "--ratchet" in sys.argv:
        ratchet(tidy, functions, lines)
        return 0
    for path, line, what in sorted(tidy.found):
        print(f"{path}:{line}: {what}")
    print(f"tidy: {len(tidy.text)} files, " + (f"{len(tidy.found)} to mend" if tidy.found else "nothing to mend"))
    return 1 if tidy.found else 0


if __name__ == "__main__":
    sys.exit(main())
