"""The sections of bench/run: each starts its servers, measures, ends them, and returns its table as Markdown."""
import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import resource
import socket
import tempfile
import time

from . import certificates, load, measure, report, servers, trouble, turns

WEB_PORT = 8090
WINDOW = 256  # queries always under way: enough that the server never waits


@dataclasses.dataclass
class Settings:
    rounds: int = 5
    seconds: float = 3
    build: str = "build"
    limits: str = "build-bench"

    def __post_init__(self):
        cores = measure.cores()
        self.client_core, self.server_core = str(cores[0]), str(cores[-1])


@contextlib.contextmanager
def stage():
    """A scratch folder, and the servers started in it: all ended at the end."""
    started = []
    with tempfile.TemporaryDirectory(prefix="har-bench-") as folder:
        try:
            yield pathlib.Path(folder), started
        finally:
            servers.end_all(reversed(started))


def hosts(count):
    return [f"n{i}.bench.example" for i in range(count)]


def names_file(folder, count):
    path = folder / f"names{count}"
    path.write_text("".join(host + "\n" for host in hosts(count)))
    return path


def dnsperf_file(folder):
    path = folder / "dnsperf10"
    path.write_text("".join(host + " A\n" for host in hosts(10)))
    return path


def endpoint_addresses(count):
    return [f"127.{30 + i // 65000}.{i // 250 % 250}.{i % 250 + 1}" for i in range(count)]


def start_web(s, folder, started):
    server = servers.web_server(folder / "nginx", ["0.0.0.0"], WEB_PORT, s.client_core)
    started.append(server)


def start_hard(s, folder, started, count, port, name=None, extra="", frequency=2):
    config = servers.hard_names(hosts(count), endpoint_addresses(3 * count), WEB_PORT, frequency=frequency)
    name = name or f"hard, {count:,} names"
    server = servers.hard(folder / f"hard-{port}", s.build, extra + config, "127.0.0.1", port, s.server_core,
                          hosts(1)[0], name)
    started.append(server)
    return server


def start_limit(s, folder, started, name, program, *args, address="127.0.0.1", port=0, core=None, ready="x.example"):
    server = servers.Server(name, [servers.limit_program(s.limits, program), address, port, *args], folder, address, port,
                            core or s.server_core, ready)
    started.append(server)
    return server


def udp(s):
    with stage() as (folder, started):
        files = {count: names_file(folder, count) for count in (10, 1000, 10000)}
        start_web(s, folder, started)
        limit = start_limit(s, folder, started, "limit program, 10 names", "table_echo", files[10], port=5301,
                            ready=hosts(1)[0])
        limit_many = start_limit(s, folder, started, "limit program, 10,000 names", "table_echo", files[10000],
                                 port=5302, ready=hosts(1)[0])
        peer = servers.gdnsd(folder / "gdnsd", hosts(10), endpoint_addresses(30), WEB_PORT, "127.0.0.1", 5303,
                             s.server_core, name="gdnsd multifo, 10 names")
        started.append(peer)
        ours = {count: start_hard(s, folder, started, count, 5310 + i, frequency=frequency)
                for i, (count, frequency) in enumerate(((10, 2), (1000, 10), (10000, 30)))}
        asked = {limit.name: 10, limit_many.name: 10000, peer.name: 10, **{o.name: c for c, o in ours.items()}}
        time.sleep(32)  # the first round of checks of all, and the second has its even pace

        def ask(server, sockets, burst):
            return load.generator(s.limits, s.client_core, server.address, server.port, files[asked[server.name]],
                                  s.seconds, "window", WINDOW, sockets, burst)

        results = turns.interleave([limit, limit_many, peer, *ours.values()], lambda server: ask(server, 1, 32), s.rounds)
        text = "One client, as a proxy or a runtime with one socket is:\n\n"
        text += report.table(turns.HEAD, turns.rows(results, limit.name))
        few = [limit, peer, ours[10]]
        results = turns.interleave(few, lambda server: ask(server, 64, 2), s.rounds)
        text += "\n64 clients with two queries each at a time, as the C library's are:\n\n"
        text += report.table(turns.HEAD, turns.rows(results, limit.name))
        witness = dnsperf_file(folder)
        results = turns.interleave(few, lambda server: load.dnsperf(s.client_core, server.address, server.port, witness,
                                                                    s.seconds), s.rounds)
        text += "\ndnsperf at its maximum (10 clients, 100 queries under way), which leaves the server some time to rest:\n\n"
        return text + report.table(turns.HEAD, turns.rows(results, limit.name))


def forward(s):
    with stage() as (folder, started):
        upstream = start_limit(s, folder, started, "upstream", "table_echo", "any", port=5390, core=s.client_core)
        relay = start_limit(s, folder, started, "minimal relay", "relay", upstream.address, upstream.port, port=5304)
        peer = servers.dnsdist(folder, (upstream.address, upstream.port), "127.0.0.1", 5305, s.server_core, "x.example")
        started.append(peer)
        start_web(s, folder, started)
        ours = start_hard(s, folder, started, 10, 5310, "hard", 'nameservers = { "127.0.0.1#5390" }\n')

        def one(server):
            return load.generator(s.limits, s.client_core, server.address, server.port, "unique", s.seconds, "window",
                                  WINDOW)

        results = turns.interleave([relay, peer, ours], one, s.rounds)
        return report.table(turns.HEAD, turns.rows(results, relay.name))


def flight(s):
    with stage() as (folder, started):
        fast = start_limit(s, folder, started, "upstream", "table_echo", "any", port=5390)
        slow = start_limit(s, folder, started, "slow upstream", "slow_echo", "100", port=5391)
        start_web(s, folder, started)
        rows = []
        for name, upstream in (("at once", fast), ("after 100 ms", slow)):
            ours = start_hard(s, folder, started, 10, 5310, "hard", f'nameservers = {{ "127.0.0.1#{upstream.port}" }}\n')
            for _ in range(s.rounds):
                got = load.generator(s.limits, s.client_core, ours.address, ours.port, "unique", s.seconds, "rate", 20000)
                rows.append([name, f"{got['sent']:,.0f}", f"{got['lost']:.0f}", f"{got['wrong']:.0f}",
                             f"{got['p50_us']:.0f}", f"{got['p99_us']:.0f}"])
            ours.stop()
        return report.table(["upstream answers", "sent at 20,000 q/s", "lost", "SERVFAIL", "p50, µs", "p99, µs"], rows)


def tcp(s):
    with stage() as (folder, started):
        witness = dnsperf_file(folder)
        start_web(s, folder, started)
        limit = start_limit(s, folder, started, "bare echo", "tcp_echo", port=5306, ready=None)
        peer = servers.gdnsd(folder / "gdnsd", hosts(10), endpoint_addresses(30), WEB_PORT, "127.0.0.1", 5303,
                             s.server_core)
        started.append(peer)
        ours = start_hard(s, folder, started, 10, 5310, "hard", "tcp_idle_timeout = 60\n")
        time.sleep(2.5)

        def one(server):
            return load.dnsperf(s.client_core, server.address, server.port, witness, s.seconds, tcp=True)

        results = turns.interleave([limit, peer, ours], one, s.rounds)
        text = report.table(turns.HEAD, turns.rows(results, limit.name))
        return text + "\n" + idle_connections(s, folder, ours)


def idle_connections(s, folder, ours):
    """What 10,000 connections that say nothing cost the daemon, and the others."""
    count = 10_000
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 512, count + 512))
    names = names_file(folder, 10)

    def look():
        runs = [load.generator(s.limits, s.client_core, ours.address, ours.port, names, 2, "rate", 10000)
                for _ in range(s.rounds)]
        return percentiles("", runs)

    before, calm = measure.pss_kib(ours.pids()), look()
    connections = []
    for _ in range(count):
        connection = socket.create_connection((ours.address, ours.port))
        connections.append(connection)
    time.sleep(0.5)
    during, beside = measure.pss_kib(ours.pids()), look()
    for connection in connections:
        connection.close()
    return report.table(["idle connections", "PSS, KiB", *PERCENTILES[:3]], [
        ["0", before, *calm[1:4]], [f"{count:,}", f"{during} ({(during - before) / count:.2f} KiB each)", *beside[1:4]]])


def latency(s):
    with stage() as (folder, started):
        names = names_file(folder, 10)
        start_web(s, folder, started)
        limit = start_limit(s, folder, started, "limit program", "table_echo", names, port=5301, ready=hosts(1)[0])
        ours = start_hard(s, folder, started, 10, 5310, "hard")
        time.sleep(2.5)
        figures = {limit.name: [], ours.name: []}
        for _ in range(s.rounds):
            for server in (limit, ours):
                figures[server.name].append(load.generator(s.limits, s.client_core, server.address, server.port, names,
                                                           s.seconds, "rate", 10000))
        rows = [percentiles(name, runs) for name, runs in figures.items()]
        return report.table(["at 10,000 q/s", *PERCENTILES, "lost"], rows)


PERCENTILES = ["p50, µs", "p90, µs", "p99, µs (best round)", "p99.9, µs (best round)"]


def percentiles(name, runs):
    """Medians of the rounds. Of the highest ones the best round as well: what a program can do when the machine lets it."""
    def of(key):
        return [run[key] for run in runs]

    return [name, *(f"{measure.median(of(key)):.0f}" for key in ("p50_us", "p90_us")),
            *(f"{measure.median(of(key)):.0f} ({min(of(key)):.0f})" for key in ("p99_us", "p999_us")),
            f"{sum(of('lost')):.0f}"]


def disturbed(s):
    """The same daemon's percentiles while it is calm and while something goes on in it, in turns."""
    with stage() as (folder, started):
        names = names_file(folder, 10)
        certificate = certificates.make(folder)
        started.append(servers.web_server(folder / "nginx", ["0.0.0.0"], WEB_PORT, s.client_core, certificate))
        small = start_hard(s, folder, started, 10, 5310, "small", frequency=30)
        large = start_hard(s, folder, started, 10_000, 5311, "large", frequency=30)
        secure = servers.hard(folder / "https", s.build,
                              servers.hard_names(hosts(334), endpoint_addresses(1002), WEB_PORT + 1, "https", 30,
                                                 "check_tls_verify = false"), "127.0.0.1", 5312, s.server_core,
                              hosts(1)[0], "https")
        started.append(secure)
        slow_disk = servers.hard(folder / "slow", s.build, servers.hard_names(hosts(10), endpoint_addresses(30), WEB_PORT),
                                 "127.0.0.1", 5313, s.server_core, hosts(1)[0], "slow disk",
                                 {"LD_PRELOAD": str(servers.limit_program(s.limits, "libslow_disk.so"))})
        started.append(slow_disk)
        time.sleep(20)  # the first rounds of checks are over
        cases = [("slots rewritten 10,000 times a second", small, lambda: trouble.rewrite_slots(s, small, 10_000)),
                 ("reload of 10,000 names", large, lambda: trouble.reload(large)),
                 ("the checker starts with 1,002 HTTPS endpoints", secure, lambda: trouble.kill_checker(secure)),
                 ("a disk of two seconds a fsync", slow_disk, lambda: None)]
        rows = []
        for what, server, begin in cases:
            calm, troubled = [], []
            for _ in range(s.rounds):
                calm.append(paced(s, small if server is slow_disk else server, names))
                begin()
                troubled.append(paced(s, server, names))
                time.sleep(3)  # what began has ended
            rows += [percentiles(f"calm, before: {what}", calm), percentiles(what, troubled)]
        return report.table(["at 10,000 q/s", *PERCENTILES, "lost"], rows)


def paced(s, server, names, rate=10_000):
    return load.generator(s.limits, s.client_core, server.address, server.port, names, s.seconds, "paced", rate)


def flood(s):
    """Configured names while 100,000 queries a second for others ask a dead upstream: one that is silent, one that refuses."""
    with stage() as (folder, started):
        names = names_file(folder, 10)
        start_web(s, folder, started)
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        silent.bind(("127.0.0.1", 5390))
        daemons = {what: start_hard(s, folder, started, 10, port, what, f'nameservers = {{ "127.0.0.1#{upstream}" }}\n', 300)
                    for what, port, upstream in (("silent", 5310, 5390), ("refusing", 5311, 5391))}
        time.sleep(3)
        rows = []
        for what, server in daemons.items():
            calm, flooded = [], []
            for _ in range(s.rounds):
                calm.append(paced(s, server, names, 2000))
                with concurrent.futures.ThreadPoolExecutor() as pool:
                    others = pool.submit(load.generator, s.limits, s.client_core, server.address, server.port, "unique",
                                         s.seconds + 2, "rate", 100_000)
                    time.sleep(1)
                    flooded.append(paced(s, server, names, 2000))
                    others.result()
                time.sleep(2.5)  # nothing of the flood waits any more
            rows += [percentiles(f"calm, before: {what}", calm), percentiles(f"flood at an upstream that is {what}", flooded)]
        silent.close()
        return report.table(["2,000 q/s of configured names", *PERCENTILES, "lost"], rows)


def hostile(s):
    """Configured names beside what means no good: 100,000 mutated packets a second, and one client's busy connections."""
    seeds = [servers.ROOT / "tests/fuzz/corpus" / name for name in ("query", "decide", "reply")]
    seeds += [os.environ["HAR_HOSTILE_SEEDS"]] if "HAR_HOSTILE_SEEDS" in os.environ else []
    with stage() as (folder, started):
        names = names_file(folder, 10)
        start_web(s, folder, started)
        ours = start_hard(s, folder, started, 10, 5310, "hard", 'nameservers = { "127.0.0.1#5391" }\n', 300)
        time.sleep(3)
        cases = [("mutated packets, 100,000/s", lambda: trouble.hostile_packets(s, ours, 100_000, s.seconds + 2, seeds))]
        cases += [(f"{count:,} connections that never rest",
                   lambda count=count: trouble.busy_connections(s, ours, count, hosts(1)[0], s.seconds + 2))
                  for count in (100, 2_000)]
        rows = []
        for what, begin in cases:
            calm, beside, memory = [], [], []
            for _ in range(s.rounds):
                calm.append(paced(s, ours, names, 500))
                process = begin()
                time.sleep(1)
                beside.append(paced(s, ours, names, 500))
                print(f"{what}: {process.communicate(timeout=30)[0].strip()}", flush=True)
                time.sleep(1)
                memory.append(measure.pss_kib(ours.pids()))
            for name, runs, kib in ((f"calm, before: {what}", calm, ""), (what, beside, f"{memory[0]:,} to {memory[-1]:,}")):
                rows.append([*percentiles(name, runs), f"{max(run['max_us'] for run in runs) / 1000:.1f}", kib])
        return report.table(["500 q/s of configured names", *PERCENTILES, "lost", "longest, ms", "PSS after each round, KiB"],
                            rows)


def workers(s):
    with stage() as (folder, started):
        names = names_file(folder, 10)
        start_web(s, folder, started)
        both = ",".join(map(str, measure.cores()))
        one, two = (start_hard(dataclasses.replace(s), folder, started, 10, 5310 + n, f"hard, workers = {n}",
                               f"workers = {n}\n") for n in (1, 2))
        time.sleep(2.5)
        for server in (one, two):
            for pid in server.pids():
                servers.pin(pid, both)

        def run(server):
            return load.generator(s.limits, both, server.address, server.port, names, s.seconds, "window", WINDOW, 16)

        results = turns.interleave([one, two], run, s.rounds)
        return report.table(turns.HEAD, turns.rows(results, one.name))


ALL = {"udp": udp, "forward": forward, "flight": flight, "tcp": tcp, "latency": latency, "disturbed": disturbed,
       "flood": flood, "hostile": hostile, "workers": workers}
