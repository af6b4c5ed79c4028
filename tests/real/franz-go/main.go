// franz-go: topics, codecs and acks, keys, headers, offsets by time, a group of two, resuming, transactions, errors.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	bootstrap, topic, group string
	failures                int
	admin                   *kadm.Client
	sent                    []string
	base                    = time.Now().Add(-time.Hour).Truncate(time.Millisecond)
)

func check(name string, body func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	if err := body(ctx); err != nil {
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

func client(options ...kgo.Opt) *kgo.Client {
	always := []kgo.Opt{kgo.SeedBrokers(bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner())}
	c, err := kgo.NewClient(append(always, options...)...)
	if err != nil {
		panic(err)
	}
	return c
}

func send(ctx context.Context, records []*kgo.Record, options ...kgo.Opt) error {
	c := client(options...)
	defer c.Close()
	return c.ProduceSync(ctx, records...).FirstErr()
}

func read(ctx context.Context, partition int32, at kgo.Offset, count int, more ...kgo.Opt) ([]*kgo.Record, error) {
	c := client(append(more, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: at}}))...)
	defer c.Close()
	var records []*kgo.Record
	for len(records) < count {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return records, err
		}
		records = append(records, fetches.Records()...)
	}
	return records, nil
}

func create(ctx context.Context) error {
	size := "2000000"
	if _, err := admin.CreateTopic(ctx, 2, 1, map[string]*string{"max.message.bytes": &size}, topic); err != nil {
		return err
	}
	details, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return err
	}
	if err := equal(len(details[topic].Partitions), 2); err != nil {
		return err
	}
	if _, err := admin.CreateTopic(ctx, 2, 1, nil, topic); !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("the topic again: %v", err)
	}
	_, err = admin.CreateTopic(ctx, 2, 1, nil, "bad name")
	return refused(err, kerr.InvalidTopicException)
}

func codecs(ctx context.Context) error {
	for _, codec := range []struct {
		name string
		kind kgo.CompressionCodec
	}{{"none", kgo.NoCompression()}, {"gzip", kgo.GzipCompression()}, {"snappy", kgo.SnappyCompression()},
		{"lz4", kgo.Lz4Compression()}, {"zstd", kgo.ZstdCompression()}} {
		for i, acks := range []kgo.Acks{kgo.NoAck(), kgo.LeaderAck(), kgo.AllISRAcks()} {
			var records []*kgo.Record
			for n := 0; n < 20; n++ {
				sent = append(sent, fmt.Sprintf("%s %d %d", codec.name, i, n))
				records = append(records, &kgo.Record{Topic: topic, Key: []byte(codec.name),
					Value:     []byte(sent[len(sent)-1]),
					Timestamp: base.Add(time.Duration(len(sent)-1) * time.Millisecond)})
			}
			err := send(ctx, records, kgo.ProducerBatchCompression(codec.kind), kgo.RequiredAcks(acks),
				kgo.DisableIdempotentWrite())
			if err != nil {
				return err
			}
			// Without an answer the next client's connection could overtake this one.
			if err := until(func() bool {
				ends, err := admin.ListEndOffsets(ctx, topic)
				end, ok := ends.Lookup(topic, 0)
				return err == nil && ok && end.Offset == int64(len(sent))
			}); err != nil {
				return err
			}
		}
	}
	records, err := read(ctx, 0, kgo.NewOffset().AtStart(), len(sent))
	if err != nil {
		return err
	}
	var got []string
	for i, record := range records {
		got = append(got, string(record.Value))
		if record.Offset != int64(i) || !record.Timestamp.Equal(base.Add(time.Duration(i)*time.Millisecond)) {
			return fmt.Errorf("record %d has offset %d, time %v", i, record.Offset, record.Timestamp)
		}
	}
	return equal(got, sent)
}

func idempotence(ctx context.Context) error {
	var records []*kgo.Record
	for i := 0; i < 200; i++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: 1, Value: fmt.Appendf(nil, "once %d", i)})
	}
	if err := send(ctx, records); err != nil {
		return err
	}
	return equal(records[199].Offset, 199)
}

func nullsAndHeaders(ctx context.Context) error {
	headers := []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte{}}, {Key: "null"}}
	if err := send(ctx, []*kgo.Record{
		{Topic: topic, Partition: 1, Key: []byte("k")},
		{Topic: topic, Partition: 1, Value: []byte("v")},
		{Topic: topic, Partition: 1, Key: []byte{}, Value: []byte{}},
		{Topic: topic, Partition: 1, Value: []byte("h"), Headers: headers},
	}); err != nil {
		return err
	}
	records, err := read(ctx, 1, kgo.NewOffset().At(200), 4)
	if err != nil {
		return err
	}
	text := func(b []byte) string {
		if b == nil {
			return "-"
		}
		return "'" + string(b) + "'"
	}
	var got []string
	for _, record := range records {
		line := text(record.Key) + text(record.Value)
		for _, header := range record.Headers {
			line += " " + header.Key + text(header.Value)
		}
		got = append(got, line)
	}
	return equal(strings.Join(got, "; "), "'k'-; -'v'; ''''; -'h' a'1' a'' null-")
}

func large(ctx context.Context) error {
	value := []byte(strings.Repeat("x", 1_750_000))
	big := []kgo.Opt{kgo.ProducerBatchMaxBytes(4_000_000), kgo.ProducerBatchCompression(kgo.NoCompression())}
	if err := send(ctx, []*kgo.Record{{Topic: topic, Partition: 1, Value: value}}, big...); err != nil {
		return err
	}
	err := send(ctx, []*kgo.Record{{Topic: topic, Partition: 1, Value: append(value, value...)}}, big...)
	if err := refused(err, kerr.MessageTooLarge); err != nil {
		return err
	}
	records, err := read(ctx, 1, kgo.NewOffset().At(204), 1, kgo.FetchMaxPartitionBytes(1000))
	if err != nil {
		return err
	}
	return equal(len(records[0].Value), len(value))
}

func offsets(ctx context.Context) error {
	later := time.Now().Add(time.Hour).UnixMilli()
	for at, want := range map[int64]int64{base.UnixMilli() + 100: 100, later: int64(len(sent))} {
		listed, err := admin.ListOffsetsAfterMilli(ctx, at, topic)
		if err != nil {
			return err
		}
		offset, _ := listed.Lookup(topic, 0)
		if err := equal(offset.Offset, want); err != nil {
			return err
		}
	}
	records, err := read(ctx, 0, kgo.NewOffset().AfterMilli(base.UnixMilli()+100), 1)
	if err != nil {
		return err
	}
	return equal(records[0].Offset, 100)
}

// A member of the group: what it holds, what it read.
type member struct {
	sync.Mutex
	client *kgo.Client
	held   map[int32]bool
	read   map[string]bool
	done   chan struct{}
}

func join() *member {
	m := &member{held: map[int32]bool{}, read: map[string]bool{}, done: make(chan struct{})}
	change := func(holds bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			m.Lock()
			defer m.Unlock()
			for _, partition := range partitions[topic] {
				if holds {
					m.held[partition] = true
				} else {
					delete(m.held, partition)
				}
			}
		}
	}
	m.client = client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.HeartbeatInterval(300*time.Millisecond), kgo.OnPartitionsAssigned(change(true)),
		kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)))
	go func() {
		defer close(m.done)
		for {
			fetches := m.client.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			m.Lock()
			fetches.EachRecord(func(r *kgo.Record) { m.read[fmt.Sprintf("%d:%d", r.Partition, r.Offset)] = true })
			m.Unlock()
			if err := m.client.CommitUncommittedOffsets(context.Background()); err != nil {
				fmt.Println("commit:", err)
			}
		}
	}()
	return m
}

func (m *member) holds() string {
	m.Lock()
	defer m.Unlock()
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
	m.client.Close()
	<-m.done
}

func groupOfTwo(ctx context.Context) error {
	one := join()
	defer one.stop()
	if err := until(func() bool { return one.holds() == "map[0:true 1:true]" }); err != nil {
		return err
	}
	two := join()
	err := until(func() bool {
		a, b := one.holds(), two.holds()
		return len(a) == len("map[0:true]") && len(b) == len(a) && a != b
	})
	if err == nil {
		var described kadm.DescribedGroups
		described, err = admin.DescribeGroups(ctx, group)
		if err == nil {
			err = equal(fmt.Sprint(described[group].State, len(described[group].Members)), "Stable2")
		}
	}
	two.stop()
	if err != nil {
		return err
	}
	if err := until(func() bool { return one.holds() == "map[0:true 1:true]" }); err != nil {
		return err
	}
	return until(func() bool {
		both := map[string]bool{}
		for _, key := range append(one.has(), two.has()...) {
			both[key] = true
		}
		return len(both) == len(sent)+205
	})
}

func resume(ctx context.Context) error {
	if err := send(ctx, []*kgo.Record{{Topic: topic, Value: []byte("late")}}); err != nil {
		return err
	}
	three := join()
	err := until(func() bool { return len(three.has()) > 0 })
	time.Sleep(300 * time.Millisecond)
	three.stop()
	if err != nil {
		return err
	}
	if err := equal(three.has(), []string{fmt.Sprintf("0:%d", len(sent))}); err != nil {
		return err
	}
	committed, err := admin.FetchOffsets(ctx, group)
	if err != nil {
		return err
	}
	first, _ := committed.Lookup(topic, 0)
	second, _ := committed.Lookup(topic, 1)
	return equal(fmt.Sprint(first.At, second.At), fmt.Sprint(len(sent)+1, 205))
}

func transaction(ctx context.Context) error {
	c := client(kgo.TransactionalID("tx-"+topic), kgo.TransactionTimeout(10*time.Second))
	defer c.Close()
	for i, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit, kgo.TryAbort} {
		if err := c.BeginTransaction(); err != nil {
			return err
		}
		record := &kgo.Record{Topic: topic, Partition: 1, Value: fmt.Appendf(nil, "tx %d", i)}
		if err := c.ProduceSync(ctx, record).FirstErr(); err != nil {
			return err
		}
		if err := c.EndTransaction(ctx, end); err != nil {
			return err
		}
	}
	if err := send(ctx, []*kgo.Record{{Topic: topic, Partition: 1, Value: []byte("end")}}); err != nil {
		return err
	}
	committed, err := read(ctx, 1, kgo.NewOffset().At(205), 2, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	all, err := read(ctx, 1, kgo.NewOffset().At(205), 4)
	if err != nil {
		return err
	}
	return equal(fmt.Sprintf("%s, %s of %d", committed[0].Value, committed[1].Value, len(all)), "tx 1, end of 4")
}

func remove(ctx context.Context) error {
	if _, err := admin.DeleteGroup(ctx, group); err != nil {
		return err
	}
	groups, err := admin.ListGroups(ctx)
	if err != nil {
		return err
	}
	if _, there := groups[group]; there {
		return errors.New("the group is still listed")
	}
	if _, err := admin.DeleteTopic(ctx, topic); err != nil {
		return err
	}
	_, err = admin.DeleteTopic(ctx, "unknown-"+topic)
	return refused(err, kerr.UnknownTopicOrPartition)
}

func main() {
	bootstrap, topic, group = os.Args[1], "topic-"+os.Args[2], "group-"+os.Args[2]
	c := client()
	admin = kadm.NewClient(c)
	check("create and list a topic; what no topic can be is refused", create)
	check("produce with every codec and every acks", codecs)
	check("produce with idempotence", idempotence)
	check("null keys, null values, empty ones, headers", nullsAndHeaders)
	check("a large record passes, a larger one is refused", large)
	check("offsets by time and the end", offsets)
	check("a group of two shares the partitions, one alone gets them all back", groupOfTwo)
	check("a group goes on where it committed", resume)
	check("transactions, committed and aborted", transaction)
	check("a group and a topic are deleted", remove)
	check("an unknown topic", func(ctx context.Context) error {
		err := send(ctx, []*kgo.Record{{Topic: "unknown-" + topic}}, kgo.UnknownTopicRetries(1))
		return refused(err, kerr.UnknownTopicOrPartition)
	})
	c.Close()
	if failures > 0 {
		os.Exit(1)
	}
}
