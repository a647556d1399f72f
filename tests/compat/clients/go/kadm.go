package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// runKadm administers a group that nobody is in: it must be listed, described and empty, its lag is told,
// its offsets are set back by one, and it is deleted.
func runKadm(_ context.Context, settings Settings) error {
	ctx := context.Background()
	client, err := kgo.NewClient(kgo.SeedBrokers(settings.brokers()...))
	if err != nil {
		return err
	}
	defer client.Close()
	admin, group := kadm.NewClient(client), settings["group"]
	listed, err := admin.ListGroups(ctx)
	if err != nil {
		return err
	}
	if state := listed[group].State; state != "Empty" {
		return fmt.Errorf("%s is listed as %q", group, state)
	}
	lags, err := admin.Lag(ctx, group)
	if err != nil {
		return err
	}
	if lag := lags[group]; lag.Error() != nil || lag.Lag.Total() != 0 {
		return fmt.Errorf("a lag of %d: %w", lag.Lag.Total(), lag.Error())
	}
	if err := setBack(ctx, admin, group, lags[group]); err != nil {
		return err
	}
	if _, err := admin.DeleteGroup(ctx, group); err != nil {
		return err
	}
	left, err := admin.FetchOffsets(ctx, group)
	if err == nil && len(left) > 0 {
		return fmt.Errorf("deleted, it still has offsets: %v", left)
	}
	return nil
}

func setBack(ctx context.Context, admin *kadm.Client, group string, described kadm.DescribedGroupLag) error {
	var offsets kadm.Offsets
	partitions := int64(0)
	for _, lag := range described.Lag.Sorted() {
		if lag.Commit.At > 0 {
			offsets.AddOffset(lag.Topic, lag.Partition, lag.Commit.At-1, -1)
			partitions++
		}
	}
	if err := admin.CommitAllOffsets(ctx, group, offsets); err != nil {
		return err
	}
	lags, err := admin.Lag(ctx, group)
	if err != nil {
		return err
	}
	if lag := lags[group].Lag.Total(); lag != partitions || partitions == 0 {
		return fmt.Errorf("a lag of %d after %d partitions were set back by one", lag, partitions)
	}
	return nil
}
