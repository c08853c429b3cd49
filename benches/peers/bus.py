"""How fast kombu or pika publish and consume: `bus.py kombu|pika URL QUEUE MESSAGES PREFETCH BYTES` prints both rates."""

import sys
import time


def kombu(url, queue, messages, prefetch, body):
    import kombu
    from kombu.common import eventloop

    with kombu.Connection(url, transport_options={"confirm_publish": True}) as connection:
        producer = kombu.Producer(connection)
        start = time.perf_counter()
        for _ in range(messages):
            producer.publish(
                body, exchange="", routing_key=queue, mandatory=True, delivery_mode=2,
                content_type="application/octet-stream", content_encoding="binary",
            )
        yield messages / (time.perf_counter() - start)
        declared = kombu.Queue(queue, no_declare=True)
        taken = 0

        def take(_body, message):
            nonlocal taken
            message.ack()
            taken += 1

        start = time.perf_counter()
        with kombu.Consumer(connection, [declared], callbacks=[take], prefetch_count=prefetch):
            for _ in eventloop(connection, timeout=30, ignore_timeouts=False):
                if taken == messages:
                    break
        yield messages / (time.perf_counter() - start)


def pika(url, queue, messages, prefetch, body):
    import pika

    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    properties = pika.BasicProperties(delivery_mode=2, content_type="application/octet-stream")
    start = time.perf_counter()
    for _ in range(messages):
        channel.basic_publish("", queue, body, properties, mandatory=True)
    yield messages / (time.perf_counter() - start)
    channel.basic_qos(prefetch_count=prefetch)
    start = time.perf_counter()
    taken = 0
    for method, _properties, _body in channel.consume(queue):
        channel.basic_ack(method.delivery_tag)
        taken += 1
        if taken == messages:
            break
    yield messages / (time.perf_counter() - start)
    connection.close()


if __name__ == "__main__":
    name, url, queue, messages, prefetch, size = sys.argv[1:]
    print(*{"kombu": kombu, "pika": pika}[name](url, queue, int(messages), int(prefetch), b"\7" * int(size)))
