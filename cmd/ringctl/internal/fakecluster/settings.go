package fakecluster

import (
	"context"
	"maps"
	"slices"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
)

// defaults of the settings that the fake has.
var defaults = map[string]string{"anti_entropy_every": "1m", "hint_bytes_max": "8GiB", "siblings_max": "100"}

func (c *Cluster) settingsLocked() []*ringdv1.Setting {
	var out []*ringdv1.Setting
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		s := &ringdv1.Setting{Name: name, Value: defaults[name], DefaultValue: defaults[name], Help: "what " + name + " does", Kind: ringdv1.Setting_COUNT}
		if v, ok := c.mu.settings[name]; ok {
			s.Value = v
		}
		out = append(out, s)
	}
	return out
}

func (a *admin) GetSettings(context.Context, *ringdv1.GetSettingsRequest) (*ringdv1.GetSettingsResponse, error) {
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	return &ringdv1.GetSettingsResponse{Settings: a.c.settingsLocked()}, nil
}

func (a *admin) UpdateSettings(_ context.Context, r *ringdv1.UpdateSettingsRequest) (*ringdv1.UpdateSettingsResponse, error) {
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	for _, name := range slices.Concat(slices.Sorted(maps.Keys(r.Values)), r.ToDefault) {
		if _, ok := defaults[name]; !ok {
			return nil, statusOf(invalid(name, "there is no such setting"))
		}
	}
	for name, value := range r.Values {
		if value == "nonsense" {
			return nil, statusOf(invalid(name, "is %q", value))
		}
		a.c.mu.settings[name] = value
	}
	for _, name := range r.ToDefault {
		delete(a.c.mu.settings, name)
	}
	return &ringdv1.UpdateSettingsResponse{Settings: a.c.settingsLocked()}, nil
}
