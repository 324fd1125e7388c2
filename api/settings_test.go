package api

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cluster"
)

// settled is a member whose settings can be changed.
type settled struct {
	Backend
	state   cluster.State
	applied int
}

func (s *settled) State() *cluster.State { return &s.state }

func (s *settled) Apply(_ context.Context, c cluster.Command) error {
	s.applied++
	s.state.Settings = *c.UpdateSettings
	return nil
}

func (s *settled) Change(ctx context.Context, change func(*cluster.State) (cluster.Command, error)) error {
	c, err := change(&s.state)
	if err != nil || c == (cluster.Command{}) {
		return err
	}
	return s.Apply(ctx, c)
}

// TestSettingsTable: clients see every setting under the name that the agreed
// state has for it, and what they see is read as what it was.
func TestSettingsTable(t *testing.T) {
	fields := reflect.TypeFor[cluster.Settings]()
	if fields.NumField() != len(settingsTable) {
		t.Errorf("there are %d settings, and clients see %d", fields.NumField(), len(settingsTable))
	}
	for i, s := range settingsTable {
		var all cluster.Settings
		switch at := s.in(&all).(type) {
		case *int:
			*at = 1234567
		case *int64:
			*at = 1234567
		case *time.Duration:
			*at = 1234567
		case *bool:
			*at = true
		}
		if got, _, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ","); got != s.name || reflect.ValueOf(all).Field(i).IsZero() {
			t.Errorf("setting %d is %s, and clients see %s", i, got, s.name)
		}
		if s.help == "" || s.kind == ringdv1.Setting_KIND_UNSPECIFIED {
			t.Errorf("%s is not explained", s.name)
		}
		var again cluster.Settings
		if err := s.set(&again, s.text(&all)); err != nil || again != all {
			t.Errorf("%s: %s is read as %v, %v", s.name, s.text(&all), again, err)
		}
	}
}

func TestSettingValues(t *testing.T) {
	for _, c := range []struct {
		name, text, shown string
	}{
		{"hint_bytes_max", "1GiB", "1GiB"},
		{"hint_bytes_max", "1024 mib", "1GiB"},
		{"hint_bytes_max", "1GB", "1000000000"},
		{"hint_bytes_max", "1536KiB", "1536KiB"},
		{"hint_bytes_max", "0", "0"},
		{"hint_bytes_max", "8388607TiB", "8388607TiB"},
		{"key_bytes_max", "100", "100"},
		{"key_bytes_max", "100B", "100"},
		{"siblings_max", " 7 ", "7"},
		{"anti_entropy_every", "0", "0s"},
		{"anti_entropy_every", "90s", "1m30s"},
		{"anti_entropy_every", "3600s", "1h"},
		{"hint_every", "10m", "10m"},
		{"read_after", "250ms", "250ms"},
	} {
		b := &settled{state: cluster.State{Settings: cluster.DefaultSettings()}}
		r, err := NewAdmin(b).UpdateSettings(t.Context(), &ringdv1.UpdateSettingsRequest{Values: map[string]string{c.name: c.text}})
		if err != nil {
			t.Errorf("%s %s: %v", c.name, c.text, err)
			continue
		}
		if got := valueOf(r.Settings, c.name); got != c.shown {
			t.Errorf("%s %s is shown as %s, want %s", c.name, c.text, got, c.shown)
		}
	}
}

func valueOf(all []*ringdv1.Setting, name string) string {
	for _, s := range all {
		if s.Name == name {
			return s.Value
		}
	}
	return "none"
}

func TestUpdateSettingsRefuses(t *testing.T) {
	for _, c := range []struct {
		values map[string]string
		reset  []string
		field  string
	}{
		{nil, nil, "values"},
		{map[string]string{"nonsense": "1"}, nil, "nonsense"},
		{nil, []string{"nonsense"}, "nonsense"},
		{map[string]string{"hint_every": "1s"}, []string{"hint_every"}, "hint_every"},
		{map[string]string{"hint_bytes_max": "1G"}, nil, "hint_bytes_max"},
		{map[string]string{"hint_bytes_max": "GiB"}, nil, "hint_bytes_max"},
		{map[string]string{"hint_bytes_max": "1.5GiB"}, nil, "hint_bytes_max"},
		{map[string]string{"hint_bytes_max": "8388608TiB"}, nil, "hint_bytes_max"},
		{map[string]string{"hint_bytes_max": "-1"}, nil, "hint_bytes_max"},
		{map[string]string{"siblings_max": "1KiB"}, nil, "siblings_max"},
		{map[string]string{"siblings_max": ""}, nil, "siblings_max"},
		{map[string]string{"siblings_max": "0"}, nil, "siblings_max"},
		{map[string]string{"hint_every": "10"}, nil, "hint_every"},
		{map[string]string{"anti_entropy_every": "1ms"}, nil, "anti_entropy_every"},
		{map[string]string{"hint_every": "2s", "siblings_max": "x"}, nil, "siblings_max"},
	} {
		b := &settled{state: cluster.State{Settings: cluster.DefaultSettings()}}
		_, err := NewAdmin(b).UpdateSettings(t.Context(), &ringdv1.UpdateSettingsRequest{Values: c.values, ToDefault: c.reset})
		if fieldOf(err) != c.field || status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v, %v: %v", c.values, c.reset, err)
		}
		if b.applied != 0 {
			t.Errorf("%v, %v: a part of it was done", c.values, c.reset)
		}
	}
}

func fieldOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if d, ok := d.(*ringdv1.ErrorDetail); ok {
			return d.Field
		}
	}
	return ""
}

func TestSettingsAreResetAndKept(t *testing.T) {
	b := &settled{state: cluster.State{Settings: cluster.DefaultSettings()}}
	admin := NewAdmin(b)
	update := func(values map[string]string, reset ...string) []*ringdv1.Setting {
		t.Helper()
		r, err := admin.UpdateSettings(t.Context(), &ringdv1.UpdateSettingsRequest{Values: values, ToDefault: reset})
		if err != nil {
			t.Fatal(err)
		}
		return r.Settings
	}
	update(map[string]string{"hint_every": "1s", "transfer_rate": "1MiB"})
	all := update(map[string]string{"siblings_max": "5"}, "hint_every")
	for name, want := range map[string]string{"hint_every": "10s", "transfer_rate": "1MiB", "siblings_max": "5", "read_after": "250ms"} {
		if got := valueOf(all, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	shown, err := admin.GetSettings(t.Context(), &ringdv1.GetSettingsRequest{})
	if err != nil || valueOf(shown.Settings, "siblings_max") != "5" || len(shown.Settings) != len(settingsTable) {
		t.Errorf("%v, %v", shown, err)
	}
	if update(map[string]string{"siblings_max": "5"}); b.applied != 2 {
		t.Errorf("a change that changes nothing was agreed on, or one that does was not: %d", b.applied)
	}
}
