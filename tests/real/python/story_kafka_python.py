"""kafka-python: topics, every codec and acks, keys, headers, offsets by time, groups, errors."""
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import (
    InvalidPartitionsError, KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError)

from checks import BOOTSTRAP, CODECS, SUFFIX, check, equal, finish, raises, until

TOPIC, GROUP = "topic-" + SUFFIX, "group-" + SUFFIX
BASE_MS = int(time.time()) * 1000 - 3_600_000
admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)


def producer(**settings):
    return KafkaProducer(bootstrap_servers=BOOTSTRAP, **settings)


def read(count, **settings):
    """The first `count` records of all partitions of the topic, from the beginning."""
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, consumer_timeout_ms=10000, **settings)
    partitions = [TopicPartition(TOPIC, p) for p in sorted(consumer.partitions_for_topic(TOPIC))]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    records = [record for _, record in zip(range(count), consumer)]
    consumer.close()
    return records


with check("create a topic"):
    wanted = {"num_partitions": 2, "replication_factor": 1, "configs": {"max.message.bytes": "2000000"}}
    admin.create_topics({TOPIC: wanted}, wait_for_metadata=True)
    assert TOPIC in admin.list_topics()
with check("a topic that exists, and one with no partitions, are refused"):
    raises(TopicAlreadyExistsError, lambda: admin.create_topics({TOPIC: wanted}))
    raises(InvalidPartitionsError,
           lambda: admin.create_topics({TOPIC + "-0": {"num_partitions": 0, "replication_factor": 1}}))
with check("describe a topic"):
    described = admin.describe_topics([TOPIC])[0]
    equal(described["name"], TOPIC)
    equal(sorted(p["partition_index"] for p in described["partitions"]), [0, 1])

sent = []
with check("produce with every codec and every acks"):
    for codec in CODECS:
        for acks in (0, 1, "all"):
            # acks=0 gives no offset: what arrived is seen by reading.
            p = producer(compression_type=None if codec == "none" else codec, acks=acks, linger_ms=5,
                         enable_idempotence=False)
            for i in range(20):
                value = b"%s %s %d" % (codec.encode(), str(acks).encode(), i)
                p.send(TOPIC, value, key=codec.encode(), partition=0, timestamp_ms=BASE_MS + len(sent))
                sent.append(value)
            p.close(timeout=20)
    records = read(len(sent))
    equal([r.value for r in records], sent)
    equal([r.offset for r in records], list(range(len(sent))))
    equal(records[7].timestamp, BASE_MS + 7)
with check("produce with idempotence"):
    p = producer(enable_idempotence=True, acks="all", compression_type="lz4")
    futures = [p.send(TOPIC, b"once %d" % i, partition=1) for i in range(200)]
    equal([f.get(20).offset for f in futures], list(range(200)))
    p.close()
with check("null keys, null values, empty ones, headers"):
    p = producer()
    headers = [("a", b"1"), ("a", b""), ("empty", b""), ("ü", bytes(range(256)))]
    meta = [p.send(TOPIC, partition=1, **record).get(20) for record in (
        {"value": None, "key": b"k"}, {"value": b"v", "key": None}, {"value": b"", "key": b""},
        {"value": b"with headers", "headers": headers})]
    p.close()
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, consumer_timeout_ms=10000)
    consumer.assign([TopicPartition(TOPIC, 1)])
    consumer.seek(TopicPartition(TOPIC, 1), meta[0].offset)
    got = [record for _, record in zip(range(4), consumer)]
    consumer.close()
    equal([(r.key, r.value) for r in got], [(b"k", None), (None, b"v"), (b"", b""), (None, b"with headers")])
    equal([tuple(h) for h in got[3].headers], headers)
with check("a large record passes, a larger one is refused"):
    # With idempotence this client makes the first error final.
    p = producer(max_request_size=4_000_000, enable_idempotence=False)
    large = bytes(range(250)) * 7000
    offset = p.send(TOPIC, large, partition=1).get(20).offset
    raises(KafkaError, lambda: p.send(TOPIC, large * 2, partition=1).get(20))
    equal(p.send(TOPIC, b"after", partition=1).get(20).offset, offset + 1)
    p.close()
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, consumer_timeout_ms=10000, max_partition_fetch_bytes=1000)
    consumer.assign([TopicPartition(TOPIC, 1)])
    consumer.seek(TopicPartition(TOPIC, 1), offset)
    equal(next(consumer).value, large)
    equal(next(consumer).value, b"after")
    consumer.close()
with check("offsets by time, beginning and end"):
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP)
    first = TopicPartition(TOPIC, 0)
    equal(consumer.offsets_for_times({first: BASE_MS + 100})[first].offset, 100)
    equal(consumer.offsets_for_times({first: BASE_MS + 10**9})[first], None)
    equal(consumer.beginning_offsets([first])[first], 0)
    equal(consumer.end_offsets([first])[first], len(sent))
    consumer.assign([first])
    consumer.seek(first, 100)
    equal(next(consumer).value, sent[100])
    consumer.close()
with check("an offset out of range starts over"):
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest", consumer_timeout_ms=10000)
    consumer.assign([first])
    consumer.seek(first, 10**6)
    equal(next(consumer).offset, 0)
    consumer.close()


class Member(threading.Thread):
    """A consumer of the group in a thread of its own: what it holds, what it read, until stop."""

    def __init__(self):
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.held, self.read = set(), []

    def run(self):
        consumer = KafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, group_id=GROUP, auto_offset_reset="earliest",
                                 enable_auto_commit=False, session_timeout_ms=10000, heartbeat_interval_ms=300)
        while not self.stopping.is_set():
            for records in consumer.poll(timeout_ms=100).values():
                self.read += [(r.partition, r.offset) for r in records]
                consumer.commit()
            self.held = {p.partition for p in consumer.assignment()}
        consumer.close()

    def stop(self):
        self.stopping.set()
        self.join(20)


total = len(sent) + 206
with check("a group of two shares the partitions, one alone gets them all back"):
    one, two = Member(), Member()
    one.start()
    until(lambda: one.held == {0, 1})
    two.start()
    until(lambda: len(one.held) == 1 and len(two.held) == 1 and one.held != two.held, 30)
    described = admin.describe_groups([GROUP])
    described = described[GROUP] if isinstance(described, dict) else described[0]
    equal((described["group_state"], len(described["members"])), ("Stable", 2))
    assert any(GROUP in str(g) for g in admin.list_groups()), "the group is not listed"
    two.stop()
    until(lambda: one.held == {0, 1}, 30)
    until(lambda: len(set(one.read + two.read)) == total)
    one.stop()
with check("a group goes on where it committed"):
    p = producer()
    p.send(TOPIC, b"late", partition=0).get(20)
    p.close()
    three = Member()
    three.start()
    until(lambda: three.read)
    time.sleep(0.3)
    three.stop()
    equal(three.read, [(0, len(sent))])
    offsets = admin.list_group_offsets({GROUP: None})[GROUP]
    equal({tp.partition: o.offset for tp, o in offsets.items()}, {0: len(sent) + 1, 1: 206})
with check("a group and a topic are deleted"):
    admin.delete_groups([GROUP])
    assert not any(GROUP in str(g) for g in admin.list_groups()), "the group is still listed"
    admin.delete_topics([TOPIC])
    until(lambda: TOPIC not in admin.list_topics())
    raises(UnknownTopicOrPartitionError, lambda: admin.delete_topics(["unknown-" + SUFFIX]))
with check("records for an unknown topic are refused where topics are not created by themselves"):
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, allow_auto_create_topics=False)
    assert not consumer.partitions_for_topic("unknown-" + SUFFIX)
    consumer.close()
    raises(KafkaError, lambda: admin.create_topics({"bad name": {"num_partitions": 1, "replication_factor": 1}}))
admin.close()
finish()
