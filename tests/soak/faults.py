"""The faults of tests/soak/chaos. Each is a function of a `Stage`: it does its harm, says to the load which losses that
may cost and when, undoes it, and holds the time until all is well against what is promised. FAULTS lists them."""
import contextlib
import os
import signal
import time

import dns.exception
import dns.rcode

from lab import dnsclient
from lab.daemon import is_running
from world import descendants

SERVER = ("127.0.0.1", 53)
KILLED, ANSWERS_500, FROZEN, BACK, LIVES_AGAIN = 2.5, 3.3, 4.2, 20.0, 1.0  # seconds: what is promised
UPSTREAM_DEAD, UPSTREAM_BACK = 3.0, 2.0
HUNG = 10.0  # the keeper replaces a process that has been silent so long
IN_FLIGHT = 0.5  # a query may have been with a process for so long when that is killed; with dead upstreams 2 s
USUAL_SLACK = 0.5
KILL_TAKES = 0.1  # from our kill until no instruction of the process runs and every client has seen its end
FAULTS = []


def fault(function):
    FAULTS.append(function)
    return function


class Stage:
    def __init__(self, world, load, violations, slack):
        self.world, self.load, self.violations, self.slack = world, load, violations, slack
        self.kill_takes = KILL_TAKES + max(0, slack - USUAL_SLACK)
        self.returning = {}  # web server: (since, the time by which it must be in use)
        self.times = {}  # what: seconds it took, for the summary
        self.dice = None

    # ---- looking

    def ask(self, name, kind="A"):
        try:
            return dnsclient.ask(SERVER, name, kind, timeout=0.3)
        except (dns.exception.DNSException, OSError):
            return None

    def addresses(self, name, kind="A"):
        reply = self.ask(name, kind)
        return dnsclient.addresses(reply) if reply is not None else None

    def is_answering(self):
        return bool(self.addresses(self.world.witness(self.world.webs[0])))

    def names_with(self, web):
        """Those that have it in their answer, or no answer."""
        return [name for name in self.world.plain_names() if web.address in (self.addresses(name) or [web.address])]

    def look_after_returning(self):
        for web, (since, limit) in list(self.returning.items()):
            now = time.monotonic()
            if (self.addresses(self.world.witness(web)) or [None])[0] == web.address:
                self.took("back in use", now - since)
            elif now > limit:
                self.violations.add(f"{web.title} not in use again within {limit - since:.1f} s")
            else:
                continue
            del self.returning[web]

    # ---- waiting

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
            self.look_after_returning()

    def until(self, what, bound, is_so, since=None):
        """Waits until it is so and holds the time against the bound; goes on waiting a while when that has passed."""
        since = since or time.monotonic()
        while not is_so():
            if time.monotonic() - since > bound + self.slack + 20:
                self.violations.add(f"{what}: not within {bound + 20:.1f} s")
                return False
            time.sleep(0.005)
        took = time.monotonic() - since
        self.took(what, took)
        if took > bound + self.slack:
            self.violations.add(f"{what}: after {took:.2f} s instead of {bound} s")
        return True

    def took(self, what, seconds):
        self.times.setdefault(what, []).append(seconds)

    def one_of(self, webs):
        """Any of them by the dice, once it is in its place again."""
        web = self.dice.choice(webs)
        self.all_back([web])
        return web

    def all_back(self, webs):
        while any(web in self.returning for web in webs):
            self.wait(0.1)

    def comes_back(self, webs):
        now = time.monotonic()
        for web in webs:
            web.falls = [at for at in web.falls if now - at < 600] + [now]
            # Each further fall within ten minutes doubles `rise`, up to 32 times, asked twice a second.
            doubled = 2 * 2 ** min(len(web.falls) - 1, 5)
            self.returning[web] = now, now + BACK + self.slack + (0.6 * doubled if len(web.falls) > 1 else 0)

    # ---- parts

    def pid(self, role):
        """Waits for it; the daemon starts what has ended."""
        return_by = time.monotonic() + 5
        while time.monotonic() < return_by:
            with contextlib.suppress(OSError):
                if (pid := self.world.daemon.children().get(role)) is not None:
                    return pid
            time.sleep(0.002)
        self.violations.add(f"no {role} for 5 s")
        raise RuntimeError(f"no {role}")

    def kill(self, role):
        os.kill(self.pid(role), signal.SIGKILL)
        return time.monotonic()

    @contextlib.contextmanager
    def stopped(self, *pids):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield time.monotonic()
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def all_upstreams_well(self):
        for rack in self.world.racks:
            with rack.inside():
                try:
                    if not dnsclient.ask(rack.upstream.server, "n1.test", timeout=0.5).answer:
                        return False
                except (dns.exception.DNSException, OSError):
                    return False
        return True

    def forwarding_is_fast(self):
        recent = self.load.recent()
        return recent is not None and recent[0] > self.asked_at + 0.25 and 0 <= recent[5][0] < 5_000 and recent[5][1] < 250_000

    def until_forwarding_is_fast(self, what, bound, since):
        self.asked_at = since
        self.until(what, bound + 0.5, self.forwarding_is_fast, since)  # the load reports each quarter of a second


def leaves_the_answers(s, web, bound, since, what):
    s.until(what, bound, lambda: not s.names_with(web), since)


# ---- web servers

@fault
def web_killed(s):
    web = s.one_of(s.world.webs)
    web.kill()
    leaves_the_answers(s, web, KILLED, time.monotonic(), "killed: out of the answers")
    s.wait(s.dice.uniform(0, 2))
    web.rack.start_web(web)
    s.comes_back([web])


@fault
def web_frozen(s):
    web = s.one_of(s.world.webs)
    web.signal(signal.SIGSTOP)
    leaves_the_answers(s, web, FROZEN, time.monotonic(), "frozen: out of the answers")
    web.signal(signal.SIGCONT)
    s.comes_back([web])


@fault
def web_answers_500(s):
    web = s.one_of(s.world.webs)
    web.tell("status", "500")
    leaves_the_answers(s, web, ANSWERS_500, time.monotonic(), "answers 500: out of the answers")
    web.tell("status", "200")
    s.comes_back([web])


@fault
def web_killed_while_the_checker_dies(s):
    web = s.one_of(s.world.webs)
    web.kill()
    since = time.monotonic()
    s.wait(s.dice.uniform(0, 0.5))
    s.kill("hard-checker")
    # The old checker may have seen it and not have written it down: its successor may use it once more, for a moment.
    s.wait(0.3)
    leaves_the_answers(s, web, KILLED + LIVES_AGAIN, since, "killed beside the checker: out of the answers")
    web.rack.start_web(web)
    s.comes_back([web])


# ---- upstreams

def one_upstream(s, harm, heal, what):
    rack = s.dice.choice(s.world.racks)
    since = time.monotonic()
    harm(rack)
    s.until_forwarding_is_fast(f"one upstream {what}: forwarding fast", UPSTREAM_DEAD, since)
    s.wait(s.dice.uniform(0, 2))
    heal(rack)
    s.until("an upstream answers", 10, s.all_upstreams_well)
    s.wait(UPSTREAM_BACK)  # until it is known


@fault
def upstream_killed(s):
    one_upstream(s, lambda rack: rack.kill_upstream(), lambda rack: rack.start_upstream(), "killed")


@fault
def upstream_frozen(s):
    one_upstream(s, lambda rack: rack.signal_upstream(signal.SIGSTOP), lambda rack: rack.signal_upstream(signal.SIGCONT),
                 "frozen")


def no_upstream(s, harm, heal, what):
    since = time.monotonic()
    for rack in s.world.racks:
        harm(rack)
    s.wait(s.dice.uniform(1, 5))
    for rack in s.world.racks:
        heal(rack)
    s.until("an upstream answers", 10, s.all_upstreams_well)
    healed = time.monotonic()
    s.until_forwarding_is_fast(f"all upstreams {what}: forwarding back", UPSTREAM_BACK, healed)
    s.load.allow("servfail_forwarded", since - 2.1, healed + UPSTREAM_BACK, "no upstream")
    s.wait(1)


@fault
def both_upstreams_killed(s):
    no_upstream(s, lambda rack: rack.kill_upstream(), lambda rack: rack.start_upstream(), "killed")


@fault
def both_upstreams_frozen(s):
    no_upstream(s, lambda rack: rack.signal_upstream(signal.SIGSTOP), lambda rack: rack.signal_upstream(signal.SIGCONT),
                "frozen")


# ---- our own processes

@fault
def checker_killed(s):
    for _ in range(s.dice.choice((1, 1, 4))):
        s.kill("hard-checker")
        s.wait(s.dice.uniform(0, 0.3))


@fault
def checker_frozen(s):
    with s.stopped(s.pid("hard-checker")):
        s.wait(s.dice.uniform(1, 4))


@fault
def checker_hung(s):
    pid = s.pid("hard-checker")
    with s.stopped(pid) as since:
        s.until("a hung checker is replaced", HUNG + 2, lambda: s.pid("hard-checker") != pid, since)


@fault
def answerer_killed(s):
    for _ in range(s.dice.choice((1, 1, 3))):
        at = s.kill("hard-answerer")
        s.load.allow("lost_udp lost_tcp closed", at - IN_FLIGHT, at + s.kill_takes, "answerer killed")
        s.until("answerer killed: answers", LIVES_AGAIN, s.is_answering, at)
        s.wait(s.dice.uniform(0, 0.5))


@fault
def answerer_frozen(s):
    with s.stopped(s.pid("hard-answerer")):
        time.sleep(s.dice.uniform(0.2, 1.2))  # what comes meanwhile waits in the sockets
    thawed(s)


@fault
def answerer_hung(s):
    pid = s.pid("hard-answerer")
    with s.stopped(pid) as since:
        s.until("a hung answerer is replaced", HUNG + 2, lambda: s.pid("hard-answerer") != pid, since)
    s.until("answerer replaced: answers", LIVES_AGAIN, s.is_answering)
    s.load.allow("lost_udp lost_tcp closed late servfail_forwarded", since - IN_FLIGHT, time.monotonic() + s.kill_takes,
                 "answerer hung")


@fault
def answerer_and_checker_killed(s):
    s.kill("hard-checker")
    at = s.kill("hard-answerer")
    s.load.allow("lost_udp lost_tcp closed", at - IN_FLIGHT, at + s.kill_takes, "answerer killed")
    s.until("both killed: answers", LIVES_AGAIN, s.is_answering, at)


@fault
def keeper_killed(s):
    children = s.world.daemon.children().values()
    at = time.monotonic()
    s.world.daemon.process.kill()
    s.world.daemon.process.wait()
    s.until("keeper killed: its children are gone", LIVES_AGAIN, lambda: not any(map(is_running, children)), at)
    started_again(s, at, "keeper killed")


@fault
def keeper_frozen(s):
    with s.stopped(s.world.daemon.process.pid):
        s.wait(s.dice.uniform(0.5, 5))


@fault
def all_frozen(s):
    with s.stopped(*descendants(s.world.daemon.process.pid)):
        time.sleep(s.dice.uniform(0.2, 1.2))
    thawed(s)


def thawed(s):
    """What waited in the sockets is answered: before that it would be lost with an answerer that is killed at once."""
    s.until("answerer thawed: answers", LIVES_AGAIN, s.is_answering)
    s.wait(0.2)


@fault
def restarted(s):
    at = time.monotonic()
    s.world.daemon.stop()
    started_again(s, at, "restart")


def started_again(s, at, why):
    s.world.start_daemon(wait=False)
    s.until(f"{why}: answers", LIVES_AGAIN, s.is_answering, s.world.daemon.started_at)
    s.load.allow("lost_udp lost_tcp closed servfail_forwarded", at - IN_FLIGHT, time.monotonic() + s.kill_takes, why)
    s.world.daemon.wait_for_log("event=ready", timeout=5)
    s.wait(1)  # the first round of checks is over, the second one begins


# ---- reloads

@fault
def reloaded(s):
    for _ in range(s.dice.choice((1, 10))):
        s.world.daemon.reload()


@fault
def reloaded_changed(s):
    webs = s.world.racks[1].webs
    s.world.daemon.reload(s.world.configuration(turned=True, with_extra=True, margin=0.3))
    s.until("reload: the new name", 1, lambda: s.addresses("extra.ours.test") == [s.world.webs[-1].address])
    moved = [web.address for web in webs]
    s.until("reload: the new candidates", 1, lambda: (s.addresses("moving.ours.test") or [""])[0] in moved)
    s.wait(s.dice.uniform(0, 1))
    s.world.daemon.reload(s.world.configuration())
    s.until("reload: the name is gone", 1,
            lambda: (reply := s.ask("extra.ours.test")) is not None and reply.rcode() == dns.rcode.NXDOMAIN)


@fault
def reload_refused(s):
    s.world.daemon.reload(s.dice.choice(("name first-east1.ours.test {", "", "nameservers = { 300.1.1.1 }")),
                          expect="reload_refused", whole=True)
    s.wait(0.5)
    s.world.daemon.write_config(s.world.configuration())


# ---- the machine

@fault
def disk_full(s):
    filler = s.world.disk / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65_536))
    s.wait(s.dice.uniform(1, 4))
    if s.dice.random() < 0.5:
        s.kill("hard-checker")  # its successor opens the store on a full disk
        s.wait(1)
    filler.unlink()


@fault
def clock_stepped(s):
    years = s.dice.choice((-30, -1, 1, 10))
    s.world.step_clock(years * 365 * 86_400)
    s.wait(s.dice.uniform(0.5, 3))
    if s.dice.random() < 0.3:
        s.kill("hard-checker")
        s.wait(0.5)
    s.world.step_clock(0)


@fault
def cable_cut(s):
    rack, end = s.dice.choice(s.world.racks), s.dice.choice(("near", "far"))
    s.all_back(rack.webs)
    since = time.monotonic()
    rack.pull_out(end)
    try:
        s.until_forwarding_is_fast(f"cable cut, {end} end: forwarding fast", UPSTREAM_DEAD, since)
        if s.dice.random() < 0.5:
            for web in rack.webs:
                leaves_the_answers(s, web, FROZEN, since, "cable cut: out of the answers")
    finally:
        rack.plug_in(end)
    s.comes_back(rack.webs)
    s.wait(UPSTREAM_BACK)


@fault
def both_cables_cut(s):
    end = s.dice.choice(("near", "far"))
    s.all_back(s.world.webs)
    since = time.monotonic()
    for rack in s.world.racks:
        rack.pull_out(end)
    s.wait(s.dice.uniform(0.5, 6))
    for rack in s.world.racks:
        rack.plug_in(end)
    healed = time.monotonic()
    s.load.allow("servfail_forwarded", since - 2.1, healed + UPSTREAM_BACK, "no upstream")
    s.until_forwarding_is_fast(f"both cables cut, {end} end: forwarding back", UPSTREAM_BACK, healed)
    s.comes_back(s.world.webs)
    s.wait(1)


@fault
def cable_narrow(s):
    rack = s.dice.choice(s.world.racks)
    s.all_back(rack.webs)
    rack.make_narrow()
    s.wait(s.dice.uniform(1, 4))
    rack.make_wide()
    s.comes_back(rack.webs)
    s.wait(1)
