"""A certificate authority of the test's own, made by openssl when the test runs."""
import pathlib
import subprocess


def openssl(*arguments, **options):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, **options)


class Authority:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificate = self.folder / "ca.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2,
                "-subj", "/CN=har test CA", "-keyout", self.folder / "ca.key", "-out", self.certificate)
        (self.folder / "ca.conf").write_text(f"""
[ca]
default_ca = here
[here]
database = {self.folder}/index.txt
new_certs_dir = {self.folder}
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
""")
        (self.folder / "index.txt").touch()

    def issue(self, name, host, start="20200101000000Z", end="20491231235959Z"):
        """(certificate, key) for the host, valid between the dates."""
        key, request, certificate = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "pem"))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-keyout", key, "-out", request)
        openssl("ca", "-batch", "-config", self.folder / "ca.conf", "-cert", self.certificate,
                "-keyfile", self.folder / "ca.key", "-startdate", start, "-enddate", end,
                "-in", request, "-out", certificate, "-notext")
        return certificate, key

    def self_signed(self, name, host):
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2,
                "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-keyout", key, "-out", certificate)
        return certificate, key
