"""What is published to mosquitto, which is killed and started again."""

import gc
import re
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from counterparts import Broker, certificate, free_port
from fakes import eventually
from stamped_batches import assert_distances, stamped_batches

from rxstream import Backoff, Chunk, Device
from rxstream.devices import Mqtt
from rxstream.devices.messages import Json, Text
from rxstream.errors import DeviceBusyError, DeviceNotFoundError, MissingExtraError, ParameterError
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[2] / "docs" / "devices" / "mqtt.md"


def numbers(broker: Broker, message: Any = None, **options: Any) -> Any:
    given = {} if message is None else {"message": message}
    return Mqtt("lab/#", "localhost", broker.port, **given, **options)


def test_messages_keep_the_rules() -> None:
    with Broker() as broker:
        check_source(
            lambda: numbers(broker), feed=broker.publish("lab/roof/celsius"),
            unplug=broker.unplug, plug=broker.plug,
            absent=lambda: Mqtt("lab/#", "localhost", free_port()),
        )  # fmt: skip


def test_a_broker_that_is_killed_and_started_again() -> None:
    before = threading.active_count()
    with Broker() as broker:
        device = Device(numbers(broker, qos=1), reconnect=Backoff(first=0.02, most=0.1))
        lost = threading.Event()
        device.faults.subscribe(lambda _: lost.set())
        with device.reader() as reader, device:
            broker.send([("lab/a", str(number)) for number in range(100)])
            broker.send([("lab/a", "nonsense"), ("elsewhere", "5"), ("lab/b/c", "100")])
            first = reader.read(101, timeout=20)
            chunks: list[Chunk[Any]] = []
            taking = device.subscribe(chunks.append)
            broker.unplug()
            assert lost.wait(20)
            broker.plug()
            # until it has subscribed again, nothing is for us
            while not chunks:
                broker.send([("lab/a", "-1")])
            broker.send([("lab/a", str(number)) for number in range(200, 300)])
            assert eventually(lambda: chunks[-1].data["value"][-1] == 299)
            taking.dispose()
    again = [value for chunk in chunks for value in chunk.data["value"].tolist()]
    reasons = [at.gap.reason for chunk in chunks for at in chunk.gap_positions]
    assert first.data["value"].tolist() == list(range(101))
    assert first.data["topic"][-1] == "lab/b/c"
    assert [(at.position, at.gap.lost) for at in first.gap_positions] == [(100, 1)]
    assert [value for value in again if value >= 0] == list(range(200, 300))
    assert reasons == ["disconnect"]
    assert threading.active_count() == before


def test_objects_and_texts_have_a_topic() -> None:
    with Broker() as broker:
        points = numbers(broker, Json([("x", "i2")], time="t"))
        texts = Mqtt(("lab/a", "lab/+/b"), "localhost", broker.port, Text(5))
        with (
            Device(points) as first, Device(texts) as second,
            first.reader() as of_points, second.reader() as of_texts,
        ):  # fmt: skip
            broker.send([("lab/a", '{"x": 5, "t": "2026-01-01T00:00:00Z"}')])
            assert of_points.read(1, timeout=20).data.tolist() == [("lab/a", 5)]
            broker.send([("lab/a", "hallo"), ("lab/c", "never"), ("lab/c/b", "welt")])
            assert of_texts.read(2, timeout=20).data.tolist() == [
                ("lab/a", "hallo"), ("lab/c/b", "welt"),
            ]  # fmt: skip


def test_a_topic_that_is_no_text_is_a_lost_message() -> None:
    # mosquitto lets none pass
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(1000)
                client.sendall(b"\x20\x02\0\0")
                client.recv(1000)
                client.sendall(b"\x90\x03\0\1\0")
                good, bad = b"\x30\x05\0\x01a12", b"\x30\x06\0\x02\xff\xfe12"
                client.sendall(good + bad + good)
                while client.recv(1000):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        device = Device(Mqtt("#", "127.0.0.1", server.getsockname()[1]))
        with device.reader() as reader, device:
            chunk = reader.read(2, timeout=20)
        thread.join()
    assert chunk.data.tolist() == [("a", 12), ("a", 12)]
    assert [at.gap.lost for at in chunk.gap_positions] == [1]


def test_what_is_published_by_the_batch_keeps_its_times() -> None:
    with Broker() as broker:
        device = Device(numbers(broker, Json([("x", "i4")], time="t")))
        with device.reader() as reader, device:
            for batch in stamped_batches():
                broker.send([("lab/a", batch)])
            chunk = reader.read(24, timeout=20)
    assert chunk.data["x"].tolist() == list(range(24))
    assert_distances(chunk)


@pytest.mark.parametrize("retained", [False, True])
def test_what_the_broker_kept_is_old(retained: bool) -> None:
    with Broker() as broker:
        broker.send([("lab/a", "1")], retain=True)
        device = Device(numbers(broker, retained=retained))
        with device.reader() as reader, device:
            broker.send([("lab/a", "2")])
            value = reader.read(1, timeout=20).data["value"][0]
    assert value == (1 if retained else 2)


# paho leaves its socket to the collector where the certificate is not trusted
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_it_needs_user_password_and_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    monkeypatch.setenv("RX_WRONG", "wrong")
    with Broker(tls=(cert, key), user=("lab", "s3cret"), folder=tmp_path) as broker:
        access: dict[str, Any] = {"tls": True, "ca": str(cert), "user": "lab"}
        source = numbers(broker, **access, password=f"file:{secret}")
        with Device(source) as device, device.reader() as reader:
            broker.send([("lab/a", "5")])
            assert reader.read(1, timeout=20).data["value"].tolist() == [5]
        with pytest.raises(DeviceBusyError, match=r"refuses access: .*; give user= and password="):
            Device(numbers(broker, **access, password="env:RX_WRONG")).open()
        with pytest.raises(DeviceNotFoundError, match="not trusted: give ca="):
            Device(numbers(broker, **access | {"ca": ""})).open()
        with pytest.raises(DeviceNotFoundError, match="whether it speaks TLS"):
            Device(numbers(broker)).open()
    gc.collect()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"topics": ""}, "topics"), ({"topics": "a/#/b"}, "topics"), ({"topics": "a+/b"}, "topics"),
        ({"topics": ()}, "topics"), ({"topics": ("a", 5)}, "topics"), ({"qos": 3}, "qos"),
        ({"port": 0}, "port"), ({"max_delay": 0}, "max_delay"),
        ({"message": 5}, "message"), ({"password": "s3cret"}, "env:NAME"),
        ({"password": "env:A"}, "user"), ({"ca": "a.pem"}, "tls=True"),
        ({"message": Json([("topic", "f8")])}, "topic"), ({"host": ""}, "host"),
        ({"host": "mqtt://broker:1883"}, "give 'broker' and port=1883"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=word) as caught:
        Mqtt(**{"topics": "a"} | options)
    assert "s3cret" not in str(caught.value)


def test_what_is_in_the_way_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceNotFoundError, match=r"no connection to localhost:.*see that it"):
        Device(Mqtt("a", "localhost", free_port())).open()
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[mqtt\]"):
        Device(Mqtt("a")).open()


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    over = threading.Event()
    with Broker() as broker:

        def feed() -> None:
            while not over.wait(0.05):
                broker.send([("lab/roof/celsius", "20.5")])

        thread = threading.Thread(target=feed)
        thread.start()
        try:
            exec(block.replace('"localhost"', f'"localhost", port={broker.port}'), {})
        finally:
            over.set()
            thread.join()
    assert "[20.5 20.5 20.5]" in capsys.readouterr().out
