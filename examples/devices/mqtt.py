"""Numbers from an MQTT broker: a driver that calls back."""

from collections.abc import Iterator

from rxstream.authoring import EmitValue, source


@source(dtype=[("topic", "U64"), ("value", "f8")], requires="paho-mqtt")
def Mqtt(emit: EmitValue, topic: str, host: str = "localhost", port: int = 1883) -> Iterator[None]:
    """Numbers that are published under a topic."""
    import paho.mqtt.client as mqtt

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_connect = lambda client, *_: client.subscribe(topic)
    client.on_message = lambda _, __, message: emit((message.topic, float(message.payload)))
    client.connect(host, port, keepalive=5)
    try:
        yield
        while (code := client.loop(0.05)) == mqtt.MQTT_ERR_SUCCESS:
            yield
        raise ConnectionError(f"{host}:{port}: {mqtt.error_string(code)}")
    finally:
        client.disconnect()
