package main

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"
)

// runSarama is a group member on sarama. It tells no commits, because sarama does not say which succeeded.
func runSarama(stopping context.Context, settings Settings) error {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Metadata.RefreshFrequency = metadataMaxAge
	config.Consumer.Return.Errors = true
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = !settings.byHand()
	config.Consumer.Offsets.AutoCommit.Interval = commitInterval
	config.Consumer.Group.Session.Timeout = sessionTimeout
	config.Consumer.Group.Heartbeat.Interval = heartbeatInterval
	group, err := sarama.NewConsumerGroup(settings.brokers(), settings["group"], config)
	if err != nil {
		return err
	}
	go func() {
		for err := range group.Errors() {
			tellError(err)
		}
	}()
	// Consume returns at every rebalance.
	for stopping.Err() == nil {
		err := group.Consume(stopping, []string{settings["topic"]}, saramaHandler{settings.byHand()})
		if err != nil && !errors.Is(err, context.Canceled) {
			tellError(err)
		}
	}
	return group.Close()
}

type saramaHandler struct{ byHand bool }

func (saramaHandler) Setup(session sarama.ConsumerGroupSession) error {
	tell("assigned", map[string]any{"partitions": names(session.Claims()), "generation": session.GenerationID()})
	return nil
}

func (saramaHandler) Cleanup(session sarama.ConsumerGroupSession) error {
	tell("revoked", map[string]any{"partitions": names(session.Claims())})
	return nil
}

func (h saramaHandler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	committedAt := time.Now()
	if h.byHand {
		// What was read since the last commit; the session itself commits only what it commits by itself.
		defer session.Commit()
	}
	for {
		select {
		case <-session.Context().Done():
			return nil
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			tellRecord(message.Topic, message.Partition, message.Offset, message.Value)
			session.MarkMessage(message, "")
			if h.byHand && (len(claim.Messages()) == 0 || time.Since(committedAt) > byHandInterval) {
				session.Commit()
				committedAt = time.Now()
			}
		}
	}
}
