package pebblestore

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
)

// EventKind says what an Event is about.
type EventKind uint8

// The kinds of events.
const (
	// EventCorruption: a file is damaged. Reads of it fail with
	// storage.ErrCorrupt; the rest goes on.
	EventCorruption EventKind = iota + 1
	// EventBackgroundError: a flush or compaction failed. It is tried again.
	EventBackgroundError
	// EventStallBegin and EventStallEnd: writers wait for flushes or compactions.
	EventStallBegin
	EventStallEnd
	// EventLowDisk: the disk is nearly full.
	EventLowDisk
)

// String names the kind.
func (k EventKind) String() string {
	switch k {
	case EventCorruption:
		return "corruption on disk"
	case EventBackgroundError:
		return "background error"
	case EventStallBegin:
		return "writes stall"
	case EventStallEnd:
		return "writes go on"
	case EventLowDisk:
		return "low disk space"
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// Event is something that an operator should know.
type Event struct {
	Kind   EventKind
	Detail string
}

func (o Options) logEvent(e Event) {
	level := slog.LevelWarn
	if e.Kind == EventCorruption || e.Kind == EventBackgroundError {
		level = slog.LevelError
	}
	o.Logger.Log(context.Background(), level, e.Kind.String(), "detail", e.Detail)
}

// listener passes on what is worth it. Corruption has to be among it: by itself,
// Pebble ends the process at the first read of a damaged block.
func (o Options) listener() *pebble.EventListener {
	tell := func(kind EventKind, detail string) { o.Event(Event{kind, detail}) }
	return &pebble.EventListener{
		DataCorruption:  func(i pebble.DataCorruptionInfo) { tell(EventCorruption, i.String()) },
		BackgroundError: func(err error) { tell(EventBackgroundError, err.Error()) },
		WriteStallBegin: func(i pebble.WriteStallBeginInfo) { tell(EventStallBegin, i.Reason) },
		WriteStallEnd:   func() { tell(EventStallEnd, "") },
		LowDiskSpace:    func(i pebble.LowDiskSpaceInfo) { tell(EventLowDisk, i.String()) },
	}
}

// logger passes Pebble's words on.
type logger struct {
	log   *slog.Logger
	fatal func(string)
}

func (l logger) Infof(format string, args ...any)  { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l logger) Errorf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }

func (l logger) Fatalf(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	l.fatal(message)
	// Pebble goes on as if the batch were applied.
	panic("storage: Options.Fatal returned after: " + message)
}
