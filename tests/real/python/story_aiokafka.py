"""aiokafka: topics, every codec and acks, keys, headers, offsets by time, groups, errors."""
import asyncio
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError, OffsetOutOfRangeError

from checks import BOOTSTRAP, CODECS, SUFFIX, check, equal, finish

TOPIC, GROUP = "topic-" + SUFFIX, "group-" + SUFFIX
FIRST, SECOND = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)
BASE_MS = int(time.time()) * 1000 - 3_600_000


async def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("not within %d s" % seconds)
        await asyncio.sleep(0.02)


async def refused(kinds, awaitable):
    try:
        result = await awaitable
    except kinds:
        return
    raise AssertionError("%.200r instead of an error" % (result,))


def producer(**settings):
    return AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, **settings)


async def read(partition, offset, count, **settings):
    async with AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, auto_offset_reset="none", **settings) as consumer:
        consumer.assign([partition])
        consumer.seek(partition, offset)
        return [await asyncio.wait_for(consumer.getone(), 20) for _ in range(count)]


async def records():
    sent = []
    with check("produce with every codec and every acks"):
        for codec in CODECS:
            for acks in (0, 1, "all"):
                async with producer(compression_type=None if codec == "none" else codec, acks=acks) as p:
                    for i in range(20):
                        sent.append(b"%s %s %d" % (codec.encode(), str(acks).encode(), i))
                        await p.send(TOPIC, sent[-1], partition=0, timestamp_ms=BASE_MS + len(sent) - 1)
                    await p.flush()
        got = await read(FIRST, 0, len(sent))
        equal([r.value for r in got], sent)
        equal([r.offset for r in got], list(range(len(sent))))
        equal(got[7].timestamp, BASE_MS + 7)
    with check("produce with idempotence"):
        async with producer(enable_idempotence=True, compression_type="zstd") as p:
            futures = [await p.send(TOPIC, b"once %d" % i, partition=1) for i in range(200)]
            equal([(await f).offset for f in futures], list(range(200)))
    with check("null keys, null values, empty ones, headers"):
        headers = (("a", b"1"), ("a", b""), ("ü", bytes(range(256))))
        async with producer() as p:
            for key, value, more in (
                    (b"k", None, ()), (None, b"v", ()), (b"", b"", ()), (None, b"with headers", headers)):
                await p.send_and_wait(TOPIC, value, key=key, partition=1, headers=list(more))
        got = await read(SECOND, 200, 4)
        equal([(r.key, r.value) for r in got], [(b"k", None), (None, b"v"), (b"", b""), (None, b"with headers")])
        equal(got[3].headers, headers)
    with check("a large record passes, a larger one is refused"):
        large = bytes(range(250)) * 7000
        async with producer(max_request_size=4_000_000) as p:
            await p.send_and_wait(TOPIC, large, partition=1)
            await refused(MessageSizeTooLargeError, p.send_and_wait(TOPIC, large * 2, partition=1))
            equal((await p.send_and_wait(TOPIC, b"after", partition=1)).offset, 205)
        equal([r.value for r in await read(SECOND, 204, 2, max_partition_fetch_bytes=2_000_000)], [large, b"after"])
    with check("offsets by time, beginning and end; an offset out of range"):
        async with AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, auto_offset_reset="none") as consumer:
            equal((await consumer.offsets_for_times({FIRST: BASE_MS + 100}))[FIRST].offset, 100)
            equal((await consumer.offsets_for_times({FIRST: BASE_MS + 10**9}))[FIRST], None)
            equal(await consumer.beginning_offsets([FIRST]), {FIRST: 0})
            equal(await consumer.end_offsets([FIRST]), {FIRST: len(sent)})
            consumer.assign([FIRST])
            consumer.seek(FIRST, 10**6)
            await refused(OffsetOutOfRangeError, asyncio.wait_for(consumer.getone(), 20))
    return len(sent)


class Member:
    """A consumer of the group in a task of its own: what it holds, what it read, until stop."""

    def __init__(self):
        self.held, self.read, self.stopping = set(), [], False
        self.task = asyncio.create_task(self.run())

    async def run(self):
        async with AIOKafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, group_id=GROUP, auto_offset_reset="earliest",
                                    enable_auto_commit=False, heartbeat_interval_ms=300,
                                    max_partition_fetch_bytes=2_000_000) as consumer:
            while not self.stopping:
                got = await consumer.getmany(timeout_ms=100)
                for batch in got.values():
                    self.read += [(r.partition, r.offset) for r in batch]
                if got:
                    await consumer.commit()
                self.held = {p.partition for p in consumer.assignment()}

    async def stop(self):
        self.stopping = True
        await asyncio.wait_for(self.task, 20)


async def groups(admin, first_count):
    with check("a group of two shares the partitions, one alone gets them all back"):
        one = Member()
        await until(lambda: one.held == {0, 1})
        two = Member()
        await until(lambda: len(one.held) == 1 and len(two.held) == 1 and one.held != two.held, 30)
        assert any(GROUP == g[0] for g in await admin.list_consumer_groups()), "the group is not listed"
        state = (await admin.describe_consumer_groups([GROUP]))[0].groups[0]
        equal((state[1], state[2], len(state[5])), (GROUP, "Stable", 2))
        await two.stop()
        await until(lambda: one.held == {0, 1}, 30)
        await until(lambda: len(set(one.read + two.read)) == first_count + 206)
        await one.stop()
    with check("a group goes on where it committed"):
        async with producer() as p:
            await p.send_and_wait(TOPIC, b"late", partition=0)
        three = Member()
        await until(lambda: three.read)
        await asyncio.sleep(0.3)
        await three.stop()
        equal(three.read, [(0, first_count)])
        offsets = await admin.list_consumer_group_offsets(GROUP)
        equal({tp.partition: o.offset for tp, o in offsets.items()}, {0: first_count + 1, 1: 206})


async def main():
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    topic = NewTopic(TOPIC, 2, 1, topic_configs={"max.message.bytes": "2000000"})
    with check("create a topic"):
        equal((await admin.create_topics([topic])).topic_errors[0][1], 0)
        assert TOPIC in await admin.list_topics()
        described = (await admin.describe_topics([TOPIC]))[0]
        equal((described["topic"], len(described["partitions"])), (TOPIC, 2))
    with check("a topic that exists, and one with a bad name, are refused"):
        equal((await admin.create_topics([topic])).topic_errors[0][1], 36)
        equal((await admin.create_topics([NewTopic("bad name", 1, 1)])).topic_errors[0][1], 17)
    await groups(admin, await records())
    with check("a topic is deleted"):
        equal((await admin.delete_topics([TOPIC])).topic_error_codes[0][1], 0)
        for _ in range(200):
            if TOPIC not in await admin.list_topics():
                break
            await asyncio.sleep(0.05)
        assert TOPIC not in await admin.list_topics()
        equal((await admin.delete_topics([TOPIC])).topic_error_codes[0][1], 3)
    await admin.close()


asyncio.run(main())
finish()
