"""Load: our own generator (saturates, measures latencies) and dnsperf (somebody else's, as a witness)."""
import re
import subprocess

from . import servers

_DNSPERF = {"sent": r"Queries sent:\s+(\d+)", "received": r"Queries completed:\s+(\d+)",
            "lost": r"Queries lost:\s+(\d+)", "qps": r"Queries per second:\s+([\d.]+)"}


def generator(build, core, address, port, names, seconds, mode, amount, sockets=1, burst=32):
    """mode: `window` (always so many under way, of each socket `burst` at once), `rate` or `paced` (queries a second; the
    last sleeps in between, with a real-time priority). Returns the figures as a dict."""
    first = ["chrt", "-f", "50"] if mode == "paced" else []
    out = subprocess.run([*first, "taskset", "-c", core, servers.limit_program(build, "load"), address, str(port), str(names),
                          str(seconds), mode, str(amount), str(sockets), str(burst)], capture_output=True, text=True, check=True,
                         timeout=seconds + 30).stdout
    return {key: float(value) for key, value in re.findall(r"(\w+)=([\d.]+)", out)}


def dnsperf(core, address, port, names, seconds, tcp=False, clients=10, outstanding=100, rate=None):
    """names: a file of dnsperf's form, `HOST A` a line."""
    argv = ["taskset", "-c", core, "dnsperf", "-s", address, "-p", str(port), "-d", str(names), "-l", str(max(1, round(seconds))),
            "-c", str(clients), "-q", str(outstanding), "-m", "tcp" if tcp else "udp", "-t", "2"]
    argv += ["-Q", str(rate)] if rate else []
    out = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 30).stdout
    found = {key: re.search(pattern, out) for key, pattern in _DNSPERF.items()}
    if not all(found.values()):
        raise SystemExit(f"dnsperf says: {out[-1000:]}")
    return {key: float(match.group(1)) for key, match in found.items()}
