"""Each fault of the 2011 program that is visible from outside, as a test that its successor does not have it.
Elsewhere: the client got nothing when the upstream failed (test_forwarding), HTTPS with the wrong SNI (test_https),
a busy loop on a locked file (test_state)."""
import time

import dns.message
import dns.rcode
import pytest

from lab import dnsclient
from lab.net import free_port, loopback, wait_until


@pytest.fixture(scope="module")
def world(module_lab):
    lab = module_lab

    class World:
        pass

    world = World()
    fast, a, b, slow = lab.webs({}, {"delay": 0.02}, {"delay": 0.021}, {"delay": 3})
    counted = lab.web()
    several = loopback(), loopback(), loopback()
    port = free_port(*several)
    third = lab.web(address=several[2], port=port)
    world.fast, world.group, world.slow, world.counted, world.third = fast, (a, b), slow, counted, third
    world.upstream = lab.script({("www.test", "MX"): ["10 mail.test."], ("many.test", "A"): list(several)})
    world.daemon = lab.daemon(f"""
        nameservers = {{ {world.upstream.spec} }}
        name www.test {{ candidate c {{ check_address = "{fast.url}" }} }}
        name group.test {{ selection_method = group_rtt_rr group_rtt_threshold = 0.015
          candidate a {{ check_address = "{a.url}" }}
          candidate b {{ check_address = "{b.url}" }}
        }}
        name several.test {{ candidate c {{ check_address = "http://many.test:{port}/" }} }}
        name slow.test {{ failure_mode = nodata check_timeout = 0.2 check_frequency = 0.5
          candidate c {{ check_address = "{slow.url}" }} }}
        name counted.test {{ check_frequency = 0.5 candidate c {{ check_address = "{counted.url}" }} }}
        """)
    world.ready_at = time.monotonic()
    return world


def test_fault_the_name_matched_as_a_prefix(world):
    for name in ("www.test.evil.test", "www.test.", "ww.test", "www.testx", "www.tes"):
        reply = world.daemon.ask(name)
        assert (dnsclient.addresses(reply) == [world.fast.address]) == (name == "www.test.")


def test_fault_the_name_matched_with_case(world):
    for name in ("WWW.TEST", "wWw.TeSt"):
        assert world.daemon.addresses(name) == [world.fast.address]


def test_fault_the_type_was_not_looked_at(world):
    assert dnsclient.is_nodata(world.daemon.ask("www.test", "AAAA"))
    reply = world.daemon.ask("www.test", "MX")
    assert [r.rdtype for rrset in reply.answer for r in rrset] == [15]
    assert dnsclient.is_nodata(world.daemon.ask("www.test", "TXT"))


def test_fault_only_the_first_address_of_a_candidate(world):
    assert world.daemon.addresses("several.test") == [world.third.address]


def test_fault_the_groups_minimum_was_taken_over_every_name(world):
    # www.test's server is 20 ms faster than this group's; the threshold is 15 ms.
    expected = {world.group[0].address, world.group[1].address}
    assert {world.daemon.addresses("group.test")[0] for _ in range(20)} == expected


def test_fault_check_timeout_was_read_and_never_used(world):
    assert dnsclient.is_nodata(world.daemon.ask("slow.test"))


def test_fault_checks_could_overlap_without_bound(world):
    wait_until(lambda: time.monotonic() - world.ready_at > 2, 3)
    _, most_open = world.slow.requests()
    # The server holds each request for 3 s although the daemon has hung up after 0.2 s: what counts is the pace.
    count, _ = world.slow.requests()
    elapsed = time.monotonic() - world.ready_at
    assert count <= 4 + elapsed / 0.1, f"{count} checks in {elapsed:.1f} s, {most_open} open"


def test_fault_sub_second_timers_were_cut_to_zero(world):
    before, start = world.counted.requests()[0], time.monotonic()
    time.sleep(2.5)
    count, elapsed = world.counted.requests()[0] - before, time.monotonic() - start
    assert elapsed / 0.5 - 2 <= count <= elapsed / 0.45 + 2, f"{count} checks in {elapsed:.2f} s"


def test_fault_one_error_on_the_socket_ended_the_daemon(world):
    pids = world.daemon.children()
    for n in range(50):
        with dnsclient.udp_socket(world.daemon.server) as s:  # gone before the reply comes: ICMP
            s.send(dnsclient.query(["www.test", f"x{n}.test"][n % 2]).to_wire())
        s = dnsclient.tcp_socket(world.daemon.server)
        s.sendall(dnsclient.frame(dnsclient.query(f"x{n}.test").to_wire()))
        s.close()
    assert world.daemon.addresses("www.test") == [world.fast.address]
    assert world.daemon.children() == pids


def test_fault_the_data_file_was_ignored(world):
    wait_until(world.daemon.data_file.exists, 3, what="the data file")


def test_fault_a_candidate_that_stopped_resolving_was_served_for_ever(withdrawal):
    """Begun at the start of the session (conftest.py): the withdrawal takes a minute by design."""
    daemon, web, upstream = withdrawal.daemon, withdrawal.web, withdrawal.upstream
    assert withdrawal.first_answer == [web.address]
    left = 95 - (time.monotonic() - withdrawal.withdrawn_at)
    wait_until(lambda: not daemon.addresses("a.ours.test"), max(left, 1), pause=0.1, what="the withdrawal")
    assert time.monotonic() - withdrawal.withdrawn_at >= 59, "once is not enough"
    assert daemon.addresses("b.ours.test") == [web.address], "silence is no withdrawal"
    assert ("b.test", "A") in upstream.seen
