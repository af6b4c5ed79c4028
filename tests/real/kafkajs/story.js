// kafkajs: topics, codecs and acks, keys, headers, offsets by time, a group of two, resuming, errors.
'use strict';
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs');
const snappy = require('kafkajs-snappy');

CompressionCodecs[CompressionTypes.Snappy] = snappy;

const [bootstrap, suffix] = process.argv.slice(2);
const topic = `topic-${suffix}`;
const group = `group-${suffix}`;
const baseMs = Date.now() - 3600000;
const kafka = new Kafka({ clientId: 'story', brokers: [bootstrap], logLevel: logLevel.NOTHING });
const admin = kafka.admin();
let failures = 0;

async function check(name, body) {
  try {
    await body();
    console.log(`ok ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`FAILED ${name}: ${error.stack.split('\n').slice(0, 3).join(' ')}`);
  }
}

function equal(got, want) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a !== b) throw new Error(`${a.slice(0, 300)} instead of ${b.slice(0, 300)}`);
}

async function refused(type, promise) {
  let result;
  try {
    result = await promise;
  } catch (error) {
    const types = [error.type, (error.cause || {}).type, ...(error.errors || []).map((e) => e.type)];
    if (types.includes(type)) return;
    throw error;
  }
  throw new Error(`${JSON.stringify(result)} instead of ${type}`);
}

async function until(condition, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function send(messages, settings = {}, sending = {}) {
  const producer = kafka.producer({ allowAutoTopicCreation: false, ...settings });
  await producer.connect();
  try {
    return await producer.send({ topic, messages, ...sending });
  } finally {
    await producer.disconnect();
  }
}

// A member of the group: what it holds, what it read.
async function member() {
  const consumer = kafka.consumer({ groupId: group, heartbeatInterval: 300, sessionTimeout: 10000,
    rebalanceTimeout: 10000, allowAutoTopicCreation: false });
  const self = { held: '', read: [], records: [] };
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    self.held = ((payload.memberAssignment || {})[topic] || []).sort().join();
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      self.read.push(`${partition}:${message.offset}`);
      self.records.push({ partition, message });
    },
  });
  self.stop = () => consumer.disconnect();
  return self;
}

const sent = [];

async function produce() {
  const codecs = { None: 'none', GZIP: 'gzip', Snappy: 'snappy' };
  for (const codec of Object.keys(codecs)) {
    for (const acks of [0, 1, -1]) {
      const messages = [];
      for (let i = 0; i < 20; i += 1) {
        const timestamp = `${baseMs + sent.length + i}`;
        messages.push({ key: codecs[codec], value: `${codec} ${acks} ${i}`, partition: 0, timestamp });
      }
      await send(messages, {}, { acks, compression: CompressionTypes[codec] });
      sent.push(...messages.map((m) => m.value));
      // Without an answer the next producer's connection could overtake this one.
      await until(async () => {
        const end = (await admin.fetchTopicOffsets(topic)).find((p) => p.partition === 0);
        return end && Number(end.high) === sent.length;
      });
    }
  }
}

async function idempotence() {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  for (let i = 0; i < 20; i += 1) {
    const result = await producer.send({ topic, messages: [{ value: `once ${i}`, partition: 1 }] });
    equal(result[0].baseOffset, String(i));
  }
  await producer.disconnect();
}

async function groups() {
  const one = await member();
  await until(() => one.held === '0,1');
  const two = await member();
  await until(() => one.held.length === 1 && two.held.length === 1 && one.held !== two.held);
  const described = (await admin.describeGroups([group])).groups[0];
  equal([described.state, described.members.length], ['Stable', 2]);
  equal((await admin.listGroups()).groups.some((g) => g.groupId === group), true);
  await two.stop();
  await until(() => one.held === '0,1');
  await until(() => new Set([...one.read, ...two.read]).size === sent.length + 24);
  await one.stop();
  const records = [...one.records, ...two.records];
  const first = new Map(records.filter((r) => r.partition === 0).map((r) => [Number(r.message.offset), r.message]));
  equal(sent.map((_, i) => String(first.get(i).value)), sent);
  equal(first.get(7).timestamp, String(baseMs + 7));
  const second = new Map(records.filter((r) => r.partition === 1).map((r) => [Number(r.message.offset), r.message]));
  const text = (buffer) => (buffer === null ? null : buffer.toString());
  equal([20, 21, 22].map((i) => [text(second.get(i).key), text(second.get(i).value)]),
    [['k', null], [null, 'v'], ['', '']]);
  equal([text(second.get(23).headers.a), text(second.get(23).headers.b)], ['1', '']);
}

async function resume() {
  await send([{ value: 'late', partition: 0 }]);
  const three = await member();
  await until(() => three.read.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await three.stop();
  equal(three.read, [`0:${sent.length}`]);
  const offsets = (await admin.fetchOffsets({ groupId: group, topics: [topic] }))[0].partitions;
  equal(offsets.map((p) => [p.partition, p.offset]).sort(), [[0, `${sent.length + 1}`], [1, '24']]);
}

async function main() {
  await admin.connect();
  await check('create and describe a topic', async () => {
    const configEntries = [{ name: 'max.message.bytes', value: '2000000' }];
    const topics = [{ topic, numPartitions: 2, configEntries }];
    equal(await admin.createTopics({ topics, waitForLeaders: true }), true);
    equal((await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length, 2);
    equal((await admin.listTopics()).includes(topic), true);
    const configs = (await admin.describeConfigs({ resources: [{ type: 2, name: topic }] }))
      .resources[0].configEntries;
    equal(configs.find((c) => c.configName === 'max.message.bytes').configValue, '2000000');
  });
  await check('a topic that exists is not created, a bad name is refused', async () => {
    equal(await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] }), false);
    await refused('INVALID_TOPIC_EXCEPTION', admin.createTopics({ topics: [{ topic: 'bad name' }] }));
  });
  await check('produce with the codecs it has and every acks', produce);
  await check('produce with idempotence', idempotence);
  await check('null keys, null values, empty ones, headers', () => send([{ key: 'k', value: null, partition: 1 },
    { value: 'v', partition: 1 }, { key: '', value: '', partition: 1 },
    { value: 'with headers', headers: { a: '1', b: '' }, partition: 1 }]));
  await check('a record too large is refused', () => refused('MESSAGE_TOO_LARGE',
    send([{ value: Buffer.alloc(2500000, 'x'), partition: 1 }], { retry: { retries: 0 } })));
  await check('offsets by time and the end', async () => {
    const offsets = (await admin.fetchTopicOffsetsByTimestamp(topic, baseMs + 100)).find((p) => p.partition === 0);
    equal(offsets.offset, '100');
    const end = (await admin.fetchTopicOffsets(topic)).find((p) => p.partition === 0);
    equal([end.low, end.high], ['0', String(sent.length)]);
  });
  await check('a group of two shares the partitions, one alone gets them all back', groups);
  await check('a group goes on where it committed', resume);
  await check('a group and a topic are deleted', async () => {
    await admin.deleteGroups([group]);
    equal((await admin.listGroups()).groups.some((g) => g.groupId === group), false);
    await admin.deleteTopics({ topics: [topic] });
    await until(async () => !(await admin.listTopics()).includes(topic));
  });
  await check('an unknown topic', () => refused('UNKNOWN_TOPIC_OR_PARTITION',
    admin.fetchTopicOffsets(`unknown-${suffix}`)));
  await admin.disconnect();
  process.exit(failures ? 1 : 0);
}

main();
