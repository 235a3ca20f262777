"""Upstreams from /etc/resolv.conf, which changes while the daemon runs. In a network and an /etc of its own."""
import os
import shutil
import signal
import time

import dns.rcode
import pytest

from lab import dnsclient
from lab.net import median, wait_until
from lab.own_network import bind_over, in_own_network


def own_etc(lab):
    """A small /etc of the test's own; returns it."""
    etc = lab.folder / "etc"
    etc.mkdir()
    for name in ("passwd", "group", "nsswitch.conf", "hosts", "ld.so.cache", "machine-id"):
        if os.path.exists(f"/etc/{name}"):
            shutil.copy(f"/etc/{name}", etc / name)
    if os.path.exists("/etc/alternatives"):
        shutil.copytree("/etc/alternatives", etc / "alternatives", symlinks=True)
    bind_over("/etc", etc)
    return etc


def upstreams(lab):
    return [lab.script({("x.test", "A"): [f"192.0.2.{n}"]}, address=f"127.5.0.{n}", port=53) for n in (1, 2, 3)]


@in_own_network
def test_upstreams_follow_resolv_conf(lab):
    etc = own_etc(lab)
    upstreams(lab)
    file = etc / "resolv.conf"
    file.write_text("nameserver 127.5.0.1\noptions edns0\n")
    daemon = lab.daemon("", listen=["127.77.0.1"], port=53)

    def follows(n):
        wait_until(lambda: daemon.addresses("x.test") == [f"192.0.2.{n}"], 3, what=f"upstream {n}")

    follows(1)
    # A file that is renamed into place, as most programs do it.
    (etc / "new").write_text("search test\nnameserver 127.77.0.1\nnameserver 127.5.0.2\n")
    os.rename(etc / "new", file)
    follows(2)
    # A file that is written in place; empty in between.
    with open(file, "w") as out:
        out.flush()
        assert daemon.addresses("x.test") == ["192.0.2.2"], "an empty file keeps the last list"
        out.write("nameserver 127.5.0.3\n")
    follows(3)
    # A symbolic link whose target changes, and another target.
    (etc / "one").write_text("nameserver 127.5.0.1\n")
    os.symlink("one", etc / "link")
    os.rename(etc / "link", file)
    follows(1)
    (etc / "one").write_text("nameserver 127.5.0.2\n")
    follows(2)
    (etc / "two").write_text("nameserver 127.5.0.3\n")
    os.symlink("two", etc / "link")
    os.rename(etc / "link", file)
    follows(3)
    # Gone, and back.
    file.unlink()
    assert daemon.addresses("x.test") == ["192.0.2.3"]
    file.write_text("nameserver 127.5.0.1\n")
    follows(1)
    # It names nobody but us: the last list may still be right.
    file.write_text("nameserver 127.77.0.1\n")
    daemon.wait_for_log("event=no_upstream", timeout=3)
    assert daemon.addresses("x.test") == ["192.0.2.1"]
    # Also for a new checker, which has never read it.
    os.kill(daemon.children()["hard-checker"], signal.SIGKILL)
    daemon.wait_for_log("resumed=yes", timeout=3)
    assert daemon.addresses("x.test") == ["192.0.2.1"]


@in_own_network
def test_every_change_of_the_upstreams_starts_a_fresh_round_within_a_quarter_second(lab):
    etc = own_etc(lab)
    upstreams(lab)
    file = etc / "resolv.conf"
    file.write_text("nameserver 127.5.0.1\n")
    web = lab.web(address="127.6.0.1")
    daemon = lab.daemon(f'name a.test {{ check_frequency = 60 candidate c {{ check_address = "{web.url}" }} }}',
                        listen=["127.77.0.1"], port=53)
    daemon.wait_for_answer("x.test", ["192.0.2.1"], 3)

    took = []

    def changes_to(n, change):
        asked = web.requests()[0]
        change()
        took.append(wait_until(lambda: web.requests()[0] > asked, 1, what="a round"))
        assert daemon.addresses("x.test") == [f"192.0.2.{n}"]

    def rename():
        (etc / "new").write_text("nameserver 127.5.0.2\n")
        os.rename(etc / "new", file)

    def link():
        os.symlink(etc / "three", etc / "link")
        os.rename(etc / "link", file)  # it points nowhere yet
        time.sleep(0.1)
        assert daemon.addresses("x.test") == ["192.0.2.2"], "a dangling link keeps the last list"
        (etc / "three").write_text("nameserver 127.5.0.3\n")

    def delete_and_write():
        file.unlink()
        file.write_text("")
        time.sleep(0.1)
        assert daemon.addresses("x.test") == ["192.0.2.3"]
        file.write_text("nameserver 127.77.0.1\nnameserver 127.5.0.1\n")

    changes_to(2, rename)
    changes_to(3, link)
    changes_to(1, delete_and_write)
    changes_to(2, lambda: file.write_text("nameserver 127.5.0.2\n"))
    assert daemon.log().count("event=network_changed what=resolv.conf") == 4
    assert median(took) < 0.25, took  # some 30 ms; one of them may be a busy machine's


@in_own_network
@pytest.mark.parametrize("text", ["nameserver 127.77.0.1\n", "", "# nothing yet\n"])
def test_a_resolv_conf_that_names_only_us_or_nobody_is_no_reason_not_to_start(lab, text):
    etc = own_etc(lab)
    upstreams(lab)
    (etc / "resolv.conf").write_text(text)
    web = lab.web(address="127.6.0.1")
    daemon = lab.daemon(f'name a.test {{ candidate c {{ check_address = "{web.url}" }} }}',
                        listen=["127.77.0.1"], port=53)
    assert "event=no_upstream" in daemon.log()
    assert daemon.addresses("a.test") == [web.address]
    reply = daemon.ask("x.test", use_edns=0)
    assert reply.rcode() == dns.rcode.SERVFAIL and dnsclient.error_codes(reply) == [22]
    (etc / "resolv.conf").write_text("nameserver 127.77.0.1\nnameserver 127.5.0.1\n")
    wait_until(lambda: daemon.addresses("x.test") == ["192.0.2.1"], 3, what="the upstream")


@in_own_network
def test_where_all_addresses_are_listened_to_every_address_of_this_host_is_us(lab):
    etc = own_etc(lab)
    (etc / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    daemon = lab.daemon("allow_clients = { 127.0.0.0/8 }", listen=["0.0.0.0"], port=53)
    assert "event=no_upstream" in daemon.log()
    daemon.listen = ["127.0.0.1"]
    reply = daemon.ask("x.test", use_edns=0)
    assert reply.rcode() == dns.rcode.SERVFAIL and dnsclient.error_codes(reply) == [22]


@in_own_network
def test_a_resolv_conf_that_points_at_the_local_stub_leads_to_the_stubs_upstreams(lab):
    etc = own_etc(lab)
    upstreams(lab)
    run_folder = lab.folder / "run"
    (run_folder / "systemd/resolve").mkdir(parents=True)
    (run_folder / "systemd/resolve/resolv.conf").write_text("nameserver 127.5.0.2\n")
    bind_over("/run", run_folder)
    (etc / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    daemon = lab.daemon("", listen=["127.77.0.1"], port=53)
    assert daemon.addresses("x.test") == ["192.0.2.2"]
