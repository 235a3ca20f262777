"""The original's example file in real life: its addresses, port 53, HTTP on port 80."""
from lab import dnsclient
from lab.daemon import HARD, Daemon
from lab.own_network import add_addresses, in_own_network
from test_configuration import ORIGINAL


@in_own_network
def test_the_originals_example_runs_as_it_stands(lab):
    add_addresses("192.168.11.1", "192.0.2.1", "192.0.2.2")
    lab.script({("www1.east.example.com", "A"): ["192.0.2.1"], ("www1.west.example.com", "A"): ["192.0.2.2"],
                ("other.example.com", "A"): ["192.0.2.77"]}, address="192.168.11.1", port=53)
    east = lab.web(address="192.0.2.1", port=80)
    lab.web(address="192.0.2.2", port=80)
    daemon = lab.daemon("", start=False, listen=["127.0.0.1", "::1"], port=53)
    daemon.write_config(ORIGINAL.replace("name www", f'data_file = "{daemon.data_file}"\nname www'), whole=True)
    daemon.start()
    for server in (("127.0.0.1", 53), ("::1", 53)):
        answers = {tuple(dnsclient.addresses(dnsclient.ask(server, "www.example.com"))) for _ in range(10)}
        assert answers == {("192.0.2.1",), ("192.0.2.2",)}, "group_rtt_rr without a threshold: both take turns"
        assert dnsclient.is_nodata(dnsclient.ask(server, "www.example.com", "AAAA"))
        assert dnsclient.addresses(dnsclient.ask(server, "other.example.com")) == ["192.0.2.77"]
    assert east.requests()[0] >= 1
