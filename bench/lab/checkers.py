"""Programs that check endpoints, `hard` among them, and what a check costs them: CPU of the whole process tree over the
TCP connections begun meanwhile (this host's own count, the same for all of them; nothing else connects)."""
import re
import resource
import sqlite3
import subprocess
import time

from . import certificates, measure, servers

WEB_PORT = 8090
DNS_PORT = 5320


def addresses(count):
    return [f"127.{i >> 14}.{(i >> 7) & 127}.{(i & 127) + 1}" for i in range(count)]


def web(s, folder):
    """On every address of 127/8: HTTP on WEB_PORT, HTTPS on the next; and its certificate."""
    certificate = certificates.make(folder)
    return servers.web_server(folder / "nginx", ["0.0.0.0"], WEB_PORT, s.client_core, certificate), certificate


class Hard:
    """`hard` that checks so many endpoints, three a name."""

    def __init__(self, s, folder, method, endpoints, interval, certificate):
        names = -(-endpoints // 3)
        self.endpoints = 3 * names
        extra = f'check_host = "{certificates.HOST}"\n check_ca_file = "{certificate.ca}"\n' if method == "https" else ""
        port = WEB_PORT + 1 if method == "https" else WEB_PORT
        config = servers.hard_names([f"n{i}.bench.example" for i in range(names)], addresses(self.endpoints), port,
                                    method, interval, extra)
        self.server = servers.hard(folder / "hard", s.build, config, "127.0.0.1", DNS_PORT, s.server_core,
                                   "n0.bench.example", f"hard {method}")
        self.data_file = folder / "hard/har.db"

    def checks_between(self, begin, end):
        """After its end: rows (start, endpoint, outcome) from what it has written."""
        with sqlite3.connect(self.data_file) as database:
            return database.execute("select time - response_time / 1e6 as start, address, outcome from samples "
                                    "where start >= ? and start < ? order by start", (begin, end)).fetchall()

    def complaints(self):
        words = re.findall(r"event=(checks_stretched|store_\w+|probe_not_started|child_\w+)[^\n]*",
                           self.server.log.read_text())
        return ", ".join(sorted(set(words)))


def limit(s, folder, method, rate):
    program = servers.limit_program(s.limits, "tcp_checks")
    return servers.Server("limit program", [program, rate, WEB_PORT, *addresses(256)], folder, "", 0, s.server_core)


def gdnsd(s, folder, method, rate, interval=2):
    names = -(-rate * interval // 3)
    return servers.gdnsd(folder / "gdnsd", [f"n{i}.bench.example" for i in range(names)], addresses(3 * names), WEB_PORT,
                         "127.0.0.1", DNS_PORT + 1, s.server_core, interval)


def haproxy(s, folder, method, rate, interval=2):
    return servers.haproxy(folder / "haproxy", addresses(rate * interval), WEB_PORT, method, DNS_PORT + 2, s.server_core,
                           interval)


def hard(s, folder, method, rate, certificate):
    endpoints = int(rate * 2 * 0.95)  # jitter shortens the interval of 2 s by 5 % on average
    return Hard(s, folder, method, endpoints, 2, certificate)


def cost(server, settle, seconds):
    """(CPU microseconds a check, checks a second)"""
    time.sleep(settle)
    cpu, connects, began = server.cpu_ns(), measure.connects(), time.monotonic()
    time.sleep(seconds)
    cpu, connects, took = server.cpu_ns() - cpu, measure.connects() - connects, time.monotonic() - began
    return cpu / 1000 / max(1, connects), connects / took


def handshake_cost(s, certificate, seconds):
    """The same of the TLS library's own benchmark: full handshakes, verified, as fast as they go."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run(
        ["taskset", "-c", s.server_core, "openssl", "s_time", "-new", "-connect", f"127.0.0.1:{WEB_PORT + 1}",
         "-CAfile", certificate.ca, "-verify", "3", "-time", str(seconds)],
        capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    count = int(re.search(r"(\d+) connections in [\d.]+s", said)[1])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu * 1e6 / count, count / seconds
