"""Clients that mean no good, beside one that only wants its answers: those go on, and memory stays within a bound. Single
hostile packets and streams are test_hostile.py's, the limits of TCP test_tcp.py's."""
import contextlib
import os
import random
import resource
import socket
import struct
import subprocess
import sys
import time

import dns.rcode
import pytest

from lab import dnsclient
from lab.daemon import SANITIZED
from lab.net import loopback
from lab.own_network import add_addresses, in_own_network, run

SLOW = 4 if SANITIZED else 1
PATIENCE = 1.5 * SLOW  # seconds that a good client may be without any answer, on a machine that others use as well


@pytest.fixture(scope="module")
def world(module_lab):
    class World:
        pass

    world = World()
    world.web = module_lab.web()
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # nobody reads it: it costs nothing
    silent.bind((loopback(), 0))
    body = f"""
        nameservers = {{ "{silent.getsockname()[0]}#{silent.getsockname()[1]}" }} max_in_flight = 2000 tcp_idle_timeout = 1 tcp_max_connections = 500
        name own.test {{ candidate a {{ check_address = "{world.web.url}" }} }}"""
    world.daemon = module_lab.daemon(body)
    yield world
    silent.close()


@contextlib.contextmanager
def a_good_client(daemon, grows_kib):
    """Holds what comes meanwhile against the answers of a good client (one that asks again after a quarter of a second, as
    UDP wants it), the life of the processes and their memory. The value is to be called now and then."""
    pids = daemon.children()
    memory, most = daemon.resident_kib(), [0]
    with dnsclient.Load(daemon.server, dnsclient.query("own.test").to_wire(), interval=0.005, timeout=0.25) as load:
        yield lambda: most.append(daemon.resident_kib())
        end = time.monotonic()
    most.append(daemon.resident_kib())
    answered = [when for when, _, reply in load.replies if reply]
    assert answered, "no answer at all"
    gaps = [b - a for a, b in zip(answered, [*answered[1:], end])]
    assert max(gaps) < PATIENCE, f"no answer for {max(gaps):.2f} s"
    assert daemon.children() == pids, "nobody died"
    assert daemon.addresses("own.test", tcp=True), "and a new connection is served"
    if not SANITIZED:
        assert max(most) - memory < grows_kib, (memory, most)


def many_descriptors(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"needs {count} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


FLOOD = """
import os, random, socket, struct, sys, time
os.nice(19)  # on a busy machine the flood gets less, not the daemon
dice = random.Random(1)
sockets = []
for _ in range(20):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((sys.argv[1], int(sys.argv[2])))
    s.setblocking(False)
    sockets.append(s)
end, sent = time.monotonic() + float(sys.argv[3]), 0
while time.monotonic() < end:
    for s in sockets:
        for _ in range(20):
            try:
                s.send(struct.pack("!HHHHHH", dice.getrandbits(16), 256, 1, 0, 0, 0) +
                       b"\\x0a%010d\\5flood\\4test\\0\\0\\1\\0\\1" % dice.getrandbits(30))
                sent += 1
            except OSError:
                pass
print(sent)
"""


def test_a_flood_of_names_at_a_silent_upstream(world):
    with a_good_client(world.daemon, 16 * 1024) as look:
        flood = subprocess.Popen([sys.executable, "-c", FLOOD, *map(str, world.daemon.server), "2"], stdout=subprocess.PIPE)
        while flood.poll() is None:
            look()
            time.sleep(0.1)
        assert int(flood.stdout.read()) > 5_000
        flood.stdout.close()


def test_streams_of_an_octet_now_and_then_end_with_their_time(world):
    with a_good_client(world.daemon, 4 * 1024):
        slow = [dnsclient.tcp_socket(world.daemon.server) for _ in range(300)]
        start = time.monotonic()
        stream = dnsclient.frame(dnsclient.query("own.test").to_wire())
        open_ones = slow
        for octet in stream[:-1]:
            still = []
            for s in open_ones:
                try:
                    s.send(bytes([octet]))
                    s.setblocking(False)
                    if s.recv(1) != b"":
                        pytest.fail("an answer to half a query")
                except BlockingIOError:
                    still.append(s)
                except OSError:
                    pass
            open_ones = still
            if not open_ones:
                break
            time.sleep(0.2)
        assert not open_ones and time.monotonic() - start < 2.5 * SLOW, "octets do not prolong the idle time"
        for s in slow:
            s.close()


def test_pipelines_of_thousands_whose_replies_nobody_reads(world):
    def pipeline(name):
        return b"".join(dnsclient.frame(struct.pack("!H", n) + dnsclient.query(name).to_wire()[2:]) for n in range(5000))

    def connect(queries):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(tuple(world.daemon.server))
        s.setblocking(False)
        left[s] = unsent[s] = queries
        return s

    left, unsent = {}, {}
    with a_good_client(world.daemon, 24 * 1024) as look:
        own, forwarded = pipeline("own.test"), pipeline("other.test")
        greedy = [connect(own) for _ in range(30)]
        patient = [connect(forwarded) for _ in range(10)]  # these wait for us: they may stay, and are not read on
        start = time.monotonic()
        while any(s in left for s in greedy) and time.monotonic() - start < 6 * SLOW:
            for s in list(left):
                try:
                    unsent[s] = unsent[s][s.send(unsent[s]):] or left[s]  # thousands more
                except BlockingIOError:
                    pass
                except OSError:
                    del left[s]
            look()
            time.sleep(0.02)
        assert not any(s in left for s in greedy), "whoever does not take his replies is idle"
        for s in greedy + patient:
            s.close()


def test_more_connections_than_there_is_room_for(world):
    many_descriptors(8192)
    with a_good_client(world.daemon, 6 * 1024) as look:
        descriptors = f"/proc/{world.daemon.children()['hard-answerer']}/fd"
        held = []
        for n in range(3000):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(tuple(world.daemon.server))
            held.append(s)
            if n % 500 == 499:
                assert world.daemon.addresses("own.test", tcp=True) == [world.web.address]
                assert len(os.listdir(descriptors)) < 500 + 300
                look()
        for s in held[::2]:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for s in held:
            s.close()


def long_name(dice, ending=b""):
    """A name of 255 octets, the most there may be, of labels as long or as short as may be."""
    out = b""
    size = 255 - len(ending) - 1
    label = dice.choice((1, 2, 63))
    while len(out) < size:
        length = min(label, size - len(out) - 1)
        if size - len(out) - 1 - length == 1:
            length += 1 if length < 63 else -1  # a single octet is no label
        out += bytes([length]) + dice.randbytes(length)
    return out + ending + b"\0"


def test_queries_for_the_longest_names(world):
    dice = random.Random(3)
    with a_good_client(world.daemon, 8 * 1024) as look, dnsclient.udp_socket(world.daemon.server) as s, \
            dnsclient.udp_socket(world.daemon.server) as another:
        for n in range(4000):
            name = long_name(dice, dice.choice((b"", b"\3own\4test")))
            assert len(name) == 255
            s.send(struct.pack("!HHHHHH", n, 256, 1, 0, 0, 0) + name + b"\0\1\0\1")
            if n % 500 == 0:
                look()
        # One octet more is no name.
        another.send(struct.pack("!HHHHHH", 1, 256, 1, 0, 0, 0) + b"\1x" + name + b"\0\1\0\1")
        assert another.recv(4096)[3] & 15 == dns.rcode.FORMERR


@in_own_network
def test_half_open_connections(lab):
    add_addresses("10.1.1.1")
    run("ip", "route", "add", "10.200.0.0/16", "dev", "lo")  # where nobody answers
    web = lab.web()
    daemon = lab.daemon(f'name own.test {{ candidate a {{ check_address = "{web.url}" }} }}\nnameservers = {{ 10.1.1.2 }}',
                        listen=["10.1.1.1"], port=53)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    dice = random.Random(5)

    def sum16(octets):
        total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
        total = (total >> 16) + (total & 0xFFFF)
        return ~(total + (total >> 16)) & 0xFFFF

    here = socket.inet_aton("10.1.1.1")
    with a_good_client(daemon, 2 * 1024):
        for n in range(15_000):
            there = bytes((10, 200, n >> 8 & 255, n & 255))
            head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, n & 0xFFFF, 0, 64, 6, 0, there, here)
            syn = struct.pack("!HHIIBBHHH", dice.randrange(1024, 65536), 53, dice.getrandbits(32), 0, 0x50, 2, 64240, 0, 0)
            check = sum16(there + here + struct.pack("!HH", 6, len(syn)) + syn)
            raw.sendto(head + syn[:16] + struct.pack("!H", check) + syn[18:], ("10.1.1.1", 0))
            if n % 5000 == 4999:
                assert daemon.addresses("own.test", tcp=True) == [web.address]
    raw.close()


# ---- spoofed replies

RIGHT, WRONG = b"\xc0\0\2\1", b"\xc0\0\2\x66"


class Outstanding:
    """An upstream that never answers, and whose address and port the attacker has: he sends from its own socket."""

    def __init__(self, lab):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((loopback(), 0))
        self.socket.settimeout(3)
        self.daemon = lab.daemon("nameservers = {{ \"{}#{}\" }} resolver_timeout = 1.9".format(*self.socket.getsockname()))
        self.client = dnsclient.udp_socket(self.daemon.server)
        self.number = 0

    def ask(self):
        """Sends a query; returns (its ID, where it came from, its question) as the upstream got it."""
        self.number += 1
        question = b"\7v%06d\4test\0\0\1\0\1" % self.number
        self.client.send(struct.pack("!HHHHHH", self.number, 256, 1, 0, 0, 0) + question)
        while True:
            query, where = self.socket.recvfrom(4096)
            if query[12:] == question:
                return struct.unpack("!H", query[:2])[0], where, question

    def answer(self, timeout=0.5):
        """The address in the client's next answer to its last query, or None."""
        self.client.settimeout(timeout)
        with contextlib.suppress(socket.timeout):
            while True:
                reply = self.client.recv(4096)
                if reply[:2] == struct.pack("!H", self.number):
                    assert reply[3] & 15 == 0
                    return reply[-4:]

    def is_answered_at_last(self, number, where, question):
        self.socket.sendto(forged(number, question, RIGHT), where)
        return self.answer() == RIGHT

    def end(self):
        self.client.close()
        self.socket.close()


def forged(number, question, address):
    return (struct.pack("!HHHHHH", number, 0x8180, 1, 1, 0, 0) + question + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + address)


@pytest.fixture(scope="module")
def outstanding(module_lab):
    outstanding = Outstanding(module_lab)
    yield outstanding
    outstanding.end()


def spray(outstanding, guesses):
    """Sends, for each quarter of the guesses, forged replies to a query that waits; none may be taken, and then the
    right one must be. `guesses`: what to send, of (ID, port)."""
    pieces = [guesses[i::4] for i in range(4)]
    for piece in pieces:
        number, where, question = outstanding.ask()
        for guess in piece:
            guessed = number if guess[0] is None else guess[0], where[1] if guess[1] is None else guess[1]
            if guessed == (number, where[1]):
                continue
            with contextlib.suppress(ConnectionRefusedError):
                outstanding.socket.sendto(forged(guessed[0], question, WRONG), (where[0], guessed[1]))
        assert outstanding.answer(0.05) is None
        assert outstanding.is_answered_at_last(number, where, question)


def test_of_65536_ids_at_the_right_port_one_is_taken(outstanding):
    spray(outstanding, [(number, None) for number in range(65536)])


def test_of_all_ports_with_the_right_id_one_is_taken(outstanding):
    spray(outstanding, [(None, port) for port in range(1024, 65536)])


def test_from_another_address_or_port_nothing_is_taken(outstanding):
    number, where, question = outstanding.ask()
    home = outstanding.socket.getsockname()
    for address, port in ((loopback(), home[1]), (home[0], 0)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((address, port))
            for _ in range(100):
                with contextlib.suppress(ConnectionRefusedError):
                    other.sendto(forged(number, question, WRONG), where)
    assert outstanding.answer(0.1) is None
    assert outstanding.is_answered_at_last(number, where, question)


def test_ids_and_ports_are_spread_and_blind_guesses_fail(outstanding):
    """A packet of an attacker who knows neither port nor ID hits a given query once in (ports) x 65,536, when both are
    spread as they should be: here they are counted."""
    queries = 2000
    ports, ids = set(), []
    for _ in range(queries):
        number, where, question = outstanding.ask()
        assert outstanding.is_answered_at_last(number, where, question)
        ports.add(where[1])
        ids.append(number)
    assert len(ports) >= 60, "64 sockets to an upstream"
    assert max(ports) - min(ports) > 16_000
    expected = 65536 * (1 - (1 - 1 / 65536) ** queries)  # of a fair die with 65,536 sides
    assert abs(len(set(ids)) - expected) < 40
    assert 0.45 < sum(i < 32768 for i in ids) / queries < 0.55
    dice = random.Random(9)
    spray(outstanding, [(dice.randrange(65536), dice.randrange(min(ports), max(ports) + 1)) for _ in range(60_000)])
