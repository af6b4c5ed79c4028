// sarama: topics, codecs and acks, keys, headers, offsets by time, a group of two, resuming, errors.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

var (
	brokers      []string
	topic, group string
	failures     int
	client       sarama.Client
	admin        sarama.ClusterAdmin
	sent         []string
	base         = time.Now().Add(-time.Hour).Truncate(time.Millisecond)
)

func check(name string, body func() error) {
	if err := body(); err != nil {
		failures++
		fmt.Printf("FAILED %s: %v\n", name, err)
		return
	}
	fmt.Println("ok " + name)
}

func equal(got, want any) error {
	a, b := fmt.Sprint(got), fmt.Sprint(want)
	if a != b {
		return fmt.Errorf("%.300s instead of %.300s", a, b)
	}
	return nil
}

func refused(err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("%v instead of %v", err, want)
	}
	return nil
}

func until(condition func() bool) error {
	for end := time.Now().Add(30 * time.Second); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("not within 30 s")
		}
	}
	return nil
}

func settings() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	config.Metadata.AllowAutoTopicCreation = false
	return config
}

func send(config *sarama.Config, messages ...*sarama.ProducerMessage) error {
	producer, err := sarama.NewSyncProducer(brokers, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	return producer.SendMessages(messages)
}

// One refused message's own error.
func cause(err error) error {
	var all sarama.ProducerErrors
	if errors.As(err, &all) && len(all) > 0 {
		return all[0].Err
	}
	return err
}

func read(partition int32, offset int64, count int) ([]*sarama.ConsumerMessage, error) {
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	from, err := consumer.ConsumePartition(topic, partition, offset)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	var messages []*sarama.ConsumerMessage
	for len(messages) < count {
		select {
		case message := <-from.Messages():
			messages = append(messages, message)
		case <-time.After(20 * time.Second):
			return messages, fmt.Errorf("%d of %d messages within 20 s", len(messages), count)
		}
	}
	return messages, nil
}

func create() error {
	size := "2000000"
	detail := &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1,
		ConfigEntries: map[string]*string{"max.message.bytes": &size}}
	if err := admin.CreateTopic(topic, detail, false); err != nil {
		return err
	}
	topics, err := admin.ListTopics()
	if err != nil {
		return err
	}
	if err := equal(fmt.Sprintf("%d %s", topics[topic].NumPartitions, *topics[topic].ConfigEntries["max.message.bytes"]),
		"2 2000000"); err != nil {
		return err
	}
	if err := refused(admin.CreateTopic(topic, detail, false), sarama.ErrTopicAlreadyExists); err != nil {
		return err
	}
	return refused(admin.CreateTopic("bad name", detail, false), sarama.ErrInvalidTopic)
}

func codecs() error {
	for _, codec := range []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP,
		sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD} {
		for _, acks := range []sarama.RequiredAcks{sarama.NoResponse, sarama.WaitForLocal, sarama.WaitForAll} {
			config := settings()
			config.Producer.Compression, config.Producer.RequiredAcks = codec, acks
			var messages []*sarama.ProducerMessage
			for n := 0; n < 20; n++ {
				messages = append(messages, &sarama.ProducerMessage{
					Topic:     topic,
					Key:       sarama.StringEncoder(codec.String()),
					Value:     sarama.StringEncoder(fmt.Sprint(codec, acks, n)),
					Timestamp: base.Add(time.Duration(len(sent)) * time.Millisecond)})
				sent = append(sent, fmt.Sprint(codec, acks, n))
			}
			if err := send(config, messages...); err != nil {
				return err
			}
			// Without an answer the next producer's connection could overtake this one.
			if err := until(func() bool {
				end, err := client.GetOffset(topic, 0, sarama.OffsetNewest)
				return err == nil && end == int64(len(sent))
			}); err != nil {
				return err
			}
		}
	}
	messages, err := read(0, sarama.OffsetOldest, len(sent))
	if err != nil {
		return err
	}
	var got []string
	for i, message := range messages {
		got = append(got, string(message.Value))
		if message.Offset != int64(i) || !message.Timestamp.Equal(base.Add(time.Duration(i)*time.Millisecond)) {
			return fmt.Errorf("message %d has offset %d, time %v", i, message.Offset, message.Timestamp)
		}
	}
	return equal(strings.Join(got, ","), strings.Join(sent, ","))
}

func idempotence() error {
	config := settings()
	config.Producer.Idempotent, config.Producer.RequiredAcks, config.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
	var messages []*sarama.ProducerMessage
	for i := 0; i < 200; i++ {
		value := sarama.StringEncoder(fmt.Sprint("once ", i))
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Partition: 1, Value: value})
	}
	if err := send(config, messages...); err != nil {
		return err
	}
	return equal(messages[199].Offset, 199)
}

func nullsAndHeaders() error {
	text := func(s string) sarama.Encoder { return sarama.StringEncoder(s) }
	headers := []sarama.RecordHeader{{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("a"), Value: []byte{}}}
	if err := send(settings(), &sarama.ProducerMessage{Topic: topic, Partition: 1, Key: text("k")},
		&sarama.ProducerMessage{Topic: topic, Partition: 1, Value: text("v")},
		&sarama.ProducerMessage{Topic: topic, Partition: 1, Value: text("h"), Headers: headers}); err != nil {
		return err
	}
	messages, err := read(1, 200, 3)
	if err != nil {
		return err
	}
	var got []string
	for _, message := range messages {
		line := fmt.Sprint(string(message.Key), message.Key == nil, string(message.Value), message.Value == nil)
		for _, header := range message.Headers {
			line += fmt.Sprintf(" %s=%s", header.Key, header.Value)
		}
		got = append(got, line)
	}
	return equal(strings.Join(got, "; "), "kfalsetrue; truevfalse; truehfalse a=1 a=")
}

func large() error {
	config := settings()
	config.Producer.MaxMessageBytes = 5_000_000
	value := strings.Repeat("x", 1_750_000)
	message := &sarama.ProducerMessage{Topic: topic, Partition: 1, Value: sarama.StringEncoder(value)}
	if err := send(config, message); err != nil {
		return err
	}
	messages, err := read(1, message.Offset, 1)
	if err != nil {
		return err
	}
	if err := equal(len(messages[0].Value), len(value)); err != nil {
		return err
	}
	err = send(config, &sarama.ProducerMessage{Topic: topic, Partition: 1, Value: sarama.StringEncoder(value + value)})
	return refused(cause(err), sarama.ErrMessageSizeTooLarge)
}

func offsets() error {
	at, err := client.GetOffset(topic, 0, base.UnixMilli()+100)
	if err != nil {
		return err
	}
	first, err := client.GetOffset(topic, 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	if err := equal(fmt.Sprint(first, at), "0 100"); err != nil {
		return err
	}
	_, err = read(0, 1_000_000, 1)
	return refused(err, sarama.ErrOffsetOutOfRange)
}

// A member of the group: what it holds, what it read.
type member struct {
	sync.Mutex
	held   []int32
	read   map[string]bool
	cancel context.CancelFunc
	done   chan struct{}
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.Lock()
	defer m.Unlock()
	m.held = session.Claims()[topic]
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		m.Lock()
		m.read[fmt.Sprintf("%d:%d", message.Partition, message.Offset)] = true
		m.Unlock()
		session.MarkMessage(message, "")
		if len(claim.Messages()) == 0 {
			session.Commit()
		}
	}
	session.Commit()
	return nil
}

func join() (*member, error) {
	consumer, err := sarama.NewConsumerGroup(brokers, group, settings())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{read: map[string]bool{}, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		defer consumer.Close()
		for ctx.Err() == nil {
			if err := consumer.Consume(ctx, []string{topic}, m); err != nil {
				fmt.Println("consume:", err)
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	return m, nil
}

func (m *member) holds() string {
	m.Lock()
	defer m.Unlock()
	sort.Slice(m.held, func(i, j int) bool { return m.held[i] < m.held[j] })
	return fmt.Sprint(m.held)
}

func (m *member) has() []string {
	m.Lock()
	defer m.Unlock()
	var all []string
	for key := range m.read {
		all = append(all, key)
	}
	sort.Strings(all)
	return all
}

func (m *member) stop() {
	m.cancel()
	<-m.done
}

func groupOfTwo() error {
	one, err := join()
	if err != nil {
		return err
	}
	defer one.stop()
	if err := until(func() bool { return one.holds() == "[0 1]" }); err != nil {
		return err
	}
	two, err := join()
	if err != nil {
		return err
	}
	err = until(func() bool {
		both := one.holds() + two.holds()
		return both == "[0][1]" || both == "[1][0]"
	})
	two.stop()
	if err != nil {
		return err
	}
	if err := until(func() bool { return one.holds() == "[0 1]" }); err != nil {
		return err
	}
	return until(func() bool {
		both := map[string]bool{}
		for _, key := range append(one.has(), two.has()...) {
			both[key] = true
		}
		return len(both) == len(sent)+204
	})
}

func resume() error {
	late := &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("late")}
	if err := send(settings(), late); err != nil {
		return err
	}
	three, err := join()
	if err != nil {
		return err
	}
	err = until(func() bool { return len(three.has()) > 0 })
	time.Sleep(300 * time.Millisecond)
	three.stop()
	if err != nil {
		return err
	}
	if err := equal(three.has(), []string{fmt.Sprintf("0:%d", len(sent))}); err != nil {
		return err
	}
	committed, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0, 1}})
	if err != nil {
		return err
	}
	first, second := committed.GetBlock(topic, 0), committed.GetBlock(topic, 1)
	return equal(fmt.Sprint(first.Offset, second.Offset), fmt.Sprint(len(sent)+1, 204))
}

func transaction() error {
	config := settings()
	config.Producer.Idempotent, config.Producer.RequiredAcks, config.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
	config.Producer.Transaction.ID = "tx-" + topic
	producer, err := sarama.NewSyncProducer(brokers, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	for i, end := range []func() error{producer.AbortTxn, producer.CommitTxn, producer.AbortTxn} {
		if err := producer.BeginTxn(); err != nil {
			return err
		}
		value := sarama.StringEncoder(fmt.Sprint("tx ", i))
		message := &sarama.ProducerMessage{Topic: topic, Partition: 1, Value: value}
		if _, _, err := producer.SendMessage(message); err != nil {
			return err
		}
		if err := end(); err != nil {
			return err
		}
	}
	end := &sarama.ProducerMessage{Topic: topic, Partition: 1, Value: sarama.StringEncoder("end")}
	if err := send(settings(), end); err != nil {
		return err
	}
	client.Config().Consumer.IsolationLevel = sarama.ReadCommitted
	messages, err := read(1, 204, 2)
	if err != nil {
		return err
	}
	return equal(string(messages[0].Value)+", "+string(messages[1].Value), "tx 1, end")
}

func remove() error {
	if err := admin.DeleteConsumerGroup(group); err != nil {
		return err
	}
	groups, err := admin.ListConsumerGroups()
	if err != nil {
		return err
	}
	if _, there := groups[group]; there {
		return errors.New("the group is still listed")
	}
	if err := admin.DeleteTopic(topic); err != nil {
		return err
	}
	return refused(admin.DeleteTopic("unknown-"+topic), sarama.ErrUnknownTopicOrPartition)
}

func main() {
	sarama.Logger = log.New(io.Discard, "", 0)
	brokers, topic, group = []string{os.Args[1]}, "topic-"+os.Args[2], "group-"+os.Args[2]
	var err error
	if client, err = sarama.NewClient(brokers, settings()); err == nil {
		admin, err = sarama.NewClusterAdminFromClient(client)
	}
	if err != nil {
		fmt.Println("FAILED to connect:", err)
		os.Exit(1)
	}
	check("create and list a topic; what no topic can be is refused", create)
	check("produce with every codec and every acks", codecs)
	check("produce with idempotence", idempotence)
	check("null keys, null values, headers", nullsAndHeaders)
	check("a large record passes, a larger one is refused", large)
	check("offsets by time and the end; an offset out of range", offsets)
	check("a group of two shares the partitions, one alone gets them all back", groupOfTwo)
	check("a group goes on where it committed", resume)
	check("transactions, committed and aborted", transaction)
	check("a group and a topic are deleted", remove)
	if failures > 0 {
		os.Exit(1)
	}
}
