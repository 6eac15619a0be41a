"""Access to servers: where one is, where a password is, and what TLS needs."""

import os
import re
import ssl
from pathlib import Path

from rxstream.errors import DeviceBusyError, DeviceError, DeviceNotFoundError, ParameterError
from rxstream.printable import error_line, shown

__all__ = [
    "bearer", "check_host", "check_secret", "read_secret", "refused", "tls_context", "unreachable",
]  # fmt: skip

# Answers of a server of the web that refuses access.
_FORBIDDEN = (401, 403, 407)
# What belongs to a URL, or to another option: "mqtt://house", "house/path", "house:1883".
_URL = re.compile(
    r"(?P<scheme>\w[\w+.-]*://)?(?P<host>[^:/]+|\[.*\])(:(?P<port>\d+))?(?P<path>/.*)?"
)


def check_host(host: object, name: str) -> None:
    """Raise ParameterError if it is no name or address of a computer.

    Examples
    --------
    >>> check_host("192.168.0.7", "Modbus: address")
    >>> check_host("fe80::1", "Modbus: address")
    >>> check_host("192.168.0.7:502", "Modbus: address")
    Traceback (most recent call last):
    rxstream.errors.ParameterError: Modbus: address must be a name or an IP address alone, not \
'192.168.0.7:502'; give '192.168.0.7' and port=502
    """
    if not isinstance(host, str) or not host:
        msg = f"{name} must be a name or an IP address, not {shown(host)}"
        raise ParameterError(msg)
    found = _URL.fullmatch(host)
    if found and any(found.group("scheme", "port", "path")):
        port = f" and port={found['port']}" if found["port"] else ""
        msg = (
            f"{name} must be a name or an IP address alone, not {shown(host)}; give "
            f"{found['host'].strip('[]')!r}{port}"
        )
        raise ParameterError(msg)


def check_secret(where: str, name: str) -> None:
    """Raise ParameterError unless it says where a secret is, rather than what it is.

    Examples
    --------
    >>> check_secret("env:BROKER_PASSWORD", "password")
    >>> check_secret("hunter2", "password")
    Traceback (most recent call last):
    rxstream.errors.ParameterError: password must be 'env:NAME' or 'file:PATH', where it is; ...
    """
    if where and not where.startswith(("env:", "file:")):
        msg = (
            f"{name} must be 'env:NAME' or 'file:PATH', where it is; itself it would be seen in "
            "logs and in the names of devices"
        )
        raise ParameterError(msg)


def read_secret(where: str, name: str) -> str:
    """Return a secret from the environment or a file, without the end of the line."""
    kind, _, place = where.partition(":")
    if kind == "file":
        return Path(place).read_text(encoding="utf-8").rstrip("\r\n")
    if place not in os.environ:
        msg = f"{name}: the environment has no {place}; set it, or give 'file:PATH'"
        raise ParameterError(msg)
    return os.environ[place]


def tls_context(ca: str = "", cert: str = "", key: str = "") -> ssl.SSLContext:
    """Return a context that checks the server.

    Parameters
    ----------
    ca
        Path of the certificates that are trusted; empty: those of the system.
    cert, key
        Paths of a client's certificate and key; empty: none, and a key in the certificate's file.
    """
    context = ssl.create_default_context(cafile=ca or None)
    if cert:
        context.load_cert_chain(cert, key or None)
    return context


def unreachable(name: str, server: str, error: BaseException) -> DeviceNotFoundError:
    """Return the error for a server that cannot be reached, with what to do."""
    remedy = "see that it is running, and that nothing on the way keeps you from it"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        remedy = "its certificate is not trusted: give ca=, the path of one that is"
    return DeviceNotFoundError(f"{name}: no connection to {server} ({error_line(error)}); {remedy}")


def bearer(token: str, name: str) -> dict[str, str]:
    """Return the header for a token of access, which is ``"env:NAME"`` or ``"file:PATH"``."""
    return {"Authorization": f"Bearer {read_secret(token, name)}"} if token else {}


def refused(
    name: str, url: str, status: int, remedy: str = "see the path of the url"
) -> DeviceError:
    """Return the error for a server of the web that answers by one."""
    if status in _FORBIDDEN:
        return DeviceBusyError(f"{name}: {url} refuses access (HTTP {status}); give token=")
    return DeviceNotFoundError(f"{name}: {url} answers HTTP {status}; {remedy}")
