//! kcat: list, produce and consume, in every compression.

use anyhow::{Result, ensure};
use tidelog_cluster_tests::external::kcat;
use tidelog_cluster_tests::{Spec, scenario};

#[test]
fn kcat_lists_brokers_topics_and_in_sync_replicas() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic("listed", 2)?;
        let listing: serde_json::Value =
            serde_json::from_str(&kcat(&["-L", "-J", "-b", &cluster.address(1)], "")?.stdout)?;
        ensure!(listing["brokers"].as_array().is_some_and(|brokers| brokers.len() == 3), "{listing}");
        let topics = listing["topics"].as_array().cloned().unwrap_or_default();
        let topic = topics.iter().find(|topic| topic["topic"] == "listed").cloned().unwrap_or_default();
        let partitions = topic["partitions"].as_array().cloned().unwrap_or_default();
        ensure!(partitions.len() == 2, "{listing}");
        ensure!(partitions.iter().all(|p| p["isrs"].as_array().is_some_and(|isrs| isrs.len() == 3)), "{listing}");
        Ok(())
    });
}

#[test]
fn kcat_produces_and_consumes_in_every_compression() {
    scenario(Spec::brokers(3), |cluster| {
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let topic = format!("codec-{codec}");
            cluster.create_topic(&topic, 1)?;
            round_trip(&cluster.bootstrap(), &topic, codec)?;
        }
        Ok(())
    });
}

fn round_trip(bootstrap: &str, topic: &str, codec: &str) -> Result<()> {
    let lines: String = (0..500).map(|n| format!("key-{n}:value-{n}-{}\n", "compressible".repeat(10))).collect();
    let broker = ["-b", bootstrap, "-t", topic];
    kcat(&[&broker[..], &["-P", "-z", codec, "-K", ":", "-H", "a=1", "-H", "b=2", "-X", "acks=all"]].concat(), &lines)?;
    let all = kcat(&[&broker[..], &["-C", "-q", "-e", "-o", "beginning", "-f", "%k:%s\n"]].concat(), "")?;
    ensure!(all.stdout == lines, "{codec}: {} bytes came back instead of {}", all.stdout.len(), lines.len());
    let last = kcat(&[&broker[..], &["-C", "-q", "-e", "-o", "-1", "-f", "%o %k %h\n"]].concat(), "")?;
    ensure!(last.stdout == "499 key-499 a=1,b=2\n", "{codec}: {}", last.stdout);
    Ok(())
}

#[test]
fn kcat_finds_offsets_by_time() {
    scenario(Spec::brokers(3), |cluster| {
        cluster.create_topic("timed", 1)?;
        let broker = ["-b", &cluster.bootstrap(), "-t", "timed"];
        kcat(&[&broker[..], &["-P"]].concat(), "one\ntwo\nthree\n")?;
        let from_start = kcat(&[&broker[..], &["-C", "-q", "-e", "-o", "s@1000"]].concat(), "")?;
        ensure!(from_start.stdout == "one\ntwo\nthree\n", "{}", from_start.stdout);
        let asked = kcat(&["-b", &cluster.bootstrap(), "-Q", "-t", "timed:0:1000"], "")?;
        ensure!(asked.text().contains("timed [0] offset 0"), "{}", asked.text());
        Ok(())
    });
}
