"""The world of tests/soak/chaos: two racks, each a network of its own behind a cable, with web servers and an upstream
in it; `hard` on 127.0.0.1 of a third network; and the names it is asked for."""
import contextlib
import ctypes
import os
import pathlib
import signal
import struct
import subprocess

from lab import daemon as lab_daemon
from lab.net import wait_until
from lab.own_network import CLONE_NEWNET, CLONE_NEWNS, mount_points, run, stay_apart, take_away
from lab.upstream import Nsd
from lab.web import WebServer, start_all

LIBC = ctypes.CDLL(None, use_errno=True)
FORWARDED_NAMES = 50_000  # as load.cc has it
DISK = "96m"  # the history of an hour has room, and is soon filled up
WEBS_OF_A_RACK = 4


class Rack:
    """Web servers N.11, N.12, … (and fdNN::11, the first one's other address) and an upstream N.53 behind one cable."""

    def __init__(self, folder, name, number):
        self.name, self.net, self.net6 = name, f"10.{number}.0", f"fd{number:02}:"
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        ours = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != ours, 5, what="a network")
        self.network = os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        run("ip", "link", "add", "name", name, "type", "veth", "peer", "name", "cable", "netns", str(self.holder.pid))
        with self.inside():
            run("ip", "link", "set", "lo", "up")
        for host in ["1", *map(str, range(11, 11 + WEBS_OF_A_RACK)), "53"]:
            where = contextlib.nullcontext(name) if host == "1" else self.inside()
            with where as device:
                run("ip", "address", "add", f"{self.net}.{host}/24", "dev", device)
        self.plug_in("near")
        self.plug_in("far")
        self.webs = [WebServer(f"{self.net}.{11 + i}", 80) for i in range(WEBS_OF_A_RACK)]
        self.web6 = WebServer(f"{self.net6}:11", 80)
        for i, web in enumerate(self.webs):
            web.rack, web.title, web.falls = self, f"{name}{i + 1}", []
        self.folder = folder / name

    @contextlib.contextmanager
    def inside(self):
        """What is done or started meanwhile happens in the rack's network."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        assert LIBC.setns(self.network, CLONE_NEWNET) == 0
        try:
            yield "cable"
        finally:
            assert LIBC.setns(home, CLONE_NEWNET) == 0
            os.close(home)

    def start(self, records):
        with self.inside():
            start_all(*self.webs, self.web6)
        self.upstream = Nsd(self.folder, records, f"{self.net}.53", 53)
        self.start_upstream()

    def start_web(self, web):
        with self.inside():
            web.start()

    def start_upstream(self):
        with self.inside():
            self.upstream.start()

    def kill_upstream(self):
        for pid in descendants(self.upstream.process.pid):
            os.kill(pid, signal.SIGKILL)
        self.upstream.process.wait()

    def signal_upstream(self, number):
        for pid in descendants(self.upstream.process.pid):
            os.kill(pid, number)

    def pull_out(self, end):
        """end `near`: the interface of the host under test, its routes go with it; `far`: it only loses its carrier."""
        with contextlib.nullcontext(self.name) if end == "near" else self.inside() as device:
            run("ip", "link", "set", device, "down")

    def plug_in(self, end):
        with contextlib.nullcontext(self.name) if end == "near" else self.inside() as device:
            run("ip", "link", "set", device, "up")
            # IPv6 addresses go with the interface.
            run("ip", "-6", "address", "replace", f"{self.net6}:{'1' if end == 'near' else '11'}/64", "dev", device, "nodad")

    def make_narrow(self):
        run("tc", "qdisc", "replace", "dev", self.name, "root", "tbf", "rate", "400kbit", "burst", "4kb", "latency", "60ms")

    def make_wide(self):
        run("tc", "qdisc", "del", "dev", self.name, "root")

    def end(self):
        for web in [*self.webs, self.web6]:
            web.end()
        if hasattr(self, "upstream") and self.upstream.process and self.upstream.process.poll() is None:
            self.kill_upstream()
        self.holder.kill()
        self.holder.wait()


def descendants(pid):
    """The process and what it has started."""
    found = [pid]
    for at in found:
        with contextlib.suppress(OSError):
            found += map(int, pathlib.Path(f"/proc/{at}/task/{at}/children").read_text().split())
    return found


class World:
    def __init__(self, folder, build):
        self.folder = pathlib.Path(folder)
        self.build = pathlib.Path(build)
        self.mounted = mount_points()
        assert LIBC.unshare(CLONE_NEWNS | CLONE_NEWNET) == 0, "needs root"
        stay_apart()
        run("ip", "link", "set", "lo", "up")
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(self.disk))
        self.clock = self.folder / "clock"
        self.clock.write_bytes(bytes(8))
        self.racks = []
        for number, name in ((1, "east"), (2, "west")):
            self.racks.append(Rack(self.folder, name, number))
        self.webs = [web for rack in self.racks for web in rack.webs]
        hosts = [f"{web.title}.hosts A {web.address}\n" for web in self.webs]
        hosts += [f"{rack.webs[0].title}.hosts AAAA {rack.web6.address}\n" for rack in self.racks]
        numbered = (f"n{i} A 10.77.{i // 256}.{i % 256}\n" for i in range(FORWARDED_NAMES))
        self.records = "".join([*hosts, *numbered])
        self.daemon = None

    def start(self):
        for rack in self.racks:
            rack.start(self.records)
        self.daemon = lab_daemon.Daemon(self.folder / "hard", self.configuration(), ["127.0.0.1"], 53,
                                        data_file=self.disk / "har.db")
        self.start_daemon()

    def start_daemon(self, wait=True):
        added = {} if lab_daemon.SANITIZED else {
            "LD_PRELOAD": str(self.build / "tests/soak/libsoak_clock.so"), "SOAK_CLOCK": str(self.clock)}
        os.environ.update(added)
        try:
            self.daemon.start(wait)
        finally:
            for key in added:
                del os.environ[key]

    def step_clock(self, seconds):
        with open(self.clock, "r+b") as file:
            file.write(struct.pack("=q", seconds))

    # ---- names

    def witness(self, web):
        """The name that has this server as its first choice."""
        return f"first-{web.title}.ours.test"

    def plain_names(self):
        """{name: (options, webs)}; candidates of the even ones by address, of the odd ones by host name."""
        east, west = (rack.webs for rack in self.racks)
        out = {}
        for i, web in enumerate(self.webs):
            other = (west if web in east else east)[i % WEBS_OF_A_RACK]
            out[self.witness(web)] = ("selection_method = failover", [web, other, *[w for w in self.webs if w.rack is web.rack]])
        methods = ["best_rtt", "group_rtt_rr", "random", "weighted", "hash"]
        for i, method in enumerate(methods * 4):
            count = f"answer_count = {1 + i % 3}"
            webs = self.webs[i % 3:] + self.webs[:i % 3]
            out[f"{method.replace('_', '-')}{i}.ours.test"] = (f"selection_method = {method} {count}", webs)
        out["tiers.ours.test"] = ("", [*east, *west])
        return out

    def configuration(self, turned=False, with_extra=False, margin=0.2):
        """turned: moving.ours.test has its candidates in the other rack."""
        upstreams = ", ".join(rack.upstream.spec for rack in self.racks) if hasattr(self.racks[0], "upstream") else ""
        text = [f"nameservers = {{ {upstreams} }}\ndefaults {{ switch_margin = {margin} }}\n"]

        def candidate(web, by_name, more=""):
            title = f"{web.title}.hosts.test" if by_name else web.title
            address = "check_address = \"http://" + (title if by_name else web.address) + "/\""
            return f"  candidate {title} {{ {address} {more} }}\n"

        for i, (name, (options, webs)) in enumerate(self.plain_names().items()):
            seen = dict.fromkeys(webs)
            tiers = {web: "tier = 1" if name.startswith("tiers") and web.rack is self.racks[1] else "" for web in seen}
            # The first servers' host names have an AAAA record too: by name they are for the dual names.
            listed = "".join(candidate(web, i % 2 == 1 and web is not web.rack.webs[0], tiers[web]) for web in seen)
            text.append(f"name {name} {{ {options}\n{listed}}}\n")
        for method in ("failover", "best_rtt"):
            listed = "".join(candidate(rack.webs[0], True) for rack in self.racks)
            text.append(f"name dual-{method.replace('_', '-')}.ours.test {{ selection_method = {method}\n{listed}}}\n")
        moving = self.racks[1 if turned else 0].webs
        text.append(f"name moving.ours.test {{\n{''.join(candidate(web, False) for web in moving)}}}\n")
        if with_extra:
            text.append(f"name extra.ours.test {{\n{candidate(self.webs[-1], False)}}}\n")
        return "".join(text)

    def names_file(self):
        """For the load: what may be answered."""
        lines = [f"{name} strict {','.join(sorted({web.address for web in webs}))}"
                 for name, (_, webs) in self.plain_names().items()]
        both = ",".join(a for rack in self.racks for a in (rack.webs[0].address, rack.web6.address))
        lines += [f"dual-{method}.ours.test dual {both}" for method in ("failover", "best-rtt")]
        lines.append(f"moving.ours.test strict {','.join(web.address for web in self.webs)}")
        path = self.folder / "names"
        path.write_text("\n".join(lines) + "\n")
        return path

    def end(self):
        problems = []
        for part in [self.daemon, *self.racks]:
            if part is not None:
                try:
                    part.end()
                except Exception as problem:  # the others are to be ended too
                    problems.append(f"end of {type(part).__name__}: {problem}")
        take_away(self.mounted)
        return problems

