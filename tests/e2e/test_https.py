"""HTTPS checks against nginx with certificates of a test authority."""
import pytest

from lab import dnsclient
from lab.net import free_port, loopback
from lab.pki import Authority

HOSTS = ["good", "expired", "early", "wrong-name", "self-signed"]


@pytest.fixture(scope="module")
def daemon(module_lab):
    lab = module_lab
    authority = Authority(lab.folder / "pki")
    certificates = {
        "good": authority.issue("good", "good.test"),
        "expired": authority.issue("expired", "expired.test", end="20210101000000Z"),
        "early": authority.issue("early", "early.test", start="20480101000000Z"),
        "wrong-name": authority.issue("wrong-name", "someone-else.test"),
        "self-signed": authority.self_signed("self-signed", "self-signed.test"),
    }
    addresses = {host: loopback() for host in [*HOSTS, "by-name"]}
    port = free_port(*addresses.values())
    servers = "".join(f"""
        server {{ listen {addresses[host]}:{port} ssl; server_name {host}.test;
                  ssl_certificate {certificates[host][0]}; ssl_certificate_key {certificates[host][1]};
                  location / {{ return 200 fine; }} }}""" for host in HOSTS)
    # Two names at one address: only SNI leads to the right certificate, and only Host to the right page.
    by_name = authority.issue("by-name", "by-name.test")
    servers += f"""
        server {{ listen {addresses['by-name']}:{port} ssl default_server; server_name default.test;
                  ssl_certificate {certificates['wrong-name'][0]}; ssl_certificate_key {certificates['wrong-name'][1]};
                  location / {{ return 500 wrong; }} }}
        server {{ listen {addresses['by-name']}:{port} ssl; server_name by-name.test;
                  ssl_certificate {by_name[0]}; ssl_certificate_key {by_name[1]};
                  location / {{ return 200 fine; }} }}"""
    lab.nginx(servers)
    upstream = lab.script({(f"{host}.test", "A"): [addresses[host]] for host in addresses})
    names = "".join(f"""
        name {host}.ours.test {{ candidate c {{ check_address = "https://{host}.test:{port}/" }} }}
        name {host}.lax.test {{
          check_tls_verify = false
          candidate c {{ check_address = "https://{host}.test:{port}/" }}
        }}""" for host in HOSTS)
    names += f"""
        name by-name.ours.test {{ candidate c {{ check_address = "https://by-name.test:{port}/" }} }}
        name by-host.ours.test {{
          candidate c {{ check_address = "https://{addresses['good']}:{port}/" check_host = good.test }} }}
        name by-address.ours.test {{ candidate c {{ check_address = "https://{addresses['good']}:{port}/" }} }}
        name no-authority.ours.test {{
          candidate c {{ check_address = "https://good.test:{port}/" check_ca_file = "" }} }}"""
    daemon = lab.daemon(f"""
        nameservers = {{ {upstream.spec} }}
        defaults {{ failure_mode = nodata check_ca_file = "{authority.certificate}" }}
        {names}""")
    daemon.at = addresses
    return daemon


def is_up(daemon, name):
    reply = daemon.ask(name)
    assert dnsclient.is_nodata(reply) or dnsclient.addresses(reply)
    return bool(dnsclient.addresses(reply))


def test_a_good_certificate_passes(daemon):
    assert daemon.addresses("good.ours.test") == [daemon.at["good"]]


@pytest.mark.parametrize("host", ["expired", "early", "wrong-name", "self-signed"])
def test_a_bad_certificate_does_not_pass(daemon, host):
    assert not is_up(daemon, f"{host}.ours.test")


@pytest.mark.parametrize("host", HOSTS)
def test_any_certificate_passes_where_it_is_not_verified(daemon, host):
    assert is_up(daemon, f"{host}.lax.test")


def test_sni_and_host_carry_the_host_name(daemon):
    assert is_up(daemon, "by-name.ours.test")


def test_check_host_overrides_the_name_in_sni_and_certificate(daemon):
    assert is_up(daemon, "by-host.ours.test")
    assert not is_up(daemon, "by-address.ours.test")


def test_an_authority_that_is_not_trusted_does_not_pass(daemon):
    assert not is_up(daemon, "no-authority.ours.test")


def test_a_reload_reads_the_ca_files_again(lab):
    new, old = Authority(lab.folder / "new"), Authority(lab.folder / "old")
    certificate, key = new.issue("good", "good.test")
    address = loopback()
    port = free_port(address)
    lab.nginx(f"""
        server {{ listen {address}:{port} ssl; server_name good.test; ssl_certificate {certificate};
                  ssl_certificate_key {key}; location / {{ return 200 fine; }} }}""")
    trusted = lab.folder / "trusted.pem"
    trusted.write_bytes(old.certificate.read_bytes())
    daemon = lab.daemon(f"""
        nameservers = {{ {lab.script({}).spec} }}
        name a.test {{
          failure_mode = nodata check_frequency = 0.5 check_host = good.test check_ca_file = "{trusted}"
          candidate c {{ check_address = "https://{address}:{port}/" }} }}""")
    assert not is_up(daemon, "a.test")
    trusted.write_bytes(new.certificate.read_bytes())
    daemon.reload()
    daemon.wait_for_answer("a.test", [address], 5)
