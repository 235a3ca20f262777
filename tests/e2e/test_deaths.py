"""Processes that end, by accident and on purpose."""
import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import dns.message
import dns.rcode
import pytest

from lab import dnsclient
from lab.daemon import BUILD, HARD, Daemon, is_running
from lab.net import free_port, loopback, wait_until
from lab.own_network import in_own_network


@pytest.fixture
def world(lab):
    class World:
        pass

    world = World()
    world.first, world.second = lab.webs({}, {})
    world.upstream = lab.script({("x.test", "A"): ["192.0.2.1"]})
    world.body = f"""
        nameservers = {{ {world.upstream.spec} }}
        name a.test {{ selection_method = failover check_frequency = 0.5
          candidate one {{ check_address = "{world.first.url}" }}
          candidate two {{ check_address = "{world.second.url}" }}
        }}"""
    world.daemon = lab.daemon(world.body)
    return world


def test_the_processes_bear_their_names(world):
    assert set(world.daemon.children()) == {"hard-answerer", "hard-checker"}
    assert open(f"/proc/{world.daemon.process.pid}/comm").read().strip() == "hard"


def test_only_who_writes_to_disk_stands_back_after_the_first_round(world):
    def nice_values():
        threads = [thread for pid in world.daemon.children().values() for thread in pathlib.Path(f"/proc/{pid}/task").iterdir()]
        try:
            return {((thread / "comm").read_text().strip() == "har-store", os.getpriority(os.PRIO_PROCESS, int(thread.name)))
                    for thread in threads}
        except (FileNotFoundError, ProcessLookupError):
            return None

    ours = os.getpriority(os.PRIO_PROCESS, world.daemon.process.pid)
    wait_until(lambda: nice_values() == {(False, ours), (True, min(ours + 10, 19))}, 4, what="the usual nice values")


def test_a_killed_answerer_loses_at_most_the_query_it_was_at(world):
    daemon = world.daemon
    with dnsclient.Load(daemon.server, dnsclient.query("a.test").to_wire(), timeout=1.0) as load:
        for _ in range(3):
            before = daemon.children()["hard-answerer"]
            os.kill(before, signal.SIGKILL)
            wait_until(lambda: daemon.children().get("hard-answerer", before) != before, 2, what="a new answerer")
            wait_until(lambda: load.replies and load.replies[-1][2] is not None
                       and load.replies[-1][0] > time.monotonic() - 0.2, 3, what="answers")
    assert len(load.lost()) <= 3
    assert max(took for _, took, reply in load.replies if reply) < 1.0
    assert daemon.addresses("x.test") == ["192.0.2.1"]


def test_a_killed_checker_costs_no_answer_and_its_successor_goes_on_checking(world):
    daemon = world.daemon
    with dnsclient.Load(daemon.server, dnsclient.query("a.test").to_wire(), interval=0.001) as load:
        before = daemon.children()["hard-checker"]
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: daemon.children().get("hard-checker", before) != before, 2, what="a new checker")
        world.first.kill()
        daemon.wait_for_answer("a.test", [world.second.address], 6)
    assert not load.lost()
    assert max(took for _, took, _ in load.replies) < 0.5
    world.first.start()
    daemon.wait_for_answer("a.test", [world.first.address], 6)


def test_a_new_checker_that_knows_nothing_does_not_answer_a_farther_tier_before_it_has_asked_the_nearer(lab):
    near, far = lab.webs({"delay": 0.1}, {})
    upstream = lab.script({("near.test", "A"): [near.address]})
    daemon = lab.daemon(f"""
        nameservers = {{ {upstream.spec} }}
        name a.test {{
          candidate near.test {{ check_port = {near.port} }}
          candidate far {{ tier = 1 check_address = "{far.url}" }}
        }}""", data_file="/proc/no-such-folder/har.db")
    daemon.wait_for_answer("a.test", [near.address], 3)
    os.kill(daemon.children()["hard-checker"], signal.SIGKILL)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        assert daemon.addresses("a.test") == [near.address]
    near.kill()
    daemon.wait_for_answer("a.test", [far.address], 4)


@pytest.mark.parametrize("says", ["SERVFAIL", "NXDOMAIN"])
def test_a_new_checker_does_not_answer_for_ever_what_it_can_neither_resolve_nor_check(lab, says):
    web = lab.web()
    upstream = lab.script({("web.test", "A"): [web.address]})
    daemon = lab.daemon(f"""
        state_max_age = 0 nameservers = {{ {upstream.spec} }}
        name a.test {{ candidate web.test {{ check_port = {web.port} }} }}""")
    daemon.wait_for_answer("a.test", [web.address], 3)

    def act(query, tcp):
        reply = dns.message.make_response(query, recursion_available=True)
        reply.set_rcode(dns.rcode.from_text(says))
        return reply

    upstream.act = act
    web.kill()
    os.kill(daemon.children()["hard-checker"], signal.SIGKILL)
    wait_until(lambda: daemon.ask("a.test").rcode() == dns.rcode.SERVFAIL, 14, what="the end of the old answer")


@in_own_network
def test_a_new_checker_without_a_network_finds_dead_what_is_on_this_host(lab):
    near, other = lab.webs({}, {})
    upstream = lab.script({})
    daemon = lab.daemon(f"""
        nameservers = {{ {upstream.spec} }}
        defaults {{ selection_method = failover check_frequency = 0.5 failure_mode = nodata }}
        name a.test {{ candidate one {{ check_address = "{near.url}" }} candidate two {{ check_address = "{other.url}" }} }}
        name b.test {{ failure_mode = all candidate far {{ check_address = "http://192.0.2.1/" }} }}""")
    daemon.wait_for_log("event=network_lost")
    daemon.wait_for_answer("a.test", [near.address], 3)
    before = daemon.children()["hard-checker"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: daemon.children().get("hard-checker", before) != before, 2, what="a new checker")
    near.kill()
    daemon.wait_for_answer("a.test", [other.address], 6)
    assert daemon.addresses("b.test") == ["192.0.2.1"]


def test_a_new_checker_does_not_bring_back_what_its_predecessor_has_just_found_dead(lab):
    refusing, silent, alive = lab.webs({}, {}, {})
    daemon = lab.daemon("defaults { selection_method = failover check_frequency = 0.5 check_timeout = 0.5 }\n" + "".join(
        f"""name {name} {{ candidate one {{ check_address = "{first.url}" }}
                           candidate two {{ check_address = "{alive.url}" }} }}\n"""
        for name, first in (("a.test", refusing), ("b.test", silent))))
    daemon.wait_for_answer("b.test", [silent.address], 3)
    time.sleep(1.1)  # that both are up is on disk
    silent.signal(signal.SIGSTOP)
    time.sleep(0.5)  # so that both are found in one second
    refusing.kill()
    daemon.wait_for_answer("a.test", [alive.address], 3)
    daemon.wait_for_answer("b.test", [alive.address], 3)
    os.kill(daemon.children()["hard-checker"], signal.SIGKILL)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert daemon.addresses("a.test") == daemon.addresses("b.test") == [alive.address], daemon.log()


def test_a_checker_killed_again_and_again_does_not_end_the_daemon(world):
    daemon = world.daemon
    for _ in range(6):
        wait_until(lambda: "hard-checker" in daemon.children(), 3, what="a checker")
        os.kill(daemon.children()["hard-checker"], signal.SIGKILL)
        assert daemon.addresses("a.test") == [world.first.address]
        time.sleep(0.02)
    wait_until(lambda: "hard-checker" in daemon.children(), 3, what="a checker")
    assert daemon.process.poll() is None


def test_when_the_keeper_dies_the_others_end_at_once(world):
    children = list(world.daemon.children().values())
    world.daemon.process.kill()
    world.daemon.process.wait()
    assert wait_until(lambda: not any(map(is_running, children)), 1, what="the children's end") < 1
    # And the next daemon may start at once.
    world.daemon.start()
    assert world.daemon.addresses("a.test") == [world.first.address]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_a_second_with_exit_code_0(world, number):
    start = time.monotonic()
    world.daemon.process.send_signal(number)
    assert world.daemon.process.wait(timeout=5) == 0
    assert time.monotonic() - start < 1.0


def test_what_is_still_open_at_the_end_gets_servfail(world):
    world.upstream.silent = True
    with dnsclient.udp_socket(world.daemon.server) as s, dnsclient.tcp_socket(world.daemon.server) as t:
        wire = dnsclient.query("slow.test", use_edns=0).to_wire()
        s.send(wire)
        t.sendall(dnsclient.frame(wire))
        wait_until(lambda: world.upstream.seen.count(("slow.test", "A")) >= 2, 1, what="both at the upstream")
        took = world.daemon.stop()
        for reply in (dns.message.from_wire(s.recv(4096)), dns.message.from_wire(dnsclient.receive_message(t))):
            assert reply.rcode() == dns.rcode.SERVFAIL and dnsclient.error_codes(reply) == [14]
    assert took < 1.0


def test_it_ends_in_time_with_stopped_children(world):
    for pid in world.daemon.children().values():
        os.kill(pid, signal.SIGSTOP)
    assert world.daemon.stop() < 1.3  # kept well within what a service manager waits


def test_a_second_daemon_is_refused_with_the_owners_pid(world, lab):
    second = Daemon(lab.folder / "second", world.body, listen=world.daemon.listen, port=world.daemon.port)
    second.start(wait=False)
    assert second.process.wait(timeout=6) == 1
    assert str(world.daemon.process.pid) in second.log()
    assert world.daemon.addresses("a.test") == [world.first.address]
    # Over TCP alone as well: somebody else's listener is no less an owner.
    world.daemon.stop()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(world.daemon.server)
        listener.listen()
        second.start(wait=False)
        assert second.process.wait(timeout=6) == 1
        assert str(os.getpid()) in second.log()


@contextlib.contextmanager
def waiting_for_its_port(daemon):
    """The daemon, started while somebody else holds its port: it tries again for 2 s."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(daemon.server)
        holder.listen()
        daemon.start(wait=False)
        wait_until(lambda: set(daemon.children()) == {"hard-answerer", "hard-checker"}, 2, pause=0.001,
                   what="its children")
        time.sleep(0.2)  # the checker reads its file and asks for the port: nothing of it can be seen
        yield


@pytest.mark.parametrize("what", ["SIGHUP", "SIGUSR2", "a killed answerer"])
def test_nothing_but_a_signal_to_end_keeps_it_from_waiting_for_its_port(lab, world, what):
    daemon = lab.daemon(world.body, start=False)
    with waiting_for_its_port(daemon):
        if what == "a killed answerer":
            os.kill(daemon.children()["hard-answerer"], signal.SIGKILL)
        else:
            daemon.process.send_signal(getattr(signal, what))
        time.sleep(0.3)  # some further tries
    daemon.wait_for_log("event=ready", timeout=6)
    expected = {"SIGHUP": "event=reloaded", "SIGUSR2": "event=upgrade_done"}.get(what, "process=answerer how=")
    daemon.wait_for_log(expected, timeout=8)  # kept for afterwards
    assert daemon.addresses("a.test") == [world.first.address]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_end_is_followed_while_it_waits_for_its_port(lab, world, number):
    daemon = lab.daemon(world.body, start=False)
    with waiting_for_its_port(daemon):
        start = time.monotonic()
        daemon.process.send_signal(number)
        assert daemon.process.wait(timeout=5) in (0, 1)
        assert time.monotonic() - start < 1.0


def test_missing_programs_are_a_clear_end(tmp_path):
    lonely = tmp_path / "hard"
    shutil.copy(HARD, lonely)
    config = tmp_path / "har.conf"
    config.write_text('nameservers = { 127.0.0.1 }')
    done = subprocess.run([lonely, config], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1 and "hard-checker" in done.stderr


def test_without_its_answerer_it_is_not_ready_and_ends(tmp_path):
    for name in ("hard", "hard-checker"):
        shutil.copy(BUILD / name, tmp_path / name)
    config = tmp_path / "har.conf"
    config.write_text(f"""nameservers = {{ 127.0.0.1 }} dns_listen_port = {free_port()} dns_bind_interfaces = {{ {loopback()} }}
        data_file = "{tmp_path}/har.db" """)
    done = subprocess.run([tmp_path / "hard", config], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1 and "hard-answerer" in done.stderr and "event=ready" not in done.stderr


def test_a_checker_that_dies_before_it_was_ready_does_not_keep_the_daemon_from_being_ready(lab):
    web = lab.web()
    with socket.socket() as silent:
        silent.bind((loopback(), 0))
        silent.listen()
        host, port = silent.getsockname()
        daemon = lab.daemon(f"""nameservers = {{ "{loopback()}" }} defaults {{ check_timeout = 5 check_frequency = 20 }}
            name a.test {{ candidate a {{ check_address = "{web.url}" }} }}
            name b.test {{ candidate b {{ check_address = "http://{host}:{port}/" }} }}""", start=False)
        daemon.start(wait=False)
        daemon.wait_for_log("event=running", timeout=3)
        os.kill(daemon.children()["hard-checker"], signal.SIGKILL)
        daemon.wait_for_log("event=ready", timeout=5)


@pytest.mark.parametrize("which", ["hard-checker", "hard-answerer"])
def test_it_ends_in_time_with_a_child_that_has_not_read_for_long(world, which):
    os.kill(world.daemon.children()[which], signal.SIGSTOP)
    for _ in range(600):  # more than its channel holds
        world.daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.001)
    assert world.daemon.stop() < 1.3


def test_a_log_that_nobody_reads_stops_nothing(world):
    world.daemon.stop()
    read, write = os.pipe()
    with os.fdopen(read), os.fdopen(write, "wb") as log:
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
        daemon = subprocess.Popen([HARD, world.daemon.config], stderr=log)
        try:
            children = pathlib.Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children")
            wait_until(lambda: len(children.read_text().split()) == 2, 3, what="its children")
            for _ in range(60):
                daemon.send_signal(signal.SIGHUP)
                time.sleep(0.02)
            assert world.daemon.addresses("a.test") == [world.first.address]
            start = time.monotonic()
            daemon.terminate()
            assert daemon.wait(timeout=5) == 0 and time.monotonic() - start < 1.3
        finally:
            daemon.kill()
            daemon.wait()


def test_an_answer_from_a_table_whose_writer_is_gone_says_so_and_is_still_given(lab, world):
    daemon = lab.daemon("state_max_age = 1\n" + world.body)
    checker = daemon.children()["hard-checker"]
    ask = lambda: daemon.ask("a.test", use_edns=True)
    assert dnsclient.error_codes(ask()) == []
    os.kill(checker, signal.SIGSTOP)
    wait_until(lambda: dnsclient.error_codes(ask()) == [3], 4, what="EDE 3")
    assert dnsclient.addresses(ask()) == [world.first.address]
    os.kill(checker, signal.SIGCONT)
    wait_until(lambda: dnsclient.error_codes(ask()) == [], 4, what="no error any more")
