package main

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"
)

// runKgo is a group member on franz-go.
func runKgo(stopping context.Context, settings Settings) error {
	revoked := func(_ context.Context, client *kgo.Client, lost map[string][]int32) {
		// The client commits here by itself only where it is given no callback.
		if !settings.byHand() {
			if err := client.CommitUncommittedOffsets(context.Background()); err != nil {
				tellError(err)
			}
		}
		tell("revoked", map[string]any{"partitions": names(lost)})
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(settings.brokers()...),
		kgo.ConsumerGroup(settings["group"]),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(heartbeatInterval),
		kgo.MetadataMinAge(metadataMaxAge),
		kgo.MetadataMaxAge(metadataMaxAge),
		kgo.AutoCommitInterval(commitInterval),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, client *kgo.Client, gained map[string][]int32) {
			_, generation := client.GroupMetadata()
			tell("assigned", map[string]any{"partitions": names(gained), "generation": generation})
		}),
		kgo.OnPartitionsRevoked(revoked),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
			tell("revoked", map[string]any{"partitions": names(lost)})
		}),
	}
	if pattern, given := settings["pattern"]; given {
		options = append(options, kgo.ConsumeRegex(), kgo.ConsumeTopics(pattern))
	} else {
		options = append(options, kgo.ConsumeTopics(settings["topic"]))
	}
	switch {
	case settings["protocol"] == "consumer":
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
	case settings["assignor"] == "range":
		options = append(options, kgo.Balancers(kgo.RangeBalancer()))
	default:
		options = append(options, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	}
	if settings.byHand() {
		options = append(options, kgo.DisableAutoCommit())
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	for stopping.Err() == nil {
		stepKgo(stopping, client, settings.byHand())
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
	return nil
}

func stepKgo(stopping context.Context, client *kgo.Client, byHand bool) {
	polling, stop := context.WithTimeout(stopping, pollTimeout)
	defer stop()
	fetches := client.PollFetches(polling)
	fetches.EachError(func(_ string, _ int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			tellError(err)
		}
	})
	next := map[string]int64{}
	fetches.EachRecord(func(record *kgo.Record) {
		tellRecord(record.Topic, record.Partition, record.Offset, record.Value)
		next[name(record.Topic, record.Partition)] = record.Offset + 1
	})
	if !byHand || len(next) == 0 {
		return
	}
	if err := client.CommitRecords(context.Background(), fetches.Records()...); err != nil {
		tellError(err)
		return
	}
	tell("committed", map[string]any{"offsets": next})
}
