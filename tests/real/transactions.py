#!/usr/bin/env python3
"""transactions.py ADDRESS: librdkafka's transactional producer. Its version of transactions is the older one: it names
partitions and offsets before it uses them.

Commits and aborts over two topics with a consumer's offsets in between; a second producer of the same id fences the
first; a consumer of committed records sees what was committed and nothing else. Exit status 77 = confluent-kafka is
missing."""
import sys
import uuid

try:
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError:
    print("skipped: confluent-kafka is not installed")
    sys.exit(77)

ADDRESS = sys.argv[1]
RUN = uuid.uuid4().hex[:8]
TIMEOUT_S = 30


def producer(name):
    made = Producer({"bootstrap.servers": ADDRESS, "transactional.id": f"{name}-{RUN}",
                     "transaction.timeout.ms": 10000})
    made.init_transactions(TIMEOUT_S)
    return made


def consumer(group, level):
    return Consumer({"bootstrap.servers": ADDRESS, "group.id": f"{group}-{RUN}", "isolation.level": level,
                     "auto.offset.reset": "earliest", "enable.auto.commit": False, "enable.partition.eof": True})


def read_all(topic, level):
    """Values of a one-partition topic, in order, up to its end for this level."""
    reader = consumer("all", level)
    reader.assign([TopicPartition(topic, 0, 0)])
    values = []
    while True:
        message = reader.poll(TIMEOUT_S)
        assert message is not None, f"{topic}: no end within {TIMEOUT_S} s"
        if message.error():
            break
        values.append(message.value().decode())
    reader.close()
    return values


def expect(what, found, wanted):
    assert found == wanted, f"{what}: {found}, expected {wanted}"


def moved(source, sink):
    """Reads `source`, writes to `sink`: every second transaction is aborted and done again."""
    writer = producer("mover")
    reader = consumer("movers", "read_committed")
    reader.subscribe([source])
    done = 0
    attempt = 0
    pending = []
    while done < 10:
        message = reader.poll(TIMEOUT_S)
        assert message is not None, f"{source}: nothing within {TIMEOUT_S} s"
        if message.error():
            continue
        pending = [message.value()]
        for commit in ([False, True] if attempt % 2 else [True]):
            writer.begin_transaction()
            for value in pending:
                writer.produce(sink, value.upper())
            position = [TopicPartition(source, 0, message.offset() + 1)]
            writer.send_offsets_to_transaction(position, reader.consumer_group_metadata(), TIMEOUT_S)
            writer.flush(TIMEOUT_S)  # or an abort would drop what has not left
            if commit:
                writer.commit_transaction(TIMEOUT_S)
            else:
                writer.abort_transaction(TIMEOUT_S)
        attempt += 1
        done += len(pending)
    committed = reader.committed([TopicPartition(source, 0)], TIMEOUT_S)[0].offset
    reader.close()
    return committed


def main():
    source, sink = f"source-{RUN}", f"sink-{RUN}"
    admin = AdminClient({"bootstrap.servers": ADDRESS})
    for future in admin.create_topics([NewTopic(source, 1, 1), NewTopic(sink, 1, 1)]).values():
        future.result(TIMEOUT_S)
    zombie = producer("writer")
    zombie.begin_transaction()
    zombie.produce(source, "zombie")
    zombie.flush(TIMEOUT_S)
    writer = producer("writer")  # fences the first
    try:
        zombie.commit_transaction(TIMEOUT_S)
        raise AssertionError("a fenced producer committed")
    except KafkaException as error:
        print(f"fenced: {error.args[0].name()}")
    writer.begin_transaction()
    for i in range(10):
        writer.produce(source, f"v{i}")
    writer.commit_transaction(TIMEOUT_S)
    values = [f"v{i}" for i in range(10)]
    expect("committed", read_all(source, "read_committed"), values)
    expect("everything", read_all(source, "read_uncommitted"), ["zombie"] + values)
    position = moved(source, sink)
    expect("moved", read_all(sink, "read_committed"), [value.upper() for value in values])
    expect("moved or aborted", len(read_all(sink, "read_uncommitted")), 15)
    assert position >= 11, f"the group's position is {position}"
    print("passed")


main()
