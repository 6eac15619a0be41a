"""Access to servers: where one is, where a password is, and what TLS needs."""

import os
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rxstream.errors import DeviceBusyError, DeviceError, DeviceNotFoundError, ParameterError
from rxstream.printable import error_line, shown
from rxstream.validation import check_range

__all__ = [
    "bearer", "check_host", "check_port", "check_secret", "check_tls", "check_url", "read_secret",
    "refused", "tls_context", "unreachable",
]  # fmt: skip

# Answers of a server of the web that refuses access.
_FORBIDDEN = (401, 403, 407)
# What belongs to a URL, or to another option: "mqtt://house", "house/path", "house:1883".
_URL = re.compile(
    r"(?P<scheme>\w[\w+.-]*://)?(?P<host>[^:/]+|\[.*\])(:(?P<port>\d+))?(?P<path>/.*)?"
)


def check_port(port: object, name: str) -> None:
    """Raise ParameterError if it is no port of TCP."""
    check_range(port, name, 1, 65_535)


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


def check_url(url: str, schemes: tuple[str, ...], name: str) -> None:
    """Raise ParameterError unless it is a URL with a host, without a password.

    Examples
    --------
    >>> check_url("http://localhost:8000/now", ("http", "https"), "Http")
    >>> check_url("http://localhost:port/now", ("http", "https"), "Http")
    Traceback (most recent call last):
    rxstream.errors.ParameterError: Http: url must be as http://host:port/path, not ...
    """
    if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        begins = " or ".join(f"{scheme}://" for scheme in schemes)
        msg = f"{name}: url must begin with {begins}, not {shown(url)}"
        raise ParameterError(msg)
    if "@" in url.partition("://")[2].partition("/")[0]:
        msg = f"{name}: give the password by token=, not in the url, where it would be seen"
        raise ParameterError(msg)
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        good = False
    if not good:
        msg = f"{name}: url must be as {schemes[0]}://host:port/path, not {shown(url)}"
        raise ParameterError(msg)


def check_tls(options: Any, name: str, *, used: bool, remedy: str) -> None:
    """Raise ParameterError for certificates in vain.

    Parameters
    ----------
    options
        Has ``ca``, ``cert`` and ``key``, as `tls_context` takes them.
    name
        Name of the device.
    used
        Whether TLS is spoken.
    remedy
        How it would be.
    """
    given = [option for option in ("ca", "cert", "key") if getattr(options, option)]
    if given and not used:
        msg = f"{name}: {given[0]} is for TLS: {remedy}"
        raise ParameterError(msg)
    if options.key and not options.cert:
        msg = f"{name}: key is that of a certificate: give cert=, too"
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
    """Return a secret from the environment or a file, without the end of the line.

    Raises
    ------
    ParameterError
        If there is none, or an empty one: a server would let in everybody.
    """
    kind, _, place = where.partition(":")
    if kind == "file":
        try:
            secret = Path(place).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            # other errors show bytes of what was read
            why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            msg = f"{name}: the file {shown(place)} cannot be read: {why}"
            raise ParameterError(msg) from None
    elif place in os.environ:
        secret = os.environ[place]
    else:
        msg = f"{name}: the environment has no {place}; set it, or give 'file:PATH'"
        raise ParameterError(msg)
    if not secret:
        msg = f"{name}: {shown(where)} is empty; write the secret there"
        raise ParameterError(msg)
    return secret


def tls_context(ca: str = "", cert: str = "", key: str = "") -> ssl.SSLContext:
    """Return a context that checks the server.

    Parameters
    ----------
    ca
        Path of the certificates that are trusted; empty: those of the system.
    cert, key
        Paths of a client's certificate and key; empty: none, and a key in the certificate's file.

    Raises
    ------
    DeviceNotFoundError
        If they cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca or None)
        if cert:
            context.load_cert_chain(cert, key or None)
    except (OSError, ValueError) as error:
        msg = f"no TLS with {ca=}, {cert=}, {key=} ({error_line(error)}); give paths of PEM files"
        raise DeviceNotFoundError(msg) from error
    return context


def unreachable(name: str, server: str, error: BaseException) -> DeviceNotFoundError:
    """Return the error for a server that cannot be reached, with what to do."""
    remedy = "see that it is running, and that nothing on the way keeps you from it"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        remedy = "its certificate is not trusted: give ca=, the path of one that is"
    return DeviceNotFoundError(f"{name}: no connection to {server} ({error_line(error)}); {remedy}")


def bearer(token: str, name: str) -> dict[str, str]:
    """Return the header for a token of access, which is ``"env:NAME"`` or ``"file:PATH"``."""
    if not token:
        return {}
    secret = read_secret(token, name)
    if not (secret.isascii() and secret.isprintable()):
        msg = f"{name}: in {shown(token)} there is more than one line of ASCII characters"
        raise ParameterError(msg)
    return {"Authorization": f"Bearer {secret}"}


def refused(
    name: str, url: str, status: int, remedy: str = "see the path of the url"
) -> DeviceError:
    """Return the error for a server of the web that answers by one."""
    if status in _FORBIDDEN:
        return DeviceBusyError(f"{name}: {url} refuses access (HTTP {status}); give token=")
    return DeviceNotFoundError(f"{name}: {url} answers HTTP {status}; {remedy}")
