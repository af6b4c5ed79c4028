#!/usr/bin/env python3
"""Story: the clickstream job is killed by -9 again and again while its log grows, and still counts every line exactly
once.

    kill_test.py WEIR [--seed N] [--kills N] [--seconds N]

Method: runs examples/clickstream/clickstream.sql on a log that this program writes in random bursts, some lines of it
rubbish; kills the server at random moments (also while it starts), starts it again on the same folder, and at the end
compares every window of both tables with its own count of what it wrote, and lines written with clicks + quarantined.
The seed is printed.
"""
import argparse
import collections
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUBBISH = ["", "not a log line at all", '1.2.3.4 - - [24/Nov/2026:10:00:00 +0000] "\\x16\\x03\\x01" 400 157 "-" "-"',
           '1.2.3.4 - - [no time] "GET / HTTP/1.1" 200 1 "-" "-"']


class Server:
    def __init__(self, weir, folder):
        self.weir, self.folder, self.kafka, self.http, self.process = weir, folder, 0, 0, None

    def start(self, wait=True):
        self.process = subprocess.Popen(
            [self.weir, "server", "--data", "data", "--kafka", f"127.0.0.1:{self.kafka}",
             "--http", f"127.0.0.1:{self.http}"],
            cwd=self.folder, stdout=subprocess.PIPE, text=True)
        if not wait:
            return
        line = self.process.stdout.readline()
        ports = re.match(r"ready kafka=\S+:(\d+) http=\S+:(\d+)", line)
        if not ports:
            sys.exit(f"FAIL: the server did not start: {line!r}")
        self.kafka, self.http = map(int, ports.groups())

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=20)
        if status:
            sys.exit(f"FAIL: a clean stop ended with status {status}")

    def ask(self, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data,
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return [json.loads(line) for line in answer.read().splitlines() if line.strip()]


class Writer(threading.Thread):
    """Appends lines in bursts, sometimes half a line at a time; keeps the count that weir has to reach."""

    def __init__(self, path, seed):
        super().__init__()
        self.path, self.chance, self.done = path, random.Random(seed), False
        self.lines = self.rubbish = 0
        self.tumbling, self.hopping = collections.Counter(), collections.Counter()

    def line(self):
        self.lines += 1
        if self.chance.random() < 0.02:
            self.rubbish += 1
            return self.chance.choice(RUBBISH)
        at = 1795514400 + self.lines // 40 + self.chance.choice([0, 0, 0, -3, 2])
        page = "/page/%d" % (self.chance.random() ** 2 * 30)
        for target, size in ((self.tumbling, 2), (self.hopping, 6)):
            start = at - at % 2
            while start > at - size:
                target[(start * 1000, page)] += 1
                start -= 2
        stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at))
        return f'10.0.0.1 - - [{stamp}] "GET {page} HTTP/1.1" 200 7 "-" "test"'

    def run(self):
        with open(self.path, "ab", buffering=0) as log:
            while not self.done:
                text = "".join(self.line() + "\n" for _ in range(self.chance.randrange(1, 60))).encode()
                cut = self.chance.randrange(len(text))
                log.write(text[:cut])
                time.sleep(self.chance.random() * 0.004)
                log.write(text[cut:])
                time.sleep(self.chance.random() * 0.01)


def table(server, name):
    rows = server.ask("/query-stream", {"sql": f"SELECT WINDOWSTART, path, views FROM {name};"})
    return {(row[0], row[1]): row[2] for row in rows if isinstance(row, list)}


def records(server, topic):
    topics = server.ask("/status.json")[0]["topics"]
    return next((entry["records"] for entry in topics if entry["name"] == topic), 0)


def await_counts(server, writer, seconds):
    deadline = time.monotonic() + seconds
    while True:
        clicks, bad = records(server, "clicks"), records(server, "access_log-quarantine")
        tumbling, hopping = table(server, "views_per_path"), table(server, "views_per_path_hopping")
        wrong = []
        if (clicks, bad) != (writer.lines - writer.rubbish, writer.rubbish):
            wrong.append(f"{writer.lines} lines, {writer.rubbish} of them rubbish; "
                         f"weir has {clicks} clicks, {bad} quarantined")
        for name, mine, its in (("tumbling", writer.tumbling, tumbling), ("hopping", writer.hopping, hopping)):
            different = [(key, mine.get(key), its.get(key)) for key in sorted(mine.keys() | its.keys())
                         if mine.get(key) != its.get(key)]
            if different:
                wrong.append(f"{len(different)} {name} windows differ, "
                             f"first (window, written, counted): {different[0]}")
        if not wrong or time.monotonic() > deadline:
            return wrong
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("weir")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.kills} kills", flush=True)
    chance = random.Random(options.seed)
    folder = tempfile.mkdtemp(prefix="weir-kill.")
    os.mkdir(f"{folder}/nginx")
    server, writer = Server(os.path.abspath(options.weir), folder), Writer(f"{folder}/nginx/access.log", options.seed)
    try:
        server.start()
        with open(f"{ROOT}/examples/clickstream/clickstream.sql") as script:
            server.ask("/ksql", {"ksql": script.read()})
        writer.start()
        for _ in range(options.kills):
            time.sleep(0.02 + chance.random() * 0.4)
            server.kill()
            if chance.random() < 0.3:
                server.start(wait=False)
                time.sleep(chance.random() * 0.05)
                server.kill()
            server.start()
        time.sleep(0.5)
        writer.done = True
        writer.join()
        wrong = await_counts(server, writer, 30)
        server.stop()
        if not wrong:
            server.start()
            wrong = ["after a clean restart: " + text for text in await_counts(server, writer, 10)]
            server.stop()
    finally:
        writer.done = True
        if server.process and server.process.poll() is None:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)
    if wrong:
        sys.exit("FAIL (seed %d): %s" % (options.seed, "; ".join(wrong)))
    print(f"{writer.lines} lines, {writer.rubbish} quarantined, "
          f"{len(writer.tumbling)} + {len(writer.hopping)} windows: all exact")


if __name__ == "__main__":
    try:
        main()
    except urllib.error.HTTPError as error:
        sys.exit(f"FAIL: {error} {error.read().decode()}")
