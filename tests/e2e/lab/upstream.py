"""Upstream resolvers: nsd with a zone of the test's own, and a scripted one that can do wrong."""
import pathlib
import socket
import struct
import subprocess
import threading
import time

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from . import dnsclient
from .net import free_port, loopback, wait_until

ZONE_HEAD = """$ORIGIN test.
$TTL 300
@ SOA ns admin 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
"""


class Nsd:
    """nsd serving `test.` with the records given, each query answered at once and alike."""

    def __init__(self, folder, records="", address=None, port=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.address = address or loopback()
        self.port = port or free_port(self.address)
        (self.folder / "zone").write_text(ZONE_HEAD + records)
        (self.folder / "nsd.conf").write_text(f"""
server:
  ip-address: {self.address}@{self.port}
  username: ""
  chroot: ""
  zonesdir: {self.folder}
  database: ""
  pidfile: {self.folder}/pid
  xfrdfile: {self.folder}/xfrd.state
  zonelistfile: {self.folder}/zone.list
  xfrdir: {self.folder}
  logfile: {self.folder}/log
  server-count: 1
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
  tcp-count: 500
remote-control:
  control-enable: no
zone:
  name: test.
  zonefile: {self.folder}/zone
  provide-xfr: 0.0.0.0/0 NOKEY
""")
        self.process = None

    @property
    def server(self):
        return self.address, self.port

    @property
    def spec(self):
        return f'"{self.address}#{self.port}"'

    def start(self):
        self.process = subprocess.Popen(["nsd", "-d", "-c", self.folder / "nsd.conf"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers():
            try:
                return dnsclient.ask(self.server, "test", "SOA", timeout=0.2).answer
            except (dns.exception.DNSException, OSError):
                return False

        wait_until(answers, 10, what="nsd")
        return self

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=10)


class Script:
    """An upstream that does what `act(query, tcp)` says: returns octets, a dns.message.Message, a list of these or None
    (silence); BrokenPipeError among them closes a TCP connection. Without `act` it answers from `records`, a dict {(name, type): [text, …]}: NODATA or NXDOMAIN otherwise.
    `seen` lists the questions as (name, type), `delay` is in seconds."""

    def __init__(self, records=None, act=None, address=None, port=None, delay=0.0):
        self.address = address or loopback()
        self.port = port or free_port(self.address)
        self.records = records or {}
        self.act = act or self.answer
        self.delay = delay
        self.silent = False
        self.seen = []
        self._end = threading.Event()
        self._threads = []

    @property
    def server(self):
        return self.address, self.port

    @property
    def spec(self):
        return f'"{self.address}#{self.port}"'

    def start(self):
        self._end.clear()
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._udp = socket.socket(family, socket.SOCK_DGRAM)
        self._udp.bind(self.server)
        self._udp.settimeout(0.1)
        self._tcp = socket.socket(family, socket.SOCK_STREAM)
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._tcp.bind(self.server)
        self._tcp.listen(64)
        self._tcp.settimeout(0.1)
        for target in (self._serve_udp, self._serve_tcp):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def end(self):
        self._end.set()
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._udp.close()
        self._tcp.close()

    def answer(self, query, tcp):
        reply = dns.message.make_response(query, recursion_available=True)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        texts = self.records.get((name, kind))
        if texts:
            reply.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", kind, texts))
        elif not any(known == name for known, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply

    def _replies(self, wire, tcp):
        try:
            query = dns.message.from_wire(wire, ignore_trailing=True)
        except dns.exception.DNSException:
            return []
        if query.question:
            question = query.question[0]
            self.seen.append((question.name.to_text(omit_final_dot=True).lower(),
                              dns.rdatatype.to_text(question.rdtype)))
            if "har-loop.invalid" in self.seen[-1][0] and not self.silent:
                reply = dns.message.make_response(query)
                reply.set_rcode(dns.rcode.NXDOMAIN)
                return [reply.to_wire()]
        if self.silent:
            return []
        out = self.act(query, tcp)
        if self.delay:
            time.sleep(self.delay)
        if out is None:
            return []
        if not isinstance(out, list):
            out = [out]
        return [o.to_wire() if isinstance(o, dns.message.Message) else o for o in out]

    def _serve_udp(self):
        while not self._end.is_set():
            try:
                wire, client = self._udp.recvfrom(65535)
            except socket.timeout:
                continue
            for reply in self._replies(wire, False):
                self._udp.sendto(reply, client)

    def _serve_tcp(self):
        while not self._end.is_set():
            try:
                connection, _ = self._tcp.accept()
            except socket.timeout:
                continue
            threading.Thread(target=self._serve_connection, args=(connection,), daemon=True).start()

    def _serve_connection(self, connection):
        connection.settimeout(20)
        with connection:
            try:
                while (wire := dnsclient.receive_message(connection)) is not None and not self._end.is_set():
                    for reply in self._replies(wire, True):
                        if reply is BrokenPipeError:
                            return
                        connection.sendall(struct.pack("!H", len(reply)) + reply)
            except OSError:
                pass
