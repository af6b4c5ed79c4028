#!/usr/bin/env python3
"""Goal: each rule of tidy.py finds what it forbids and nothing else.
Method: a small tidy tree is made for every case, one thing in it is changed, and what tidy tells is compared."""
import importlib.util
import os
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("tidy", os.path.join(HERE, "tidy.py"))
tidy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tidy)

TREE = {
    "layers.txt": "base:\nio: base\nio/real: io\nlog: io | tests: io/real\n",
    "src/modules.cmake": "weir_module(base)\nweir_module(io USES base)\nweir_module(io/real)\nweir_module(log)\n",
    "src/base/README.md": "base\n", "src/io/README.md": "io\n", "src/io/real/README.md": "real\n",
    "src/log/README.md": "log\n",
    "src/base/text.h": "int text(void);\n",
    "src/base/text.c": '#include "base/text.h"\nint text(void) {\n    return 1;\n}\n',
    "src/io/io.h": "int io(void);\n", "src/io/io.c": '#include "io/io.h"\n#include "base/text.h"\n',
    "src/io/real/real_int.h": "int real(void);\n",
    "src/io/real/real.c": '#include "io/real/real_int.h"\n#include "io/io.h"\n',
    "src/io/real/other.c": '#include "io/real/real_int.h"\nvoid f(void) {\n    open("x");\n}\n',
    "src/log/log.c": '#include "io/io.h"\n',
    "src/log/log_test.c": '#include "io/io.h"\nvoid f(void) {\n    pthread_create(1);\n}\n',
}


def function_of(lines, name="long_one"):
    return f"int {name}(int a) {{\n" + "    a++;\n" * (lines - 2) + "}\n"


class Rules(unittest.TestCase):
    def told(self, **changes):
        """What tidy tells of the tree with these files added or replaced; keys are given as PATH with __ for /."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**TREE, **changes.get("files", {})}.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)) or root, exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            for path in changes.get("without", ()):
                os.remove(os.path.join(root, path))
            found = tidy.Tidy(root)
            known = found.run()
            if changes.get("ratchet"):
                tidy.ratchet(found, *known)
                with open(os.path.join(root, "tools/long_functions.txt"), encoding="utf-8") as file:
                    return file.read()
            return sorted(found.found)

    def tell_one(self, path, line, words, **changes):
        told = self.told(**changes)
        self.assertEqual([(p, n) for p, n, _ in told], [(path, line)], told)
        self.assertIn(words, told[0][2])

    def test_the_tidy_tree_is_tidy(self):
        self.assertEqual(self.told(), [])

    def test_an_include_against_the_layers(self):
        self.tell_one("src/io/io.c", 2, "io may not include log",
                      files={"src/io/io.c": '#include "io/io.h"\n#include "log/log.h"\n', "src/log/log.h": "",
                             "src/log/log.c": '#include "log/log.h"\n'})

    def test_only_tests_include_what_only_tests_may(self):
        include = '#include "io/io.h"\n#include "io/real/world.h"\n'
        world = {"src/io/real/world.h": "", "src/io/real/world.c": '#include "io/real/world.h"\n'}
        self.assertEqual(self.told(files={"src/log/log_test.c": include, **world}), [])
        self.tell_one("src/log/log.c", 2, "log may not include io/real", files={"src/log/log.c": include, **world})

    def test_a_private_header_stays_in_its_folder(self):
        self.tell_one("src/log/log_test.c", 1, "private to its folder",
                      files={"src/log/log_test.c": '#include "io/real/real_int.h"\n'})

    def test_an_include_without_its_folder(self):
        self.tell_one("src/io/io.c", 2, "from src/", files={"src/io/io.c": '#include "io/io.h"\n#include "io.h"\n'})

    def test_banned_calls_are_told_with_their_replacement(self):
        for call, words in (("strcpy(a, b)", "weir_arena_text_copy"), ("x = atoi(a)", "weir_parse_i64"),
                            ("free(a)", "weir_free"), ("fsync(1)", "io/io.h"), ("time(NULL)", "io_wall_ms")):
            self.tell_one("src/log/log.c", 3, words,
                          files={"src/log/log.c": '#include "io/io.h"\nvoid f(void) {\n    ' + call + ";\n}\n"})

    def test_what_only_looks_like_a_banned_call(self):
        body = ("/* strcpy(a, b) */\nvoid f(files *x) {\n    x->open(x);\n    x.time(1);\n    my_free(x);\n"
                '    say("atoi(1)"); // rand()\n}\nint (*open)(void);\n#define pause_time(x) x\n')
        self.assertEqual(self.told(files={"src/log/log.c": body}), [])

    def test_tests_may_hold_threads_but_not_the_heap(self):
        self.tell_one("src/log/log_test.c", 2, "weir_free",
                      files={"src/log/log_test.c": "void f(void) {\n    free(0); pthread_create(1);\n}\n"})

    def test_an_exception_holds_and_a_needless_one_is_told(self):
        call = {"src/log/log.c": "void f(void) {\n    fsync(1);\n}\n"}
        exception = {"tools/tidy_exceptions.txt": "# list\nsrc/log/log.c fsync  # because\n"}
        self.assertEqual(self.told(files={**call, **exception}), [])
        self.tell_one("tools/tidy_exceptions.txt", 2, "needs no `fsync`", files=exception)

    def test_an_exception_without_a_reason(self):
        told = self.told(files={"tools/tidy_exceptions.txt": "src/log/log.c fsync\n"})
        self.assertIn("reason", told[0][2])

    def test_a_function_of_a_screen_and_one_line_more(self):
        self.assertEqual(self.told(files={"src/log/log.c": function_of(70)}), [])
        self.tell_one("src/log/log.c", 3, "long_one() has 71 lines",
                      files={"src/log/log.c": "int a[] = {1,\n2};\n" + function_of(71)})

    def test_the_ratchet_only_turns_one_way(self):
        known = {"tools/long_functions.txt": "# head\nsrc/log/log.c long_one 80  # a switch\nsrc/log/log.c gone 90\n"}
        self.tell_one("src/log/log.c", 1, "allowed 80",
                      files={"src/log/log.c": function_of(81) + function_of(90, "gone"), **known})
        self.assertEqual(self.told(files={"src/log/log.c": function_of(75), **known}, ratchet=True),
                         "# head\nsrc/log/log.c long_one 75  # a switch\n")

    def test_a_list_that_is_behind_the_code_is_told(self):
        self.tell_one("tools/long_functions.txt", 1, "shorter now",
                      files={"src/log/log.c": function_of(75),
                             "tools/long_functions.txt": "src/log/log.c long_one 80\n"})

    def test_a_line_too_long(self):
        self.tell_one("src/log/log.c", 2, "120 columns", files={"src/log/log.c": "\n/* " + "x" * 120 + " */\n"})
        self.assertEqual(self.told(files={"src/log/log.c": "/*" + "\u00fc" * 116 + "*/\n"}), [])

    def test_leftovers_and_homes(self):
        self.tell_one("docs/a.md", 2, "leftover", files={"docs/a.md": "a\nTO" + "DO: b\n"})
        self.tell_one("docs/a.md", 1, "one machine", files={"docs/a.md": "see /ho" + "me/me/x\n"})
        self.assertEqual(self.told(files={"docs/a.md": "src/work/x $ROOT/work/y ~/home/z mkstemp XX" + "XXXX\n"}), [])

    def test_a_module_without_its_page(self):
        self.tell_one("src/log/README.md", 1, "missing", without=["src/log/README.md"])

    def test_files_that_nobody_builds_or_includes(self):
        self.tell_one("src/log/deep/x.c", 1, "nobody builds", files={"src/log/deep/x.c": ""})
        self.tell_one("src/log/dead.h", 1, "nobody includes", files={"src/log/dead.h": ""})
        self.tell_one("src/new/x.c", 1, "no module", files={"src/new/x.c": "", "CMakeLists.txt": "src/new/x.c"})


if __name__ == "__main__":
    unittest.main()
