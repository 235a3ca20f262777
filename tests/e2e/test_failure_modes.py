"""What is answered when nothing of a name is up."""
import concurrent.futures

import dns.rcode
import pytest

from lab import dnsclient
from lab.net import free_port, loopback

DEAD = ["all", "fixed", "forward", "none", "nodata", "servfail", "default"]


@pytest.fixture(scope="module")
def daemon(module_lab):
    lab = module_lab
    dead = [loopback(), loopback()]
    port = free_port(*dead)
    upstream = lab.script({(f"{mode}.test", "A"): ["192.0.2.88"] for mode in DEAD})
    a, b = lab.webs({}, {"delay": 0.05})
    names = "".join(f"""
        name {mode}.test {{ ttl = 60 answer_count = 8
          {"failure_mode = " + mode if mode != "default" else ""}
          {'fixed_addresses = { 192.0.2.50, "2001:db8::50" }' if mode == "fixed" else ""}
          candidate one {{ check_address = "http://{dead[0]}:{port}/" }}
          candidate two {{ check_address = "http://{dead[1]}:{port}/" }}
        }}""" for mode in DEAD)
    for mode in ("last", "all-once-up"):
        names += f"""
        name {mode}.test {{ ttl = 60 answer_count = 8 check_frequency = 0.5 failure_mode = {mode[:4].split('-')[0]}
          candidate a {{ check_address = "{a.url}" }}
          candidate b {{ check_address = "{b.url}" }}
        }}"""
    # A name whose candidates nobody can resolve.
    names += """
        name not-ready.test { failure_mode = nodata candidate c { check_address = "http://unknown.test/" } }"""
    daemon = lab.daemon(f"nameservers = {{ {upstream.spec} }}\n{names}")
    daemon.dead, daemon.a, daemon.b = dead, a, b
    return daemon


@pytest.mark.parametrize("mode", ["all", "default"])
def test_all_answers_every_address(daemon, mode):
    reply = daemon.ask(f"{mode}.test", use_edns=0)
    assert sorted(dnsclient.addresses(reply)) == sorted(daemon.dead)
    assert reply.answer[0].ttl == 1
    assert dnsclient.error_codes(reply) == [0]
    reply = daemon.ask(f"{mode}.test", "AAAA")
    assert dnsclient.is_nodata(reply) and dnsclient.has_own_soa(reply, f"{mode}.test")


def test_fixed_answers_the_addresses_written(daemon):
    assert daemon.addresses("fixed.test") == ["192.0.2.50"]
    assert daemon.addresses("fixed.test", "AAAA") == ["2001:db8::50"]


@pytest.mark.parametrize("mode", ["forward", "none"])
def test_forward_asks_the_upstream(daemon, mode):
    assert daemon.addresses(f"{mode}.test") == ["192.0.2.88"]


def test_nodata_answers_nothing(daemon):
    for kind in ("A", "AAAA"):
        reply = daemon.ask("nodata.test", kind)
        assert dnsclient.is_nodata(reply) and dnsclient.has_own_soa(reply, "nodata.test")


def test_servfail_says_so(daemon):
    reply = daemon.ask("servfail.test", use_edns=0)
    assert reply.rcode() == dns.rcode.SERVFAIL
    assert dnsclient.error_codes(reply) == [0]


def test_a_name_without_any_known_address_is_not_ready(daemon):
    reply = daemon.ask("not-ready.test", use_edns=0)
    assert reply.rcode() == dns.rcode.SERVFAIL
    assert dnsclient.error_codes(reply) == [14]


def test_the_last_that_was_up_comes_first(daemon):
    a, b = daemon.a, daemon.b
    for mode in ("last", "all-once-up"):
        daemon.wait_for_answer(f"{mode}.test", [a.address, b.address], 5)
        assert daemon.ask(f"{mode}.test").answer[0].ttl == 60
    a.kill()
    for mode in ("last", "all-once-up"):
        daemon.wait_for_answer(f"{mode}.test", [b.address], 5)
    b.kill()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        everything = pool.submit(daemon.wait_for_answer, "all-once-up.test", [b.address, a.address], 5)
        everything.result()
    daemon.wait_for_answer("last.test", [b.address], 1)
    assert daemon.ask("last.test").answer[0].ttl == 1
