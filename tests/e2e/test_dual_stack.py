"""Two families of one name: each has its answer, and the other's failure never becomes silence."""
from lab import dnsclient
from lab.own_network import add_addresses, in_own_network


@in_own_network
def test_both_families_are_checked_and_answered_apart(lab):
    v6 = [f"fd00:77::{n}" for n in range(1, 4)]
    v4 = [f"192.0.2.{n}" for n in range(1, 4)]
    add_addresses(*v6, *v4)
    upstream = lab.script({
        ("both.test", "A"): [v4[0]], ("both.test", "AAAA"): [v6[0]],
        ("four.test", "A"): [v4[1]],
        ("six.test", "AAAA"): [v6[1]],
    }, address="127.0.0.1")
    port = 8080
    web4, web6, four, six = lab.webs(*[{"address": a, "port": port} for a in (v4[0], v6[0], v4[1], v6[1])])
    literal = lab.web(address=v6[2], port=port)
    daemon = lab.daemon(f"""
        nameservers = {{ {upstream.spec} }}
        defaults {{ check_frequency = 0.5 ttl = 20 }}
        name both.ours.test {{ candidate c {{ check_address = "http://both.test:{port}/" }} }}
        name four.ours.test {{ candidate c {{ check_address = "http://four.test:{port}/" }} }}
        name six.ours.test {{ candidate c {{ check_address = "http://six.test:{port}/" }} }}
        name literal.ours.test {{ candidate c {{ check_address = "http://[{v6[2]}]:{port}/" }} }}
        """, listen=["127.0.0.1", "::1"])

    def answer(host):
        return daemon.addresses(f"{host}.ours.test"), daemon.addresses(f"{host}.ours.test", "AAAA")

    assert answer("both") == ([v4[0]], [v6[0]])
    assert answer("four") == ([v4[1]], [])
    assert answer("six") == ([], [v6[1]])
    assert answer("literal") == ([], [literal.address])
    assert dnsclient.addresses(dnsclient.ask(("::1", daemon.port), "six.ours.test", "AAAA")) == [v6[1]]
    for host, kind in (("four", "AAAA"), ("six", "A"), ("literal", "A")):
        reply = daemon.ask(f"{host}.ours.test", kind)
        assert dnsclient.is_nodata(reply) and dnsclient.has_own_soa(reply, f"{host}.ours.test")

    # One family fails: NODATA, so that the client moves to the other one.
    web6.kill()
    daemon.wait_for_answer("both.ours.test", [], 5, kind="AAAA")
    reply = daemon.ask("both.ours.test", "AAAA")
    assert dnsclient.is_nodata(reply) and dnsclient.has_own_soa(reply, "both.ours.test")
    assert daemon.addresses("both.ours.test") == [v4[0]]
    # Both fail: the failure mode, for both.
    web4.kill()
    daemon.wait_for_answer("both.ours.test", [v6[0]], 5, kind="AAAA")
    assert answer("both") == ([v4[0]], [v6[0]])
    assert daemon.ask("both.ours.test").answer[0].ttl == 1
    # One usable address is enough to leave it.
    web6.start()
    daemon.wait_for_answer("both.ours.test", [], 5)
    assert answer("both") == ([], [v6[0]])
    assert daemon.ask("both.ours.test", "AAAA").answer[0].ttl == 20
