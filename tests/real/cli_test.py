#!/usr/bin/env python3
"""Story: somebody works with topics, groups and records from the shell, well and badly.

    cli_test.py WEIR            against a weir server on free ports
    cli_test.py WEIR --real     against a real Kafka, by real/kafka below $WEIR_SHARED (default ../shared)

Method: the program as a black box: arguments and bytes in, status, bytes and sentences out. Every case is the same for
both brokers; only a request that weir's broker lacks may end with UNSUPPORTED_VERSION there. 77 = skipped.
"""

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

failures = []
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def check(what, holds, detail=""):
    print(("ok   " if holds else "FAIL ") + what + ("" if holds else f": {detail}"), flush=True)
    if not holds:
        failures.append(what)


class Cli:
    def __init__(self, program, bootstrap, folder, is_real):
        self.program, self.bootstrap, self.folder, self.is_real = program, bootstrap, folder, is_real

    def run(self, *arguments, given=b"", environment=None):
        variables = {**os.environ, "WEIR_BOOTSTRAP": self.bootstrap, **(environment or {})}
        return subprocess.run(
            [self.program, *arguments], input=given, capture_output=True, timeout=60, cwd=self.folder, env=variables
        )

    def does(self, what, *arguments, given=b"", **wanted):
        """Must end with 0 and say nothing on standard error; returns its output."""
        run = self.run(*arguments, given=given, **wanted)
        check(
            what,
            run.returncode == 0 and run.stderr == b"",
            f"status {run.returncode}, {run.stderr!r} {run.stdout[:300]!r}",
        )
        return run.stdout

    def json(self, what, *arguments):
        text = self.does(what, *arguments, "--output", "json")
        try:
            return json.loads(text)
        except ValueError as error:
            check(f"{what}: JSON", False, f"{error}: {text!r}")
            return None

    def fails(self, what, *arguments, status=1, words=(), given=b"", environment=None):
        """Must end with the status and one line on standard error that holds all the words."""
        run = self.run(*arguments, given=given, environment=environment)
        lines = run.stderr.decode(errors="replace").strip().splitlines()
        title = "weir " + arguments[0]
        good = run.returncode == status and len(lines) == 1 and lines[0].startswith(title)
        check(what, good and all(word in lines[0] for word in words), f"status {run.returncode}, {run.stderr!r}")
        return run.stdout

    def may(self, what, *arguments):
        """A request that weir's broker may not offer yet: done, or refused in a clear sentence. True when done."""
        run = self.run(*arguments)
        lines = run.stderr.decode().strip().splitlines()
        refused = (
            run.returncode == 1 and len(lines) == 1 and "does not offer this request (UNSUPPORTED_VERSION)" in lines[0]
        )
        check(what, run.returncode == 0 or (refused and not self.is_real), f"status {run.returncode}, {run.stderr!r}")
        return run.returncode == 0

    def lines(self, what, *arguments, **given):
        return self.does(what, *arguments, **given).split(b"\n")[:-1]

    def records(self, topic):
        return [
            json.loads(line) for line in self.lines(f"all of {topic}", "record", "consume", topic, "--format", "json")
        ]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def waits_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


# ---- topics ---------------------------------------------------------------------------------------------


def topic_story(cli):
    cli.does(
        "a topic is made", "topic", "create", "orders", "--partitions", "3", "--set-config", "retention.ms=86400000"
    )
    rows = cli.json("topics are listed", "topic", "list")
    check("the list shows it", {"topic": "orders", "partitions": 3, "replicas": 1} in rows, rows)
    check("the list hides internal topics", not [row for row in rows if row["topic"].startswith("__")], rows)
    table = cli.does("topics are listed as a table", "topic", "list").decode()
    check(
        "the table has a head and a row",
        re.search(r"^ topic +\| partitions \| replicas$", table, re.M)
        and re.search(r"^ orders +\| 3 +\| 1$", table, re.M),
        table,
    )
    rows = cli.json("a topic is described", "topic", "describe", "orders")
    check(
        "three partitions with leader and ends",
        [(row["partition"], row["start"], row["end"]) for row in rows] == [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
        and all(row["inSync"] == row["replicas"] == [row["leader"]] for row in rows),
        rows,
    )
    changed = cli.json("configs of its own", "topic", "config", "orders", "--changed")
    check(
        "the config it was made with",
        changed == [{"name": "retention.ms", "value": "86400000", "setBy": "topic"}],
        changed,
    )
    names = [row["name"] for row in cli.json("all configs", "topic", "config", "orders")]
    check("configs are sorted and many", names == sorted(names) and "cleanup.policy" in names, names)

    cli.fails("a topic that exists", "topic", "create", "orders", words=("'orders'", "exists", "TOPIC_ALREADY_EXISTS"))
    cli.fails("a name no topic can have", "topic", "create", "a/b", words=("'a/b'",))
    cli.fails(
        "a config that is unknown",
        "topic",
        "create",
        "wrong",
        "--set-config",
        "no.such=1",
        words=("no.such", "INVALID_CONFIG"),
    )
    cli.fails("a config that is no pair", "topic", "create", "wrong", "--set-config", "x", words=("'x'", "NAME=VALUE"))
    cli.fails(
        "no number of partitions", "topic", "create", "wrong", "--partitions", "0", words=("--partitions '0'", "1 to")
    )
    cli.fails(
        "more replicas than brokers",
        "topic",
        "create",
        "wrong",
        "--replicas",
        "3",
        words=("INVALID_REPLICATION_FACTOR",),
    )
    cli.fails("a near name", "topic", "describe", "order", words=("'order'", "did you mean 'orders'"))
    cli.fails("no topic", "topic", "describe", "something-else", words=("topic create something-else",))
    cli.fails("nothing to describe", "topic", "describe", status=2, words=("TOPIC...",))
    cli.fails("the deletion of nothing", "topic", "delete", "something-else", words=("does not exist",))
    cli.fails(
        "a place that is none",
        "topic",
        "offsets",
        "orders",
        "--time",
        "yesterday",
        words=("--time 'yesterday'", "earliest"),
    )


def topic_changes(cli):
    if cli.may(
        "configs are changed",
        "topic",
        "config",
        "orders",
        "--set-config",
        "max.message.bytes=2000000",
        "--unset-config",
        "retention.ms",
    ):
        check(
            "only what was named has changed",
            waits_until(
                lambda: cli.json("configs after", "topic", "config", "orders", "--changed")
                == [{"name": "max.message.bytes", "value": "2000000", "setBy": "topic"}]
            ),
        )
        cli.fails(
            "a value that is none",
            "topic",
            "config",
            "orders",
            "--set-config",
            "retention.ms=soon",
            words=("retention.ms", "INVALID_CONFIG"),
        )
    if cli.may("partitions are added", "topic", "partitions", "orders", "4"):
        check("there are four", len(cli.json("after growing", "topic", "describe", "orders")) == 4)
    cli.fails("partitions can't shrink", "topic", "partitions", "orders", "1", words=("can only grow",))
    cli.fails("no number", "topic", "partitions", "orders", "many", words=("'many'",))
    cli.does("records to delete", "record", "produce", "orders", "--partition", "0", given=b"1\n2\n3\n")
    if cli.may("records are deleted", "topic", "records-delete", "orders", "0", "2"):
        row = cli.json("offsets after", "topic", "offsets", "orders")[0]
        check("the first offset moved", (row["earliest"], row["latest"]) == (2, 3), row)
        cli.fails(
            "an offset that is not kept",
            "record",
            "consume",
            "orders",
            "--partition",
            "0",
            "--from",
            "1",
            words=("offset 1 of orders-0", "2 to 3"),
        )
        cli.fails(
            "an offset never written", "topic", "records-delete", "orders", "0", "9", words=("OFFSET_OUT_OF_RANGE",)
        )
    cli.fails("no such partition", "topic", "records-delete", "orders", "9", "0", words=("no partition 9",))
    cli.does("a topic is deleted", "topic", "delete", "orders", "--yes")
    check("it is gone", waits_until(lambda: b"orders" not in cli.run("topic", "list").stdout))


# ---- records --------------------------------------------------------------------------------------------


def record_story(cli):
    cli.does("a topic for records", "topic", "create", "words", "--partitions", "2")
    cli.does(
        "lines with keys",
        "record",
        "produce",
        "words",
        "--key-separator",
        r"\t",
        "--header",
        "source=shell",
        "--header",
        "source=",
        given=b"a\tone\n\tempty key\nb\t\n\xff\xfe\t\x00\xc3\x28\nlast\twithout an end",
    )
    found = cli.records("words")
    by_value = {json.dumps(record["value"]): record for record in found}
    check("five records", len(found) == 5, found)
    check(
        "keys and values are bytes",
        [
            by_value[json.dumps(value)]["key"]
            for value in (
                "one",
                "empty key",
                "",
                {"base64": base64.b64encode(b"\x00\xc3\x28").decode()},
                "without an end",
            )
        ]
        == ["a", "", "b", {"base64": base64.b64encode(b"\xff\xfe").decode()}, "last"],
        found,
    )
    check(
        "headers in order, repeated and empty",
        all(
            record["headers"] == [{"name": "source", "value": "shell"}, {"name": "source", "value": ""}]
            for record in found
        ),
        found,
    )
    cli.does("values only", "record", "produce", "words", "--partition", "1", given=b"x\n\n\r\n")
    tail = cli.does("the last three", "record", "consume", "words", "--partition", "1", "--from", "-3")
    check("empty lines and carriage returns are values", tail == b"x\n\n\r\n", tail)
    raw = cli.does("raw", "record", "consume", "words", "--partition", "1", "--from", "-3", "--format", "raw")
    check("raw adds nothing", raw == b"x\r", raw)
    cli.does("a deletion mark", "record", "produce", "words", "--null-value", given=b"a\n")
    marks = [record for record in cli.records("words") if record["value"] is None]
    check("null is not empty", [mark["key"] for mark in marks] == ["a"], marks)
    check("one key, one partition", marks[0]["partition"] == by_value['"one"']["partition"], marks)
    cli.does("one key for all", "record", "produce", "words", "--key", "k", given=b"v1\nv2\n")
    lines = cli.lines("a template", "record", "search", "words", "--key", "k", "--format", r"%t %k=%v %s%%\n")
    check("the template", lines == [b"words k=v1 2%", b"words k=v2 2%"], lines)
    lines = cli.lines("hex", "record", "consume", "words", "--format", "hex")
    check(
        "hex tells null from empty",
        any(b"key=null value=" in line and line.endswith(b"value=") for line in lines)
        and any(line.endswith(b"key=61 value=null") for line in lines),
        lines,
    )
    limited = cli.lines("a limit", "record", "consume", "words", "--limit", "4")
    check("the limit", len(limited) == 4, limited)
    latest = cli.does("from the end there is nothing", "record", "consume", "words", "--from", "latest")
    check("nothing", latest == b"", latest)
    for acks in ("0", "1"):
        cli.does(f"acks {acks}", "record", "produce", "words", "--acks", acks, given=b"acks\n")
    with open(os.path.join(cli.folder, "lines"), "wb") as file:
        file.write(b"from a file\n")
    cli.does("a file", "record", "produce", "words", "--file", "lines")
    check(
        "from a file", b"from a file" in cli.does("search finds it", "record", "search", "words", "--value", "from a f")
    )


def record_wrong(cli):
    cli.fails(
        "a line without separator",
        "record",
        "produce",
        "words",
        "--key-separator",
        ":",
        given=b"no\n",
        words=("line 1 of standard input", "':'"),
    )
    cli.fails(
        "no such topic to write", "record", "produce", "wordz", given=b"x\n", words=("'wordz'", "did you mean 'words'")
    )
    cli.fails("no such topic to read", "record", "consume", "nothing-here", words=("'nothing-here'",))
    cli.fails(
        "no such partition to write",
        "record",
        "produce",
        "words",
        "--partition",
        "7",
        given=b"x\n",
        words=("no partition 7", "0 to 1"),
    )
    cli.fails("no such partition to read", "record", "consume", "words", "--partition", "7", words=("no partition 7",))
    cli.fails("no such file", "record", "produce", "words", "--file", "missing", words=("missing",))
    cli.fails(
        "a header that is no pair", "record", "produce", "words", "--header", "x", status=2, words=("NAME=VALUE",)
    )
    cli.fails(
        "key twice", "record", "produce", "words", "--key", "k", "--key-separator", ":", status=2, words=("exclude",)
    )
    cli.fails("acks of nobody", "record", "produce", "words", "--acks", "2", words=("--acks '2'",))
    cli.fails("an offset without partition", "record", "consume", "words", "--from", "3", words=("--partition 0",))
    cli.fails(
        "an offset never written",
        "record",
        "consume",
        "words",
        "--partition",
        "0",
        "--from",
        "999999",
        words=("offset 999999 of words-0", "outside"),
    )
    cli.fails("an unknown format", "record", "consume", "words", "--format", "xml", status=2, words=("'xml'", "json"))
    cli.fails(
        "an unknown place in a template", "record", "consume", "words", "--format", "%z", status=2, words=("'%z'",)
    )
    cli.fails("a search for nothing", "record", "search", "words", status=2, words=("--key",))
    cli.fails("a search without result", "record", "search", "words", "--value", "nowhere", words=("no record",))
    cli.fails(
        "a broken expression", "record", "search", "words", "--value", "(", "--regex", words=("regular expression",)
    )
    cli.fails(
        "a record too large",
        "record",
        "produce",
        "words",
        "--set",
        "message.max.bytes=2000",
        given=b"x" * 5000 + b"\n",
        words=("line 1", "message.max.bytes"),
    )
    cli.fails("a line without end", "record", "produce", "words", given=b"x" * (17 << 20), words=("longer than",))


def search_story(cli):
    cli.does("a topic to search", "topic", "create", "log")
    lines = [
        {
            "key": f"user-{i}",
            "value": f"line {i}" if i % 10 else {"base64": base64.b64encode(b"\xffraw\x00end").decode()},
            "headers": [{"name": "trace", "value": f"t{i}"}, {"name": "odd", "value": None}] if i % 2 else [],
            "timestamp": 1700000000000 + 1000 * i,
        }
        for i in range(100)
    ]
    text = "\n".join(json.dumps(line) for line in lines).encode()
    cli.does("records with times", "record", "replay", "-", "--topic", "log", given=text)
    found = cli.lines("by key", "record", "search", "log", "--key", "user-99", "--format", "%k\\n")
    check("one key", found == [b"user-99"], found)
    found = cli.lines(
        "by expression", "record", "search", "log", "--key", "^user-[34].$", "--regex", "--format", "%k\\n"
    )
    check("twenty keys", len(found) == 20, found)
    found = cli.lines(
        "bytes behind a NUL",
        "record",
        "search",
        "log",
        "--value",
        "end$",
        "--regex",
        "--limit",
        "3",
        "--format",
        "%o\\n",
    )
    check("expressions read past NUL", found == [b"0", b"10", b"20"], found)
    arguments = ("record", "search", "log", "--value", "^.raw.end$", "--regex", "--format", "%o\\n")
    check("a dot is any byte", len(cli.lines("bytes in between", *arguments)) == 10)
    found = cli.lines("by header", "record", "search", "log", "--header", "trace=t7", "--format", "%k %h\\n")
    check(
        "headers hold a text",
        found == [b"user-7 trace=t7,odd="] + [b"user-%d trace=t%d,odd=" % (i, i) for i in range(71, 80, 2)],
        found,
    )
    found = cli.lines("by header's name", "record", "search", "log", "--header", "odd", "--format", "%k\\n")
    check("fifty have it", len(found) == 50, found)
    found = cli.lines(
        "all must hold", "record", "search", "log", "--header", "odd", "--key", "user-5", "--format", "%k\\n"
    )
    check("both conditions", found == [b"user-5", b"user-51", b"user-53", b"user-55", b"user-57", b"user-59"], found)
    found = cli.lines("from a time", "record", "consume", "log", "--from", "@1700000095000", "--format", "%k %I\\n")
    check("five since then", len(found) == 5 and found[0] == b"user-95 2023-11-14T22:14:55.000Z", found)
    found = cli.lines("from a date", "record", "consume", "log", "--from", "2023-11-14T22:14:55Z", "--format", "%k\\n")
    check("the same five", len(found) == 5, found)
    rows = cli.json("the offset of a time", "topic", "offsets", "log", "--time", "@1700000095000")
    check("offset 95", rows == [{"topic": "log", "partition": 0, "offset": 95}], rows)
    rows = cli.json("a time to come", "topic", "offsets", "log", "--time", "2100-01-01T00:00:00Z")
    check("is the end", rows[0]["offset"] == 100, rows)


def export_story(cli):
    keys = [None, "", "k", "ключ", "nul\0byte", {"base64": "//4="}, {"base64": ""}]
    values = [None, "", "v", "\U0001f600", {"base64": base64.b64encode(bytes(range(256))).decode()}]
    headers = [
        [],
        [{"name": "h", "value": None}],
        [{"name": "h", "value": ""}, {"name": "h", "value": "2"}, {"name": "", "value": "n"}],
        [{"name": "bin", "value": {"base64": "gIE="}}],
    ]
    lines = [
        {
            "topic": "any",
            "partition": (i + j + k) % 3,
            "offset": 5,
            "timestamp": 1600000000000 + i * 1000 + j * 10 + k,
            "key": key,
            "value": value,
            "headers": header,
        }
        for i, key in enumerate(keys)
        for j, value in enumerate(values)
        for k, header in enumerate(headers)
    ]
    with open(os.path.join(cli.folder, "given.jsonl"), "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    for name in ("first", "second"):
        cli.does(f"topic {name}", "topic", "create", name, "--partitions", "3")
    cli.does("records of every shape", "record", "replay", "given.jsonl", "--topic", "first")
    cli.does("export", "record", "export", "first", "first.jsonl")
    cli.does("replay", "record", "replay", "first.jsonl", "--topic", "second")
    cli.does("export of the replay", "record", "export", "second", "second.jsonl")

    def exported(name):
        with open(os.path.join(cli.folder, f"{name}.jsonl"), encoding="utf-8") as file:
            return sorted(
                (json.loads(line) for line in file), key=lambda record: (record["partition"], record["offset"])
            )

    def shape(record):
        def canonical(value):
            return "" if value == {"base64": ""} else value

        return (
            record["timestamp"],
            record["partition"],
            canonical(record["key"]),
            canonical(record["value"]),
            record["headers"],
        )

    first, second = exported("first"), exported("second")
    check(
        "all records, all shapes",
        sorted(map(repr, map(shape, first))) == sorted(map(repr, map(shape, lines))),
        [
            pair
            for pair in zip(sorted(map(repr, map(shape, first))), sorted(map(repr, map(shape, lines))))
            if pair[0] != pair[1]
        ][:2],
    )
    check(
        "the replay is equal, offsets and all",
        [{**record, "topic": ""} for record in first] == [{**record, "topic": ""} for record in second],
    )
    raw = [
        cli.does(f"bytes of {name}", "record", "consume", name, "--partition", "0", "--format", "raw")
        for name in ("first", "second")
    ]
    check("byte equal", raw[0] == raw[1] and bytes(range(256)) in raw[0])
    text = cli.does("export to a pipe", "record", "export", "first", "-")
    check(
        "the pipe gives the same lines",
        sorted(text.splitlines()) == sorted(open(os.path.join(cli.folder, "first.jsonl"), "rb").read().splitlines()),
    )
    cli.does("one partition", "topic", "create", "narrow")
    cli.fails(
        "fewer partitions",
        "record",
        "replay",
        "first.jsonl",
        "--topic",
        "narrow",
        words=("line", "no partition", "--by-key"),
    )
    cli.does("by key", "record", "replay", "first.jsonl", "--topic", "narrow", "--by-key")
    for what, line, word in (
        ("no JSON", b"nonsense", "not JSON"),
        ("no object", b"[1]", "not a JSON object"),
        ("no value", b'{"key":"a"}', '"value"'),
        ("a number for a key", b'{"key":1,"value":"a"}', '"key"'),
        ("bad base64", b'{"value":{"base64":"a"}}', '"value"'),
        ("padding inside", b'{"value":{"base64":"a===AAAA"}}', '"value"'),
        ("bad header", b'{"value":"a","headers":[{"name":null}]}', "header 1"),
        ("bad time", b'{"value":"a","timestamp":"now"}', '"timestamp"'),
    ):
        cli.fails(
            f"an export with {what}",
            "record",
            "replay",
            "-",
            "--topic",
            "narrow",
            given=b"\n" + line,
            words=("line 2", word),
        )
    cli.fails("an export that is not there", "record", "replay", "missing", "--topic", "narrow", words=("missing",))
    cli.fails("a folder that is not there", "record", "export", "first", "no/such/file", words=("no/such/file",))
    cli.fails("nowhere to replay", "record", "replay", "first.jsonl", status=2, words=("--topic",))


# ---- groups ---------------------------------------------------------------------------------------------


def group_story(cli):
    cli.does("a topic to share", "topic", "create", "tasks", "--partitions", "2")
    for partition in ("0", "1"):
        cli.does(
            "tasks",
            "record",
            "produce",
            "tasks",
            "--partition",
            partition,
            given=b"".join(b"%d\n" % i for i in range(10)),
        )
    some = cli.lines("a group reads some", "record", "consume", "tasks", "--group", "workers", "--limit", "7")
    rest = cli.lines("and later the rest", "record", "consume", "tasks", "--group", "workers")
    check(
        "nothing twice, nothing lost",
        sorted(some + rest) == sorted(b"%d" % i for i in range(10) for _ in "12"),
        (some, rest),
    )
    rows = cli.json("groups are listed", "group", "list")
    check("the group is there", {"group": "workers", "state": "Empty"} in rows, rows)
    rows = cli.json("its offsets", "group", "offsets", "workers")
    check(
        "all is read",
        [(row["partition"], row["committed"], row["end"], row["lag"]) for row in rows]
        == [(0, 10, 10, 0), (1, 10, 10, 0)],
        rows,
    )

    def reset(*arguments):
        rows = cli.json("reset " + " ".join(arguments), "group", "reset", "workers", *arguments)
        return [(row["partition"], row["committed"], row["reset"]) for row in rows]

    check("a dry run tells", reset("--topic", "tasks", "--to", "earliest", "--dry-run") == [(0, 10, 0), (1, 10, 0)])
    check("and changed nothing", reset("--topic", "tasks", "--to", "earliest") == [(0, 10, 0), (1, 10, 0)])
    check("one partition", reset("--topic", "tasks:1", "--to", "4") == [(1, 0, 4)])
    check("the last two", reset("--topic", "tasks:0", "--to", "-2") == [(0, 0, 8)])
    check("a time to come", reset("--topic", "tasks:0", "--to", "2100-01-01") == [(0, 8, 10)])
    again = cli.lines("it reads from there", "record", "consume", "tasks", "--group", "workers")
    check("six again", again == [b"%d" % i for i in range(4, 10)], again)
    check(
        "a group may begin with offsets",
        cli.run("group", "reset", "early", "--topic", "tasks", "--to", "latest").returncode == 0,
    )

    cli.fails("no such group", "group", "describe", "nobody", words=("'nobody'", "group list"))
    cli.fails("no offsets of no group", "group", "offsets", "nobody", words=("'nobody'",))
    cli.fails("no group to delete", "group", "delete", "nobody", words=("'nobody'", "does not exist"))
    cli.fails("a reset to nowhere", "group", "reset", "workers", "--topic", "tasks", status=2, words=("--to",))
    cli.fails("a reset of nothing", "group", "reset", "workers", "--to", "earliest", status=2, words=("--topic",))
    cli.fails(
        "an offset for all partitions", "group", "reset", "workers", "--topic", "tasks", "--to", "3", words=("tasks:0",)
    )
    cli.fails(
        "an offset outside",
        "group",
        "reset",
        "workers",
        "--topic",
        "tasks:0",
        "--to",
        "99",
        words=("outside", "0 to 10"),
    )
    cli.fails(
        "a partition outside",
        "group",
        "reset",
        "workers",
        "--topic",
        "tasks:5",
        "--to",
        "latest",
        words=("no partition 5",),
    )
    cli.fails(
        "no partition's number", "group", "reset", "workers", "--topic", "tasks:x", "--to", "latest", words=("tasks:x",)
    )
    cli.fails(
        "a group does not choose",
        "record",
        "consume",
        "tasks",
        "--group",
        "workers",
        "--partition",
        "0",
        words=("--group",),
    )
    member_story(cli)
    cli.does("a group is deleted", "group", "delete", "workers")
    check("it is gone", "workers" not in [row["group"] for row in cli.json("groups after", "group", "list")])


def member_story(cli):
    """A group with a member: it is shown, it may not be reset or deleted, and it ends with a signal and its offsets."""
    member = subprocess.Popen(
        [cli.program, "record", "consume", "tasks", "--group", "workers", "--follow", "--format", "%v\\n"],
        stdout=subprocess.PIPE,
        env={**os.environ, "WEIR_BOOTSTRAP": cli.bootstrap},
    )
    try:

        def described():
            return json.loads(cli.run("group", "describe", "workers", "--output", "json").stdout)

        check(
            "the member gets its partitions",
            waits_until(
                lambda: described()["state"] == "Stable"
                and described()["members"]
                and described()["members"][0]["partitions"] == 2
            ),
            described(),
        )
        group = described()
        check(
            "who reads what",
            group["members"][0]["client"] == "weir-cli"
            and {row["member"] for row in group["partitions"]} == {group["members"][0]["member"]},
            group,
        )
        table = cli.does("the same as a table", "group", "describe", "workers").decode()
        check("state and member in the table", "Stable" in table and group["members"][0]["member"] in table, table)
        cli.fails(
            "no reset under a member",
            "group",
            "reset",
            "workers",
            "--topic",
            "tasks",
            "--to",
            "earliest",
            words=("1 members",),
        )
        cli.fails("no deletion under a member", "group", "delete", "workers", words=("members", "NON_EMPTY_GROUP"))
        cli.does("a task for the member", "record", "produce", "tasks", given=b"late\n")
        check("it follows", member.stdout.readline() == b"late\n")
        member.send_signal(signal.SIGINT)
        check("Ctrl-C ends it well", member.wait(timeout=20) == 0, member.returncode)
    finally:
        member.kill()
        member.wait()
        member.stdout.close()
    lags = [row["lag"] for row in cli.json("its offsets are kept", "group", "offsets", "workers")]
    check("no lag", lags == [0, 0], lags)


# ---- all commands ---------------------------------------------------------------------------------------


def usage_story(cli):
    closed = f"127.0.0.1:{free_port()}"
    for command in (["topic", "list"], ["group", "list"], ["record", "consume", "t"], ["record", "produce", "t"]):
        start = time.monotonic()
        cli.fails("nobody there: " + " ".join(command), *command, "--bootstrap", closed, words=(closed, "--bootstrap"))
        check("is told soon", time.monotonic() - start < 5)
    cli.fails("nobody there, by environment", "topic", "list", environment={"WEIR_BOOTSTRAP": closed}, words=(closed,))
    cli.fails("a property that is unknown", "topic", "list", "--set", "no.such=1", words=("no.such",))
    cli.fails("a property that is no pair", "topic", "list", "--set", "x", words=("NAME=VALUE",))
    cli.fails("an option that is unknown", "topic", "list", "--bootstrp", "x", status=2, words=("--bootstrap",))
    cli.fails("an option without its value", "topic", "list", "--timeout", status=2, words=("--timeout", "DURATION"))
    cli.fails("a flag with a value", "topic", "list", "--internal=yes", status=2, words=("--internal",))
    cli.fails("no duration", "topic", "list", "--timeout", "soon", status=2, words=("'soon'",))
    cli.fails("no such output", "topic", "list", "--output", "xml", status=2, words=("'xml'",))
    cli.fails("an argument too many", "topic", "list", "x", status=2, words=("'x'",))
    cli.fails("no such command", "topic", "lst", status=2, words=("did you mean 'list'",))
    cli.does(
        "options may come first and hold =",
        "topic",
        "list",
        f"--bootstrap={cli.bootstrap}",
        "--timeout=5s",
        environment={"WEIR_BOOTSTRAP": closed},
    )


def help_story(cli):
    script = cli.does("completion for bash", "completion", "bash").decode()
    cli.fails("completion for nothing", "completion", status=2, words=("bash",))
    check("bash reads it", subprocess.run(["bash", "-n"], input=script.encode(), timeout=10).returncode == 0)

    def complete(*words):
        ask = script + f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _weir; echo ${{COMPREPLY[@]}}"
        return subprocess.run(["bash"], input=ask.encode(), capture_output=True, timeout=10).stdout.decode().split()

    commands = re.findall(r"^  ([a-z]+) ", cli.does("help", "help").decode(), re.M)
    check(
        "all commands complete", sorted(complete("weir", "''")) == sorted([*commands, "help"]), complete("weir", "''")
    )
    for command in commands:
        text = cli.does(f"help of {command}", command, "--help").decode()
        verbs = re.findall(r"^  ([a-z-]+) .*", text.split("Every command")[0], re.M) if "COMMAND [ARG" in text else []
        if verbs:
            check(
                f"commands of {command} complete",
                [word for word in complete("weir", command, "''") if word[0] != "-"] == verbs,
                verbs,
            )
        for words in [[command, verb] for verb in verbs] or [[command]]:
            text = cli.does("help of " + " ".join(words), *words, "--help").decode()
            known = set(re.findall(r"(?<![\w-])--([a-z-]{2,})", text.split("Examples:")[0]))
            offered = {word[2:] for word in complete("weir", *words, "--")}
            check(
                "options of " + " ".join(words) + " complete", known | {"help"} == offered | {"help"}, (known, offered)
            )
            check("examples of " + " ".join(words), not verbs or "Examples:\n  " in text, text)
    with open(os.path.join(ROOT, "docs", "cli.md"), encoding="utf-8") as file:
        page = file.read()
    for family in ("topic", "group", "record"):
        for verb in complete("weir", family, "''"):
            if verb[0] == "-":
                continue
            check(f"docs/cli.md tells of {family} {verb}", f"weir {family} {verb}" in page)
            for option in complete("weir", family, verb, "--"):
                check(f"docs/cli.md tells of {option} ({family} {verb})", f"`{option}" in page)


def judge_story(cli):
    """kcat wrote and read Kafka's records before weir did: both must see the same bytes."""
    if not shutil.which("kcat"):
        print("skipped: kcat is not installed (Debian package kcat)")
        return

    def kcat(*arguments, given=b""):
        return subprocess.run(
            ["kcat", "-q", "-b", cli.bootstrap, *arguments], input=given, capture_output=True, timeout=30
        ).stdout

    cli.does("a topic for two", "topic", "create", "both")
    cli.does(
        "weir writes", "record", "produce", "both", "--key-separator", ":", "--header", "h=1", given=b"k:v\n\xff:\xfe\n"
    )
    seen = kcat("-C", "-t", "both", "-e", "-f", "%k=%s,%h\\n")
    check("kcat reads it", seen == b"k=v,h=1\n\xff=\xfe,h=1\n", seen)
    kcat("-P", "-t", "both", "-K", ":", "-H", "a=b", "-z", "lz4", given=b"x:y\n")
    seen = cli.does("weir reads it", "record", "consume", "both", "--from", "-1", "--format", "%k=%v,%h\\n")
    check("the same record", seen == b"x=y,a=b\n", seen)


def stories(cli):
    usage_story(cli)
    topic_story(cli)
    topic_changes(cli)
    record_story(cli)
    record_wrong(cli)
    search_story(cli)
    export_story(cli)
    group_story(cli)
    judge_story(cli)
    if not cli.is_real:
        help_story(cli)


def with_weir(program, folder):
    server = subprocess.Popen(
        [program, "server", "--data", "data", "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        ready = re.match(r"ready kafka=(\S+)", server.stdout.readline())
        stories(Cli(program, ready.group(1), folder, False))
        server.send_signal(signal.SIGTERM)
        check("the server ends well", server.wait(timeout=30) == 0, server.returncode)
    finally:
        server.kill()
        server.wait()


def with_kafka(program, folder):
    tool = os.path.join(os.environ.get("WEIR_SHARED", os.path.join(ROOT, "..", "shared")), "real", "kafka")
    if not os.access(tool, os.X_OK) or not shutil.which("java"):
        print(f"skipped: a real Kafka needs java and {tool}")
        return 77
    port = free_port()
    environment = {"REAL_KAFKA_HEAP": "-Xms512m -Xmx512m", **os.environ}
    started = subprocess.run([tool, "start", str(port)], env=environment, timeout=300, stdin=subprocess.DEVNULL)
    if started.returncode != 0:
        print("skipped: the real Kafka does not start")
        return 77
    try:
        stories(Cli(program, f"127.0.0.1:{port}", folder, True))
    finally:
        subprocess.run([tool, "stop", str(port)], timeout=100)
    return 0


def main():
    program = os.path.abspath(sys.argv[1])
    folder = tempfile.mkdtemp(prefix="weir-cli.")
    try:
        if "--real" in sys.argv[2:]:
            status = with_kafka(program, folder)
            if status:
                return status
        else:
            with_weir(program, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(failures)} failed" if failures else "all hold")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
