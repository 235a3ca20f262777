"""Everything else is forwarded, and nothing but the ID changes on the way."""
import random
import struct
import time

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from lab import dnsclient
from lab.daemon import run_hard
from lab.net import free_port, loopback, median

RECORDS = """
www A 192.0.2.1
www A 192.0.2.2
www AAAA 2001:db8::1
mail MX 10 www
alias CNAME www
chain CNAME alias
big TXT ( %s )
text TXT "short" "texts" "with \\"quotes\\""
srv SRV 0 5 5060 www
loc NAPTR 10 10 "u" "E2U+sip" "!^.*$!sip:info@test!" .
*.wild A 192.0.2.3
sub NS ns.sub
ns.sub A 192.0.2.4
caa CAA 0 issue "ca.test"
sshfp SSHFP 1 1 123456789abcdef67890123456789abcdef67890
unknown TYPE65400 \\# 4 0a000001
https HTTPS 1 . alpn=h2
""" % " ".join(f'"{c * 250}"' for c in "abcdefghijkl")

OWNERS = ["www", "mail", "alias", "chain", "big", "text", "srv", "loc", "x.wild", "y.z.wild", "deep.sub", "caa", "sshfp",
          "unknown", "https", "missing", "a.b.c.missing", ""]


def random_query(dice):
    """Octets of a query of any kind; the ID is whoever sends it's."""
    owner = dice.choice(OWNERS)
    name = f"{owner}.test" if owner else dice.choice(["test", "test", "elsewhere.example", "."])
    if dice.random() < 0.3:
        name = "".join(c.upper() if dice.random() < 0.5 else c for c in name)
    common = [1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 43, 44, 46, 48, 64, 65, 255, 257, 65400]
    kind = dice.choice(common) if dice.random() < 0.9 else dice.randrange(1, 65536)
    if kind in (0, 41, 249, 250, 251, 252):  # transfers and what is no question
        kind = 1
    klass = 1 if dice.random() < 0.95 else dice.choice([3, 4, 254, 255, 77])
    flags = 0
    for flag in (dns.flags.RD, dns.flags.CD, dns.flags.AD, 0x0040, dns.flags.TC, dns.flags.RA):
        if dice.random() < (0.7 if flag == dns.flags.RD else 0.1):
            flags |= flag
    wire = bytearray(12)
    if dice.random() < 0.02:
        flags |= dice.choice([2, 4]) << 11  # STATUS, NOTIFY
    struct.pack_into("!HHHHHH", wire, 0, 0, flags, 1, 0, 0, 0)
    for label in name.rstrip(".").split(".") if name != "." else []:
        wire += bytes([len(label)]) + label.encode()
    wire += b"\0" + struct.pack("!HH", kind, klass)
    if dice.random() < 0.6:
        options = b""
        for code in dice.sample([3, 8, 10, 12, 15, 26946], dice.randrange(0, 3)):
            content = {3: b"", 8: struct.pack("!HBB3s", 1, 24, 0, b"\xc0\0\x02"), 10: dice.randbytes(8),
                       12: b"\0" * dice.randrange(0, 40), 15: b"\0\0", 26946: dice.randbytes(5)}[code]
            options += struct.pack("!HH", code, len(content)) + content
        size = dice.choice([0, 512, 1220, 1232, 1400, 4096, 65535])
        version = 1 if dice.random() < 0.03 else 0
        bits = dice.choice([0, 0x8000, 0x8000, 0x4000])
        wire += b"\0" + struct.pack("!HHBBHH", 41, size, 0, version, bits, len(options)) + options
        wire[11] = 1
    return bytes(wire)


@pytest.fixture(scope="module")
def nsd(module_lab):
    return module_lab.nsd(RECORDS)


@pytest.fixture(scope="module")
def daemon(module_lab, nsd):
    return module_lab.daemon(f"nameservers = {{ {nsd.spec} }}")


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_ten_thousand_mixed_queries_differ_in_nothing_but_the_id(daemon, nsd, transport):
    dice = random.Random(4711)
    wires = [random_query(dice) for _ in range(10_000)]
    exchange = dnsclient.exchange_many if transport == "UDP" else dnsclient.exchange_many_tcp
    through = exchange(daemon.server, wires)
    direct = exchange(nsd.server, wires)
    # What nsd itself leaves unanswered (there should be next to nothing) says nothing.
    compared = [(w, d, t) for w, d, t in zip(wires, direct, through) if d is not None]
    assert len(compared) > 9_950
    different = [(w.hex(), d.hex(), t.hex() if t else None) for w, d, t in compared if d != t]
    assert not different, f"{len(different)} differ, the first: {different[0]}"


def test_the_sizes_of_answers_are_the_upstreams(daemon, nsd):
    plain = daemon.ask("big.test", "TXT")
    assert plain.flags & dns.flags.TC
    larger = daemon.ask("big.test", "TXT", use_edns=0, payload=1232)
    assert larger.flags & dns.flags.TC and larger.edns == 0
    assert len(daemon.ask("big.test", "TXT", tcp=True).answer[0][0].strings) == 12


def latencies(daemon, count):
    out = []
    with dnsclient.udp_socket(daemon.server) as s:
        for number in range(count):
            wire = struct.pack("!H", number) + dnsclient.query("www.test").to_wire()[2:]
            start = time.monotonic()
            s.send(wire)
            assert s.recv(4096)[:2] == wire[:2]
            out.append(time.monotonic() - start)
    return out


@pytest.mark.parametrize("death", ["silent", "refusing"])
def test_a_dead_first_upstream_costs_nothing_after_the_first_queries(lab, nsd, death):
    dead, second = lab.script(), lab.nsd(RECORDS)
    if death == "silent":
        dead.silent = True
    else:
        dead.end()
    alive = lab.daemon(f"nameservers = {{ {second.spec}, {nsd.spec} }}")
    half = lab.daemon(f"nameservers = {{ {dead.spec}, {nsd.spec} }}")
    first = latencies(half, 5)
    assert max(first) < 1.0, "the second is asked as well"
    expected, actual = median(latencies(alive, 200)), median(latencies(half, 200))
    assert actual - expected < 0.001, f"{actual * 1000:.2f} ms against {expected * 1000:.2f} ms"
    if death == "refusing":
        dead.start()


def test_without_any_upstream_the_client_is_told(lab):
    silent = lab.script()
    silent.silent = True
    daemon = lab.daemon(f"nameservers = {{ {silent.spec} }}")
    for tcp in (False, True):
        start = time.monotonic()
        reply = daemon.ask("x.test", use_edns=0, tcp=tcp)
        assert reply.rcode() == dns.rcode.SERVFAIL and dnsclient.error_codes(reply) == [22]
        assert time.monotonic() - start < 2.5


def test_a_dead_upstream_is_used_again_when_it_answers(lab):
    upstream = lab.script({("x.test", "A"): ["192.0.2.1"]})
    upstream.silent = True
    daemon = lab.daemon(f"nameservers = {{ {upstream.spec} }}")
    for _ in range(2):
        assert daemon.ask("x.test").rcode() == dns.rcode.SERVFAIL
    upstream.silent = False
    assert daemon.addresses("x.test") == ["192.0.2.1"]


def test_a_bad_rcode_asks_the_next_at_once_and_a_bad_one_is_the_last_resort(lab):
    def answering(rcodes):
        def act(query, tcp):
            reply = dns.message.make_response(query)
            reply.set_rcode(rcodes.get(query.question[0].name.to_text(), dns.rcode.SERVFAIL))
            return reply

        return act

    one = lab.script(act=answering({"one.test.": dns.rcode.NOERROR, "bad.test.": dns.rcode.REFUSED}))
    two = lab.script(act=answering({"two.test.": dns.rcode.NOERROR, "bad.test.": dns.rcode.NOTIMP}))
    daemon = lab.daemon(f"nameservers = {{ {one.spec}, {two.spec} }}")
    for _ in range(5):
        start = time.monotonic()
        for name in ("one.test", "two.test"):
            assert daemon.ask(name).rcode() == dns.rcode.NOERROR
        assert daemon.ask("bad.test").rcode() in (dns.rcode.REFUSED, dns.rcode.NOTIMP)
        assert time.monotonic() - start < 1.0


def test_an_upstream_that_is_hard_itself_is_refused(tmp_path):
    address = loopback()
    port = free_port(address)
    (tmp_path / "har.conf").write_text(f"""
        dns_listen_port = {port} dns_bind_interfaces = {{ {address} }}
        nameservers = {{ "{address}#{port}" }}""")
    code, out, err = run_hard("--check", tmp_path / "har.conf")
    assert code == 2, out + err


def test_a_loop_through_another_resolver_is_found(lab):
    address = loopback()
    port = free_port(address)
    relay = lab.script()

    def through(wire, tcp):  # a resolver that asks us
        try:
            return [dns.query.udp(dns.message.from_wire(wire), address, port=port, timeout=1).to_wire()]
        except dns.exception.Timeout:
            return []

    relay._replies = through
    daemon = lab.daemon(f"nameservers = {{ {relay.spec} }}", listen=[address], port=port)
    daemon.wait_for_log("event=upstream_is_us", timeout=5)
    reply = daemon.ask("x.test", use_edns=0)
    assert reply.rcode() == dns.rcode.SERVFAIL and dnsclient.error_codes(reply) == [22]


def test_a_client_that_has_been_given_a_cookie_is_given_one_with_every_reply(lab):
    """c-ares throws away what comes without a server's part, once it has had one from "this server"."""
    client_part, server_part = bytes(range(8)), bytes(range(100, 108))

    def act(query, tcp):
        reply = dns.message.make_response(query)
        with_cookie = query.question[0].name.to_text().startswith("cookie")
        reply.use_edns(0, options=[dns.edns.GenericOption(10, client_part + server_part)] if with_cookie else [])
        return reply

    upstream, web = lab.script(act=act), lab.web()
    daemon = lab.daemon(f"""
        nameservers = {{ {upstream.spec} }}
        name a.test {{ candidate a {{ check_address = "{web.url}" }} }}""")

    def cookie_for(name, cookie):
        reply = daemon.ask(name, use_edns=0, options=[dns.edns.GenericOption(10, cookie)])
        return b"".join(option.data for option in reply.options if option.otype == 10)

    for name in ("a.test", "plain.test"):
        assert cookie_for(name, client_part) == b""  # nobody has cookies yet
        assert cookie_for(name, client_part + server_part) == client_part + server_part
    assert cookie_for("cookie.test", client_part) == client_part + server_part
    for name in ("a.test", "plain.test"):
        given = cookie_for(name, client_part)
        assert given[:8] == client_part and len(given) == 16
        assert cookie_for(name, client_part + server_part) == client_part + server_part
