package cluster

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/ringd/ringd/replica"
)

// Settings bind all members. The sizes bind clients, never replicas.
type Settings struct {
	// KeyBytesMax bounds a key, and a bucket's name: they stand in every record.
	KeyBytesMax int `json:"key_bytes_max"`
	// ValueBytesMax bounds a value: larger ones belong into a file store.
	ValueBytesMax int `json:"value_bytes_max"`
	// MetadataBytesMax bounds a value's metadata and content type: they are read
	// with every comparison.
	MetadataBytesMax int `json:"metadata_bytes_max"`
	// SiblingsMax bounds the siblings of a key: more mean that a client never
	// reads before it writes.
	SiblingsMax int `json:"siblings_max"`
	// ObjectBytesMax bounds the values of all siblings of a key together.
	ObjectBytesMax int `json:"object_bytes_max"`
	// BatchMax and BatchBytesMax bound a batch of requests.
	BatchMax      int `json:"batch_max"`
	BatchBytesMax int `json:"batch_bytes_max"`
	// ReadAfter replaces an owner that has not answered a read: far above what a
	// healthy one takes, little enough that nobody notices.
	ReadAfter time.Duration `json:"read_after"`
	// SloppyAfter is how long a write waits for an owner before a fallback takes
	// its share: far above a healthy disk's sync.
	SloppyAfter time.Duration `json:"sloppy_after"`
	// HintBytesMax bounds the hints that one member keeps for others: hours of
	// writes for one that is down, and a part of any disk. 0 keeps none.
	HintBytesMax int64 `json:"hint_bytes_max"`
	// HintEvery is how often hints are looked through for owners that are back:
	// those that are noticed to be back get theirs at once.
	HintEvery time.Duration `json:"hint_every"`
	// AntiEntropyEvery is how often two owners of a partition are compared: with
	// nothing to repair, that is a message each way. 0 is never.
	AntiEntropyEvery time.Duration `json:"anti_entropy_every"`
	// TransferRate is the bytes per second that one member sends to repair others:
	// a disk's or a gigabit's worth, but for half.
	TransferRate int64 `json:"transfer_rate"`
	// TransferConcurrency is how many transfers and comparisons one member runs at
	// a time: enough to hide waiting, few enough to leave the vnodes to clients.
	TransferConcurrency int `json:"transfer_concurrency"`
	// DiskReserveBytes is the free space below which a member refuses writes: room
	// for compactions to go on, and half of it for deletes.
	DiskReserveBytes int64 `json:"disk_reserve_bytes"`
	// Elastic lets members join (--auto-commit) and leave (--drain) by themselves.
	// Off, slots move only when a person has seen the plan.
	Elastic bool `json:"elastic,omitempty"`
}

// DefaultSettings returns the defaults.
func DefaultSettings() Settings {
	return Settings{
		KeyBytesMax: 1 << 10, ValueBytesMax: 1 << 20, MetadataBytesMax: 8 << 10, SiblingsMax: 100,
		ObjectBytesMax: 16 << 20, BatchMax: 1000, BatchBytesMax: 16 << 20, ReadAfter: 250 * time.Millisecond,
		SloppyAfter: 500 * time.Millisecond, HintBytesMax: 8 << 30, HintEvery: 10 * time.Second,
		AntiEntropyEvery: time.Minute, TransferRate: 64 << 20, TransferConcurrency: 8, DiskReserveBytes: 512 << 20,
	}
}

// TransferConcurrencyMax bounds TransferConcurrency.
const TransferConcurrencyMax = 128

// antiEntropyEveryMin keeps comparisons from being all that a member does.
const antiEntropyEveryMin = time.Second

// Validate returns an error of kind Invalid that names the setting.
func (s Settings) Validate() error {
	for _, limit := range []struct {
		name string
		n    int
	}{
		{"key_bytes_max", s.KeyBytesMax},
		{"value_bytes_max", s.ValueBytesMax},
		{"metadata_bytes_max", s.MetadataBytesMax},
		{"siblings_max", s.SiblingsMax},
		{"object_bytes_max", s.ObjectBytesMax},
		{"batch_max", s.BatchMax},
		{"batch_bytes_max", s.BatchBytesMax},
		{"transfer_concurrency", s.TransferConcurrency},
	} {
		if limit.n < 1 {
			return replica.Invalid(limit.name, "is %d: use 1 or more", limit.n)
		}
	}
	switch {
	case s.TransferConcurrency > TransferConcurrencyMax:
		return replica.Invalid("transfer_concurrency", "is %d: use 1 to %d", s.TransferConcurrency, TransferConcurrencyMax)
	case s.TransferRate < 64<<10:
		return replica.Invalid("transfer_rate", "is %d bytes per second: use 65536 or more", s.TransferRate)
	case s.HintBytesMax < 0:
		return replica.Invalid("hint_bytes_max", "is %d: use 0 or more", s.HintBytesMax)
	case s.DiskReserveBytes < 0:
		return replica.Invalid("disk_reserve_bytes", "is %d: use 0 or more", s.DiskReserveBytes)
	case s.AntiEntropyEvery != 0 && s.AntiEntropyEvery < antiEntropyEveryMin:
		return replica.Invalid("anti_entropy_every", "is %v: use 0 for never, or %v or more", s.AntiEntropyEvery, antiEntropyEveryMin)
	}
	for _, wait := range []struct {
		name string
		d    time.Duration
	}{{"read_after", s.ReadAfter}, {"sloppy_after", s.SloppyAfter}, {"hint_every", s.HintEvery}} {
		if wait.d < time.Millisecond {
			return replica.Invalid(wait.name, "is %v: use a millisecond or more", wait.d)
		}
	}
	return nil
}

// UnmarshalJSON reads settings; those that an earlier release did not have are
// the defaults.
func (s *Settings) UnmarshalJSON(src []byte) error {
	type plain Settings
	known := plain(DefaultSettings())
	d := json.NewDecoder(bytes.NewReader(src))
	d.DisallowUnknownFields()
	if err := d.Decode(&known); err != nil {
		return err
	}
	*s = Settings(known)
	return nil
}
