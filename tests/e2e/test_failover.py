"""Who is answered, how fast a failing one leaves the answers, and when it comes back. The waits run side by side."""
import concurrent.futures
import signal

import pytest

from lab.net import wait_until

BACK = 20  # seconds in which one that has returned is used again


class Pair:
    """A name with a first choice and another one, each a server of its own."""

    def __init__(self, name, first, other, method="http"):
        self.name, self.first, self.other, self.method = name, first, other, method

    def config(self, options="", first_options="", other_options=""):
        def address(web):
            return web.url if self.method == "http" else f"tcp://{web.address}:{web.port}"

        return f"""
            name {self.name} {{ {options}
              candidate first {{ check_address = "{address(self.first)}" {first_options} }}
              candidate other {{ check_address = "{address(self.other)}" {other_options} }}
            }}"""


@pytest.fixture(scope="module")
def measured(module_lab):
    """Seconds, by what happened: until the other one was answered, and until the first was used again."""
    lab = module_lab
    slow = 0.02
    webs = iter(lab.webs(*[{"delay": d} for _ in range(8) for d in (0.001, slow)]))
    three = lab.webs({"delay": 0.02}, {"delay": 0.001}, {"delay": 0.005})

    def pair(name, method="http"):
        return Pair(name, next(webs), next(webs), method)

    killed, answers_500, stopped = pair("killed.test"), pair("answers-500.test"), pair("stopped.test")
    tcp_killed, tcp_stopped = pair("tcp-killed.test", "tcp"), pair("tcp-stopped.test", "tcp")
    tiers, order, weighted = pair("tiers.test"), pair("order.test"), pair("weighted.test")
    upstream = lab.script()
    config = "".join([
        f"nameservers = {{ {upstream.spec} }}\n",
        killed.config(), answers_500.config(),
        # By its RTT it may take half a minute: what was asked while it stood still is answered with a large one.
        stopped.config("selection_method = failover"),
        tcp_killed.config("selection_method = failover"), tcp_stopped.config("selection_method = failover"),
        # The fast one is the farther one.
        tiers.config("", first_options="tier = 1"),
        order.config("selection_method = failover", ""),
        weighted.config("selection_method = weighted", "weight = 3", "weight = 1"),
        "name three.test { ",
        "".join(f'candidate c{i} {{ check_address = "{web.url}" }}\n' for i, web in enumerate(three)),
        "}",
    ])
    daemon = lab.daemon(config)
    out = {"daemon": daemon, "three": three, "weighted": weighted, "order": order}

    def goes_and_comes(p, go, come):
        first, other = [p.first.address], [p.other.address]
        daemon.wait_for_answer(p.name, first, 15)
        go()
        gone = daemon.wait_for_answer(p.name, other, 10)
        come()
        return gone, daemon.wait_for_answer(p.name, first, 40)

    def tier_goes_and_comes():
        near, far = tiers.other, tiers.first
        daemon.wait_for_answer(tiers.name, [near.address], 10)
        near.kill()
        gone = daemon.wait_for_answer(tiers.name, [far.address], 10)
        near.start()
        return gone, daemon.wait_for_answer(tiers.name, [near.address], 40)

    def stays():
        tcp_stopped.first.signal(signal.SIGSTOP)
        try:
            daemon.wait_for_answer(tcp_stopped.name, [tcp_stopped.other.address], 5)
            return False
        except AssertionError:
            return True

    with concurrent.futures.ThreadPoolExecutor() as pool:
        jobs = {
            "killed": pool.submit(goes_and_comes, killed, killed.first.kill, killed.first.start),
            "answers 500": pool.submit(goes_and_comes, answers_500, lambda: answers_500.first.tell("status", 500),
                                       lambda: answers_500.first.tell("status", 200)),
            "stopped": pool.submit(goes_and_comes, stopped, lambda: stopped.first.signal(signal.SIGSTOP),
                                   lambda: stopped.first.signal(signal.SIGCONT)),
            "tcp killed": pool.submit(goes_and_comes, tcp_killed, tcp_killed.first.kill, tcp_killed.first.start),
            "tier": pool.submit(tier_goes_and_comes),
            "tcp stopped": pool.submit(stays),
        }
        for name, job in jobs.items():
            try:
                out[name] = job.result()
            except AssertionError as error:
                out[name] = error
    return out


def result(measured, what):
    if isinstance(measured[what], AssertionError):
        raise measured[what]
    return measured[what]


def test_the_fastest_of_three_is_answered(measured):
    measured["daemon"].wait_for_answer("three.test", [measured["three"][1].address], 15)


@pytest.mark.parametrize("what, limit", [("killed", 2.5), ("answers 500", 3.3), ("stopped", 4.2), ("tcp killed", 2.5)])
def test_a_failing_one_leaves_the_answers_in_time(measured, what, limit):
    gone, _ = result(measured, what)
    assert gone <= limit


@pytest.mark.parametrize("what", ["killed", "answers 500", "stopped", "tcp killed", "tier"])
def test_one_that_has_returned_is_used_again(measured, what):
    _, back = result(measured, what)
    assert back <= BACK


def test_a_farther_tier_is_used_only_when_the_nearer_has_nothing(measured):
    gone, _ = result(measured, "tier")
    assert gone <= 2.5


def test_a_tcp_check_sees_the_kernel_only(measured):
    assert result(measured, "tcp stopped"), "the manual says so"


def test_failover_keeps_the_order_of_the_file(measured):
    order = measured["order"]
    assert {tuple(measured["daemon"].addresses(order.name)) for _ in range(10)} == {(order.first.address,)}


def test_weights_are_proportions(measured):
    weighted = measured["weighted"]
    asked = [measured["daemon"].addresses(weighted.name)[0] for _ in range(800)]
    share = asked.count(weighted.first.address) / len(asked)
    assert 0.65 < share < 0.85, "three of four"


def test_the_whole_body_may_be_asked_for(lab):
    good, bad = lab.webs({}, {})
    good.tell("body", "all is well here")
    daemon = lab.daemon(f"""
        nameservers = {{ "127.0.0.1#1" }}
        name a.test {{ expect_body = "is well" selection_method = failover check_frequency = 0.5
          candidate bad {{ check_address = "{bad.url}" }}
          candidate good {{ check_address = "{good.url}" }}
        }}""")
    assert daemon.addresses("a.test") == [good.address]
    bad.tell("body", "it is well")
    daemon.wait_for_answer("a.test", [bad.address], 5)
    bad.tell("status", "404")
    daemon.wait_for_answer("a.test", [good.address], 5)
