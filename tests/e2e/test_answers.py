"""What is answered for a configured name, bit by bit."""
import socket

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from lab import dnsclient
from lab.net import loopback
from lab.own_network import add_addresses, in_own_network


@pytest.fixture(scope="module")
def world(module_lab):
    lab = module_lab
    up, many = lab.webs({}, {})

    class World:
        pass

    world = World()
    world.web = up
    world.eight = [loopback() for _ in range(9)]
    world.upstream = lab.script({
        ("here.test", "MX"): ["10 mail.test."], ("other.test", "A"): ["192.0.2.9"],
        ("here.test", "HTTPS"): ["1 . ipv4hint=192.0.2.66"],
    })
    fixed = ", ".join(world.eight)
    world.daemon = lab.daemon(f"""
        nameservers = {{ {world.upstream.spec} }}
        name here.test {{ ttl = 30 candidate a {{ check_address = "{up.url}" }} }}
        name gone.test {{ candidate a {{ check_address = "{up.url}" }} }}
        name hints.here.test {{ https_records = forward candidate a {{ check_address = "{up.url}" }} }}
        name eight.test {{
          answer_count = 8 selection_method = random
          candidate a {{ check_address = "{up.url}" }}
          candidate b {{ check_address = "{many.url}" }}
        }}
    """)
    return world


def test_an_own_answer_has_the_bits_that_clients_want(world):
    query = dnsclient.query("here.test", flags=dns.flags.RD | dns.flags.CD | dns.flags.AD)
    reply = world.daemon.ask(query)
    assert dnsclient.addresses(reply) == [world.web.address]
    assert reply.answer[0].ttl == 30
    assert reply.id == query.id
    assert reply.flags == dns.flags.QR | dns.flags.AA | dns.flags.RA | dns.flags.RD | dns.flags.CD
    assert reply.edns == -1 and not reply.additional
    reply = world.daemon.ask(dnsclient.query("here.test", flags=0))
    assert reply.flags == dns.flags.QR | dns.flags.AA | dns.flags.RA


def test_the_case_of_the_question_comes_back(world):
    wire = bytearray(dnsclient.query("hErE.TesT").to_wire())
    with dnsclient.udp_socket(world.daemon.server) as s:
        s.send(wire)
        reply = s.recv(512)
    assert reply[12:12 + 11] == wire[12:12 + 11] == b"\x04hErE\x04TesT\x00"
    assert dnsclient.addresses(dns.message.from_wire(reply)) == [world.web.address]


def test_answers_over_tcp_are_the_same(world):
    assert world.daemon.addresses("here.test", tcp=True) == [world.web.address]


def test_edns_comes_back_if_and_only_if_it_was_asked_with(world):
    reply = world.daemon.ask("here.test", use_edns=0, want_dnssec=True, payload=4096)
    assert reply.edns == 0 and reply.payload == 1232 and reply.ednsflags & dns.flags.DO
    assert dnsclient.addresses(reply) == [world.web.address]
    assert not world.daemon.ask("here.test", use_edns=0).ednsflags & dns.flags.DO


def test_an_unknown_edns_version_gets_badvers(world):
    query = dnsclient.query("here.test", use_edns=0)
    query.ednsflags |= 1 << 16
    reply = world.daemon.ask(query)
    assert reply.rcode() == dns.rcode.BADVERS and not reply.answer


def test_two_opt_records_are_a_format_error(world):
    wire = bytearray(dnsclient.query("here.test", use_edns=0).to_wire())
    wire[11] = 2
    wire += wire[-11:]
    with dnsclient.udp_socket(world.daemon.server) as s:
        s.send(wire)
        assert s.recv(512)[3] & 15 == dns.rcode.FORMERR


def test_two_questions_are_a_format_error(world):
    wire = bytearray(dnsclient.query("here.test").to_wire())
    wire[5] = 2
    wire += wire[12:]
    with dnsclient.udp_socket(world.daemon.server) as s:
        s.send(wire)
        assert s.recv(512)[3] & 15 == dns.rcode.FORMERR


def test_aaaa_of_a_name_with_ipv4_only_is_nodata_with_a_soa_of_one_second(world):
    reply = world.daemon.ask("here.test", "AAAA")
    assert dnsclient.is_nodata(reply) and dnsclient.has_own_soa(reply, "here.test")
    assert reply.flags & dns.flags.AA


@pytest.mark.parametrize("owner", ["here.test", "_8443._https.here.test"])
@pytest.mark.parametrize("kind", ["HTTPS", "SVCB"])
def test_hints_do_not_lead_past_the_checks(world, owner, kind):
    reply = world.daemon.ask(owner, kind)
    assert dnsclient.is_nodata(reply) and dnsclient.has_own_soa(reply, "here.test")


def test_hints_are_forwarded_where_the_name_says_so(world):
    world.daemon.ask("hints.here.test", "HTTPS")
    assert ("hints.here.test", "HTTPS") in world.upstream.seen


def test_any_gets_our_addresses(world):
    assert world.daemon.addresses("here.test", "ANY") == [world.web.address]


def test_other_types_are_forwarded(world):
    reply = world.daemon.ask("here.test", "MX")
    assert reply.answer[0][0].exchange.to_text() == "mail.test."


def test_an_nxdomain_for_a_configured_name_becomes_nodata(world):
    reply = world.daemon.ask("gone.test", "MX")  # the upstream knows nothing of it
    assert dnsclient.is_nodata(reply) and dnsclient.has_own_soa(reply, "gone.test")
    reply = world.daemon.ask("nowhere.test", "MX")
    assert reply.rcode() == dns.rcode.NXDOMAIN, "other names' NXDOMAIN passes"


def test_names_below_and_around_a_configured_name_are_forwarded(world):
    for name in ("x.here.test", "here.test.evil.test", "xhere.test", "test"):
        assert world.daemon.ask(name).rcode() == dns.rcode.NXDOMAIN
        assert (name, "A") in world.upstream.seen


def test_other_classes_are_forwarded(world):
    reply = world.daemon.ask(dns.message.make_query("here.test", "A", "CH", use_edns=False))
    assert not reply.flags & dns.flags.AA or reply.rcode() != dns.rcode.NOERROR


def test_several_addresses_in_one_answer(world):
    reply = world.daemon.addresses("eight.test")
    assert len(reply) == len(set(reply)) == 2


def test_a_reply_instead_of_a_query_gets_nothing(world):
    query = dnsclient.query("here.test")
    query.flags |= dns.flags.QR
    with dnsclient.udp_socket(world.daemon.server) as s:
        s.settimeout(0.3)
        for wire in (query.to_wire(), b"", b"x" * 11):
            s.send(wire)
        with pytest.raises(socket.timeout):
            s.recv(512)


def test_clients_that_are_not_allowed_get_nothing(lab):
    web = lab.web()
    allowed, other = loopback(), loopback()
    daemon = lab.daemon(f"""
        nameservers = {{ "{loopback()}" }} allow_clients = {{ {allowed} }}
        name a.test {{ candidate a {{ check_address = "{web.url}" }} }}""")
    wire = dnsclient.query("a.test").to_wire()
    with dnsclient.udp_socket(daemon.server, local=allowed) as s:
        s.send(wire)
        assert dnsclient.addresses(dns.message.from_wire(s.recv(512))) == [web.address]
    with dnsclient.udp_socket(daemon.server, local=other) as s:
        s.settimeout(0.3)
        s.send(wire)
        with pytest.raises(socket.timeout):
            s.recv(512)
    with socket.create_connection(daemon.server, source_address=(other, 0), timeout=3) as s:
        try:
            s.sendall(dnsclient.frame(wire))
            assert s.recv(10) == b""
        except ConnectionError:
            pass
    with socket.create_connection(daemon.server, source_address=(allowed, 0), timeout=3) as s:
        s.sendall(dnsclient.frame(wire))
        assert dnsclient.receive_message(s)


def test_a_client_that_is_allowed_no_more_after_a_reload_gets_nothing_on_an_open_connection(lab):
    web = lab.web()
    client, other = loopback(), loopback()
    body = f"""
        nameservers = {{ "{loopback()}" }} allow_clients = {{ %s }}
        name a.test {{ candidate a {{ check_address = "{web.url}" }} }}"""
    daemon = lab.daemon(body % client)
    wire = dnsclient.query("a.test").to_wire()
    with socket.create_connection(daemon.server, source_address=(client, 0), timeout=3) as s:
        s.sendall(dnsclient.frame(wire))
        assert dnsclient.receive_message(s)
        daemon.reload(body % other)
        s.sendall(dnsclient.frame(wire))
        assert s.recv(10) == b""


def test_a_wildcard_listener_answers_from_the_address_asked(lab):
    web = lab.web()
    daemon = lab.daemon(f"""
        nameservers = {{ "{loopback()}" }}
        name a.test {{ candidate a {{ check_address = "{web.url}" }} }}""", listen=["0.0.0.0"])
    for address in ("127.0.0.1", "127.9.8.7"):
        reply = dnsclient.ask((address, daemon.port), "a.test")  # takes replies from that address only
        assert dnsclient.addresses(reply) == [web.address]


@in_own_network
def test_a_wildcard_listener_answers_whoever_asks_it_from_an_address_of_this_host(lab):
    web = lab.web(address="127.6.0.1")
    add_addresses("10.9.8.7", "10.9.8.8", "2001:db8::7")
    body = f"""
        nameservers = {{ 192.0.2.1 }} %s
        name a.test {{ candidate a {{ check_address = "{web.url}" }} }}"""
    daemon = lab.daemon(body % "", listen=["0.0.0.0", "::"], port=53)
    wire = dnsclient.query("a.test").to_wire()

    def is_answered(address, local):
        with socket.create_connection((address, daemon.port), source_address=(local, 0), timeout=4) as s:
            try:
                s.sendall(dnsclient.frame(wire))
                over_tcp = s.recv(10) != b""
            except ConnectionError:
                over_tcp = False
        with dnsclient.udp_socket((address, daemon.port), local=local) as s:
            s.settimeout(4 if over_tcp else 0.3)
            s.send(wire)
            try:
                over_udp = bool(s.recv(512))
            except socket.timeout:
                over_udp = False
        assert over_udp == over_tcp
        return over_udp

    for address in ("127.0.0.1", "10.9.8.7", "2001:db8::7", "10.9.8.8"):
        assert is_answered(address, address), address
    assert not is_answered("10.9.8.7", "10.9.8.8")  # as from elsewhere: its sender could be anybody
    daemon.reload(body % "allow_clients = { 10.9.8.8 }")
    assert not is_answered("10.9.8.7", "10.9.8.7")
    assert is_answered("10.9.8.7", "10.9.8.8")
