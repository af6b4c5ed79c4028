"""confluent-kafka (librdkafka): topics, configs, codecs and acks, keys, headers, offsets by time, groups, errors."""
import sys
import time

from confluent_kafka import (
    Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec

from checks import BOOTSTRAP, CODECS, SUFFIX, check, equal, finish, until

TOPIC, GROUP = "topic-" + SUFFIX, "group-" + SUFFIX
BASE_MS = int(time.time()) * 1000 - 3_600_000
GROUP_SETTINGS = dict(a.split("=", 1) for a in sys.argv[3:]) or {"heartbeat.interval.ms": 300}
admin = AdminClient({"bootstrap.servers": BOOTSTRAP})


def done(futures):
    """The results of an admin call, by name."""
    return {name: future.result(20) for name, future in futures.items()}


def refused(code, call):
    try:
        result = call()
    except KafkaException as error:
        equal(error.args[0].name(), code)
        return
    raise AssertionError("%.200r instead of %s" % (result, code))


def send(records, **settings):
    """Produces the records, each the arguments of produce; their offsets or errors in the order sent."""
    results = [None] * len(records)

    def keep(i):
        def told(error, message):
            results[i] = error.name() if error else message.offset()
        return told

    p = Producer({"bootstrap.servers": BOOTSTRAP, "linger.ms": 5, **settings})
    for i, record in enumerate(records):
        p.produce(TOPIC, on_delivery=keep(i), **record)
    equal(p.flush(20), 0)
    return results


def read(partition, offset, count):
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "none", "enable.auto.commit": False})
    consumer.assign([TopicPartition(TOPIC, partition, offset)])
    records = consumer.consume(count, 20)
    consumer.close()
    for record in records:
        assert not record.error(), record.error()
    return records


with check("create a topic"):
    done(admin.create_topics([NewTopic(TOPIC, 2, 1, config={"max.message.bytes": "2000000"})]))
    until(lambda: TOPIC in admin.list_topics(timeout=10).topics)
    equal(sorted(admin.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions), [0, 1])
with check("a topic that exists, and one with a bad name, are refused"):
    refused("TOPIC_ALREADY_EXISTS", lambda: done(admin.create_topics([NewTopic(TOPIC, 2, 1)])))
    refused("TOPIC_EXCEPTION", lambda: done(admin.create_topics([NewTopic("bad name", 1, 1)])))
with check("describe configs and the cluster"):
    resource = ConfigResource(ConfigResource.Type.TOPIC, TOPIC)
    configs = done(admin.describe_configs([resource]))[resource]
    equal((configs["max.message.bytes"].value, configs["max.message.bytes"].is_default), ("2000000", False))
    equal(configs["cleanup.policy"].value, "delete")
    equal(len(admin.describe_cluster().result(20).nodes), 1)

sent = []
with check("produce with every codec and every acks"):
    for codec in CODECS:
        for acks in ("0", "1", "all"):
            records = [{"value": b"%s %s %d" % (codec.encode(), acks.encode(), i), "key": codec, "partition": 0,
                        "timestamp": BASE_MS + len(sent) + i} for i in range(20)]
            send(records, acks=acks, **{"compression.type": codec})
            sent += [r["value"] for r in records]
    records = read(0, 0, len(sent))
    equal([r.value() for r in records], sent)
    equal([r.offset() for r in records], list(range(len(sent))))
    equal(records[7].timestamp()[1], BASE_MS + 7)
with check("produce with idempotence"):
    got = send([{"value": b"once %d" % i, "partition": 1} for i in range(200)], **{"enable.idempotence": True})
    equal(got, list(range(200)))
with check("null keys, null values, empty ones, headers"):
    headers = [("a", b"1"), ("a", b""), ("null", None), ("ü", bytes(range(256)))]
    send([{"value": None, "key": b"k", "partition": 1}, {"value": b"v", "partition": 1},
          {"value": b"", "key": b"", "partition": 1}, {"value": b"with headers", "headers": headers, "partition": 1}])
    records = read(1, 200, 4)
    equal([(r.key(), r.value()) for r in records], [(b"k", None), (None, b"v"), (b"", b""), (None, b"with headers")])
    equal(records[3].headers(), headers)
with check("a large record passes, a larger one is refused"):
    large = bytes(range(250)) * 7000
    settings = {"message.max.bytes": 4_000_000, "linger.ms": 0}
    equal(send([{"value": large, "partition": 1}], **settings), [204])
    equal(send([{"value": large * 2, "partition": 1}], **settings), ["MSG_SIZE_TOO_LARGE"])
    equal(send([{"value": b"after", "partition": 1}], **settings), [205])
    equal([r.value() for r in read(1, 204, 2)], [large, b"after"])
with check("offsets by time, beginning, end, highest time"):
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "none"})
    equal(consumer.offsets_for_times([TopicPartition(TOPIC, 0, BASE_MS + 100)], 20)[0].offset, 100)
    equal(consumer.offsets_for_times([TopicPartition(TOPIC, 0, BASE_MS + 10**9)], 20)[0].offset, -1)
    equal(consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), 20), (0, len(sent)))
    consumer.close()
    first = TopicPartition(TOPIC, 0)
    for spec, offset in ((OffsetSpec.earliest(), 0), (OffsetSpec.latest(), len(sent)),
                         (OffsetSpec.max_timestamp(), len(sent) - 1), (OffsetSpec.for_timestamp(BASE_MS + 5), 5)):
        equal(done(admin.list_offsets({first: spec}))[first].offset, offset)


class Member:
    """A consumer of the group: what it holds, what it read."""

    def __init__(self):
        self.read = []
        self.consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": GROUP, "auto.offset.reset": "earliest",
                                  "enable.auto.commit": False, **GROUP_SETTINGS})
        self.consumer.subscribe([TOPIC])

    def held(self):
        """Polls once."""
        message = self.consumer.poll(0.05)
        if message is not None and not message.error():
            self.read.append((message.partition(), message.offset()))
            self.consumer.commit(message, asynchronous=len(self.read) % 10 != 0)
        return {p.partition for p in self.consumer.assignment()}

    def shares_with(self, other):
        mine, others = self.held(), other.held()
        return len(mine) == 1 and len(others) == 1 and mine != others


with check("a group of two shares the partitions, one alone gets them all back"):
    one = Member()
    until(lambda: one.held() == {0, 1})
    two = Member()
    until(lambda: one.shares_with(two), 30)
    description = done(admin.describe_consumer_groups([GROUP]))[GROUP]
    equal((description.state.name, len(description.members)), ("STABLE", 2))
    assert GROUP in [g.group_id for g in admin.list_consumer_groups().result(20).valid], "the group is not listed"
    two.consumer.close()
    until(lambda: one.held() == {0, 1}, 30)
    until(lambda: one.held() and len(set(one.read + two.read)) == len(sent) + 206, 30)
    one.consumer.close()
with check("a group goes on where it committed"):
    send([{"value": b"late", "partition": 0}])
    three = Member()
    until(lambda: three.held() and three.read)
    three.held()
    three.consumer.close()
    equal(three.read, [(0, len(sent))])
    offsets = done(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(GROUP)]))[GROUP]
    equal({p.partition: p.offset for p in offsets.topic_partitions}, {0: len(sent) + 1, 1: 206})
with check("a group and a topic are deleted"):
    done(admin.delete_consumer_groups([GROUP]))
    assert GROUP not in [g.group_id for g in admin.list_consumer_groups().result(20).valid], "the group is still listed"
    done(admin.delete_topics([TOPIC]))
    until(lambda: TOPIC not in admin.list_topics(timeout=10).topics)
    refused("UNKNOWN_TOPIC_OR_PART", lambda: done(admin.delete_topics([TOPIC])))
with check("an unknown topic is told to the consumer"):
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": GROUP, "allow.auto.create.topics": False})
    consumer.subscribe(["unknown-" + SUFFIX])
    errors = []
    until(lambda: errors.append(consumer.poll(0.1)) or errors[-1] is not None)
    equal(errors[-1].error().code(), KafkaError.UNKNOWN_TOPIC_OR_PART)
    consumer.close()
finish()
