"""What the demo starts: web servers, an upstream resolver and hard, on loopback addresses of its own; and how it asks."""
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rdatatype
import dns.rrset

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
HARD = TOP / "build" / "hard"
CONFIG = TOP / "conf" / "demo.conf"

NAME = "www.demo.example."
LISTEN = "127.53.0.53"
UPSTREAM = "127.53.0.54"


def die_with_parent():
    """In a new child, before it runs: should the demo itself be killed, nothing of it stays."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def free_port(first, kinds, *addresses):
    """The first port from `first` on that is free on all these addresses."""
    for port in range(first, first + 1000):
        with contextlib.ExitStack() as sockets:
            try:
                for kind in kinds:
                    for address in addresses:
                        sock = sockets.enter_context(socket.socket(socket.AF_INET, kind))
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
                        sock.bind((address, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port from {first} on")


class WebServer:
    """One process, one address; killed and started again at will."""

    def __init__(self, title, address, milliseconds, tier=0):
        self.title, self.address, self.milliseconds, self.tier = title, address, milliseconds, tier
        self.port = None
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-B", HERE / "webserver.py", self.address, str(self.port), str(self.milliseconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, preexec_fn=die_with_parent)

    def wait_ready(self):
        if self.process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the web server on {self.address}:{self.port} did not start")

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process = None


class Upstream:
    """A resolver that knows one address for every name: enough to show that a query was passed on."""

    ADDRESS = "192.0.2.80"

    def __init__(self):
        self.port = free_port(5354, [socket.SOCK_DGRAM], UPSTREAM)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((UPSTREAM, self.port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            wire, client = self.socket.recvfrom(4096)
            with contextlib.suppress(dns.exception.DNSException):
                query = dns.message.from_wire(wire)
                reply = dns.message.make_response(query)
                reply.flags |= dns.flags.RA
                question = query.question[0]
                if question.rdtype == dns.rdatatype.A:
                    reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", self.ADDRESS))
                self.socket.sendto(reply.to_wire(), client)


class World:
    """Everything of one demo. Ends what it started, by pid, in end()."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="har-demo-"))
        self.servers = [
            WebServer("near.demo.example", "127.53.0.1", 1),
            WebServer("nearby.demo.example", "127.53.0.2", 5),
            WebServer("remote.demo.example", "127.53.0.3", 20),
            WebServer("other-region.demo.example", "127.53.0.4", 2, tier=1),
        ]
        self.port = None
        self.hard = None
        self.log_path = self.folder / "log"

    def start_servers(self):
        port = free_port(8080, [socket.SOCK_STREAM], *(s.address for s in self.servers))
        for server in self.servers:
            server.port = port
            server.start()
        for server in self.servers:
            server.wait_ready()

    def start_hard(self):
        """Returns the seconds until it said that it is ready."""
        upstream = Upstream()
        self.port = free_port(5353, [socket.SOCK_DGRAM, socket.SOCK_STREAM], LISTEN)
        settings = {"HAR_DEMO_DIR": str(self.folder), "HAR_DEMO_PORT": str(self.port),
                    "HAR_DEMO_UPSTREAM_PORT": str(upstream.port), "HAR_DEMO_WEB_PORT": str(self.servers[0].port)}
        start = time.monotonic()
        with open(self.log_path, "wb") as log:
            self.hard = subprocess.Popen([HARD, CONFIG], env=os.environ | settings, stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=log, start_new_session=True, preexec_fn=die_with_parent)
        while "event=ready" not in self.log():
            if self.hard.poll() is not None or time.monotonic() - start > 15:
                raise RuntimeError("hard did not get ready")
            time.sleep(0.005)
        return time.monotonic() - start

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def ask(self, name=NAME, kind="A"):
        """One real query over UDP: (reply, milliseconds); (None, ...) when nothing came."""
        query = dns.message.make_query(name, kind)
        start = time.monotonic()
        try:
            reply = dns.query.udp(query, LISTEN, port=self.port, timeout=3)
        except (dns.exception.DNSException, OSError):
            reply = None
        return reply, (time.monotonic() - start) * 1000

    def candidates(self):
        """The rows of hard's data file, read as any other program would read them: address to row."""
        file = sqlite3.connect(f"file:{self.folder}/har.db?mode=ro", uri=True, timeout=2)
        try:
            file.row_factory = sqlite3.Row
            return {row["address"]: row for row in file.execute("SELECT * FROM candidates")}
        finally:
            file.close()

    def end(self):
        if self.hard is not None and self.hard.poll() is None:
            self.hard.terminate()
            try:
                self.hard.wait(3)
            except subprocess.TimeoutExpired:
                self.hard.kill()
                self.hard.wait()
        for server in self.servers:
            server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def addresses(reply):
    """The addresses of a reply, in its order."""
    return [] if reply is None else [item.address for rrset in reply.answer for item in rrset]
