"""SIGHUP: what stays is kept, no query is lost, and what is bad changes nothing."""
import os
import pathlib
import shutil
import signal
import socket
import sys
import textwrap
import time

import pytest

from lab import dnsclient
from lab.daemon import BUILD
from lab.net import free_port, loopback, wait_until


@pytest.fixture
def world(lab):
    class World:
        def body(self, more="", listen=None):
            return f"""
                nameservers = {{ {self.upstream.spec} }}
                name a.test {{ selection_method = failover
                  candidate one {{ check_address = "{self.first.url}" }}
                  candidate two {{ check_address = "{self.second.url}" }}
                }}
                {more}"""

    world = World()
    world.first, world.second, world.third = lab.webs({}, {}, {})
    world.upstream = lab.script({("x.test", "A"): ["192.0.2.1"]})
    world.daemon = lab.daemon(world.body())
    return world


def one_more(world, name):
    return f'name {name} {{ candidate c {{ check_address = "{world.third.url}" }} }}'


def test_a_reload_under_load_loses_no_query(world):
    own = dnsclient.query("a.test").to_wire()
    other = dnsclient.query("x.test").to_wire()
    with dnsclient.Load(world.daemon.server, own) as a, dnsclient.Load(world.daemon.server, other) as b:
        for n in range(6):
            world.daemon.reload(world.body(one_more(world, f"n{n}.test") if n % 2 == 0 else ""))
            time.sleep(0.1)
    assert len(a.replies) > 200 and len(b.replies) > 50
    assert not a.lost() and not b.lost()


def test_a_reload_keeps_health_and_takes_up_new_names(world):
    daemon = world.daemon
    world.first.kill()
    daemon.wait_for_answer("a.test", [world.second.address], 6)
    start = len(daemon.log())
    daemon.reload(world.body(one_more(world, "new.test")))
    assert daemon.addresses("a.test") == [world.second.address], "not for a moment the dead one"
    daemon.wait_for_answer("new.test", [world.third.address], 3)
    assert f"event=endpoint_up name=a.test" not in daemon.log()[start:]
    daemon.reload(world.body())
    assert not daemon.addresses("new.test"), "forwarded again"


def test_a_new_candidate_is_probed_before_it_displaces_a_healthy_one(world):
    dead = loopback()
    daemon = world.daemon
    with dnsclient.Load(daemon.server, dnsclient.query("a.test").to_wire()) as load:
        daemon.reload(f"""
            nameservers = {{ {world.upstream.spec} }}
            name a.test {{ selection_method = failover
              candidate zero {{ check_address = "http://{dead}:{free_port(dead)}/" }}
              candidate one {{ check_address = "{world.first.url}" }}
            }}""")
        time.sleep(0.5)
    assert not load.lost()
    octets = socket.inet_aton(dead)
    assert not any(reply.endswith(octets) for _, _, reply in load.replies)


def test_a_reload_moves_to_other_addresses_and_ports(world):
    daemon = world.daemon
    old = daemon.server
    with dnsclient.tcp_socket(old) as kept:
        kept.sendall(dnsclient.frame(dnsclient.query("a.test").to_wire()))
        assert dnsclient.receive_message(kept)
        daemon.listen = [loopback(), loopback()]
        daemon.port = free_port(*daemon.listen)
        daemon.reload(world.body())
        for address in daemon.listen:
            for tcp in (False, True):
                reply = dnsclient.ask((address, daemon.port), "a.test", tcp=tcp)
                assert dnsclient.addresses(reply) == [world.first.address]
        kept.sendall(dnsclient.frame(dnsclient.query("a.test").to_wire()))
        assert dnsclient.receive_message(kept), "a connection outlives its listener"

    def is_free():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.bind(old)
                return True
            except OSError:
                return False

    wait_until(is_free, 5, what="the old port")


def test_a_bad_file_leaves_the_old_configuration_whole(world):
    daemon = world.daemon
    daemon.reload(world.body("name b.test { failure_mode = sometimes }"), expect="reload_refused")
    assert daemon.addresses("a.test") == [world.first.address]
    assert daemon.addresses("x.test") == ["192.0.2.1"]
    daemon.reload("name a.test {", expect="reload_refused", whole=True)
    assert daemon.addresses("a.test") == [world.first.address]
    daemon.reload("", expect="reload_refused", whole=True)  # somebody is writing it
    assert daemon.addresses("a.test") == [world.first.address]
    daemon.config.unlink()
    daemon.reload(expect="reload_refused")
    assert daemon.addresses("a.test") == [world.first.address]
    daemon.reload(world.body(one_more(world, "new.test")))
    daemon.wait_for_answer("new.test", [world.third.address], 3)


def test_of_many_reloads_in_a_row_the_last_file_runs_and_is_kept(world):
    daemon = world.daemon
    for n in range(20):
        daemon.write_config(world.body(one_more(world, f"new{n}.test")))
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.001 * (n % 3))
    daemon.wait_for_answer("new19.test", [world.third.address], 5)
    copy = pathlib.Path(f"{daemon.data_file}.conf")
    wait_until(lambda: "new19.test" in copy.read_text(), 3, what="the copy of the last file")
    assert "accepted_copy_not_kept" not in daemon.log()


def test_an_address_that_cannot_be_bound_leaves_the_old_configuration_whole(world):
    daemon = world.daemon
    old, taken = daemon.listen, loopback()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as occupant:
        occupant.bind((taken, daemon.port))
        daemon.listen = [loopback(), taken]
        daemon.reload(world.body(one_more(world, "new.test")), expect="reload_refused")
        assert taken in daemon.log().split("event=reload_refused")[1].splitlines()[0]
        daemon.listen = old
        assert daemon.addresses("a.test") == [world.first.address]
        assert not daemon.addresses("new.test")
        assert daemon.addresses("a.test", tcp=True) == [world.first.address]


def test_what_needs_a_restart_is_said(world):
    daemon = world.daemon
    daemon.extra = "workers = 2"
    daemon.reload(world.body())
    daemon.wait_for_log("event=needs_restart .*workers", timeout=2)


def test_what_needs_a_restart_stays_as_it_is_over_the_death_of_the_checker(world, tmp_path):
    daemon = world.daemon
    file = daemon.data_file
    many = " ".join(one_more(world, f"n{n}.test") for n in range(300))  # two workers' counters would need more memory
    daemon.extra, daemon.data_file = "workers = 2", tmp_path / "other.db"
    daemon.reload(world.body(many))
    before = len(daemon.log())
    os.kill(daemon.children()["hard-checker"], signal.SIGKILL)
    daemon.wait_for_log("event=running .*resumed=yes", timeout=4, since=before)
    assert daemon.log().count("event=process_ended") == 1
    daemon.reload(world.body(many + one_more(world, "new.test")))
    daemon.wait_for_answer("new.test", [world.third.address], 3)
    assert file.exists() and not daemon.data_file.exists()


def test_a_reload_that_a_checker_did_not_live_to_follow_is_followed_by_the_next(world):
    daemon = world.daemon
    pid = daemon.children()["hard-checker"]
    os.kill(pid, signal.SIGSTOP)
    daemon.write_config(world.body(one_more(world, "new.test")))
    before = len(daemon.log())
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for_log("event=reload_asked", since=before)
    os.kill(pid, signal.SIGKILL)
    daemon.wait_for_log("event=reloaded", timeout=5, since=before)
    daemon.wait_for_answer("new.test", [world.third.address], 3)


# Stands between the keeper and the checker, and once, where the file lies, loses the descriptor of a commit, as the
# kernel does when the keeper may open no more.
LOSING_CHECKER = """
    import os, select, socket, struct, subprocess

    COMMIT = 5
    keeper = socket.socket(fileno=3)
    keeper.setblocking(True)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    checker = subprocess.Popen([{checker!r}], pass_fds=[3], preexec_fn=lambda: os.dup2(theirs.fileno(), 3))
    theirs.close()
    while True:
        for source in select.select([keeper, ours], [], [])[0]:
            body, fds, _, _ = socket.recv_fds(source, 65540, 200)
            if not body:
                os._exit(checker.wait() if source is ours else 0)
            if struct.unpack("<I", body[:4])[0] == COMMIT and os.path.exists({once!r}):
                os.remove({once!r})
                os.close(fds.pop())
            socket.send_fds(ours if source is keeper else keeper, [body], fds)
            for fd in fds:
                os.close(fd)
"""


def test_a_commit_that_arrives_broken_ends_its_checker_and_the_reload_is_followed_by_the_next(lab, world, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for program in ("hard", "hard-answerer", "hard-checker"):
        shutil.copy(BUILD / program, programs)
    checker, once = programs / "hard-checker", tmp_path / "once"
    checker.rename(programs / "real")
    script = textwrap.dedent(LOSING_CHECKER).format(checker=str(programs / "real"), once=str(once))
    checker.write_text(f"#!{sys.executable}\n{script}")
    checker.chmod(0o755)
    daemon = lab.daemon(world.body(), start=False)
    daemon.start(args=[programs / "hard", daemon.config])
    once.touch()
    daemon.reload(world.body(one_more(world, "new.test")))
    assert 'event=unexpected_commit reason="no descriptor is free"' in daemon.log()
    assert not once.exists() and daemon.log().count("event=process_ended process=checker") == 1
    daemon.wait_for_answer("new.test", [world.third.address], 3)
    world.first.kill()
    daemon.wait_for_answer("a.test", [world.second.address], 6)


def test_several_workers_answer_alike(lab, world):
    daemon = lab.daemon(world.body(), extra="workers = 2")
    sockets = [dnsclient.udp_socket(daemon.server) for _ in range(30)]
    wire = dnsclient.query("a.test").to_wire()
    for s in sockets:
        s.send(wire)
        assert s.recv(512)[-4:] == socket.inet_aton(world.first.address)
        s.close()
    for _ in range(30):
        assert daemon.addresses("a.test", tcp=True) == [world.first.address]
    daemon.reload(world.body(one_more(world, "new.test")))
    daemon.wait_for_answer("new.test", [world.third.address], 3)


def test_a_reload_asked_for_while_the_checker_is_gone_is_done_by_its_successor(world):
    daemon = world.daemon
    # After ten deaths in a row the keeper waits, at last half a second, before it starts the next.
    for _ in range(15):
        wait_until(lambda: "hard-checker" in daemon.children(), 3, what="a checker")
        pid = daemon.children()["hard-checker"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in daemon.children().values(), 3, what="its end")
    assert "hard-checker" not in daemon.children()
    daemon.write_config(world.body(one_more(world, "new.test")))
    start = len(daemon.log())
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for_log("event=reloaded", since=start)
    daemon.wait_for_answer("new.test", [world.third.address], 5)
