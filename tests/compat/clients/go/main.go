// Group members on Go's three clients: what they share is here, each client has a file of its own.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Settings are the arguments, key=value each.
type Settings map[string]string

func (s Settings) brokers() []string { return strings.Split(s["bootstrap"], ",") }
func (s Settings) byHand() bool      { return s["commit"] == "manual" }

const (
	sessionTimeout    = 6 * time.Second
	heartbeatInterval = 500 * time.Millisecond
	commitInterval    = 500 * time.Millisecond
	metadataMaxAge    = time.Second
	pollTimeout       = 200 * time.Millisecond
	// Clients that are given one record at a time do not commit each: every commit is on three disks first.
	byHandInterval = 50 * time.Millisecond
)

var output sync.Mutex

// tell prints one event for the checker.
func tell(event string, fields map[string]any) {
	output.Lock()
	defer output.Unlock()
	line := map[string]any{"event": event, "at_ms": time.Now().UnixMilli()}
	for key, value := range fields {
		line[key] = value
	}
	encoded, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(encoded))
}

func tellRecord(topic string, partition int32, offset int64, value []byte) {
	tell("record", map[string]any{"partition": name(topic, partition), "offset": offset, "value": string(value)})
}

func tellError(err error) { tell("error", map[string]any{"message": err.Error()}) }

func name(topic string, partition int32) string { return fmt.Sprintf("%s-%d", topic, partition) }

func names(owned map[string][]int32) []string {
	all := []string{}
	for topic, partitions := range owned {
		for _, partition := range partitions {
			all = append(all, name(topic, partition))
		}
	}
	return all
}

// untilEndOfInput is done when the test wants the member to leave.
func untilEndOfInput() context.Context {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.ReadAll(os.Stdin)
		stop()
	}()
	return ctx
}

func main() {
	settings := Settings{}
	for _, argument := range os.Args[1:] {
		key, value, _ := strings.Cut(argument, "=")
		settings[key] = value
	}
	run := map[string]func(context.Context, Settings) error{
		"kgo":      runKgo,
		"sarama":   runSarama,
		"kafka-go": runKafkaGo,
		"kadm":     runKadm,
	}[settings["client"]]
	if err := run(untilEndOfInput(), settings); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	tell("closed", nil)
}
