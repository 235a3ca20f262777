"""The host's own network, lost and back and changed: "is it me?"."""
import contextlib
import os
import pathlib
import subprocess
import time

from lab import dnsclient
from lab.far_side import FAR, FarSide
from lab.net import median, wait_until
from lab.own_network import in_own_network, run

LINK_DOWN = float(os.environ.get("HAR_LINK_DOWN", 6))  # seconds
FAR_ADDRESSES = [f"10.{net}.0.{n}" for net in (71, 72) for n in (1, 2, 3)]


class World:
    """Six endpoints in two networks on the far side, behind one name; the first is the answer."""

    def __init__(self, lab, addresses=FAR_ADDRESSES, far_upstream=False):
        self.far = lab._own(FarSide(addresses))
        self.webs = lab.webs(*({"address": a, "port": 80, "inside": self.far.inside} for a in addresses))
        candidates = "".join(f'candidate c{n} {{ check_address = "http://{a}/" }}\n' for n, a in enumerate(addresses))
        with self.far.entered() if far_upstream else contextlib.nullcontext():
            where = {"address": FAR, "port": 53} if far_upstream else {}
            self.upstream = lab.script({("x.test", "A"): ["192.0.2.1"]}, **where)
        self.daemon = lab.daemon(f"""
            nameservers = {{ {self.upstream.spec} }}
            name a.test {{ selection_method = failover answer_count = 8 {candidates} }}""")
        self.all = addresses
        self.daemon.wait_for_answer("a.test", self.all, 3)

    def settle(self):
        """The link is new: it gets its IPv6 address a second or two after it is up, which is a change as well."""
        show = ("ip", "-6", "-oneline", "address", "show", "dev", "near")

        def has_one():
            text = subprocess.run(show, check=True, capture_output=True, text=True).stdout
            return "fe80" in text and "tentative" not in text

        if pathlib.Path("/proc/sys/net/ipv6").exists():
            wait_until(has_one, 5, what="the link's own address")
        time.sleep(0.5)

    def error_codes(self):
        return dnsclient.error_codes(self.daemon.ask("a.test", use_edns=0))

    def stays(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.daemon.addresses("a.test") == self.all, self.daemon.log()
            time.sleep(0.02)

    def nothing_went_down(self):
        assert "event=endpoint_down" not in self.daemon.log(), self.daemon.log()



@in_own_network
def test_while_our_link_is_down_the_answers_stay_and_say_that_they_are_old(lab):
    world = World(lab)
    assert world.error_codes() == []
    world.far.link_down()
    world.daemon.wait_for_log("event=network_lost reason=", timeout=0.5)
    assert world.error_codes() == [3], world.daemon.log()
    world.stays(LINK_DOWN)
    assert world.error_codes() == [3], world.daemon.log()
    before = world.webs[0].requests()[0]
    world.far.link_up()
    world.daemon.wait_for_log("event=network_back", timeout=1.0)
    assert world.error_codes() == []
    wait_until(lambda: world.webs[0].requests()[0] > before, 1.5, what="a new check")
    world.stays(3)
    world.nothing_went_down()


@in_own_network
def test_a_carrier_lost_is_a_network_lost_also_with_few_endpoints(lab):
    world = World(lab, FAR_ADDRESSES[:2])
    world.far.run("ip", "link", "set", "far", "down")
    world.daemon.wait_for_log("event=network_lost", timeout=1.5)  # the kernel takes its time to tell
    world.stays(5)
    world.far.run("ip", "link", "set", "far", "up")
    world.daemon.wait_for_log("event=network_back", timeout=1.5)
    world.stays(3)
    world.nothing_went_down()


@in_own_network
def test_silence_of_everybody_is_our_own_fault(lab):
    world = World(lab)
    world.far.lose_replies()
    world.daemon.wait_for_log("event=network_lost", timeout=4.3)
    assert world.error_codes() == [3], world.daemon.log()
    world.stays(4)
    world.far.find_replies()
    world.daemon.wait_for_log("event=network_back", timeout=1.5)
    assert world.error_codes() == []
    world.stays(3)
    world.nothing_went_down()


@in_own_network
def test_the_silence_of_some_is_theirs(lab):
    world = World(lab)
    lost = world.all[:3]
    for address in lost:
        world.far.remove(address)
    took = world.daemon.wait_for_answer("a.test", world.all[3:], 4.5)
    assert took < 4.3
    assert "event=network_lost" not in world.daemon.log()
    # And of all but one.
    for address in world.all[3:5]:
        world.far.remove(address)
    assert world.daemon.wait_for_answer("a.test", world.all[5:], 4.5) < 4.3
    assert "event=network_lost" not in world.daemon.log()


@in_own_network
def test_an_upstream_that_answers_says_that_it_is_not_our_network(lab):
    world = World(lab, far_upstream=True)
    for address in world.all:
        world.far.remove(address)
    for _ in world.all:
        world.daemon.wait_for_log("event=endpoint_down", timeout=4.5)
    assert "event=network_lost" not in world.daemon.log()
    for address in world.all:
        world.far.add(address)
    world.daemon.wait_for_answer("a.test", world.all, 6)


@in_own_network
def test_forwarding_goes_on_from_another_address(lab):
    world = World(lab, far_upstream=True)
    assert world.daemon.addresses("x.test") == ["192.0.2.1"]
    run("ip", "address", "add", "10.70.0.9/24", "dev", "near")
    run("ip", "route", "add", f"{FAR}/32", "dev", "near", "src", "10.70.0.9")
    world.far.lose_replies()
    world.daemon.wait_for_log("event=network_changed")
    wait_until(lambda: world.daemon.addresses("x.test") == ["192.0.2.1"], 1, what="the upstream")


def rounds_after(world, changes):
    """Seconds from each change until everybody has been asked afresh."""
    took = []
    for change in changes:
        asked = [web.requests()[0] for web in world.webs]
        run(*change)
        took.append(wait_until(lambda: all(web.requests()[0] > n for web, n in zip(world.webs, asked)), 1,
                               what=f"a round after {change}"))
        time.sleep(0.3)
    return took


@in_own_network
def test_a_changed_network_starts_a_fresh_round_within_a_quarter_second(lab):
    world = World(lab)
    world.settle()
    took = rounds_after(world, (("ip", "address", "add", "10.70.0.9/24", "dev", "near"),
                                ("ip", "route", "add", "10.71.0.0/24", "via", "10.70.0.2", "src", "10.70.0.9"),
                                ("ip", "route", "delete", "10.71.0.0/24"),
                                ("ip", "address", "delete", "10.70.0.9/24", "dev", "near")))
    # Some 55 ms, of which 50 gather what the kernel tells of one change; one of them may be a busy machine's.
    assert median(took) < 0.25, took
    log = world.daemon.log()
    assert "event=network_changed what=routes" in log and "event=network_changed what=links" in log, log
    assert "ways=kept" not in log, log
    world.nothing_went_down()
    assert "event=network_lost" not in world.daemon.log()


@in_own_network
def test_a_change_that_is_none_of_ours_asks_everybody_as_soon_and_forgets_nothing(lab):
    world = World(lab)
    world.settle()
    since = len(world.daemon.log())
    took = rounds_after(world, (("ip", "route", "add", "10.99.0.0/16", "via", "10.70.0.2"),
                                ("ip", "link", "add", "other", "type", "veth", "peer", "name", "another"),
                                ("ip", "link", "delete", "other")))
    assert median(took) < 0.25, took
    log = world.daemon.log()[since:]
    assert log.count("event=network_changed") == log.count("ways=kept") == 3, log
    world.nothing_went_down()


@in_own_network
def test_containers_that_come_and_go_keep_nobody_who_is_silent(lab):
    """Their links, addresses and routes change all the time, and ours do not: what was measured and heard stays true."""
    world = World(lab)
    world.settle()
    since = len(world.daemon.log())
    silent = world.all[1]
    asked = world.webs[0].requests()[0]
    world.far.remove(silent)
    begin = time.monotonic()
    changes = 0
    while silent in world.daemon.addresses("a.test") and time.monotonic() < begin + 6:
        run("ip", "link", "add", f"c{changes}", "type", "veth", "peer", "name", "inside")
        run("ip", "address", "add", f"172.18.{changes}.1/24", "dev", f"c{changes}")
        run("ip", "link", "set", f"c{changes}", "up")
        time.sleep(0.3)
        run("ip", "link", "delete", f"c{changes}")
        changes += 1
    took = time.monotonic() - begin
    log = world.daemon.log()[since:]
    assert took < 4.7, log
    assert changes >= 3 and "event=network_changed what=links ways=kept" in log, log
    assert log.count("event=network_changed") == log.count("ways=kept"), log
    assert "event=network_lost" not in log
    # Its own checks are one each two seconds.
    assert world.webs[0].requests()[0] >= asked + took / 2 + 2, "but everybody was asked afresh"
