package api

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/replica"
)

// setting is one of cluster.Settings as clients see it.
type setting struct {
	name string // as in the agreed state
	kind ringdv1.Setting_Kind
	help string
	// in returns the setting's place in s: an *int, *int64, *time.Duration or *bool.
	in func(s *cluster.Settings) any
}

const (
	kindCount    = ringdv1.Setting_COUNT
	kindBytes    = ringdv1.Setting_BYTES
	kindDuration = ringdv1.Setting_DURATION
	kindFlag     = ringdv1.Setting_FLAG
)

// settingsTable has every setting, in the order in which they are shown.
var settingsTable = []setting{
	{"key_bytes_max", kindBytes, "longest key, and bucket", func(s *cluster.Settings) any { return &s.KeyBytesMax }},
	{"value_bytes_max", kindBytes, "largest value", func(s *cluster.Settings) any { return &s.ValueBytesMax }},
	{"metadata_bytes_max", kindBytes, "metadata of a value, content type included", func(s *cluster.Settings) any { return &s.MetadataBytesMax }},
	{"siblings_max", kindCount, "siblings of a key", func(s *cluster.Settings) any { return &s.SiblingsMax }},
	{"object_bytes_max", kindBytes, "values of all siblings of a key together", func(s *cluster.Settings) any { return &s.ObjectBytesMax }},
	{"batch_max", kindCount, "requests of a batch", func(s *cluster.Settings) any { return &s.BatchMax }},
	{"batch_bytes_max", kindBytes, "bytes of a batch", func(s *cluster.Settings) any { return &s.BatchBytesMax }},
	{"read_after", kindDuration, "an owner that has not answered a read is replaced by the next", func(s *cluster.Settings) any { return &s.ReadAfter }},
	{"sloppy_after", kindDuration, "an owner that has not taken a write: a fallback takes a hint for it", func(s *cluster.Settings) any { return &s.SloppyAfter }},
	{"hint_bytes_max", kindBytes, "hints that one member keeps for others; 0 keeps none", func(s *cluster.Settings) any { return &s.HintBytesMax }},
	{"hint_every", kindDuration, "between looks for hints whose owners are back", func(s *cluster.Settings) any { return &s.HintEvery }},
	{"anti_entropy_every", kindDuration, "between comparisons of a partition by two owners; 0 is never", func(s *cluster.Settings) any { return &s.AntiEntropyEvery }},
	{"transfer_rate", kindBytes, "per second, that one member sends for repair and handoff", func(s *cluster.Settings) any { return &s.TransferRate }},
	{"transfer_concurrency", kindCount, "transfers and comparisons that one member runs at a time", func(s *cluster.Settings) any { return &s.TransferConcurrency }},
	{"disk_reserve_bytes", kindBytes, "free space below which a member refuses writes, and at half of it deletes", func(s *cluster.Settings) any { return &s.DiskReserveBytes }},
	{"elastic", kindFlag, "members may join (--auto-commit) and leave (--drain) by themselves", func(s *cluster.Settings) any { return &s.Elastic }},
}

// GetSettings implements ringdv1.AdminServer.
func (s *Admin) GetSettings(context.Context, *ringdv1.GetSettingsRequest) (*ringdv1.GetSettingsResponse, error) {
	state, err := s.state()
	if err != nil {
		return nil, err
	}
	return &ringdv1.GetSettingsResponse{Settings: settingsTo(state.Settings)}, nil
}

// UpdateSettings implements ringdv1.AdminServer.
func (s *Admin) UpdateSettings(ctx context.Context, r *ringdv1.UpdateSettingsRequest) (*ringdv1.UpdateSettingsResponse, error) {
	if _, err := s.state(); err != nil {
		return nil, err
	}
	var next cluster.Settings
	err := s.backend.Change(ctx, func(state *cluster.State) (cluster.Command, error) {
		var err error
		if next, err = updateSettings(state.Settings, r); err != nil || next == state.Settings {
			return cluster.Command{}, err
		}
		c := cluster.Command{UpdateSettings: &next}
		if state.Has(cluster.CapabilityCompared) {
			were := state.Settings
			c.SettingsWere = &were
		}
		return c, nil
	})
	if err != nil {
		return nil, statusOf(err)
	}
	return &ringdv1.UpdateSettingsResponse{Settings: settingsTo(next)}, nil
}

// updateSettings returns now with what r changes.
func updateSettings(now cluster.Settings, r *ringdv1.UpdateSettingsRequest) (cluster.Settings, error) {
	if len(r.Values) == 0 && len(r.ToDefault) == 0 {
		return now, replica.Invalid("values", "name a setting to be changed")
	}
	byName := make(map[string]setting)
	for _, s := range settingsTable {
		byName[s.name] = s
	}
	defaults := cluster.DefaultSettings()
	for _, name := range r.ToDefault {
		s, ok := byName[name]
		if !ok {
			return now, noSuchSetting(name)
		}
		if _, both := r.Values[name]; both {
			return now, replica.Invalid(name, "is both set and reset")
		}
		// The default in words is a value like any other.
		if err := s.set(&now, s.text(&defaults)); err != nil {
			return now, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Values)) {
		s, ok := byName[name]
		if !ok {
			return now, noSuchSetting(name)
		}
		if err := s.set(&now, r.Values[name]); err != nil {
			return now, err
		}
	}
	return now, now.Validate()
}

func noSuchSetting(name string) error {
	return replica.Invalid(name, "there is no such setting: ringctl settings lists them")
}

func settingsTo(now cluster.Settings) []*ringdv1.Setting {
	defaults := cluster.DefaultSettings()
	var out []*ringdv1.Setting
	for _, s := range settingsTable {
		out = append(out, &ringdv1.Setting{
			Name: s.name, Value: s.text(&now), DefaultValue: s.text(&defaults), Help: s.help, Kind: s.kind,
		})
	}
	return out
}

// text returns the setting's value as set reads it.
func (s setting) text(from *cluster.Settings) string {
	switch at := s.in(from).(type) {
	case *time.Duration:
		return durationText(*at)
	case *int64:
		return s.number(*at)
	case *int:
		return s.number(int64(*at))
	case *bool:
		return strconv.FormatBool(*at)
	}
	panic("api: the setting " + s.name + " is of a type that text does not know")
}

func (s setting) number(n int64) string {
	if s.kind == kindBytes {
		return bytesText(n)
	}
	return strconv.FormatInt(n, 10)
}

// set reads text into the setting's place.
func (s setting) set(in *cluster.Settings, text string) error {
	text = strings.TrimSpace(text)
	if at, ok := s.in(in).(*time.Duration); ok {
		d, err := time.ParseDuration(text)
		if err != nil {
			return replica.Invalid(s.name, "is %q: use numbers with units, such as 250ms, 10s or 1m30s", text)
		}
		*at = d
		return nil
	}
	if at, ok := s.in(in).(*bool); ok {
		switch strings.ToLower(text) {
		case "true", "on", "yes":
			*at = true
		case "false", "off", "no":
			*at = false
		default:
			return replica.Invalid(s.name, "is %q: use true or false", text)
		}
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil && s.kind == kindBytes {
		n, err = parseBytes(text)
	}
	switch {
	case err != nil && s.kind == kindBytes:
		return replica.Invalid(s.name, "is %q: use a number of bytes, with or without a unit, such as 65536, 512MiB or 8GB", text)
	case err != nil:
		return replica.Invalid(s.name, "is %q: use a number", text)
	}
	switch at := s.in(in).(type) {
	case *int64:
		*at = n
	case *int:
		if n != int64(int(n)) {
			return replica.Invalid(s.name, "is %d: that is more than a member can count to", n)
		}
		*at = int(n)
	}
	return nil
}

// byteUnits from the largest binary one to the smallest; then the decimal ones.
var byteUnits = []struct {
	name string
	n    int64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"B", 1},
}

const binaryUnits = 4

// bytesText writes n in the largest binary unit that divides it.
func bytesText(n int64) string {
	for _, u := range byteUnits[:binaryUnits] {
		if n != 0 && n%u.n == 0 {
			return strconv.FormatInt(n/u.n, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// parseBytes reads a whole number with a unit, in any case of letters.
func parseBytes(text string) (int64, error) {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit := text[len(digits):]
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if err != nil {
		return 0, err
	}
	for _, u := range byteUnits {
		if !strings.EqualFold(unit, u.name) {
			continue
		}
		if n > math.MaxInt64/u.n || n < math.MinInt64/u.n {
			return 0, fmt.Errorf("%s is too much", text)
		}
		return n * u.n, nil
	}
	return 0, fmt.Errorf("%q is no unit", unit)
}

// durationText writes d without the zeros that Duration.String ends in.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
