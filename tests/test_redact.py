"""Redaction: secrets and private paths are taken out, and what people need to read stays."""

import json
import subprocess
import sys
import time

import pytest

from kit.base.known_secrets import secrets_in
from kit.base.redact import redact

KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEowIBAAKCAQEAgeheim\nabcd\n-----END RSA " + "PRIVATE KEY-----"

SECRETS = {
    "URL": ("postgresql://app:geheim@db:5432/prod", "postgresql://app:***@db:5432/prod"),
    "URL, no user": ("redis://:geheim@cache:6379/0", "redis://:***@cache:6379/0"),
    "URL, an @ in the password": ("mysql://app:ge@heim@db/prod", "mysql://app:***@db/prod"),
    "URL, a slash in the password": ("mysql://app:ge/heim@db/prod", "mysql://app:***@db/prod"),
    "URL, quoted": ("url='amqp://a:geheim@mq'", "url='amqp://a:***@mq'"),
    "URL, token as its user": ("https://geheim0123456789abcdef@github.com/x", "https://***@github.com/x"),
    "query": (
        "https://x/y?user=a&password=geheim&page=2",
        "https://x/y?user=a&password=***&page=2",
    ),
    "query, key": ("GET /v1?api_key=geheim&x=1", "GET /v1?api_key=***&x=1"),
    "libpq": ("host=db password=geheim dbname=prod", "host=db password=*** dbname=prod"),
    "libpq, quoted": ("host=db password='ge heim' dbname=prod", "host=db password='***' dbname=prod"),
    "ODBC": ("Driver=x;UID=a;PWD=geheim;Port=1", "Driver=x;UID=a;PWD=***;Port=1"),
    "variable": ("PGPASSWORD=geheim", "PGPASSWORD=***"),
    "variable, short": ("export DB_PASS=geheim", "export DB_PASS=***"),
    "ini": ("secret_key = geheim1", "secret_key = ***"),
    "YAML": ("  token: geheim", "  token: ***"),
    "JSON": ('{"client_secret": "geheim", "n": 1}', '{"client_secret": "***", "n": 1}'),
    "JSON, a quote within": (r'{"password": "ge\"heim", "n": 1}', '{"password": "***", "n": 1}'),
    "repr": ("{'password': 'geheim', 'n': 1}", "{'password': '***', 'n': 1}"),
    "call": ("connect(host='db', password='geheim')", "connect(host='db', password='***')"),
    "call, bytes": ("connect(password=b'geheim')", "connect(password=b'***')"),
    "not closed": ("password='geheim", "password='***"),
    "bearer": ("Authorization: Bearer geheim.abc-123", "Authorization: Bearer ***"),
    "bearer, in a dict": ("{'Authorization': 'Bearer geheim'}", "{'Authorization': 'Bearer ***'}"),
    "basic": ("authorization: Basic Z2VoZWlt", "authorization: Basic ***"),
    "cookie": ("Cookie: session=geheim; theme=dark", "Cookie: ***"),
    "set-cookie": ("Set-Cookie: id=geheim; HttpOnly", "Set-Cookie: ***"),
    "private key": (f"before {KEY} after", "before (a private key)\n\n\n after"),
    "private key, escaped": ("key=" + KEY.replace("\n", "\\n") + "!", "key=(a private key)!"),
    "private key, cut": (KEY[:50], "(a private key)\n"),
    "AWS": ("id AKIA" + "IOSFODNN7GEHEIMX end", "id *** end"),
    "GitHub": ("gh" + "p_" + "geheim" * 6, "***"),
    "JWT": ("eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0.geheimgeheim", "***"),
    "Stripe": ("sk_" + "live_" + "geheim" * 4, "***"),
    "Slack": ("https://hooks.slack.com/services/T00000000/B00000000/" + "geheim" * 4, "***"),
}  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_masked_and_what_is_around_it_stays(name):
    text, masked = SECRETS[name]
    assert redact(text) == masked
    assert redact(masked) == masked, "twice is once"


@pytest.mark.parametrize(
    "text",
    [
        "Table 'tokens' is already defined for this MetaData instance.",
        "password = Column(String(50), nullable=False)",
        "password: Mapped[str] = mapped_column()",
        "def login(user: str, password: str) -> Token:",
        "token = settings.token",
        "password = os.environ['PASSWORD']",
        "api_key=None",
        "password={password}",
        "secret_key=${SECRET_KEY}",
        "http://127.0.0.1:8000/users/@me",
        "GET http://[::1]:8000/ 200",
        "compass=north, passed: 3, bypass=1",
        "tokens: 3 rows",
        "mail to someone@example.com",
    ],
)
def test_what_is_no_secret_stays_readable(text):
    assert redact(text) == text


def test_home_folders_are_not_named(monkeypatch):
    monkeypatch.setattr("kit.base.redact._HOME", "/srv/people/ada")
    assert redact("/srv/people/ada/shop/x.py /srv/people/adam/x") == "~/shop/x.py /srv/people/adam/x"
    assert redact('File "/home/ada/shop/x.py"') == 'File "~/shop/x.py"'
    assert redact("/Users/ada/x.py and C:\\Users\\ada\\x.py") == "~/x.py and ~\\x.py"
    assert redact("GET /home/ 200, https://x/home/a/b") == "GET /home/ 200, https://x/home/a/b"


@pytest.mark.parametrize(
    ("url", "secrets"), [("postgres://store:store@db/store", set()), ("redis://:geheim@db", {"geheim"}), ("amqp://store:storehouse@mq", {"storehouse"})]
)  # fmt: skip
def test_a_password_that_is_its_user_s_name_is_no_secret(url, secrets):
    """It is the application's name most often, which is in each of its lines."""
    assert set(secrets_in("DATABASE_URL", url)) == secrets


@pytest.mark.parametrize("piece", ["a", "a.", "://", "://a:", "password", "password=", "eyJ", "/", "'", "\\", "-----BEGIN PRIVATE KEY-----", "/home/"])  # fmt: skip
def test_long_lines_take_no_long_time(piece):
    began = time.process_time()
    redact(piece * (1_000_000 // len(piece)))
    assert time.process_time() - began < 10  # of the processor: a rule that goes back and forth takes minutes


def test_a_well_kept_scanner_finds_nothing_in_what_was_redacted(tmp_path):
    """detect-secrets, whose rules the formats of tokens are taken from, is asked about text that it finds secrets in."""
    texts = [text for text, _ in SECRETS.values()]
    for name, lines in (("plain", texts), ("redacted", [redact(text) for text in texts])):
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    scanner = [sys.executable, "-m", "detect_secrets", "scan", "--all-files", "--no-verify", "--disable-plugin", "Base64HighEntropyString", "--disable-plugin", "HexHighEntropyString"]  # fmt: skip
    done = subprocess.run(scanner, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)["results"]
    assert len(found["plain.txt"]) >= 8
    left = [one for one in found.get("redacted.txt", []) if "***" not in (tmp_path / "redacted.txt").read_text().splitlines()[one["line_number"] - 1]]  # fmt: skip
    assert left == []
