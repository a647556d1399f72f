package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// runKafkaGo is a group member on kafka-go, on its ConsumerGroup: its Reader does the same but hides which
// partitions it was given. The ConsumerGroup has no automatic commit, so the clock here stands in for the Reader's.
func runKafkaGo(stopping context.Context, settings Settings) error {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                     settings["group"],
		Brokers:                settings.brokers(),
		Topics:                 []string{settings["topic"]},
		SessionTimeout:         sessionTimeout,
		HeartbeatInterval:      heartbeatInterval,
		JoinGroupBackoff:       heartbeatInterval,
		StartOffset:            kafka.FirstOffset,
		WatchPartitionChanges:  true,
		PartitionWatchInterval: metadataMaxAge,
		ErrorLogger:            kafka.LoggerFunc(func(string, ...any) {}),
	})
	if err != nil {
		return err
	}
	for stopping.Err() == nil {
		generation, err := group.Next(stopping)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				tellError(err)
			}
			continue
		}
		consume(generation, settings)
	}
	return group.Close()
}

// consume reads each assigned partition until the generation ends, which waits for all readers.
func consume(generation *kafka.Generation, settings Settings) {
	owned := map[string][]int32{}
	for topic, assignments := range generation.Assignments {
		for _, assignment := range assignments {
			owned[topic] = append(owned[topic], int32(assignment.ID))
		}
	}
	tell("assigned", map[string]any{"partitions": names(owned), "generation": generation.ID})
	var readers sync.WaitGroup
	for topic, assignments := range generation.Assignments {
		for _, assignment := range assignments {
			readers.Add(1)
			generation.Start(func(ctx context.Context) {
				defer readers.Done()
				readPartition(ctx, generation, settings, topic, assignment)
			})
		}
	}
	generation.Start(func(ctx context.Context) {
		<-ctx.Done()
		readers.Wait()
		tell("revoked", map[string]any{"partitions": names(owned)})
	})
}

func readPartition(ctx context.Context, generation *kafka.Generation, settings Settings, topic string, assignment kafka.PartitionAssignment) {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: settings.brokers(), Topic: topic, Partition: assignment.ID, MaxWait: pollTimeout,
	})
	defer reader.Close()
	if err := reader.SetOffset(assignment.Offset); err != nil {
		tellError(err)
		return
	}
	interval := commitInterval
	if settings.byHand() {
		interval = byHandInterval
	}
	next, committed, committedAt := int64(-1), int64(-1), time.Now()
	commit := func() {
		committedAt = time.Now()
		if err := generation.CommitOffsets(map[string]map[int]int64{topic: {assignment.ID: next}}); err != nil {
			tellError(err)
			return
		}
		committed = next
		tell("committed", map[string]any{"offsets": map[string]int64{name(topic, int32(assignment.ID)): next}})
	}
	for ctx.Err() == nil {
		polling, stop := context.WithTimeout(ctx, pollTimeout)
		message, err := reader.FetchMessage(polling)
		stop()
		if err == nil {
			tellRecord(message.Topic, int32(message.Partition), message.Offset, message.Value)
			next = message.Offset + 1
		} else if ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			tellError(err)
		}
		if next > committed && time.Since(committedAt) > interval {
			commit()
		}
	}
	if next > committed {
		commit()
	}
}
