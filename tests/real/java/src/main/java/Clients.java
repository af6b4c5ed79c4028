import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Future;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Producer and consumer: codecs, acks, idempotence, headers, sizes, offsets by time, a group of two, resuming. */
final class Clients {
    static String bootstrap, topic, group;
    static TopicPartition first, second;
    static final long BASE_MS = System.currentTimeMillis() - 3_600_000;
    static final List<String> sent = new ArrayList<>();
    static Map<String, Object> groupSettings = new HashMap<>();

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    static Map<String, Object> settings(Object... pairs) {
        Map<String, Object> map = new HashMap<>(Map.of("bootstrap.servers", bootstrap));
        for (int i = 0; i < pairs.length; i += 2) map.put((String) pairs[i], pairs[i + 1]);
        return map;
    }

    static KafkaProducer<byte[], byte[]> producer(Object... pairs) {
        return new KafkaProducer<>(settings(pairs), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(Object... pairs) {
        return new KafkaConsumer<>(settings(pairs), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static List<ConsumerRecord<byte[], byte[]>> read(TopicPartition partition, long offset, int count) throws Exception {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, offset);
            Checks.until(Duration.ofSeconds(20), () -> {
                consumer.poll(Duration.ofMillis(100)).forEach(records::add);
                return records.size() >= count;
            });
        }
        return records;
    }

    static void codecs() throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            for (String acks : List.of("0", "1", "all")) {
                try (var producer = producer("compression.type", codec, "acks", acks, "enable.idempotence", false,
                                             "linger.ms", 5)) {
                    for (int i = 0; i < 20; i++) {
                        String value = codec + " " + acks + " " + i;
                        producer.send(new ProducerRecord<>(topic, 0, BASE_MS + sent.size(), bytes(codec), bytes(value)));
                        sent.add(value);
                    }
                }
            }
        }
        var records = read(first, 0, sent.size());
        Checks.equal(records.stream().map(r -> text(r.value())).toList(), sent);
        for (int i = 0; i < records.size(); i++) Checks.equal(records.get(i).offset(), (long) i);
        Checks.equal(records.get(7).timestamp(), BASE_MS + 7);
        Checks.isTrue(records.get(7).leaderEpoch().isPresent(), "no leader epoch");
    }

    static void idempotence() throws Exception {
        try (var producer = producer("compression.type", "lz4", "max.in.flight.requests.per.connection", 5)) {
            List<Future<RecordMetadata>> futures = new ArrayList<>();
            for (int i = 0; i < 500; i++) {
                futures.add(producer.send(new ProducerRecord<>(topic, 1, null, bytes("once " + i))));
                if (i % 7 == 0) producer.flush();
            }
            for (int i = 0; i < 500; i++) Checks.equal(futures.get(i).get().offset(), (long) i);
        }
    }

    static void nullsAndHeaders() throws Exception {
        try (var producer = producer()) {
            producer.send(new ProducerRecord<>(topic, 1, bytes("k"), null)).get();
            producer.send(new ProducerRecord<>(topic, 1, null, bytes("v"))).get();
            producer.send(new ProducerRecord<>(topic, 1, bytes(""), bytes(""))).get();
            var record = new ProducerRecord<byte[], byte[]>(topic, 1, null, bytes("with headers"));
            record.headers().add("a", bytes("1")).add("a", bytes("")).add("null", null).add("ü", new byte[300]);
            producer.send(record).get();
        }
        var records = read(second, 500, 4);
        Checks.equal(records.stream().map(r -> Arrays.asList(text(r.key()), text(r.value()))).toList(),
                     List.of(Arrays.asList("k", null), Arrays.asList(null, "v"), Arrays.asList("", ""),
                             Arrays.asList(null, "with headers")));
        StringBuilder headers = new StringBuilder();
        for (var header : records.get(3).headers()) {
            headers.append(header.key()).append(header.value() == null ? "-" : header.value().length).append(' ');
        }
        Checks.equal(headers.toString(), "a1 a0 null- ü300 ");
    }

    static void large() throws Exception {
        byte[] large = new byte[1_750_000];
        Arrays.fill(large, (byte) 'x');
        try (var producer = producer("max.request.size", 4_000_000)) {
            producer.send(new ProducerRecord<>(topic, 1, null, large)).get();
            Checks.refused(RecordTooLargeException.class,
                           () -> producer.send(new ProducerRecord<>(topic, 1, null, new byte[2_500_000])).get());
            Checks.equal(producer.send(new ProducerRecord<>(topic, 1, null, bytes("after"))).get().offset(), 505L);
        }
        var records = read(second, 504, 2);
        Checks.isTrue(Arrays.equals(records.get(0).value(), large), "the large record came back differently");
        Checks.equal(text(records.get(1).value()), "after");
    }

    static void offsets() throws Exception {
        try (var consumer = consumer("auto.offset.reset", "none", "enable.auto.commit", false)) {
            Checks.equal(consumer.offsetsForTimes(Map.of(first, BASE_MS + 100)).get(first).offset(), 100L);
            Checks.equal(consumer.offsetsForTimes(Map.of(first, BASE_MS + 100_000_000)).get(first), null);
            Checks.equal(consumer.beginningOffsets(List.of(first)), Map.of(first, 0L));
            Checks.equal(consumer.endOffsets(List.of(first)), Map.of(first, (long) sent.size()));
            Checks.equal(consumer.partitionsFor(topic).size(), 2);
            consumer.assign(List.of(first));
            consumer.seek(first, 1_000_000);
            Checks.refused(OffsetOutOfRangeException.class, () -> consumer.poll(Duration.ofSeconds(20)));
        }
    }

    /** A consumer of the group in a thread of its own. */
    static final class Member extends Thread {
        volatile boolean stopping;
        volatile Set<Integer> held = Set.of();
        final Set<List<Long>> read = java.util.Collections.synchronizedSet(new HashSet<>());

        Member() {
            setDaemon(true);
            start();
        }

        @Override
        public void run() {
            Map<String, Object> all = settings("group.id", group, "auto.offset.reset", "earliest",
                                               "enable.auto.commit", false);
            all.putAll(groupSettings);
            try (var consumer = new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
                consumer.subscribe(List.of(topic));
                while (!stopping) {
                    var records = consumer.poll(Duration.ofMillis(100));
                    for (var r : records) read.add(List.of((long) r.partition(), r.offset()));
                    if (!records.isEmpty()) consumer.commitSync();
                    Set<Integer> now = new HashSet<>();
                    for (TopicPartition partition : consumer.assignment()) now.add(partition.partition());
                    held = now;
                }
            } catch (Exception error) {
                error.printStackTrace();
            }
        }

        void end() throws Exception {
            stopping = true;
            join(20_000);
        }
    }

    static void groupOfTwo() throws Exception {
        Member one = new Member();
        Checks.until(Duration.ofSeconds(20), () -> one.held.equals(Set.of(0, 1)));
        Member two = new Member();
        Checks.until(Duration.ofSeconds(40), () -> one.held.size() == 1 && two.held.size() == 1 && !one.held.equals(two.held));
        two.end();
        Checks.until(Duration.ofSeconds(40), () -> one.held.equals(Set.of(0, 1)));
        Checks.until(Duration.ofSeconds(20), () -> {
            Set<List<Long>> both = new HashSet<>(one.read);
            both.addAll(two.read);
            return both.size() == sent.size() + 506;
        });
        one.end();
    }

    static void resume() throws Exception {
        try (var producer = producer()) {
            producer.send(new ProducerRecord<>(topic, 0, null, bytes("late"))).get();
        }
        Member three = new Member();
        Checks.until(Duration.ofSeconds(20), () -> !three.read.isEmpty());
        Thread.sleep(300);
        three.end();
        Checks.equal(three.read, Set.of(List.of(0L, (long) sent.size())));
        try (Admin admin = Admin.create(settings())) {
            Map<Integer, Long> committed = new TreeMap<>();
            for (Map.Entry<TopicPartition, OffsetAndMetadata> entry :
                 admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().entrySet()) {
                committed.put(entry.getKey().partition(), entry.getValue().offset());
            }
            Checks.equal(committed, Map.of(0, sent.size() + 1L, 1, 506L));
        }
    }

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        topic = "topic-" + arguments[1];
        group = "group-" + arguments[1];
        first = new TopicPartition(topic, 0);
        second = new TopicPartition(topic, 1);
        groupSettings.put("heartbeat.interval.ms", 300);
        if (arguments.length > 2) groupSettings = new HashMap<>(Map.of("group.protocol", arguments[2]));
        try (Admin admin = Admin.create(settings())) {
            admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1).configs(Map.of("max.message.bytes", "2000000"))))
                .all().get();
        }
        Checks.check("produce with every codec and every acks", Clients::codecs);
        Checks.check("produce with idempotence", Clients::idempotence);
        Checks.check("null keys, null values, empty ones, headers", Clients::nullsAndHeaders);
        Checks.check("a large record passes, a larger one is refused", Clients::large);
        Checks.check("offsets by time, beginning and end; an offset out of range", Clients::offsets);
        Checks.check("a group of two shares the partitions, one alone gets them all back", Clients::groupOfTwo);
        Checks.check("a group goes on where it committed", Clients::resume);
        Checks.check("a partition that is not there", () -> {
            try (var producer = producer("max.block.ms", 1000)) {
                Checks.refused(TimeoutException.class,
                               () -> producer.send(new ProducerRecord<>(topic, 9, null, bytes("x"))).get());
            }
        });
        Checks.finish();
    }
}
