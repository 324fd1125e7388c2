package cluster

import (
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
}

// DefaultSettings returns the defaults.
func DefaultSettings() Settings {
	return Settings{
		KeyBytesMax: 1 << 10, ValueBytesMax: 1 << 20, MetadataBytesMax: 8 << 10, SiblingsMax: 100,
		ObjectBytesMax: 16 << 20, BatchMax: 1000, BatchBytesMax: 16 << 20, ReadAfter: 250 * time.Millisecond,
		SloppyAfter: 500 * time.Millisecond,
	}
}

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
	} {
		if limit.n < 1 {
			return replica.Invalid(limit.name, "is %d: use 1 or more", limit.n)
		}
	}
	for _, wait := range []struct {
		name string
		d    time.Duration
	}{{"read_after", s.ReadAfter}, {"sloppy_after", s.SloppyAfter}} {
		if wait.d < time.Millisecond {
			return replica.Invalid(wait.name, "is %v: use a millisecond or more", wait.d)
		}
	}
	return nil
}
