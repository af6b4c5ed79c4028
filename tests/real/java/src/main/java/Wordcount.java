import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Produced;

/** Kafka Streams: words counted over a repartition topic, the state lost and restored from its changelog. */
final class Wordcount {
    static String bootstrap, input, output, application;
    static Map<String, String> more = new HashMap<>();

    static void say(String... lines) throws Exception {
        try (var producer = new KafkaProducer<>(Map.<String, Object>of("bootstrap.servers", bootstrap),
                                                new StringSerializer(), new StringSerializer())) {
            for (String line : lines) producer.send(new ProducerRecord<>(input, null, line)).get();
        }
    }

    static KafkaStreams streams(Path state) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(input)
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.with(Serdes.String(), Serdes.String()))
            .count()
            .toStream()
            .to(output, Produced.with(Serdes.String(), Serdes.Long()));
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("application.id", application);
        settings.put("state.dir", state.toString());
        settings.put("default.key.serde", Serdes.StringSerde.class);
        settings.put("default.value.serde", Serdes.StringSerde.class);
        settings.put("commit.interval.ms", 100);
        settings.put("auto.offset.reset", "earliest");
        settings.put("session.timeout.ms", 10000);
        settings.put("num.stream.threads", 2);
        settings.putAll(more);
        return new KafkaStreams(builder.build(), settings);
    }

    /** Reads the counts until they are as wanted; no count may go back. */
    static void counts(Map<String, Long> wanted) throws Exception {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "group.id", application + "-reader",
                                                            "auto.offset.reset", "earliest",
                                                            "isolation.level", "read_committed"));
        settings.put("enable.auto.commit", false);
        Map<String, Long> got = new HashMap<>();
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new LongDeserializer())) {
            consumer.subscribe(List.of(output));
            Checks.until(Duration.ofSeconds(40), () -> {
                for (var record : consumer.poll(Duration.ofMillis(100))) {
                    Long before = got.put(record.key(), record.value());
                    Checks.isTrue(before == null || before < record.value(), "a count went from " + before + " to " + record);
                }
                return got.equals(wanted);
            });
        }
    }

    static void run(Map<String, Long> wanted) throws Exception {
        Path state = Files.createTempDirectory("streams");
        KafkaStreams streams = streams(state);
        streams.start();
        counts(wanted);
        Checks.isTrue(streams.close(Duration.ofSeconds(20)), "streams did not end");
        streams.cleanUp();
    }

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        input = "lines-" + arguments[1];
        output = "counts-" + arguments[1];
        application = "words-" + arguments[1];
        for (int i = 2; i < arguments.length; i++) more.put(arguments[i].split("=")[0], arguments[i].split("=")[1]);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(input, 2, (short) 1), new NewTopic(output, 2, (short) 1))).all().get();
            say("a b c", "b c", "c");
            Checks.check("words are counted", () -> run(Map.of("a", 1L, "b", 2L, "c", 3L)));
            Checks.check("internal topics are there", () -> {
                var names = admin.listTopics().names().get();
                for (String kind : List.of("-repartition", "-changelog")) {
                    Checks.isTrue(names.stream().anyMatch(n -> n.startsWith(application) && n.endsWith(kind)), "no " + kind);
                }
            });
            say("c d");
            Checks.check("counting goes on from the changelog",
                         () -> run(Map.of("a", 1L, "b", 2L, "c", 4L, "d", 1L)));
        }
        Checks.finish();
    }
}
