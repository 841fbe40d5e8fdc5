"""Settings, read once from the environment.

Every knob an operator can turn is a field of :class:`Settings`; README.md lists them all.
This module imports nothing of ours, so that the launcher can read it before anything heavy is loaded.
"""

import hashlib
import ipaddress
import json
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from email.utils import parseaddr
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

ROOT = Path(__file__).resolve().parent

# A Unix socket's path must fit in sockaddr_un.sun_path: 104 bytes on macOS, 108 on Linux, with the final NUL.
MAX_SOCKET_PATH_BYTES = 103

SECONDS_PER_DAY = 86_400
MEBIBYTE = 1024 * 1024
MAX_QUOTA = 1_000_000
REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})
# Nodes as host, host:port or [IPv6]:port; then options such as ?ssl_ca_certs=/path.
REDIS_NODE = r"(?:\[[0-9A-Fa-f:.]+\]|[^\s/,@:?\[\]]+)(?::[0-9]{1,5})?"
REDIS_CLUSTER_URL = re.compile(rf"rediss?\+cluster://(?:[^\s@/]*@)?{REDIS_NODE}(?:,{REDIS_NODE})*/?(?:\?\S*)?")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
RATE_LIMIT = re.compile(r"(?:([a-z][a-z0-9-]{0,19})=)?([0-9]{1,7})/([0-9]{1,5})")


# How mail is encrypted on its way to the server, and the port where servers expect that (RFC 8314).
MAIL_SCHEMES: dict[str, tuple[Literal["none", "starttls", "tls"], int]] = {
    "smtp": ("none", 25),
    "smtp+starttls": ("starttls", 587),
    "smtps": ("tls", 465),
}
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class ConfigurationError(Exception):
    """A setting is missing or cannot be used; the message is one sentence for the operator."""


@dataclass(frozen=True)
class RateLimit:
    """`quota` requests in any `window_seconds`, refilled evenly; the only limit of its kind has no name."""

    name: str
    quota: int
    window_seconds: int


@dataclass(frozen=True)
class MailServer:
    """Where mail is handed in, and whom it comes from."""

    host: str
    port: int
    security: Literal["none", "starttls", "tls"]
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    """What the environment asked for, checked."""

    data_dir: Path
    host: str
    port: int
    database_url: str
    redis_url: str
    redis_is_embedded: bool
    queue_redis_url: str
    secret_key: str
    starting_credits: Decimal
    call_price_credits: Decimal
    # Prices of single operations of the API, by the operationId of the OpenAPI document.
    operation_prices_credits: Mapping[str, Decimal]
    key_rate_limits: tuple[RateLimit, ...]
    account_rate_limits: tuple[RateLimit, ...]
    max_concurrent_jobs: int
    flush_interval_seconds: int
    usage_hours_kept_days: int
    max_body_bytes: int
    max_inline_work: int
    web_workers: int
    job_workers: int
    job_timeout_seconds: int
    job_memory_bytes: int
    results_kept_days: int
    secure_cookies: bool
    public_url: str
    # None: mail stays in the outbox, and the page /outbox shows it to this machine's user.
    mail_server: MailServer | None
    outbox_is_shown: bool
    # Public keys of who may sign reports of leaked keys, as PEM by identifier.
    leak_reporter_keys: Mapping[str, str]
    # Asked whether new passwords are known from breaches; empty for no service.
    breached_passwords_url: str
    trusted_proxies: tuple[Network, ...]
    logs_are_json: bool
    requests_are_logged: bool
    require_verified_email: bool
    # Who may see /admin, once their address is verified.
    admin_emails: frozenset[str]


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings, making DATA_DIR and the secret key in it where they are needed.

    Raises ConfigurationError.
    """
    data_dir = make_data_dir(Path(environ.get("DATA_DIR") or ROOT / "instance").expanduser().absolute())
    database_url = get_database_url(environ.get("DATABASE_URL", ""), data_dir)
    redis_url = get_redis_url(environ.get("REDIS_URL", ""))
    embedded_url = f"unix://{get_valkey_socket(data_dir)}"
    public_url = get_public_url(environ.get("PUBLIC_URL", ""))
    mail_server = get_mail_server(environ.get("MAIL_URL", ""), environ.get("MAIL_FROM", ""), public_url)
    secure_cookies = get_boolean(environ, "SECURE_COOKIES", default=False)
    host = environ.get("HOST") or "127.0.0.1"
    return Settings(
        data_dir=data_dir,
        host=host,
        port=get_integer(environ, "PORT", default=8000, minimum=1, maximum=65535),
        database_url=database_url,
        redis_url=redis_url or embedded_url,
        redis_is_embedded=not redis_url,
        queue_redis_url=get_queue_redis_url(environ.get("QUEUE_REDIS_URL", ""), redis_url) or embedded_url,
        secret_key=get_secret_key(environ.get("SECRET_KEY", ""), database_url, data_dir),
        starting_credits=get_credits(environ, "STARTING_CREDITS", default="100"),
        call_price_credits=get_credits(environ, "CALL_PRICE_CREDITS", default="0"),
        operation_prices_credits=get_prices(environ, "OPERATION_PRICES"),
        key_rate_limits=get_rate_limits(environ, "KEY_RATE_LIMITS", default="600/60"),
        account_rate_limits=get_rate_limits(environ, "ACCOUNT_RATE_LIMITS", default="1200/60"),
        max_concurrent_jobs=get_integer(environ, "MAX_CONCURRENT_JOBS", default=16, minimum=1, maximum=10_000),
        flush_interval_seconds=get_integer(environ, "FLUSH_INTERVAL_SECONDS", default=5, minimum=1, maximum=3600),
        # The pages show the last week by the hour.
        usage_hours_kept_days=get_integer(environ, "USAGE_HOURS_KEPT_DAYS", default=90, minimum=8, maximum=36_500),
        max_body_bytes=get_integer(environ, "MAX_BODY_BYTES", default=1_048_576, minimum=1024, maximum=67_108_864),
        max_inline_work=get_integer(environ, "MAX_INLINE_WORK", default=50_000_000, minimum=0, maximum=10**12),
        web_workers=get_integer(environ, "WEB_WORKERS", default=1, minimum=1, maximum=64),
        job_workers=get_integer(environ, "JOB_WORKERS", default=1, minimum=0, maximum=64),
        job_timeout_seconds=get_integer(environ, "JOB_TIMEOUT_SECONDS", default=300, minimum=1, maximum=86_400),
        job_memory_bytes=MEBIBYTE * get_integer(environ, "JOB_MEMORY_MIB", default=4096, minimum=256, maximum=2**22),
        results_kept_days=get_integer(environ, "RESULTS_KEPT_DAYS", default=90, minimum=2, maximum=36_500),
        secure_cookies=secure_cookies,
        public_url=public_url,
        mail_server=mail_server,
        leak_reporter_keys=get_leak_reporter_keys(environ.get("LEAK_REPORTER_KEYS", "")),
        breached_passwords_url=get_breached_passwords_url(environ.get("BREACHED_PASSWORDS_URL", "")),
        require_verified_email=get_boolean(environ, "REQUIRE_VERIFIED_EMAIL", default=bool(mail_server)),
        # Whoever reads the outbox can become anybody who asked for a link. So not where others are served, of which
        # each of these is a sign; the page then asks more of each request.
        outbox_is_shown=not mail_server
        and get_boolean(
            environ,
            "OUTBOX",
            default=not (public_url or secure_cookies) and host in LOOPBACK_HOSTS and database_url.startswith("sqlite"),
        ),
        trusted_proxies=get_networks(environ, "TRUSTED_PROXIES"),
        admin_emails=get_emails(environ, "ADMIN_EMAILS"),
        logs_are_json=get_boolean(environ, "LOG_JSON", default=True),
        requests_are_logged=get_boolean(environ, "LOG_REQUESTS", default=False),
    )


def make_data_dir(path: Path) -> Path:
    """Make the folder, readable by its owner alone, and check that it can be written."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(
            f"DATA_DIR {path} cannot be written: {reason}; choose another with DATA_DIR."
        ) from error
    return path


def get_database_url(url: str, data_dir: Path) -> str:
    """Give the SQLAlchemy URL: the embedded SQLite file by default, and psycopg 3 for any PostgreSQL URL."""
    if not url:
        return f"sqlite:///{data_dir / 'upcube.sqlite3'}"
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigurationError("DATABASE_URL must look like postgresql://user:password@host/database.")
    if not scheme.startswith("sqlite"):
        check_characters("DATABASE_URL", url)
    if scheme in {"postgres", "postgresql"}:
        return f"postgresql+psycopg://{rest}"
    if scheme == "sqlite" and rest.startswith("/") and not rest.startswith(("//", "/:memory:")):
        # Relative to the folder of `make run`, for every process, and not to Flask's instance folder.
        return f"sqlite:///{Path(rest.removeprefix('/')).absolute()}"
    if scheme not in {"sqlite", "postgresql+psycopg"}:
        raise ConfigurationError(f"DATABASE_URL must be a postgresql:// or sqlite:// address, not {scheme}://.")
    return url


def check_characters(name: str, url: str) -> None:
    """Refuse a server's address that its user or password takes apart. The error never repeats it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        pass
    else:
        host = parts.netloc.rpartition("@")
        rest = f"{host[2]}{parts.path}{parts.query}"
        if not ("@" in host[0] or "@" in rest or parts.fragment or re.search("%(?![0-9A-Fa-f]{2})", url)):
            return
    raise ConfigurationError(
        f"{name} cannot be read; special characters of user and password must be percent-encoded: %40 for @, %2F for /."
    )


def check_redis_server(name: str, url: str) -> None:
    """Check the address of one Redis server, of which redis-py passes over what it cannot read."""
    if not url.startswith("unix:"):
        check_characters(name, url)
        if not re.fullmatch("/?[0-9]*", urlsplit(url).path):
            raise ConfigurationError(f"{name} must end in the number of a database, as in redis://host:6379/0.")


def get_redis_url(url: str) -> str:
    """Check the address of a Redis server, or of some nodes of a Redis Cluster with commas between them."""
    if is_cluster(url):
        if not REDIS_CLUSTER_URL.fullmatch(url):
            raise ConfigurationError(
                "REDIS_URL must name nodes of the cluster as in redis+cluster://user:password@host:port,host:port "
                "(rediss+cluster:// for TLS), with no database number: a cluster has only one."
            )
    elif url and url.partition("://")[0] not in REDIS_SCHEMES:
        raise ConfigurationError(
            "REDIS_URL must look like redis://host:6379/0, rediss:// for TLS, unix:///path/to/socket, "
            "or redis+cluster://host:port,host:port for a cluster."
        )
    else:
        check_redis_server("REDIS_URL", url)
    return url


def is_cluster(redis_url: str) -> bool:
    """Tell whether a REDIS_URL names nodes of a cluster."""
    return redis_url.partition("://")[0].endswith("+cluster")


def split_cluster_url(redis_url: str) -> list[str]:
    """Give a URL for each node that a cluster's REDIS_URL names, all with the same user and options."""
    scheme, _, rest = redis_url.partition("://")
    credentials, at_sign, hosts = rest.rpartition("@")
    hosts, question_mark, options = hosts.partition("?")
    return [
        f"{scheme.removesuffix('+cluster')}://{credentials}{at_sign}{host}{question_mark}{options}"
        for host in hosts.rstrip("/").split(",")
    ]


def get_queue_redis_url(url: str, redis_url: str) -> str:
    """Give the address of RQ's Redis, one server: REDIS_URL by default, which may then not be a cluster."""
    if not url and is_cluster(redis_url):
        raise ConfigurationError(
            "QUEUE_REDIS_URL must be set when REDIS_URL is a cluster: the queues need a Redis server of their own, "
            "as in redis://host:6379/0."
        )
    if url and url.partition("://")[0] not in REDIS_SCHEMES:
        raise ConfigurationError(
            "QUEUE_REDIS_URL must name one server, as in redis://host:6379/0, rediss:// for TLS, or "
            "unix:///path/to/socket: RQ cannot use a cluster."
        )
    check_redis_server("QUEUE_REDIS_URL", url)
    return url or redis_url


def get_valkey_socket(data_dir: Path) -> Path:
    """Give the embedded Valkey's socket: inside DATA_DIR, or in a private temporary folder where that cannot be.

    A path can be too long, or hold what breaks a client: redis-py's `CLIENT INFO`, which every RQ worker calls, fails
    on a socket path with a space or an equals sign in it.
    """
    path = data_dir / "valkey.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES and re.fullmatch(r"[\w/.,+@-]+", str(path), re.ASCII):
        return path
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"upcube-{os.getuid()}-{digest}" / "valkey.sock"


def get_secret_key(configured: str, database_url: str, data_dir: Path) -> str:
    """Give SECRET_KEY, or the one generated into DATA_DIR, which only the embedded database may rely on."""
    if configured:
        return configured
    if not database_url.startswith("sqlite"):
        raise ConfigurationError("SECRET_KEY must be set when DATABASE_URL names a server: a long random string.")
    path = data_dir / "secret_key"
    try:
        # O_EXCL: of two processes starting at once, one writes and both read the same key.
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
    key = path.read_text()
    if not key:
        raise ConfigurationError(f"{path} is empty; delete it and start again.")
    return key


def get_public_url(url: str) -> str:
    """Check the address that people and programs use, where a proxy stands between: https://quantum.example.com."""
    if url and not re.fullmatch(r"https?://[^\s/?#]+/?", url):
        raise ConfigurationError(f"PUBLIC_URL must look like https://quantum.example.com, not {url!r}.")
    return url.rstrip("/")


def get_mail_server(url: str, sender: str, public_url: str) -> MailServer | None:
    """Read MAIL_URL: smtp+starttls://user:password@host:port, smtps:// or smtp://; and MAIL_FROM."""
    if not url:
        return None
    if not public_url:
        # The address of a request is what its sender says, and a link in a mail must never lead elsewhere.
        raise ConfigurationError("PUBLIC_URL must be set with MAIL_URL: links in mails start with it.")
    if "@" not in parseaddr(sender)[1].strip("@") or not sender.isprintable():
        raise ConfigurationError("MAIL_FROM must be set with MAIL_URL: Upcube Quantum <quantum@example.com>.")
    parts, port = split_mail_url(url)
    security, usual_port = MAIL_SCHEMES[parts.scheme]
    host = parts.hostname or ""
    if parts.password and security == "none" and host not in LOOPBACK_HOSTS:
        raise ConfigurationError("MAIL_URL would send its password unencrypted; use smtp+starttls:// or smtps://.")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return MailServer(host, port or usual_port, security, sender, user, password)


def split_mail_url(url: str) -> tuple[SplitResult, int | None]:
    """Take MAIL_URL apart. The error never repeats it, as it may hold a password."""
    try:
        parts = urlsplit(url)
        if parts.scheme in MAIL_SCHEMES and parts.hostname and parts.path in {"", "/"} and not parts.query:
            return parts, parts.port
    except ValueError:
        pass
    raise ConfigurationError(
        "MAIL_URL must look like smtp+starttls://user:password@mail.example.com:587, smtps://… or smtp://…, "
        "with special characters of user and password percent-encoded."
    )


def get_breached_passwords_url(url: str) -> str:
    """Check the address of the service of breached passwords, to which digits of a digest are added."""
    if not url:
        return ""
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS)
    if not is_safe or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigurationError(
            "BREACHED_PASSWORDS_URL must look like https://api.pwnedpasswords.com/range/, with no query."
        )
    return f"{url.rstrip('/')}/"


def get_leak_reporter_keys(path: str) -> dict[str, str]:
    """Read the file of public keys as https://api.github.com/meta/public_keys/secret_scanning gives it."""
    if not path:
        return {}
    try:
        found = json.loads(Path(path).read_bytes())["public_keys"]
        return {str(each["key_identifier"]): str(each["key"]) for each in found}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"LEAK_REPORTER_KEYS must name a file with what https://api.github.com/meta/public_keys/secret_scanning "
            f"answers, not {path}."
        ) from error


def get_integer(environ: Mapping[str, str], name: str, *, default: int, minimum: int, maximum: int) -> int:
    """Read a whole number in a range."""
    text = environ.get(name, "")
    try:
        value = int(text) if text else default
    except ValueError:
        value = minimum - 1
    if not minimum <= value <= maximum:
        raise ConfigurationError(f"{name} must be a whole number from {minimum} to {maximum}, not {text!r}.")
    return value


def get_credits(environ: Mapping[str, str], name: str, *, default: str) -> Decimal:
    """Read an amount of credits: not negative, at most 6 decimal places, at most a billion."""
    text = environ.get(name) or default
    value = parse_amount(text)
    if value is None:
        raise ConfigurationError(f"{name} must be an amount of credits such as 100 or 0.25, not {text!r}.")
    return value


def parse_amount(text: str) -> Decimal | None:
    """Read an amount of credits, or give None for what is not one."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and 0 <= value <= 10**9 and value == round(value, 6) else None


def get_prices(environ: Mapping[str, str], name: str) -> dict[str, Decimal]:
    """Read prices of operations written as create_job=0.001,read_me=0."""
    prices: dict[str, Decimal] = {}
    for part in get_parts(environ, name):
        operation, _, text = part.partition("=")
        value = parse_amount(text)
        if value is None or not operation.isidentifier() or operation in prices:
            raise ConfigurationError(f"{name} must be operations with credits such as create_job=0.001, not {part!r}.")
        prices[operation] = value
    return prices


def get_rate_limits(environ: Mapping[str, str], name: str, *, default: str) -> tuple[RateLimit, ...]:
    """Read one rate limit written as REQUESTS/SECONDS, or several with names between commas."""
    text = environ.get(name) or default
    found = [RATE_LIMIT.fullmatch(part.strip()) for part in text.split(",")]
    limits = tuple(RateLimit(match[1] or "", int(match[2]), int(match[3])) for match in found if match)
    are_in_range = all(
        1 <= limit.quota <= MAX_QUOTA and 1 <= limit.window_seconds <= SECONDS_PER_DAY for limit in limits
    )
    are_told_apart = len({limit.name for limit in limits}) == len(found)
    if not (are_in_range and are_told_apart):
        raise ConfigurationError(
            f"{name} must be REQUESTS/SECONDS such as 600/60, or several with names such as "
            f"burst=20/1,day=50000/86400, not {text!r}."
        )
    return limits


def get_networks(environ: Mapping[str, str], name: str) -> tuple[Network, ...]:
    """Read addresses and networks written as 10.0.0.0/8,::1."""
    try:
        return tuple(map(ipaddress.ip_network, get_parts(environ, name)))
    except ValueError as error:
        raise ConfigurationError(f"{name} must be addresses or networks such as 10.0.0.0/8,::1: {error}.") from error


def get_emails(environ: Mapping[str, str], name: str) -> frozenset[str]:
    """Read addresses of people written as ada@example.com,bob@example.com; case does not matter."""
    found = frozenset(part.lower() for part in get_parts(environ, name))
    for email in sorted(found):
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
            raise ConfigurationError(
                f"{name} must be addresses such as ada@example.com,bob@example.com, not {email!r}."
            )
    return found


def get_parts(environ: Mapping[str, str], name: str) -> list[str]:
    """Read what stands between commas."""
    return [part.strip() for part in environ.get(name, "").split(",") if part.strip()]


def get_boolean(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Read a yes-or-no setting written as 1 or 0."""
    text = environ.get(name, "")
    if text not in {"", "0", "1"}:
        raise ConfigurationError(f"{name} must be 1 or 0, not {text!r}.")
    return text == "1" if text else default
