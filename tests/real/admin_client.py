#!/usr/bin/env python3
"""admin_client.py BOOTSTRAP: an administrator with confluent-kafka (librdkafka): topics grow, configs are altered and
reset, records are deleted, and a group of the consumer protocol that subscribes with a regular expression is listed,
described and deleted. Prints OK at the end."""
import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions,
                                   NewTopic)

BOOTSTRAP = sys.argv[1]
TOPIC = f"admin-{int(time.time() * 1000)}"
GROUP = f"group-of-{TOPIC}"
SECONDS_MAX = 20
admin = AdminClient({"bootstrap.servers": BOOTSTRAP})


def done(futures):
    return list(futures.values())[0].result(SECONDS_MAX)


def alter(kind, name, key, value, operation=AlterConfigOpType.SET):
    entry = ConfigEntry(key, value, incremental_operation=operation)
    done(admin.incremental_alter_configs([ConfigResource(kind, name, incremental_configs=[entry])]))


def config(kind, name, key):
    return done(admin.describe_configs([ConfigResource(kind, name)]))[key].value


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"CHECK FAILED: {what} is {found!r}, not {wanted!r}")


def topics():
    done(admin.create_topics([NewTopic(TOPIC, 2, 1)]))
    done(admin.create_partitions([NewPartitions(TOPIC, 5)]))
    expect("partitions", len(admin.list_topics(TOPIC).topics[TOPIC].partitions), 5)


def configs():
    alter(ConfigResource.Type.TOPIC, TOPIC, "retention.ms", "3600000")
    alter(ConfigResource.Type.TOPIC, TOPIC, "cleanup.policy", "compact", AlterConfigOpType.APPEND)
    expect("retention.ms", config(ConfigResource.Type.TOPIC, TOPIC, "retention.ms"), "3600000")
    expect("cleanup.policy", config(ConfigResource.Type.TOPIC, TOPIC, "cleanup.policy"), "delete,compact")
    alter(ConfigResource.Type.BROKER, "0", "log.retention.bytes", "123456789")
    expect("inherited", config(ConfigResource.Type.TOPIC, TOPIC, "retention.bytes"), "123456789")
    alter(ConfigResource.Type.BROKER, "0", "log.retention.bytes", None, AlterConfigOpType.DELETE)
    for key, value in (("no.such.config", "1"), ("retention.ms", "soon")):
        try:
            alter(ConfigResource.Type.TOPIC, TOPIC, key, value)
        except KafkaException as error:
            expect(key, error.args[0].name(), "INVALID_CONFIG")
        else:
            sys.exit(f"CHECK FAILED: {key}={value} was taken")


def records():
    producer = Producer({"bootstrap.servers": BOOTSTRAP})
    for number in range(10):
        producer.produce(TOPIC, f"value {number}", key=f"key {number}", partition=0)
    producer.flush(SECONDS_MAX)
    expect("start", done(admin.delete_records([TopicPartition(TOPIC, 0, 4)])).low_watermark, 4)


def groups():
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": GROUP, "group.protocol": "consumer",
                         "auto.offset.reset": "earliest"})
    consumer.subscribe([f"^{TOPIC}.*"])
    offsets = []
    end = time.monotonic() + SECONDS_MAX
    while len(offsets) < 6 and time.monotonic() < end:
        message = consumer.poll(1)
        if message and not message.error():
            offsets.append(message.offset())
    expect("offsets", offsets, [4, 5, 6, 7, 8, 9])
    consumer.commit(asynchronous=False)
    listed = [group for group in admin.list_consumer_groups().result(SECONDS_MAX).valid if group.group_id == GROUP]
    expect("state and type", [(group.state.name, group.type.name) for group in listed], [("STABLE", "CONSUMER")])
    described = done(admin.describe_consumer_groups([GROUP]))
    expect("assignor", described.partition_assignor, "uniform")
    expect("assigned", [len(member.assignment.topic_partitions) for member in described.members], [5])
    consumer.close()
    committed = done(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(GROUP)])).topic_partitions
    expect("committed", [(one.partition, one.offset) for one in committed if one.offset >= 0], [(0, 10)])
    done(admin.delete_consumer_groups([GROUP]))


for step in (topics, configs, records, groups):
    step()
done(admin.delete_topics([TOPIC]))
print("OK")
