#!/usr/bin/env python3
"""Story: what a user meets who starts weir wrongly, or asks it nonsense: one clear line and a status; the server stays
up.

    start_test.py WEIR

Method: real processes and sockets in a scratch folder; each case names what the line must say.
"""
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request

ANY_PORTS = ["--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"]
failures = []


def check(what, holds, detail=""):
    print(("ok   " if holds else "FAIL ") + what + ("" if holds else f": {detail}"), flush=True)
    if not holds:
        failures.append(what)


class Weir:
    def __init__(self, program, folder):
        self.program, self.folder = os.path.abspath(program), folder

    def fails(self, what, arguments, *words, status=1):
        """A start that must fail with one line holding all the words."""
        run = subprocess.run([self.program, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=30)
        lines = run.stderr.strip().splitlines()
        good = run.returncode == status and len(lines) == 1 and all(word in lines[0] for word in words)
        check(what, good, f"status {run.returncode}, {run.stderr!r}")

    def serve(self, data, *more):
        process = subprocess.Popen([self.program, "server", "--data", data, "--kafka", "127.0.0.1:0",
                                    "--http", "127.0.0.1:0", *more],
                                   cwd=self.folder, stdout=subprocess.PIPE, text=True)
        ports = re.match(r"ready kafka=\S+:(\d+) http=\S+:(\d+)", process.stdout.readline())
        return process, int(ports.group(1)), int(ports.group(2))


def stop(process):
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=20)


def throw_rubbish(port, seed):
    """Random bytes, half of them behind a plausible length; the connection must be closed or stay silent, no more."""
    chance = random.Random(seed)
    for _ in range(60):
        body = chance.randbytes(chance.randrange(1, 3000))
        if chance.random() < 0.5:
            body = len(body).to_bytes(4, "big") + body
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.settimeout(0.05)
            try:
                connection.sendall(body)
                while connection.recv(65536):
                    pass
            except OSError:
                pass


def is_alive(http):
    with urllib.request.urlopen(f"http://127.0.0.1:{http}/health/ready", timeout=5) as answer:
        return answer.status == 200


def start_cases(weir):
    process, kafka, http = weir.serve("data")
    other = ["server", "--data", "other", "--kafka"]
    weir.fails("a Kafka port in use", [*other, f"127.0.0.1:{kafka}", "--http", "127.0.0.1:0"], str(kafka), "in use")
    weir.fails("an HTTP port in use", [*other, "127.0.0.1:0", "--http", f"127.0.0.1:{http}"], str(http), "in use")
    weir.fails("a second server on the same folder",
               ["server", "--data", "data", "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"], "data", "another")
    throw_rubbish(kafka, 1)
    throw_rubbish(http, 2)
    check("rubbish on every port leaves the server up", process.poll() is None and is_alive(http))
    check("SIGTERM stops cleanly", stop(process) == 0)


def folder_cases(weir):
    ports = ["--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    with open(f"{weir.folder}/file", "w"):
        pass
    weir.fails("a data folder that is a file", ["server", "--data", "file/data", *ports], "file/data")
    if os.getuid() != 0:
        os.mkdir(f"{weir.folder}/locked", 0o500)
        weir.fails("a data folder that cannot be written", ["server", "--data", "locked", *ports],
                   "locked", "Permission")
    else:
        weir.fails("a data folder that cannot be written", ["server", "--data", "/proc/weir-data", *ports],
                   "/proc/weir-data")
    properties = f"{weir.folder}/data/meta.properties"
    with open(properties) as meta:
        text = meta.read()
    with open(properties, "w") as meta:
        meta.write(re.sub(r"(?m)^(.*format.*=)\d+$", r"\g<1>999", text))
    weir.fails("a data folder of a newer format", ["server", "--data", "data", *ports], "999", "newer")


def option_cases(weir):
    weir.fails("an address without port", ["server", "--http", "nowhere"], "HOST:PORT", status=2)
    weir.fails("exposed without --insecure", ["server", "--kafka", "0.0.0.0:0"], "--insecure")
    weir.fails("a memory size that is none", ["server", "--memory", "lots"], "lots", "size", status=2)
    weir.fails("no server to talk to", ["sql", "--server", "http://127.0.0.1:9", "-e", "SHOW STREAMS;"],
               "127.0.0.1:9", "weir server")
    weir.fails("a property nobody has", ["server", "--data", "p", *ANY_PORTS, "--set", "num.partition=3"],
               "num.partitions")
    process, _, http = weir.serve("with-properties", "--set", "ksql.streams.auto.offset.reset=earliest",
                                  "--set", "num.partitions=3")
    check("properties of the broker and of SQL", process.poll() is None and is_alive(http) and stop(process) == 0)
    run = subprocess.run([weir.program, "frobnicate"], capture_output=True, text=True)
    check("an unknown command", run.returncode == 2 and "frobnicate" in run.stderr)
    run = subprocess.run([weir.program, "version", "--json"], capture_output=True, text=True)
    check("the version for programs", run.returncode == 0 and '"version"' in run.stdout)


def sql_cases(weir):
    with open(f"{weir.folder}/wrong.sql", "w") as script:
        script.write("-- a script with a mistake\nCREATE STREAM clicks (path STRING, status INT)\n"
                     "    WITH (KAFKA_TOPIC='clicks', VALUE_FORMAT='JSON', PARTITIONS=1);\n"
                     "CREATE STREAM errors AS SELECT path FROM clicks\n    WHERE statsu >= 400;\n")
    run = subprocess.run([weir.program, "check", "wrong.sql"], cwd=weir.folder, capture_output=True, text=True)
    text = run.stderr.lower()
    good = run.returncode == 1 and all(
        word in text for word in ("wrong.sql:5:11", "where statsu >= 400", "^", "did you mean"))
    check("an unknown column: file:line:column, the line, a caret, the nearest name", good, run.stderr)
    with open(f"{weir.folder}/wrong.sql", "w") as script:
        script.write("CREATE STREAM a AS\n  SELECT x\n  FORM b;\n")
    run = subprocess.run([weir.program, "check", "wrong.sql"], cwd=weir.folder, capture_output=True, text=True)
    good = run.returncode == 1 and "wrong.sql:3:" in run.stderr and "FROM" in run.stderr
    check("a syntax error says what was expected", good and "expected" in run.stderr.lower(), run.stderr)


def main():
    folder = tempfile.mkdtemp(prefix="weir-start.")
    try:
        weir = Weir(sys.argv[1], folder)
        start_cases(weir)
        folder_cases(weir)
        option_cases(weir)
        sql_cases(weir)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
