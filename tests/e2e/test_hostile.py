"""Packets from people who mean no good, towards us and from upstreams.

HAR_HOSTILE_PACKETS: how many. HAR_HOSTILE_SEEDS: a folder of packets, such as other projects' fuzzing corpora, a file each."""
import os
import pathlib
import random
import select
import socket
import struct
import threading
import time

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest

from lab import dnsclient
from lab.daemon import SANITIZED
from lab.net import loopback, median
from test_forwarding import RECORDS, random_query

PACKETS = int(os.environ.get("HAR_HOSTILE_PACKETS", 100_000))
FORGED = PACKETS // 2  # replies of an upstream
SEEDS = [path.read_bytes()[:16_384] for path in sorted(pathlib.Path(os.environ["HAR_HOSTILE_SEEDS"]).iterdir())
         ] if "HAR_HOSTILE_SEEDS" in os.environ else []
GROWTH_KIB = 1024  # after a warm-up, whatever comes


@pytest.fixture(scope="module")
def world(module_lab):
    lab = module_lab

    class World:
        pass

    world = World()
    world.nsd = lab.nsd(RECORDS)
    world.web = lab.web()
    world.daemon = lab.daemon(f"""
        nameservers = {{ {world.nsd.spec} }} max_in_flight = 1000
        name own.test {{ candidate a {{ check_address = "{world.web.url}" }} }}""")
    return world


def mutated(wire, dice):
    out = bytearray(wire)
    for _ in range(dice.randrange(1, 6)):
        what = dice.randrange(5)
        at = dice.randrange(len(out)) if out else 0
        if what == 0 and out:
            out[at] ^= 1 << dice.randrange(8)
        elif what == 1 and out:
            out[at] = dice.choice((0, 1, 63, 64, 127, 128, 192, 255))
        elif what == 2:
            del out[at:at + dice.randrange(1, 8)]
        elif what == 3:
            out[at:at] = dice.randbytes(dice.randrange(1, 8))
        else:
            del out[at:]
    return bytes(out)


def is_malformed(wire):
    """Why these octets are no whole DNS message, if they are not."""
    def after_name(at):
        while wire[at]:
            if wire[at] & 0xC0 == 0xC0:
                return at + 2
            if wire[at] & 0xC0:
                raise ValueError("a label type")
            at += 1 + wire[at]
        return at + 1

    try:
        questions, *records = struct.unpack("!4H", wire[4:12])
        at = 12
        for _ in range(questions):
            at = after_name(at) + 4
        for _ in range(sum(records)):
            at = after_name(at) + 10
            at += struct.unpack("!H", wire[at - 2:at])[0]
    except (IndexError, ValueError, struct.error) as error:
        return repr(error)
    return None if at == len(wire) and wire[2] & 0x80 else f"{len(wire)} octets, {at} of them a message"


def is_our_own(wire):
    """Authoritative, or one of the errors that we give."""
    return bool(wire[2] & 0x04) or wire[3] & 15 in (dns.rcode.FORMERR, dns.rcode.SERVFAIL)


def test_a_hundred_thousand_hostile_packets_do_no_harm(world):
    dice = random.Random(815)
    seeds = [random_query(dice) for _ in range(300)]
    seeds += [dnsclient.query("own.test", kind, use_edns=e).to_wire() for kind in ("A", "AAAA", "ANY", "HTTPS")
              for e in (False, 0)] + SEEDS
    pids = world.daemon.children()
    sockets = [dnsclient.udp_socket(world.daemon.server) for _ in range(8)]
    for s in sockets:
        s.setblocking(False)
    resident = None
    took, own = [], 0
    for n in range(PACKETS):
        if n == PACKETS // 5:
            time.sleep(0.3)
            resident = world.daemon.resident_kib()
        if n % 200 == 199:  # wait for an answer, so that what came before was read and not lost to a full buffer
            for _ in range(3):
                try:
                    start = time.monotonic()
                    assert world.daemon.addresses("own.test", timeout=1) == [world.web.address]
                    took.append(time.monotonic() - start)
                    break
                except dns.exception.Timeout:
                    continue
            else:
                pytest.fail(f"no answer after {n} packets\n{world.daemon.log()}")
        s = sockets[n % len(sockets)]
        try:
            s.send(mutated(seeds[n % len(seeds)], dice))
        except (BlockingIOError, ConnectionRefusedError):
            pass
        if n % 64 == 63:
            for s in select.select(sockets, [], [], 0)[0]:
                try:
                    while reply := s.recv(65535):
                        if is_our_own(reply):
                            own += 1
                            assert not is_malformed(reply), (is_malformed(reply), reply.hex())
                except OSError:
                    pass
    for s in sockets:
        s.close()
    print(f"good queries: {len(took)}, median {median(took) * 1000:.2f} ms, longest {max(took) * 1000:.2f} ms, "
          f"{sum(t > 0.010 for t in took)} above 10 ms")
    assert own > PACKETS / 20, "most are for the upstream, not all"
    assert median(took) < 0.010, "a good client is answered meanwhile"
    assert world.daemon.addresses("own.test") == [world.web.address]
    assert world.daemon.children() == pids, "nobody died"
    if not SANITIZED:
        assert world.daemon.resident_kib() - resident < GROWTH_KIB


def test_hostile_streams_do_no_harm(world):
    dice = random.Random(42)
    pids = world.daemon.children()
    seeds = [random_query(dice) for _ in range(100)]
    for _ in range(300):
        with dnsclient.tcp_socket(world.daemon.server) as s:
            stream = b"".join(dnsclient.frame(mutated(dice.choice(seeds), dice)) for _ in range(dice.randrange(1, 20)))
            try:
                s.sendall(mutated(stream, dice))
                if dice.random() < 0.5:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
    assert world.daemon.addresses("own.test", tcp=True) == [world.web.address]
    assert world.daemon.children() == pids


def test_large_packets_are_read_whole_and_answered(world):
    options = struct.pack("!HH", 65001, 7000) + b"x" * 7000
    wire = bytearray(dnsclient.query("own.test").to_wire())
    wire[11] = 1
    wire += b"\0" + struct.pack("!HHIH", 41, 4096, 0, len(options)) + options
    with dnsclient.udp_socket(world.daemon.server) as s:
        s.send(wire)
        assert dnsclient.addresses(dns.message.from_wire(s.recv(4096))) == [world.web.address]


def wrong_replies(query):
    """Replies that an attacker or a broken resolver may send to the query, before the right one."""
    def right():
        query = dns.message.from_wire(wire_of_query)  # replies share their question with the query they are made from
        reply = dns.message.make_response(query)
        reply.answer.append(dns.rrset.from_text(query.question[0].name, 1, "IN", "A", "192.0.2.66"))
        return reply

    wire_of_query = query.to_wire()
    wire = bytearray(right().to_wire())
    other_id = right()
    other_id.id ^= 1
    other_name = right()
    other_name.question[0].name = dns.name.from_text("evil.test")
    other_name.answer = []
    no_question = right()
    no_question.question = []
    no_question.answer = []
    is_query = right()
    is_query.flags &= ~0x8000
    return [b"", b"\0", bytes(wire[:11]), bytes(wire[:2]) + os.urandom(300), other_id.to_wire(), other_name.to_wire(),
            no_question.to_wire(), is_query.to_wire(), bytes(wire[:2]) + b"\xff" * 60]


@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
def test_wrong_replies_of_an_upstream_do_not_reach_the_client(lab, tcp):
    def act(query, over_tcp):
        if query.question[0].name.to_text() == "lost.test.":
            return wrong_replies(query)
        good = dns.message.make_response(query)
        good.answer.append(dns.rrset.from_text(query.question[0].name, 1, "IN", "A", "192.0.2.1"))
        return [*([] if over_tcp else wrong_replies(query)), good]

    upstream = lab.script(act=act)
    daemon = lab.daemon(f"nameservers = {{ {upstream.spec} }}")
    for n in range(30):
        assert daemon.addresses(f"x{n}.test", tcp=tcp) == ["192.0.2.1"]
    assert daemon.ask("lost.test", tcp=tcp).rcode() == dns.rcode.SERVFAIL


def test_random_replies_of_an_upstream_do_no_harm(lab):
    dice = random.Random(7)

    def act(query, tcp):
        good = dns.message.make_response(query)
        for n in range(3):
            good.answer.append(dns.rrset.from_text(f"n{n}.test.", 1, "IN", "A", "192.0.2.1"))
        wire = good.to_wire()
        head = wire[:12 + len(query.question[0].name.to_wire()) + 4]
        return [head + mutated(wire[len(head):], dice) for _ in range(3)]

    upstream = lab.script(act=act)
    web = lab.web()
    # The checker's own resolver reads them as well: candidates by name.
    candidates = "".join(f'candidate c{n} {{ check_address = "http://c{n}.test:1/" }}\n' for n in range(20))
    daemon = lab.daemon(f"""
        nameservers = {{ {upstream.spec} }}
        name own.test {{ candidate a {{ check_address = "{web.url}" }} }}
        name random.test {{ {candidates} }}""")
    pids = daemon.children()
    wires = [dnsclient.query(f"x{n}.test", kind).to_wire() for n in range(500) for kind in ("A", "TXT", "CNAME")]
    dnsclient.exchange_many(daemon.server, wires, timeout=3, retries=0)
    assert daemon.addresses("own.test") == [web.address]
    assert daemon.children() == pids


def test_a_flood_of_slow_queries_is_bounded_and_own_answers_go_on(lab):
    silent = lab.script()
    silent.silent = True
    web = lab.web()
    daemon = lab.daemon(f"""
        nameservers = {{ {silent.spec} }} max_in_flight = 500
        name own.test {{ candidate a {{ check_address = "{web.url}" }} }}""")
    with dnsclient.udp_socket(daemon.server) as s:
        s.settimeout(3)
        wire = dnsclient.query("slow.test", use_edns=0).to_wire()[2:]
        early = set()

        def read(timeout):
            s.settimeout(timeout)
            try:
                while True:
                    reply = dns.message.from_wire(s.recv(4096))
                    assert reply.rcode() == dns.rcode.SERVFAIL
                    early.add(reply.id)
            except socket.timeout:
                pass

        for n in range(1000):
            s.send(struct.pack("!H", n) + wire)
            if n % 50 == 49:
                assert daemon.addresses("own.test") == [web.address]
                read(0.01)
        read(0.3)
        assert early == set(range(500)), "the oldest were pushed out at once, long before their time"


class Forger(threading.Thread):
    """An upstream that sends, before each right reply, many that have been changed in header or question."""

    def __init__(self, total, each):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((loopback(), 0))
        self.total, self.each, self.sent = total, each, 0
        self.spec = '"{}#{}"'.format(*self.socket.getsockname())
        self.dice = random.Random(99)

    def run(self):
        while True:
            query, client = self.socket.recvfrom(4096)
            head = bytearray(query)
            head[2] |= 0x80
            head[3] = 0x80
            head[6:8] = b"\0\1"
            right = bytes(head[:end_of_question(head)]) + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + bytes([192, 0, 2, 1])
            asked = end_of_question(head)
            right = right[:10] + b"\0\0" + right[12:]
            forged = right[:asked] + right[asked:-4] + bytes([192, 0, 2, 66])
            for _ in range(self.each if self.sent < self.total else 0):
                if SEEDS and self.dice.randrange(2):
                    wrong = bytearray(mutated(self.dice.choice(SEEDS), self.dice))
                    wrong[:3] = head[:3]  # the right ID, and a reply
                    if not is_an_answer_to(right[:asked], wrong):
                        self.send(wrong, client)
                        self.sent += 1
                    continue
                wrong = mutated(forged[:asked], self.dice)
                if is_an_answer_to(right[:asked], wrong):
                    continue
                self.send(wrong + forged[asked:], client)
                self.sent += 1
            self.send(right, client)

    def send(self, wire, client):
        try:
            self.socket.sendto(wire, client)
        except OSError:
            pass


def end_of_question(wire):
    at = 12
    while wire[at]:
        at += 1 + wire[at]
    return at + 5


def is_an_answer_to(right, wrong):
    """Whether a resolver may take it for one: the same ID and question, or an error that repeats no question."""
    if len(wrong) < 12 or wrong[:2] != right[:2]:
        return False
    return wrong[12:len(right)].lower() == right[12:].lower() or wrong[4:6] == b"\0\0"


def test_forged_replies_are_never_taken_for_the_right_one(lab):
    forger = Forger(FORGED, each=20)
    forger.start()
    web = lab.web()
    daemon = lab.daemon(f"""
        nameservers = {{ {forger.spec} }}
        name own.test {{ candidate a {{ check_address = "{web.url}" }} }}""")
    pids = daemon.children()
    resident = None
    with dnsclient.udp_socket(daemon.server) as s:
        s.settimeout(4)
        for n in range(FORGED // 20):
            s.send(struct.pack("!HHHHHH", n & 0xFFFF, 0x0100, 1, 0, 0, 0) + b"\4name\4test\0\0\1\0\1")
            reply = s.recv(4096)
            assert reply[:2] == struct.pack("!H", n & 0xFFFF) and reply[3] & 15 == 0
            assert reply[-4:] == bytes([192, 0, 2, 1])
            if n == FORGED // 80:
                resident = daemon.resident_kib()
    assert forger.sent > FORGED // 2
    assert daemon.addresses("own.test") == [web.address]
    assert daemon.children() == pids
    if not SANITIZED:
        assert daemon.resident_kib() - resident < GROWTH_KIB
