//! rskafka: topics, every codec, keys, headers, null values, offsets by time, records deleted, errors. It has no groups.
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;

use rskafka::chrono::{DateTime, Duration, Utc};
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::{Record, RecordAndOffset};

type Outcome = Result<(), String>;

struct Story {
    client: Client,
    topic: String,
    start: DateTime<Utc>,
}

async fn check(failures: &mut i32, name: &str, body: impl Future<Output = Outcome>) {
    match tokio::time::timeout(std::time::Duration::from_secs(40), body).await {
        Ok(Ok(())) => println!("ok {name}"),
        Ok(Err(reason)) => {
            *failures += 1;
            println!("FAILED {name}: {reason}");
        }
        Err(_) => {
            *failures += 1;
            println!("FAILED {name}: not within 40 s");
        }
    }
}

fn text<T: Debug>(error: T) -> String {
    format!("{error:?}")
}

fn equal<T: PartialEq + Debug>(got: T, want: T) -> Outcome {
    if got == want {
        return Ok(());
    }
    Err(format!("{got:.300?} instead of {want:.300?}"))
}

fn refused<T: Debug>(result: Result<T, Error>, want: ProtocolError) -> Outcome {
    match result {
        Err(Error::ServerError { protocol_error, .. }) => equal(protocol_error, want),
        other => Err(format!("{other:?} instead of {want:?}")),
    }
}

impl Story {
    async fn partition(&self, topic: &str) -> Result<PartitionClient, Error> {
        self.client
            .partition_client(topic, 0, UnknownTopicHandling::Error)
            .await
    }

    fn record(&self, key: Option<&str>, value: Option<&str>, at: i64) -> Record {
        Record {
            key: key.map(|k| k.as_bytes().to_vec()),
            value: value.map(|v| v.as_bytes().to_vec()),
            headers: BTreeMap::new(),
            timestamp: self.start + Duration::milliseconds(at),
        }
    }

    async fn read(&self, from: i64, count: usize) -> Result<Vec<RecordAndOffset>, String> {
        let partition = self.partition(&self.topic).await.map_err(text)?;
        let mut records: Vec<RecordAndOffset> = vec![];
        while records.len() < count {
            let at = records.last().map_or(from, |r| r.offset + 1);
            records.extend(
                partition
                    .fetch_records(at, 1..1_000_000, 1000)
                    .await
                    .map_err(text)?
                    .0,
            );
        }
        records.truncate(count);
        Ok(records)
    }

    async fn create(&self) -> Outcome {
        let controller = self.client.controller_client().map_err(text)?;
        controller
            .create_topic(&self.topic, 2, 1, 5000)
            .await
            .map_err(text)?;
        let topics = self.client.list_topics().await.map_err(text)?;
        let found = topics
            .iter()
            .find(|t| t.name == self.topic)
            .ok_or("the topic is not listed")?;
        equal(found.partitions.len(), 2)?;
        refused(
            controller.create_topic(&self.topic, 2, 1, 5000).await,
            ProtocolError::TopicAlreadyExists,
        )?;
        refused(
            controller.create_topic("bad name", 1, 1, 5000).await,
            ProtocolError::InvalidTopicException,
        )
    }

    async fn codecs(&self) -> Outcome {
        let partition = self.partition(&self.topic).await.map_err(text)?;
        let mut sent = vec![];
        for codec in [
            Compression::NoCompression,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ] {
            let first = sent.len() as i64;
            let records: Vec<Record> = (first..first + 20)
                .map(|i| self.record(Some("key"), Some(&format!("{codec:?} {i}")), i))
                .collect();
            let offsets = partition
                .produce(records.clone(), codec)
                .await
                .map_err(text)?;
            equal(offsets, (first..first + 20).collect())?;
            sent.extend(records);
        }
        let got = self.read(0, sent.len()).await?;
        equal(got.into_iter().map(|r| r.record).collect::<Vec<_>>(), sent)
    }

    async fn nulls(&self) -> Outcome {
        let partition = self.partition(&self.topic).await.map_err(text)?;
        let mut last = self.record(Some(""), Some("headers"), 103);
        last.headers.insert("a".into(), b"1".to_vec());
        last.headers.insert("empty".into(), vec![]);
        let records = vec![
            self.record(Some("k"), None, 100),
            self.record(None, Some("v"), 101),
            self.record(None, None, 102),
            last,
        ];
        partition
            .produce(records.clone(), Compression::NoCompression)
            .await
            .map_err(text)?;
        let got = self.read(100, 4).await?;
        equal(
            got.into_iter().map(|r| r.record).collect::<Vec<_>>(),
            records,
        )
    }

    async fn large(&self) -> Outcome {
        let partition = self.partition(&self.topic).await.map_err(text)?;
        let large = self.record(None, Some(&"x".repeat(900_000)), 104);
        partition
            .produce(vec![large.clone()], Compression::NoCompression)
            .await
            .map_err(text)?;
        equal(self.read(104, 1).await?.remove(0).record, large)?;
        let larger = self.record(None, Some(&"x".repeat(1_200_000)), 105);
        refused(
            partition
                .produce(vec![larger], Compression::NoCompression)
                .await,
            ProtocolError::MessageTooLarge,
        )
    }

    async fn offsets(&self) -> Outcome {
        let partition = self.partition(&self.topic).await.map_err(text)?;
        equal(
            partition
                .get_offset(OffsetAt::Earliest)
                .await
                .map_err(text)?,
            0,
        )?;
        equal(
            partition.get_offset(OffsetAt::Latest).await.map_err(text)?,
            105,
        )?;
        let at = OffsetAt::Timestamp(self.start + Duration::milliseconds(50));
        equal(partition.get_offset(at).await.map_err(text)?, 50)?;
        refused(
            partition.fetch_records(1_000_000, 1..1000, 100).await,
            ProtocolError::OffsetOutOfRange,
        )?;
        partition.delete_records(10, 5000).await.map_err(text)?;
        equal(
            partition
                .get_offset(OffsetAt::Earliest)
                .await
                .map_err(text)?,
            10,
        )?;
        refused(
            partition.fetch_records(5, 1..1000, 100).await,
            ProtocolError::OffsetOutOfRange,
        )
    }

    async fn remove(&self) -> Outcome {
        let controller = self.client.controller_client().map_err(text)?;
        controller
            .delete_topic(&self.topic, 5000)
            .await
            .map_err(text)?;
        refused(
            controller.delete_topic("unknown", 5000).await,
            ProtocolError::UnknownTopicOrPartition,
        )
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let client = ClientBuilder::new(vec![arguments[1].clone()])
        .build()
        .await
        .expect("no connection");
    // Kafka keeps milliseconds.
    let now = std::time::UNIX_EPOCH
        .elapsed()
        .expect("a clock")
        .as_millis() as i64;
    let start = DateTime::from_timestamp_millis(now - 3_600_000).expect("a time");
    let story = Story {
        client,
        topic: format!("topic-{}", arguments[2]),
        start,
    };
    let mut failures = 0;
    check(
        &mut failures,
        "create and list a topic; what no topic can be is refused",
        story.create(),
    )
    .await;
    check(&mut failures, "produce with every codec", story.codecs()).await;
    check(
        &mut failures,
        "null keys, null values, empty ones, headers",
        story.nulls(),
    )
    .await;
    check(
        &mut failures,
        "a large record passes, a larger one is refused",
        story.large(),
    )
    .await;
    check(
        &mut failures,
        "offsets by time; out of range; records deleted",
        story.offsets(),
    )
    .await;
    check(&mut failures, "a topic is deleted", story.remove()).await;
    std::process::exit(i32::from(failures > 0));
}
