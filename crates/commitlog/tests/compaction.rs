//! Compaction: what stays, what goes, and every state in which a crash may leave the files.

mod support;

use std::path::Path;
use std::sync::Arc;

use support::compacted::*;
use support::*;
use tidelog_commitlog::disk::{Disk, OpenMode, SimDisk};
use tidelog_commitlog::{CleanError, CleanerLimits, Log, LogConfig, LogId, ReadError, ReadStart};
use tidelog_wire::Uuid;
use tidelog_wire::compression::Compression;
use tidelog_wire::record::BatchBuilder;
use tidelog_wire::types::{Offset, ProducerEpoch, ProducerId};

#[test]
fn the_last_value_of_each_key_stays_at_its_offset() {
    let disk = SimDisk::default();
    let mut dir = Dir::on(Arc::new(disk), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    for codec in CODECS {
        append(&mut log, batch_of(codec, &[value(1, "a"), value(2, "b"), value(1, "c")]));
    }
    let kept = Written { has_header: true, ..value(3, "with a header") };
    append(&mut log, batch_of(Compression::Zstd, &[kept, value(1, "last")]));
    roll(&mut log);
    let end = log.log_end_offset();
    let stats = clean(&mut log, NOW_MS);
    assert!(stats.written_bytes < stats.read_bytes);
    assert_eq!(keys_and_offsets(&mut log), [(2, 13), (3, 15), (1, 16)]);
    let with_header = all_records(&mut log).into_iter().find(|record| record.offset == Offset(15)).unwrap();
    assert_eq!((with_header.headers, with_header.timestamp_ms), (vec![header()], NOW_MS));
    assert_eq!(log.log_end_offset(), end);
    assert!(log.begin_cleaning(NOW_MS, end).unwrap().is_none(), "all of it is clean");

    dir.kill(log);
    let (mut log, report) = dir.log(&compacted());
    assert_eq!(report.unclean, []);
    assert_eq!(keys_and_offsets(&mut log), [(2, 13), (3, 15), (1, 16)]);
    // A reader at any offset gets on, in gaps too.
    for from in 0..end.0 {
        let live =
            records_from(&mut log, Offset(from)).into_iter().filter(|record| record.key.as_deref() != Some(&[255]));
        let expected = [13, 15, 16].into_iter().filter(|offset| *offset >= from).collect::<Vec<_>>();
        assert_eq!(live.map(|record| record.offset.0).collect::<Vec<_>>(), expected, "from {from}");
    }
}

#[test]
fn a_tombstone_stays_for_its_time_and_hides_what_it_deletes() {
    let dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    append(&mut log, batch_of(Compression::Lz4, &[value(1, "a"), value(2, "b"), tombstone(1)]));
    roll(&mut log);
    clean(&mut log, NOW_MS);
    assert_eq!(keys_and_offsets(&mut log), [(2, 1), (1, 2)]);
    let first = log.read(Offset(0), log.log_end_offset(), 1, true).unwrap();
    let first = headers(&first)[0];
    assert!(first.attributes.has_delete_horizon());
    assert_eq!((first.base_timestamp, first.max_timestamp), (NOW_MS + RETENTION_MS, NOW_MS + 2));
    assert_eq!(all_records(&mut log)[1].timestamp_ms, NOW_MS + 2, "timestamps survive the horizon");

    roll(&mut log);
    clean(&mut log, NOW_MS + RETENTION_MS - 1);
    assert_eq!(keys_and_offsets(&mut log), [(2, 1), (1, 2)]);
    roll(&mut log);
    clean(&mut log, NOW_MS + RETENTION_MS);
    assert_eq!(keys_and_offsets(&mut log), [(2, 1)]);
}

#[test]
fn more_keys_than_fit_take_several_cleanings() {
    let dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    for round in ["first", "second"] {
        for key in 0..100 {
            append(&mut log, batch_of(Compression::None, &[value(key, round)]));
        }
    }
    roll(&mut log);
    let limits = CleanerLimits { dedupe_buffer_bytes: 24 * 32 };
    let mut cleanings = 0;
    while let Some(stats) = clean_with(&mut log, NOW_MS, &limits).unwrap() {
        assert!(stats.mapped_keys <= 32);
        cleanings += 1;
    }
    assert!(cleanings > 5, "{cleanings}");
    let expected: Vec<_> = (0..100u8).map(|key| (key, 100 + i64::from(key))).collect();
    assert_eq!(keys_and_offsets(&mut log), expected);
}

#[test]
fn what_is_not_committed_or_too_young_is_not_touched() {
    let dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let config = LogConfig { min_compaction_lag_ms: 500, max_compaction_lag_ms: 5000, ..compacted() };
    let (mut log, _) = dir.log(&config);
    append(&mut log, batch_of(Compression::None, &[value(1, "a"), value(1, "b")]));
    roll(&mut log);
    assert!(log.begin_cleaning(NOW_MS, log.durable_end()).unwrap().is_none(), "too young");
    assert!(log.begin_cleaning(NOW_MS + 9000, Offset(1)).unwrap().is_none(), "not committed");
    let cleanable = log.cleanable(NOW_MS + 9000, log.durable_end()).unwrap().unwrap();
    assert!(cleanable.dirty_bytes > 0 && cleanable.dirty_ratio() == 1.0);
    assert_eq!(cleanable.overdue_ms, 3999);
    clean(&mut log, NOW_MS + 9000);
    assert_eq!(keys_and_offsets(&mut log), [(1, 1)]);
}

#[test]
fn a_producer_is_not_forgotten_with_its_records_and_markers_stay() {
    let mut dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    append(&mut log, idempotent(7, 0, 0, 3));
    let marker = |offset: Offset| {
        let mut builder = BatchBuilder::default().base_offset(offset).leader_epoch(EPOCH).control();
        builder = builder.producer(ProducerId(9), ProducerEpoch(0), -1).transactional();
        builder.append(NOW_MS, Some(&[0, 0, 0, 1]), Some(&[0, 0, 0, 0, 0, 0]), &[]);
        builder.build().unwrap()
    };
    log.append_as_follower(marker(Offset(3)), NOW_MS).unwrap();
    append(&mut log, build(BatchBuilder::default(), 1, 10, NOW_MS));
    roll(&mut log);
    clean(&mut log, NOW_MS);
    let found = headers(&contents(&mut log));
    assert_eq!((found[0].producer_id, found[0].record_count, found[0].last_sequence()), (ProducerId(7), 0, 2));
    assert!(found[1].attributes.is_control() && found[1].record_count == 1);
    dir.kill(log);
    let (mut log, _) = dir.log(&compacted());
    assert!(log.append_as_leader(idempotent(7, 0, 0, 3), EPOCH, NOW_MS).unwrap().duplicate);
    append(&mut log, idempotent(7, 0, 3, 1));
}

#[test]
fn an_emptied_batch_is_not_found_by_its_timestamp_but_ages_by_it() {
    const HOUR_MS: i64 = 3_600_000;
    let mut dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let config = LogConfig { cleanup_delete: true, retention_ms: 2 * HOUR_MS, ..compacted() };
    let (mut log, _) = dir.log(&config);
    let producer = BatchBuilder::default().producer(ProducerId(7), ProducerEpoch(0), 0);
    // One batch fills a segment. The first is the latest by its clock.
    append(&mut log, build(producer, 1, 1800, NOW_MS + HOUR_MS));
    for _ in 0..2 {
        append(&mut log, build(BatchBuilder::default(), 1, 1800, NOW_MS));
    }
    log.flush().unwrap();
    let end = log.log_end_offset();
    clean(&mut log, NOW_MS);
    for _ in 0..2 {
        assert_eq!(headers(&contents(&mut log))[0].record_count, 0);
        let newest = log.max_timestamp(end).unwrap().unwrap();
        assert_eq!((newest.timestamp_ms, newest.offset), (NOW_MS, Offset(1)));
        assert_eq!(log.offset_for_timestamp(NOW_MS + 1, end).unwrap(), None);
        dir.kill(log);
        log = dir.log(&config).0;
    }
    log.apply_retention(NOW_MS + 2 * HOUR_MS + 1, end).unwrap();
    assert_eq!(log.log_start_offset(), Offset(0), "what was written after the others is not too old");
    log.apply_retention(NOW_MS + 3 * HOUR_MS + 1, end).unwrap();
    assert_eq!(log.log_start_offset(), end);
}

#[test]
fn a_record_without_a_key_is_refused() {
    let dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    for codec in CODECS {
        let mut builder = BatchBuilder::new(codec);
        builder.append(NOW_MS, Some(b"k"), Some(b"v"), &[]);
        builder.append(NOW_MS, None, Some(b"v"), &[]);
        log.append_as_leader(builder.build().unwrap(), EPOCH, NOW_MS).expect_err("it has no key");
    }
    assert_eq!(log.log_end_offset(), Offset(0));
}

#[test]
fn a_follower_takes_over_a_log_with_gaps_and_is_cut_inside_of_one() {
    let dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let (mut leader, _) = dir.log(&compacted());
    for round in 0..30 {
        let count = 3 + round % 3;
        append(&mut leader, batch_of(CODECS[round % 5], &vec![value((round % 2) as u8, "x"); count]));
    }
    roll(&mut leader);
    clean(&mut leader, NOW_MS);
    let other = Dir::on(Arc::new(SimDisk::default()), Path::new("/other"));
    let (mut follower, _) = other.log(&compacted());
    while follower.log_end_offset() < leader.log_end_offset() {
        let read = leader.read(follower.log_end_offset(), leader.log_end_offset(), 1, true).unwrap();
        follower.append_as_follower(read, NOW_MS).unwrap();
    }
    assert_eq!(all_records(&mut follower), all_records(&mut leader));
    follower.flush().unwrap();
    let batches = headers(&contents(&mut follower));
    let gap = batches.windows(2).find(|pair| pair[1].base_offset > pair[0].next_offset()).expect("there is a gap");
    follower.truncate_to(gap[1].base_offset + -1).unwrap();
    assert_eq!(follower.log_end_offset(), gap[0].next_offset());
    let read = leader.read(follower.log_end_offset(), leader.log_end_offset(), 1, true).unwrap();
    follower.append_as_follower(read, NOW_MS).unwrap();
}

#[test]
fn a_log_that_is_cut_or_trimmed_meanwhile_stays_as_it_is() {
    let dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    for round in 0..60 {
        append(&mut log, batch_of(Compression::None, &[value(round % 3, &"x".repeat(100))]));
    }
    roll(&mut log);
    let operations: [fn(&mut Log); 2] =
        [|log| drop(log.advance_log_start(Offset(40), NOW_MS).unwrap()), |log| log.truncate_to(Offset(50)).unwrap()];
    for operation in operations {
        let job = log.begin_cleaning(NOW_MS, log.durable_end()).unwrap().expect("it is dirty");
        assert!(log.begin_cleaning(NOW_MS, log.durable_end()).unwrap().is_none(), "one at a time");
        operation(&mut log);
        let before = contents(&mut log);
        let cleaned = job.run(&CleanerLimits::default(), &mut |_| {});
        assert!(matches!(log.finish_cleaning(cleaned, NOW_MS), Err(CleanError::Cancelled)));
        assert_eq!(contents(&mut log), before);
        roll(&mut log);
    }
}

#[test]
fn a_read_that_was_overtaken_by_a_swap_is_to_be_repeated() {
    let dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    for round in 0..60 {
        append(&mut log, batch_of(Compression::None, &[value(round % 3, &"x".repeat(100))]));
    }
    roll(&mut log);
    let end = log.log_end_offset();
    let ReadStart::Cold(job) = log.begin_read(Offset(5), end, 1 << 20, true).unwrap() else {
        panic!("the position is not in memory");
    };
    clean(&mut log, NOW_MS);
    assert!(matches!(job.run(), Err(ReadError::Replaced)));
}

#[test]
fn a_real_directory_is_compacted_in_kafkas_files() {
    let temp = tempfile::tempdir().unwrap();
    let mut dir = Dir::real(temp.path());
    let (mut log, _) = dir.log(&compacted());
    for round in 0..100u8 {
        append(&mut log, batch_of(CODECS[usize::from(round) % 5], &[value(round % 7, "x"), value(round % 5, "y")]));
    }
    roll(&mut log);
    let stats = clean(&mut log, NOW_MS);
    dir.log_dir().write_cleaner_checkpoint().unwrap();
    let checkpoint = std::fs::read_to_string(temp.path().join("cleaner-offset-checkpoint")).unwrap();
    assert_eq!(checkpoint, format!("0\n1\nsample 0 {} {}\n", stats.cleaned_up_to, id().topic_id));
    let before = keys_and_offsets(&mut log);
    assert_eq!(before.len(), 7);
    let names: Vec<_> = std::fs::read_dir(dir.log_path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_str().unwrap().ends_with(".cleaned")), "{names:?}");
    dir.restart(log);
    let (mut log, report) = dir.log(&compacted());
    assert_eq!(report, Default::default());
    assert_eq!((keys_and_offsets(&mut log), log.first_dirty_offset()), (before, stats.cleaned_up_to));

    // The checkpoint of a topic that was deleted says nothing of one made anew under its name.
    std::fs::remove_dir_all(dir.log_path()).unwrap();
    dir.kill(log);
    let (mut log, _) = dir.log_of(&LogId { topic_id: Uuid::from_u128(0x71), ..id() }, &compacted());
    roll(&mut log);
    assert_eq!(log.first_dirty_offset(), Offset(0));
}

/// Every state of the files in which a crash may leave the swap, made by hand.
#[test]
fn recovery_finishes_or_forgets_a_swap_in_each_of_its_states() {
    for state in 0..6 {
        let disk = SimDisk::default();
        let mut dir = Dir::on(Arc::new(disk.clone()), Path::new("/data"));
        let (mut log, _) = dir.log(&compacted());
        for round in 0..40 {
            append(&mut log, batch_of(Compression::None, &[value(round % 3, &"x".repeat(200))]));
        }
        roll(&mut log);
        let (path, before) = (dir.log_path(), keys_and_offsets(&mut log));
        let cleaned =
            log.begin_cleaning(NOW_MS, log.durable_end()).unwrap().unwrap().run(&CleanerLimits::default(), &mut |_| {});
        let names: Vec<String> = disk.list(&path).unwrap().into_iter().map(|entry| entry.name).collect();
        let names: Vec<String> = names.into_iter().filter(|name| name.starts_with('0')).collect();
        let file = |name: &str| path.join(name);
        let bases: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(".log.cleaned")).collect();
        assert!(!bases.is_empty());
        let dirty_end = format!("{:020}", cleaned.result().as_ref().unwrap().cleaned_up_to.0);
        // 1: committed; 2: the first old file of each is gone; 3: all; 4: renamed without indexes; 5: half a file.
        for base in &bases {
            let log_file = file(&format!("{base}.log"));
            let next = bases.iter().find(|next| *next > base);
            let is_old = |name: &&String| {
                let of = &name[..20];
                let end = next.copied().unwrap_or(dirty_end.as_str());
                let is_its_log = of == *base && name.ends_with(".log");
                !name.ends_with(".cleaned") && (is_its_log || of > *base && of < end)
            };
            if (1..5).contains(&state) {
                disk.rename(&file(&format!("{base}.log.cleaned")), &file(&format!("{base}.log.swap"))).unwrap();
            }
            if (2..5).contains(&state) {
                let mut old = names.iter().filter(is_old);
                let count = if state == 2 { 1 } else { usize::MAX };
                old.by_ref().take(count).for_each(|name| disk.remove_file(&file(name)).unwrap());
            }
            if state == 4 {
                disk.remove_file(&file(&format!("{base}.index"))).unwrap();
                disk.remove_file(&file(&format!("{base}.timeindex"))).unwrap();
                disk.rename(&file(&format!("{base}.log.swap")), &log_file).unwrap();
            }
            if state == 5 {
                disk.open(&file(&format!("{base}.log.cleaned")), OpenMode::Existing).unwrap().set_len(70).unwrap();
            }
        }
        drop(cleaned);
        disk.sync_all(&path).unwrap();
        dir.kill(log);
        let (mut log, report) = dir.log(&compacted());
        assert_eq!((&report.unclean[..], log.damage()), (&[][..], None), "state {state}");
        let after = keys_and_offsets(&mut log);
        match state {
            0 | 5 => assert_eq!(after, before, "state {state}"),
            _ => assert_eq!(after, [(1, 37), (2, 38), (0, 39)], "state {state}"),
        }
        let left: Vec<_> = disk.list(&path).unwrap().into_iter().map(|entry| entry.name).collect();
        assert!(left.iter().all(|name| !name.ends_with(".cleaned") && !name.ends_with(".swap")), "{left:?}");
        while clean_with(&mut log, NOW_MS, &CleanerLimits::default()).unwrap().is_some() {}
        assert_eq!(keys_and_offsets(&mut log), [(1, 37), (2, 38), (0, 39)]);
    }
}

/// The later compaction took in what the earlier one had made, and reached the disk while its new name had not.
#[test]
fn recovery_drops_a_swap_that_a_later_one_has_taken_in() {
    let disk = SimDisk::default();
    let mut dir = Dir::on(Arc::new(disk.clone()), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    for round in 0..3 {
        append(&mut log, batch_of(Compression::None, &[value(round, &"x".repeat(200))]));
        roll(&mut log);
    }
    dir.log_dir().sync_marks().unwrap();
    let (path, before) = (dir.log_path(), keys_and_offsets(&mut log));
    let mut names: Vec<String> = disk.list(&path).unwrap().into_iter().map(|entry| entry.name).collect();
    names.retain(|name| name.ends_with(".log"));
    names.sort_unstable();
    let (first, second) = (path.join(&names[0]), path.join(&names[1]));
    let both = [disk.contents(&first).unwrap(), disk.contents(&second).unwrap()].concat();
    let swap = |of: &Path| of.with_extension("log.swap");
    disk.rename(&second, &swap(&second)).unwrap();
    let taken_in = disk.open(&swap(&first), OpenMode::Truncate).unwrap();
    taken_in.write_at(0, &mut [std::io::IoSlice::new(&both)]).unwrap();
    disk.sync_all(&path).unwrap();
    dir.kill(log);
    let (mut log, report) = dir.log(&compacted());
    assert_eq!((&report.unclean[..], log.damage()), (&[][..], None));
    assert_eq!(keys_and_offsets(&mut log), before);
}
