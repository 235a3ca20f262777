"""What tests/soak/chaos holds against the daemon: the load's account of each query, judged by what was done when; memory
and descriptors."""
import collections
import os
import pathlib
import re
import subprocess
import threading
import time

from lab.daemon import SANITIZED

GROWTH_KIB = 1024  # of a process's memory, or a tenth of it where that is more
GROWTH_DESCRIPTORS = 16
LONG_ENOUGH = 600  # seconds of a run whose quarters have seen the same faults, so that they can be compared
# MiB and descriptors, at any moment. The answerer's: 64 sockets to the upstream, as many again for each of ten changes of
# the network at once (app/rounds.h), since a socket that is replaced listens until its queries have ended, and TCP.
MOST = {"hard": (4, 64), "hard-answerer": (24, 1000), "hard-checker": (24, 200)}
YOUNG = 3.0  # seconds in which a process still takes what it needs


class Violations:
    def __init__(self, seed):
        self.seed, self.start, self.list = seed, time.monotonic(), []
        self.steps = [(self.start, "the start")]

    def step(self, text):
        self.steps.append((time.monotonic(), text))

    def add(self, text, at=None):
        at = at or time.monotonic()
        last = next(said for since, said in reversed(self.steps) if since <= at or since == self.start)
        self.list.append(text)
        if len(self.list) <= 200:
            print(f"VIOLATION at {at - self.start:.2f} s, seed {self.seed}: {text}; done last: {last}", flush=True)


class Load:
    """soak_load beside us. What it reports as lost is fine where `allow` says so, and only there."""

    def __init__(self, program, server, rate, seed, names, violations):
        self.violations = violations
        self.process = subprocess.Popen([program, server[0], str(server[1]), str(rate), str(seed), names],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.events = collections.deque()
        self.windows = []
        self.stats = collections.deque(maxlen=400)  # (when, sent, answered, skipped, own, forwarded): 100 s
        self.allowed = collections.Counter()
        self.sent = self.answered = self.skipped = 0
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            kind, *words = line.split(" ", 2)
            if kind == "stat":
                n = [int(word) for word in line.split()[1:]]
                self.stats.append((n[0] / 1000, n[1], n[2], n[3], n[4:7], n[7:10]))
                self.skipped += n[3]
            elif kind == "event":
                when, count = words[1].split()
                self.events.append((words[0], int(when) / 1000, int(count)))
            elif kind == "wrong":
                self.violations.add(f"wrong answer: {words[1].strip()}", int(words[0]) / 1000)
            elif kind == "total":
                self.sent, self.answered = map(int, line.split()[1:])

    def allow(self, kinds, since, until, why):
        self.windows.append((kinds.split(), since, until, why))

    def judge(self, before):
        """Of queries sent before that time."""
        later = []
        while self.events:
            kind, when, count = event = self.events.popleft()
            if when >= before:
                later.append(event)
                continue
            if kind == "nodata":
                continue
            why = next((w for kinds, since, until, w in self.windows if kind in kinds and since <= when <= until), None)
            if why is None:
                self.violations.add(f"{kind} {count}", when)
            else:
                self.allowed[f"{kind} ({why})"] += count
        self.events.extendleft(reversed(later))
        self.windows = [window for window in self.windows if window[2] > before - 60]

    def recent(self):
        """The newest interval that has ended: (when, …, own [p50, p99, max] in µs, forwarded likewise)."""
        return self.stats[-1] if self.stats else None

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                self.violations.add("the load did not end")
        self.thread.join(5)
        if self.process.returncode != 0:
            self.violations.add(f"the load ended with {self.process.returncode}")


class Usage:
    """Memory (PSS) and descriptors of the three processes, once a second."""

    def __init__(self, daemon):
        self.daemon, self.samples, self.born = daemon, [], {}
        self._end = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self._end.wait(1.0):
            try:
                processes = {"hard": self.daemon.process.pid, **self.daemon.children()}
            except OSError:
                continue
            for role, pid in processes.items():
                now = time.monotonic()
                try:
                    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                    sample = int(re.search(r"^Pss:\s+(\d+)", rollup, re.M).group(1)), len(os.listdir(f"/proc/{pid}/fd"))
                except (OSError, AttributeError):
                    continue
                if now - self.born.setdefault(pid, now) >= YOUNG:
                    self.samples.append((now, role, *sample))

    def end(self):
        self._end.set()
        self.thread.join()

    def judge(self, violations):
        """Compares the second quarter of the time with the last one. Returns a text."""
        if not self.samples:
            return "no samples"
        first, last = self.samples[0][0], self.samples[-1][0]
        said = []
        for role, (most_mib, most_descriptors) in MOST.items():
            mine = [sample for sample in self.samples if sample[1] == role]
            peak = [max(column) for column in list(zip(*mine))[2:]]
            if not peak or (not SANITIZED and peak[0] > most_mib * 1024) or peak[1] > most_descriptors:
                violations.add(f"{role}: at most {peak} KiB and descriptors")
            quarters = []
            for a, b in ((0.25, 0.5), (0.75, 1.0)):
                inside = [s[2:] for s in mine if a <= (s[0] - first) / max(last - first, 1) <= b] or [(0, 0)]
                quarters.append([sorted(column)[int((len(column) - 1) * share)] for column in zip(*inside) for share in (0.5, 0.9)])
            said.append("{} {}, then {} KiB; {}, then {} descriptors (median and 90th percentile); at most {} and {}".format(
                role, *(f"{q[at]} {q[at + 1]}" for at in (0, 2) for q in quarters), *peak))
            # The median depends on when it was last killed, the upper end on the worst that has happened: a leak lifts both.
            grown = [then - before > max(least, before / 10) for before, then, least in zip(
                *quarters, (GROWTH_KIB, GROWTH_KIB, GROWTH_DESCRIPTORS, GROWTH_DESCRIPTORS))]
            if (all(grown[:2]) or all(grown[2:])) and last - first >= LONG_ENOUGH and not SANITIZED:
                violations.add(f"growth: {said[-1]}")
        return "second and last quarter:\n  " + "\n  ".join(said)
