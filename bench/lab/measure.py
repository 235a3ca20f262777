"""What processes cost: CPU time in nanoseconds (schedstat: the scheduler's own count, no ticks) and memory (PSS)."""
import os
import pathlib
import statistics


def children_of(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            pass
    return found


def tree(pid):
    """The process and all its descendants."""
    pids, at = [pid], 0
    while at < len(pids):
        pids += children_of(pids[at])
        at += 1
    return pids


def cpu_ns(pids):
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except OSError:
                pass
    return total


def pss_kib(pids):
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def connects():
    """TCP connections begun on this host (in this network namespace) since it started."""
    head, values = [line.split() for line in open("/proc/net/snmp") if line.startswith("Tcp:")]
    return int(values[head.index("ActiveOpens")])


def name_of(pid):
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


def median(values):
    return statistics.median(values)


def spread(values):
    """Half the distance between the extremes, as a share of the median: how far to trust it."""
    middle = statistics.median(values)
    return (max(values) - min(values)) / 2 / middle if middle else 0.0


def cores():
    return sorted(os.sched_getaffinity(0))
