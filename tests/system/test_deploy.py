"""Every file of deploy/, checked by the tool that will read it, and the run-book's backup, tried."""

import difflib
import re
import runpy
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from app.site.config import load_config
from app.vault.age import seal
from app.vault.tip import new_decoy
from app.vault.tip_bundles import to_bundles
from tests.support.deployed import configuration
from tests.support.paths import BIN, ROOT
from tests.support.proxies import rewritten
from tests.support.units import Unit

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
# What `systemd-analyze security` may count at most, of 10; the site and the status, which reach nobody, 1.0.
EXPOSURE = {"haumaru.service": 1.0, "haumaru-status.service": 1.0}
PROXIES = ("haproxy", "nginx", "tor@default")
TLS_WORDS = ("no-tls-tickets", "tune.ssl.cachesize 0")
# Bytes that one connection to HAProxy takes at most (tests/system/test_proxy_attacks.py measures it), and its pages.
HELD_BY_A_CONNECTION, CACHE = 100_000, 32 << 20
VARIABLES = {"PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin"}


def run(*command, **more) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **more)


@pytest.mark.needs("systemd")
def test_units_are_read_without_complaint(tmp_path):
    """Systemd understands every line of every unit, and each program that one starts is there."""
    for path in (DEPLOY / "systemd").glob("*.[st]*"):
        if path.suffix in (".service", ".timer"):
            text = path.read_text().replace("/opt/haumaru/current/bin", str(BIN))
            (tmp_path / path.name).write_text(text.replace("/opt/haumaru/alert.sh", str(DEPLOY / "systemd/alert.sh")))
    units = [path for path in tmp_path.iterdir() if "@" not in path.name]
    assert len(units) == 4
    (tmp_path / "haumaru-alert@test.service").symlink_to(tmp_path / "haumaru-alert@.service")
    done = run(
        "systemd-analyze",
        "verify",
        "--man=no",
        "--recursive-errors=no",
        *units,
        tmp_path / "haumaru-alert@test.service",
        env={**VARIABLES, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.needs("systemd")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_are_shut_in(path):
    """`systemd-analyze security` counts as little exposure as the program's work allows."""
    done = run("systemd-analyze", "security", "--no-pager", "--offline=true", path)
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= EXPOSURE.get(path.name, 1.2)
    assert "ignoring" not in done.stderr


@pytest.mark.needs("systemd", "haproxy", "nginx", "tor")
@pytest.mark.parametrize("name", PROXIES)
def test_the_drop_in_shuts_in_what_debian_ships(name, tmp_path):
    """With our drop-in, Debian's own units of the proxies and of Tor count below 3."""
    shutil.copy(f"/lib/systemd/system/{name}.service", tmp_path)
    (tmp_path / f"{name}.service.d").mkdir()
    shutil.copy(DEPLOY / "systemd" / "proxy.conf", tmp_path / f"{name}.service.d" / "haumaru.conf")
    done = run("systemd-analyze", "security", "--no-pager", "--offline=true", tmp_path / f"{name}.service",
               env={**VARIABLES, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"})  # fmt: skip
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) < 3


@pytest.mark.parametrize("path", [*UNITS, DEPLOY / "systemd" / "proxy.conf"], ids=lambda path: path.name)
def test_no_unit_swaps_or_dumps(path):
    """Nothing that memory held reaches a disk: no swap, no core, in any unit nor in the proxies' drop-in."""
    unit = Unit(path)
    assert (unit.one("MemorySwapMax"), unit.one("LimitCORE"), unit.one("UMask")) == ("0", "0", "0077")


def test_no_unit_writes_a_journal_to_disk():
    """What the units print goes to a log of its own, which is kept in memory and for a day."""
    for path in UNITS:
        assert Unit(path).one("LogNamespace") == "haumaru"
    journal = Unit(DEPLOY / "systemd" / "journald@haumaru.conf")
    assert (journal.one("Storage"), journal.one("MaxRetentionSec")) == ("volatile", "1day")


@pytest.fixture(scope="module")
def proxy_folder(tmp_path_factory):
    """A certificate, and the pages that `haumaru build --static` makes, where a configuration can name them."""
    folder = tmp_path_factory.mktemp("proxy")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
        "-keyout", folder / "fullchain.pem.key", "-out", folder / "fullchain.pem")  # fmt: skip
    path, _ = configuration(folder)
    done = run(BIN / "haumaru", "build", "--static", folder / "static", "--config", path)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.needs("nginx")
def test_nginx_reads_its_configuration(proxy_folder):
    """`nginx -t` finds no fault, with nothing changed but where pages, pid and socket are."""
    places = (("/srv/haumaru/site", str(proxy_folder / "static")), ("/run/", f"{proxy_folder}/"))
    text = rewritten(DEPLOY / "nginx" / "nginx.conf", *places).replace("haumaru-pages/", "")
    (proxy_folder / "nginx.conf").write_text(text)
    done = run("nginx", "-e", "stderr", "-t", "-p", proxy_folder, "-c", proxy_folder / "nginx.conf")
    assert done.returncode == 0, done.stderr
    # Where no root runs the test, nginx says that `user` has no effect.
    assert not [line for line in done.stderr.splitlines() if "warn" in line and '"user"' not in line]
    assert "listen unix:" in text
    assert len(re.findall(r"^\s*listen ", text, re.MULTILINE)) == 1


@pytest.mark.needs("haproxy")
@pytest.mark.parametrize("name", ["haproxy", "compose"])
def test_haproxy_reads_its_configuration(name, proxy_folder):
    """`haproxy -c` finds no fault and warns of nothing, and no line asks for a log."""
    text = (DEPLOY / name / "haproxy.cfg").read_text()
    for place, ours in (("/etc/ssl/haumaru", proxy_folder), ("/srv/haumaru/site", proxy_folder / "static")):
        assert place in text
        text = text.replace(place, str(ours))
    # Only `-c` as root may look at user and group; this machine may let a process open 20,000 files and no more.
    text = text.replace("    user haproxy\n    group haproxy\n", "").replace("maxconn 10500", "maxconn 7000")
    (proxy_folder / "haproxy.cfg").write_text(text)
    done = run("haproxy", "-c", "-f", proxy_folder / "haproxy.cfg")
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    assert not re.search(r"^\s*(log |option httplog|option tcplog|stats |capture )", text, re.MULTILINE)
    assert {"no-tls-tickets", "tune.ssl.cachesize 0"} <= {word for word in TLS_WORDS if word in text}


def test_the_proxies_limits_add_up():
    """Both frontends' connections fit the whole, and the site's threads are more than the requests let in to it."""
    text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
    whole = int(re.search(r"^    maxconn (\d+)$", text, re.MULTILINE)[1])
    fronts = [int(found) for found in re.findall(r"^    maxconn (\d+)$", text, re.MULTILINE)[1:]]
    assert sum(fronts) <= whole
    assert whole * HELD_BY_A_CONNECTION + CACHE + 50_000_000 <= memory_limit(DEPLOY / "systemd" / "proxy.conf")
    site = tomllib.loads((DEPLOY / "haumaru.toml").read_text())["server"]
    places = [int(found) for found in re.findall(r"server site 127.0.0.1:8000 maxconn (\d+)", text)]
    assert len(places) == 4
    assert sum(places) < site["workers"] * site.get("threads", 64)


def test_the_containers_proxy_differs_only_in_its_neighbours():
    """In containers HAProxy has the same configuration but for its user and the places of site and Tor."""
    one, other = ((DEPLOY / name / "haproxy.cfg").read_text().splitlines() for name in ("haproxy", "compose"))
    changed = [line[2:].strip() for line in difflib.ndiff(one[1:], other[1:]) if line.startswith(("- ", "+ "))]
    own = ("user ", "group ", "bind 127.0.0.1:8081", "bind 172.31.250.2:8081", "server site ", "server-template site ",
           "resolvers ", "nameserver ", "hold ", "# Which sites")  # fmt: skip
    assert all(line == "" or line.startswith(own) for line in changed), changed


def test_an_image_without_a_digest_is_named_and_pinned():
    """Each image that deploy/ starts from is found, and gets the digest that the registry gives."""
    images = runpy.run_path(str(DEPLOY / "images.py"))
    text = "FROM debian:x AS build\nFROM debian:x\n    image: haumaru:1\n    image: redis:7\n"
    assert images["unpinned"](text) == ["debian:x", "redis:7"]
    digest = "sha256:" + "0" * 64
    pinned = images["pin"](text, lambda _: digest)
    assert pinned.splitlines()[0] == f"FROM debian:x@{digest} AS build"
    assert images["unpinned"](pinned) == []
    composed = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["services"].values()
    named = {service["image"] for service in composed if "image" in service}
    without = {name for name in named if "@" not in name and not name.startswith("haumaru:")}
    assert without <= set(images["all_unpinned"]())


def memory_limit(path: Path) -> int:
    """MemoryMax= of a unit, in bytes."""
    found = re.fullmatch(r"(\d+)([MG])", Unit(path).one("MemoryMax"))
    return int(found[1]) << {"M": 20, "G": 30}[found[2]]


@pytest.mark.needs("tor")
@pytest.mark.parametrize("name", ["tor", "compose"])
def test_tor_reads_its_configuration(name, tmp_path):
    """`tor --verify-config` finds no fault, the service's defences on, and no word of a visitor in a log."""
    text = rewritten(DEPLOY / name / "torrc", ("/var/lib/tor", str(tmp_path / "tor")))
    (tmp_path / "tor").mkdir(mode=0o700)
    (tmp_path / "torrc").write_text(text)
    done = run("tor", "--verify-config", "-f", tmp_path / "torrc", "--defaults-torrc", "/dev/null")
    assert done.returncode == 0, done.stdout
    warnings = [line for line in done.stdout.splitlines() if "[warn]" in line and "as root" not in line]
    assert not warnings
    for needed in ("PoWDefensesEnabled 1", "EnableIntroDoSDefense 1", "SafeLogging 1", "AvoidDiskWrites 1"):
        assert needed in text
    assert "HiddenServiceExportCircuitID haproxy" in text
    assert "8000" not in text, "a proxy stands in front of the site for the onion service too"


@pytest.mark.needs("compose")
def test_compose_reads_its_file(tmp_path):
    """`docker compose config` finds no fault, and what it understood keeps nothing on disk but what must last."""
    done = run(
        "docker-compose", "-f", DEPLOY / "compose" / "compose.yaml", "config", env={**VARIABLES, "HOME": str(tmp_path)}
    )
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) == {"site", "forwarder", "postgres", "redis", "memory", "haproxy", "nginx", "pages", "tor"}
    for name, service in services.items():
        assert service["logging"] == {"driver": "none"}, name
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["ulimits"]["core"] == 0
        assert service["mem_limit"] == service["memswap_limit"], f"{name} could swap"
    assert [name for name, one in services.items() if one.get("ports")] == ["haproxy"]
    assert "out" not in services["site"]["networks"]
    for name in ("redis", "memory"):
        assert "volumes" not in services[name]
        assert services[name]["command"][1:5] == ["--save", "", "--appendonly", "no"]


@pytest.mark.needs("hadolint")
@pytest.mark.parametrize(
    "path", [ROOT / "Dockerfile", DEPLOY / "compose" / "tor.Dockerfile"], ids=lambda path: path.name
)
def test_dockerfiles_are_sound(path):
    """Hadolint finds nothing."""
    done = run("hadolint", path)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["haumaru.toml", "compose/haumaru.toml"])
def test_the_example_says_what_is_still_missing(name, tmp_path):
    """The example configuration is refused for what only the operator can know, and for nothing else."""
    text = (DEPLOY / name).read_text()
    (tmp_path / "haumaru.toml").write_text(text)
    done = run(BIN / "haumaru", "serve", "--config", tmp_path / "haumaru.toml")
    faults = done.stderr.splitlines()
    assert done.returncode == 1
    assert faults
    assert all("recipients" in fault or "token_file" in fault or "token:" in fault for fault in faults), faults
    assert tomllib.loads(text)["site"]["reviewed_only"] is True


def test_site_and_forwarder_share_the_memory_store_of_the_example():
    """Both units make the folder that the example names, in /run, and neither removes it when it ends."""
    config = tomllib.loads((DEPLOY / "haumaru.toml").read_text())
    for name in ("haumaru.service", "haumaru-forward.service"):
        unit = Unit(DEPLOY / "systemd" / name)
        assert f"/run/{unit.one('RuntimeDirectory')}" == config["memory"]["folder"]
        assert (unit.one("RuntimeDirectoryMode"), unit.one("RuntimeDirectoryPreserve")) == ("0700", "yes")


def test_an_alert_says_what_to_do(tmp_path):
    """A failed unit sends one mail, which holds what `haumaru status` says and nothing of a report."""
    path, _ = configuration(tmp_path)
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(f"#!/bin/sh\ncat >{tmp_path}/mail\n")
    sendmail.chmod(0o755)
    done = run(DEPLOY / "systemd" / "alert.sh", "haumaru-forward.service", env={
        **VARIABLES, "ALERT_TO": "ops@example.org", "ALERT_FROM": "box@example.org", "SENDMAIL": str(sendmail),
        "HAUMARU": str(BIN / "haumaru"), "HAUMARU_CONFIG": str(path),
    })  # fmt: skip
    assert done.returncode == 0, done.stderr
    mail = (tmp_path / "mail").read_text()
    assert "Subject: haumaru: somebody must act (haumaru-forward.service)" in mail
    assert "To: ops@example.org" in mail
    assert "intake: no backlog, delivering, key for " in mail


@pytest.mark.slow
def test_what_is_backed_up_is_enough(tmp_path):
    """The backup of docs/rotation.md, restored elsewhere, is a configuration without a fault and the same site."""
    (tmp_path / "old").mkdir()
    path, _ = configuration(tmp_path / "old")
    assert run(BIN / "haumaru", "check", "--config", path).returncode == 0
    (tmp_path / "new").mkdir()
    for name in ("haumaru.toml", "secret"):
        shutil.copy(tmp_path / "old" / name, tmp_path / "new")
    (tmp_path / "new" / "inbox").mkdir()
    done = run(BIN / "haumaru", "check", "--config", tmp_path / "new" / "haumaru.toml")
    assert done.returncode == 0, done.stdout
    assert load_config(tmp_path / "new" / "haumaru.toml", {}).site == load_config(path, {}).site
    assert (tmp_path / "new" / "secret").read_bytes() == (tmp_path / "old" / "secret").read_bytes()


def test_an_outbox_carried_elsewhere_still_delivers(tmp_path):
    """The run-book's way out when the agency cannot be reached from here: the outbox is moved, and delivers there."""
    from app.delivery.outbox import Envelope, Outbox

    (tmp_path / "old").mkdir()
    path, _ = configuration(tmp_path / "old")
    settings = load_config(path, {})
    outbox = Outbox(settings.outbox_url)
    outbox.prepare()
    (decoy,) = to_bundles(new_decoy())
    sealed = seal(decoy.data, settings.intake.recipients)
    outbox.put([Envelope(decoy.id, "intake", sealed)])
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    done = run(BIN / "haumaru", "forward", "--once", "--config", tmp_path / "new" / "haumaru.toml")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new" / "inbox" / f"{decoy.id}.age").read_bytes() == sealed


def test_every_file_of_deploy_is_named_in_its_readme():
    """Of each file its README says where it goes."""
    text = (DEPLOY / "README.md").read_text()
    for path in DEPLOY.rglob("*"):
        if path.suffix != ".pyc" and path.is_file() and path.name != "README.md" and "secrets" not in path.parts:
            assert path.name in text, path
    assert Path(DEPLOY / "README.md").exists()
