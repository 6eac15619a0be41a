"""mqtt: what is published to an MQTT broker (extra ``mqtt``)."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from rxstream.authoring import (
    DeviceBusyError,
    DeviceNotFoundError,
    EmitValue,
    ParameterError,
    source,
)
from rxstream.data.clock import Duration, to_span
from rxstream.devices.access import (
    check_host,
    check_port,
    check_secret,
    check_tls,
    read_secret,
    tls_context,
    unreachable,
)
from rxstream.devices.heartbeats import Heartbeats
from rxstream.devices.messages import Json, MessageDecoder, MessageFormat, checked_form
from rxstream.optional import import_optional
from rxstream.printable import shown

__all__ = ["Mqtt"]

# Longest wait for the broker to answer [s].
_TIMEOUT = 5.0

# Longest time without a heartbeat, and interval of the broker's pings [s].
_BEAT, _PING = 0.05, 5

_PORT, _PORT_TLS = 1883, 8883

# Most characters of a topic.
_TOPIC = 128


def _dtype(options: Any) -> np.dtype[Any]:
    dtype = checked_form(options.message, "Mqtt: message").dtype
    names = dtype.names or ()
    if "topic" in names:
        msg = "Mqtt: a field of the messages cannot be called topic, which each sample has"
        raise ParameterError(msg)
    fields = [(name, dtype[name]) for name in names] or [("value", dtype)]
    return np.dtype([("topic", f"U{_TOPIC}"), *fields])


def _topics(options: Any) -> tuple[str, ...]:
    """Return the topics as a tuple; raise ParameterError if one cannot be."""
    topics = options.topics
    given = (topics,) if isinstance(topics, str) else topics
    if not isinstance(given, tuple) or not given or not all(map(_is_filter, given)):
        msg = (
            "Mqtt: topics must be one, or a tuple of some, with + for any level and # at the end "
            f"for all below, not {shown(topics)}"
        )
        raise ParameterError(msg)
    return given


def _is_filter(topic: object) -> bool:
    if not isinstance(topic, str) or not topic or "\0" in topic:
        return False
    *before, last = topic.split("/")
    free = [level for level in before if "#" not in level]
    whole = all(level == "+" or "+" not in level for level in (*before, last))
    return len(free) == len(before) and whole and (last == "#" or "#" not in last)


def _checked(options: Any) -> Mapping[str, Any]:
    check_host(options.host, "Mqtt: host")
    check_secret(options.password, "Mqtt: password")
    if options.password and not options.user:
        msg = "Mqtt: a password needs a user"
        raise ParameterError(msg)
    check_tls(options, "Mqtt", used=options.tls, remedy="add tls=True")
    if options.port is not None:
        check_port(options.port, "Mqtt: port")
    to_span(options.max_delay, "Mqtt: max_delay")
    return {"topics": _topics(options), "host": options.host}


@source(dtype=_dtype, extra=_checked, requires="rxstream[mqtt]")
def Mqtt(  # noqa: N802 - it becomes a class
    emit: EmitValue,
    topics: str | tuple[str, ...],
    host: str = "localhost",
    port: int | None = None,
    message: MessageFormat = Json(),  # noqa: B008 - it is frozen
    *,
    qos: Literal[0, 1, 2] = 0,
    retained: bool = False,
    user: str = "",
    password: str = "",
    tls: bool = False,
    ca: str = "",
    cert: str = "",
    key: str = "",
    max_delay: Duration = 1.0,
) -> Iterator[Any]:
    """Messages that are published to an MQTT broker: a sample each, with its topic.

    Samples have the fields ``topic``, and those of the messages, or ``value`` if they have none. A
    message that is no sample is lost, which the gap before the next sample counts. A broker that
    does not answer a ping within 10 s is gone.

    Times are those of arrival, or of the sender's clock, if a field of the messages has it: that of
    one sender, since two have two clocks.

    Attributes
    ----------
    topics
        One, or several: ``"lab/+/celsius"``, ``"lab/#"``.
    host, port
        Of the broker; None: 1883, with TLS 8883.
    message
        What a message is: ``Json(dtype, time)``, by itself a number, or ``Text(longest)``.
    qos
        0: at most once, 1: at least once, 2: exactly once.
    retained
        Whether the message that the broker keeps of a topic is taken, too. It is older than it
        looks, so not by itself.
    user, password
        Who it is, and where the password is: ``"env:NAME"`` or ``"file:PATH"``.
    tls, ca, cert, key
        Whether to speak TLS; paths of trusted certificates (empty: the system's), and of the
        client's own.
    max_delay
        Longest time from a sample with a stamp to its arrival [s], as where a sender publishes
        several at a time. Joins and windows wait so long where nothing comes.

    Examples
    --------
    >>> Mqtt("lab/+/celsius").info.dtype.names
    ('topic', 'value')
    """
    mqtt = import_optional("paho.mqtt.client", extra="mqtt")
    options = Mqtt(topics, host, port, message)
    info = options.info
    decoder = MessageDecoder(message, info)
    heartbeats = Heartbeats.of_messages(info, message, max_delay)

    def take(_: Any, __: Any, received: Any) -> None:
        if received.retain and not retained:
            return
        try:
            topic = received.topic
        except UnicodeDecodeError as error:
            decoder.lose(received.payload, error)
            return
        reading = decoder.reading(received.payload, topic)
        if reading is not None:
            emit(reading)

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_message = take
    client.connect_timeout = _TIMEOUT
    if user:
        client.username_pw_set(user, read_secret(password, "Mqtt: password") if password else None)
    if tls:
        client.tls_set_context(tls_context(ca, cert, key))
    server = f"{host}:{port or (_PORT_TLS if tls else _PORT)}"
    try:
        _connect(mqtt, client, server, [(topic, qos) for topic in _topics(options)])
        yield
        beat = time.monotonic()
        while (code := client.loop(_BEAT)) == mqtt.MQTT_ERR_SUCCESS:
            if time.monotonic() - beat >= _BEAT:
                beat = time.monotonic()
                yield heartbeats.reading()
        msg = f"{server}: {mqtt.error_string(code)}"
        raise ConnectionError(msg)
    finally:
        client.disconnect()
        # they hold the client, which closes its sockets as nobody holds it
        client.on_message = client.on_connect = client.on_subscribe = None


def _connect(mqtt: Any, client: Any, server: str, topics: list[tuple[str, int]]) -> None:
    """Connect to the broker, and wait until it has taken the subscription."""
    answers: list[str] = []
    refused: list[str] = []

    def connected(client: Any, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            refused.append(f"{reason}; give user= and password=")
        else:
            client.subscribe(topics)

    def subscribed(_: Any, __: Any, ___: Any, reasons: Any, ____: Any) -> None:
        answers.append("subscribed")
        if any(reason.is_failure for reason in reasons):
            names = ", ".join(topic for topic, _ in topics)
            refused.append(f"{names}: {reasons[0]}; ask who runs it for access to the topic")

    client.on_connect, client.on_subscribe = connected, subscribed
    host, _, port = server.rpartition(":")
    try:
        client.connect(host, int(port), keepalive=_PING)
    except OSError as error:
        raise unreachable("mqtt", server, error) from error
    end, code = time.monotonic() + _TIMEOUT, mqtt.MQTT_ERR_SUCCESS
    while not (answers or refused) and code == mqtt.MQTT_ERR_SUCCESS and time.monotonic() < end:
        code = client.loop(_BEAT)
    if refused:
        msg = f"mqtt: {server} refuses access: {refused[0]}"
        raise DeviceBusyError(msg)
    if not answers:
        why = mqtt.error_string(code) if code else f"no answer within {_TIMEOUT:g} s"
        msg = f"mqtt: {server}: {why}; see that it is an MQTT broker, and whether it speaks TLS"
        raise DeviceNotFoundError(msg)
