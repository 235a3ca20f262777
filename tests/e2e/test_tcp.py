"""TCP towards clients (RFC 7766) and zone transfers."""
import os
import pathlib
import signal
import socket
import struct
import subprocess
import threading
import time

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from lab import dnsclient
from lab.daemon import HARD
from lab.net import wait_until


@pytest.fixture(scope="module")
def nsd(module_lab):
    records = "".join(f"host{n} A 192.0.2.{n % 250}\nhost{n} TXT \"{'x' * 100}\"\n" for n in range(6_000))
    return module_lab.nsd(records)


@pytest.fixture(scope="module")
def web(module_lab):
    return module_lab.web()


def names(web):
    return f'name own.test {{ candidate a {{ check_address = "{web.url}" }} }}'


@pytest.fixture(scope="module")
def daemon(module_lab, nsd, web):
    return module_lab.daemon(f"nameservers = {{ {nsd.spec} }}\n{names(web)}")


def numbered(number, name, kind="A"):
    return dnsclient.frame(struct.pack("!H", number) + dnsclient.query(name, kind).to_wire()[2:])


def number_of(message):
    return struct.unpack("!H", message[:2])[0]


def test_queries_are_pipelined_and_own_answers_overtake_slow_ones(lab, web):
    slow = lab.script({("slow.test", "A"): ["192.0.2.1"]}, delay=0.3)
    daemon = lab.daemon(f"nameservers = {{ {slow.spec} }}\n{names(web)}")
    with dnsclient.tcp_socket(daemon.server) as s:
        s.sendall(numbered(1, "slow.test") + b"".join(numbered(n, "own.test") for n in range(2, 50)))
        order = [number_of(dnsclient.receive_message(s)) for _ in range(49)]
    assert order[:-1] == list(range(2, 50)) and order[-1] == 1


def test_the_cuts_of_the_stream_mean_nothing(daemon):
    stream = numbered(1, "own.test") + numbered(2, "host1.test") + numbered(3, "own.test", "AAAA")
    with dnsclient.tcp_socket(daemon.server) as s:
        for octet in stream:
            s.sendall(bytes([octet]))
        assert {number_of(dnsclient.receive_message(s)) for _ in range(3)} == {1, 2, 3}


def test_a_half_closed_client_gets_all_its_replies(daemon):
    with dnsclient.tcp_socket(daemon.server) as s:
        s.sendall(b"".join(numbered(n, ["own.test", f"host{n}.test"][n % 2]) for n in range(300)))
        s.shutdown(socket.SHUT_WR)
        seen = set()
        while (message := dnsclient.receive_message(s)) is not None:
            seen.add(number_of(message))
    assert seen == set(range(300))


def test_limits_hold(lab, web, nsd):
    daemon = lab.daemon(f"nameservers = {{ {nsd.spec} }}\n{names(web)}",
                        extra="tcp_idle_timeout = 0.6 tcp_max_connections = 5")
    first = [dnsclient.tcp_socket(daemon.server) for _ in range(5)]
    for s in first:
        s.sendall(numbered(1, "own.test"))
        assert dnsclient.receive_message(s)
    sixth = dnsclient.tcp_socket(daemon.server)
    sixth.sendall(numbered(1, "own.test"))
    assert dnsclient.receive_message(sixth)
    start = time.monotonic()
    assert first[0].recv(1) == b"", "the longest idle one goes first"
    assert time.monotonic() - start < 0.4
    first[1].settimeout(0.1)
    with pytest.raises(socket.timeout):
        first[1].recv(1)
    sixth.settimeout(4)
    assert sixth.recv(1) == b"", "the idle timeout"
    assert 0.3 < time.monotonic() - start < 2
    for s in [*first, sixth]:
        s.close()


def test_nonsense_over_tcp_ends_that_connection_only(daemon):
    for nonsense in (b"\0\0", b"\0\5hello", b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 70_000):
        with dnsclient.tcp_socket(daemon.server) as s:
            try:
                s.sendall(nonsense)
                s.shutdown(socket.SHUT_WR)
                while s.recv(4096):
                    pass
            except OSError:
                pass
    assert daemon.addresses("own.test", tcp=True)


def raw_transfer(server, pause=0.0):
    """The messages of an AXFR up to the second SOA, without IDs; `pause` makes a slow reader."""
    out = []
    with dnsclient.tcp_socket(server) as s:
        s.settimeout(15)
        s.sendall(numbered(7, "test", "AXFR"))
        soas = 0
        while soas < 2:
            message = dnsclient.receive_message(s)
            assert message is not None, f"ended after {len(out)} messages"
            assert number_of(message) == 7
            out.append(message[2:])
            soas += sum(r.rdtype == 6 for r in dns.message.from_wire(message, one_rr_per_rrset=True).answer)
            time.sleep(pause)
    return out


def test_a_zone_transfer_comes_through_as_it_is(daemon, nsd):
    direct, through = raw_transfer(nsd.server), raw_transfer(daemon.server)
    assert len(direct) > 20
    assert through == direct


def test_other_queries_are_answered_during_a_slow_transfer(daemon):
    done = []
    reader = threading.Thread(target=lambda: done.append(raw_transfer(daemon.server, pause=0.005)))
    reader.start()
    asked = 0
    while reader.is_alive():
        assert daemon.addresses("own.test", tcp=asked % 2 == 0)
        asked += 1
        time.sleep(0.01)
    reader.join()
    assert done and asked > 10


def test_an_incremental_transfer_and_a_refused_one_come_through(daemon, lab, web):
    query = dns.message.make_query("test", "IXFR", use_edns=False)
    query.authority.append(dns.rrset.from_text("test.", 0, "IN", "SOA", "ns.test. admin.test. 1 3600 600 86400 60"))
    reply = daemon.ask(query, tcp=True)
    assert reply.answer and reply.answer[0].rdtype == 6

    def refuse(query, tcp):
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.REFUSED)
        return reply

    refusing = lab.script(act=refuse)
    other = lab.daemon(f"nameservers = {{ {refusing.spec} }}\n{names(web)}")
    assert other.ask(dnsclient.query("test", "AXFR"), tcp=True).rcode() == dns.rcode.REFUSED


def test_a_transfer_that_breaks_ends_the_connection(lab, web):
    def first_part(query, tcp):
        reply = dns.message.make_response(query)
        if query.question[0].rdtype == dns.rdatatype.AXFR:
            reply.answer.append(dns.rrset.from_text("test.", 0, "IN", "SOA", "a. b. 1 2 3 4 5"))
            return [reply, BrokenPipeError]
        return reply

    daemon = lab.daemon(f"nameservers = {{ {lab.script(act=first_part).spec} }}\n{names(web)}")
    with dnsclient.tcp_socket(daemon.server) as s:
        s.sendall(numbered(7, "test", "AXFR"))
        assert number_of(dnsclient.receive_message(s)) == 7
        assert dnsclient.receive_message(s) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may look at the answerer's descriptors")
def test_clients_that_only_connect_take_no_descriptor_that_forwarding_or_a_reload_needs(lab, nsd):
    daemon = lab.daemon(f"nameservers = {{ {nsd.spec} }}\n", start=False)
    process = subprocess.Popen(["/usr/bin/prlimit", "--nofile=400:400", HARD, daemon.config],
                               stderr=open(daemon.folder / "log", "wb"))
    try:
        wait_until(lambda: "event=ready" in (daemon.folder / "log").read_text(), 6, what="readiness")
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        answerer = next(pid for pid in children.read_text().split()
                        if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "hard-answerer")
        idle = [dnsclient.tcp_socket(daemon.server) for _ in range(600)]
        wait_until(lambda: len(os.listdir(f"/proc/{answerer}/fd")) > 150, 3, what="many connections")
        assert len(os.listdir(f"/proc/{answerer}/fd")) < 390
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: "event=reloaded" in (daemon.folder / "log").read_text(), 3, what="the reload")
        for transport in (False, True):
            assert dnsclient.ask(daemon.server, "www.example.test", tcp=transport).rcode() != dns.rcode.SERVFAIL
        assert pathlib.Path(f"/proc/{answerer}").exists()
        for connection in idle:
            connection.close()
    finally:
        process.terminate()
        assert process.wait(timeout=5) == 0
