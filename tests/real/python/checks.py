"""One line a check: `ok NAME`, or `FAILED NAME: reason`. A program ends with finish(), which fails when a check did.

Programs are called with BOOTSTRAP SUFFIX; the suffix keeps runs against one server apart.
"""
import contextlib
import sys
import time
import traceback

BOOTSTRAP, SUFFIX = sys.argv[1:3]
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
failures = 0


@contextlib.contextmanager
def check(name):
    global failures
    try:
        yield
    except Exception as error:  # a check that fails must not hide the others
        failures += 1
        where = traceback.extract_tb(error.__traceback__)[-1]
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "story_" in f.filename]
        line = (frames or [where])[-1]
        print("FAILED %s: %s: %s (line %d: %s)" % (name, type(error).__name__, error, line.lineno, line.line),
              flush=True)
    else:
        print("ok " + name, flush=True)


def equal(got, want):
    if got != want:
        raise AssertionError("%.300r instead of %.300r" % (got, want))


def raises(kinds, call):
    try:
        result = call()
    except kinds:
        return
    raise AssertionError("%.200r instead of an error" % (result,))


def until(condition, seconds=20):
    """Waits for what becomes true by itself; the deadline is the check."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("not within %d s" % seconds)
        time.sleep(0.02)


def finish():
    sys.exit(1 if failures else 0)
