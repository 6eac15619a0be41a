"""Access to servers: urls, certificates and secrets that cannot be are named, never shown."""

from pathlib import Path
from typing import Any

import pytest

from rxstream.devices import Http, Ingest, Mqtt, WebSocket
from rxstream.devices.access import bearer, read_secret, tls_context
from rxstream.errors import DeviceNotFoundError, ParameterError

HOSTS = ["", ":80", "a:port", "a:99999", "a:0", "[::1", "a\nb", "\ud800"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(("device", "scheme"), [(Http, "http"), (WebSocket, "wss")])
def test_a_url_without_host_or_with_a_wrong_port_is_named(
    device: Any, scheme: str, host: str
) -> None:
    with pytest.raises(ParameterError, match="url must be as"):
        device(f"{scheme}://{host}/path")


@pytest.mark.parametrize("host", ["localhost", "a:1", "[::1]:65535", "größe.example"])
def test_hosts_are_names_and_addresses(host: str) -> None:
    assert Http(f"http://{host}/now").url == f"http://{host}/now"


@pytest.mark.parametrize("option", ["ca", "cert", "key"])
@pytest.mark.parametrize(
    ("device", "where"), [(Http, "http://a"), (WebSocket, "ws://a"), (Mqtt, "topic")]
)
def test_certificates_without_tls_are_in_vain(device: Any, where: str, option: str) -> None:
    with pytest.raises(ParameterError, match=f"{option} is for TLS"):
        device(where, **{option: "a.pem"})


def test_a_key_is_that_of_a_certificate() -> None:
    with pytest.raises(ParameterError, match="give cert="):
        Http("https://a", key="a.pem")


def test_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "garbage.pem").write_text("garbage")
    for given in ({"ca": "no.pem"}, {"cert": "no.pem"}, {"ca": str(tmp_path / "garbage.pem")}):
        with pytest.raises(DeviceNotFoundError, match=r"(no|garbage)\.pem.*paths of PEM files"):
            tls_context(**given)


def test_an_empty_secret_lets_in_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RX_EMPTY", "")
    (tmp_path / "empty").write_text("\n")
    for where in ("env:RX_EMPTY", f"file:{tmp_path / 'empty'}"):
        with pytest.raises(ParameterError, match=r"token: .* is empty"):
            read_secret(where, "token")
        with pytest.raises(ParameterError, match="is empty"):
            Ingest("/a", port=1, token=where).open(lambda _: None, print)


def test_a_secret_that_cannot_be_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    with pytest.raises(ParameterError, match="No such file"):
        read_secret(f"file:{secret}", "token")
    secret.write_bytes(b"s3cret\xff")
    with pytest.raises(ParameterError, match="no text in UTF-8") as caught:
        read_secret(f"file:{secret}", "token")
    monkeypatch.setenv("RX_TOKEN", "s3cret\r\nX-Admin: yes")
    with pytest.raises(ParameterError, match="one line of ASCII") as second:
        bearer("env:RX_TOKEN", "token")
    assert "s3cret" not in str(caught.value) + str(second.value)
