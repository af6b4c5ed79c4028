import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Admin: topics, partitions, configs, records deleted, offsets, groups, the cluster; and what is refused. */
final class Admins {
    static String bootstrap, topic, group;
    static Admin admin;

    static TopicPartition partition(int index) {
        return new TopicPartition(topic, index);
    }

    static void create() throws Exception {
        NewTopic wanted = new NewTopic(topic, 2, (short) 1).configs(Map.of("retention.ms", "1234567"));
        admin.createTopics(List.of(wanted)).all().get();
        Checks.until(Duration.ofSeconds(10), () -> admin.listTopics().names().get().contains(topic));
        TopicDescription description = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
        Checks.equal(description.partitions().size(), 2);
        Checks.isTrue(!description.isInternal(), "the topic is internal");
        var byId = admin.describeTopics(TopicCollection.ofTopicIds(List.of(description.topicId()))).allTopicIds().get();
        Checks.equal(byId.get(description.topicId()).name(), topic);
        Checks.equal(description.partitions().get(0).isr().size(), 1);
    }

    static void refusedTopics() {
        Checks.refused(TopicExistsException.class, () -> make(topic, 1, 1, Map.of()));
        Checks.refused(InvalidTopicException.class, () -> make("bad name", 1, 1, Map.of()));
        Checks.refused(InvalidTopicException.class, () -> make("n".repeat(250), 1, 1, Map.of()));
        Checks.refused(InvalidPartitionsException.class, () -> make(topic + "-x", 0, 1, Map.of()));
        Checks.refused(InvalidReplicationFactorException.class, () -> make(topic + "-x", 1, 7, Map.of()));
        Checks.refused(InvalidConfigurationException.class, () -> make(topic + "-x", 1, 1, Map.of("no.such", "1")));
        Checks.refused(InvalidConfigurationException.class,
                       () -> make(topic + "-x", 1, 1, Map.of("cleanup.policy", "burn")));
        Checks.refused(UnknownTopicOrPartitionException.class,
                       () -> admin.describeTopics(List.of(topic + "-x")).allTopicNames().get());
        Checks.refused(UnknownTopicOrPartitionException.class, () -> admin.deleteTopics(List.of(topic + "-x")).all().get());
    }

    static Void make(String name, int partitions, int replicas, Map<String, String> configs) throws Exception {
        return admin.createTopics(List.of(new NewTopic(name, partitions, (short) replicas).configs(configs))).all().get();
    }

    static String config(ConfigResource resource, String name) throws Exception {
        ConfigEntry entry = admin.describeConfigs(List.of(resource)).all().get().get(resource).get(name);
        return entry.value() + " " + entry.source();
    }

    static Void alter(ConfigResource resource, AlterConfigOp.OpType type, String name, String value) throws Exception {
        return admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry(name, value), type))))
            .all().get();
    }

    static void configs() throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Checks.equal(config(resource, "retention.ms"), "1234567 DYNAMIC_TOPIC_CONFIG");
        Checks.equal(config(resource, "cleanup.policy"), "delete DEFAULT_CONFIG");
        alter(resource, AlterConfigOp.OpType.SET, "retention.ms", "7654321");
        Checks.until(Duration.ofSeconds(10),
                     () -> config(resource, "retention.ms").equals("7654321 DYNAMIC_TOPIC_CONFIG"));
        alter(resource, AlterConfigOp.OpType.APPEND, "cleanup.policy", "compact");
        Checks.until(Duration.ofSeconds(10),
                     () -> config(resource, "cleanup.policy").equals("delete,compact DYNAMIC_TOPIC_CONFIG"));
        alter(resource, AlterConfigOp.OpType.DELETE, "cleanup.policy", null);
        alter(resource, AlterConfigOp.OpType.DELETE, "retention.ms", null);
        Checks.until(Duration.ofSeconds(10), () -> config(resource, "retention.ms").equals("604800000 DEFAULT_CONFIG"));
        Checks.refused(InvalidConfigurationException.class,
                       () -> alter(resource, AlterConfigOp.OpType.SET, "retention.ms", "soon"));
        Checks.refused(InvalidConfigurationException.class, () -> alter(resource, AlterConfigOp.OpType.SET, "no.such", "1"));
    }

    static void partitions() throws Exception {
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
        Checks.until(Duration.ofSeconds(10),
                     () -> admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size() == 3);
        Checks.refused(InvalidPartitionsException.class,
                       () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all().get());
    }

    static void produce(int count) throws Exception {
        try (var producer = new KafkaProducer<>(Map.<String, Object>of("bootstrap.servers", bootstrap),
                                                new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int i = 0; i < count; i++) {
                producer.send(new ProducerRecord<>(topic, 0, 1_000L * i + 1, null, new byte[10])).get();
            }
        }
    }

    static long offset(OffsetSpec spec) throws Exception {
        return admin.listOffsets(Map.of(partition(0), spec)).partitionResult(partition(0)).get().offset();
    }

    static void offsets() throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        alter(resource, AlterConfigOp.OpType.SET, "retention.ms", "-1");
        produce(10);
        Checks.equal(offset(OffsetSpec.earliest()), 0L);
        Checks.equal(offset(OffsetSpec.latest()), 10L);
        Checks.equal(offset(OffsetSpec.maxTimestamp()), 9L);
        Checks.equal(offset(OffsetSpec.forTimestamp(4_500)), 5L);
        Checks.equal(offset(OffsetSpec.forTimestamp(1_000_000)), -1L);
        Checks.refused(UnknownTopicOrPartitionException.class, () -> {
            TopicPartition other = new TopicPartition(topic + "-x", 0);
            return admin.listOffsets(Map.of(other, OffsetSpec.latest())).partitionResult(other).get();
        });
    }

    static void deleteRecords() throws Exception {
        var result = admin.deleteRecords(Map.of(partition(0), RecordsToDelete.beforeOffset(4)));
        Checks.equal(result.lowWatermarks().get(partition(0)).get().lowWatermark(), 4L);
        Checks.equal(offset(OffsetSpec.earliest()), 4L);
        Checks.refused(OffsetOutOfRangeException.class,
                       () -> admin.deleteRecords(Map.of(partition(0), RecordsToDelete.beforeOffset(99))).all().get());
    }

    static ConsumerGroupDescription describe(String name) throws Exception {
        return admin.describeConsumerGroups(List.of(name)).describedGroups().get(name).get();
    }

    static void groups() throws Exception {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "group.id", group,
                                                            "auto.offset.reset", "earliest", "client.id", "reader"));
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(topic));
            Checks.until(Duration.ofSeconds(20), () -> {
                consumer.poll(Duration.ofMillis(100));
                return consumer.assignment().size() == 3;
            });
            consumer.commitSync();
            ConsumerGroupDescription description = describe(group);
            Checks.equal(description.groupState(), GroupState.STABLE);
            Checks.equal(description.members().size(), 1);
            Checks.equal(description.members().iterator().next().clientId(), "reader");
            Checks.equal(description.members().iterator().next().assignment().topicPartitions().size(), 3);
            Checks.equal(description.partitionAssignor(), "range");
            Checks.refused(GroupNotEmptyException.class, () -> admin.deleteConsumerGroups(List.of(group)).all().get());
        }
        Checks.isTrue(admin.listGroups().all().get().stream().anyMatch(g -> g.groupId().equals(group)), "not listed");
        Checks.until(Duration.ofSeconds(10), () -> describe(group).groupState() == GroupState.EMPTY);
        admin.alterConsumerGroupOffsets(group, Map.of(partition(0), new OffsetAndMetadata(7, "by hand"))).all().get();
        var offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        Checks.equal(offsets.get(partition(0)).offset(), 7L);
        Checks.equal(offsets.get(partition(0)).metadata(), "by hand");
        admin.deleteConsumerGroupOffsets(group, Set.of(partition(0))).all().get();
        Checks.isTrue(!admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
                          .containsKey(partition(0)), "the offset is still there");
        admin.deleteConsumerGroups(List.of(group)).all().get();
        Checks.refused(GroupIdNotFoundException.class, () -> describe(group));
        Checks.refused(GroupIdNotFoundException.class, () -> admin.deleteConsumerGroups(List.of(group)).all().get());
    }

    static void cluster() throws Exception {
        DescribeClusterResult cluster = admin.describeCluster();
        Checks.equal(cluster.nodes().get().size(), 1);
        Checks.isTrue(cluster.controller().get() != null && !cluster.clusterId().get().isEmpty(), "no controller or id");
        int node = cluster.controller().get().id();
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, String.valueOf(node));
        Checks.isTrue(admin.describeConfigs(List.of(broker)).all().get().get(broker).get("num.partitions") != null,
                      "no broker configs");
        var folders = admin.describeLogDirs(List.of(node)).allDescriptions().get().get(node).values();
        Checks.isTrue(folders.stream().anyMatch(d -> d.replicaInfos().containsKey(partition(0))), "no log of the topic");
        Checks.isTrue(admin.describeFeatures().featureMetadata().get().finalizedFeatures().containsKey("metadata.version"),
                      "no metadata.version");
        Checks.equal(admin.describeMetadataQuorum().quorumInfo().get().leaderId(), node);
        Checks.isTrue(admin.listPartitionReassignments().reassignments().get().isEmpty(), "reassignments");
    }

    public static void main(String[] arguments) throws InterruptedException, ExecutionException {
        bootstrap = arguments[0];
        topic = "topic-" + arguments[1];
        group = "group-" + arguments[1];
        admin = Admin.create(Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", "10000",
                                    "request.timeout.ms", "5000"));
        Checks.check("create, list and describe a topic, also by id", Admins::create);
        Checks.check("what no topic can be is refused", Admins::refusedTopics);
        Checks.check("describe and alter configs", Admins::configs);
        Checks.check("add partitions", Admins::partitions);
        Checks.check("offsets by time", Admins::offsets);
        Checks.check("delete records", Admins::deleteRecords);
        Checks.check("groups and their offsets: describe, alter, delete", Admins::groups);
        Checks.check("the cluster, its configs, logs, features, quorum", Admins::cluster);
        Checks.check("delete a topic", () -> {
            admin.deleteTopics(List.of(topic)).all().get();
            Checks.until(Duration.ofSeconds(10), () -> !admin.listTopics().names().get().contains(topic));
        });
        admin.close();
        Checks.finish();
    }
}
