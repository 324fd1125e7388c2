package command

import (
	"strings"
	"testing"

	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
)

func TestSettings(t *testing.T) {
	s := start(t)
	golden(t, "settings.txt", s.ok("settings"))
	if out := s.ok("settings", "set", "hint_bytes_max", "1GiB", "siblings_max", "7"); !strings.Contains(out, "1GiB") || strings.Contains(out, "anti_entropy_every") {
		t.Errorf("what was set, and nothing else, is not in\n%s", out)
	}
	golden(t, "settings-changed.txt", s.ok("settings"))
	if out := s.ok("settings", "reset", "hint_bytes_max"); !strings.Contains(out, "8GiB") || strings.Contains(out, "yes") {
		t.Errorf("what was reset is not in\n%s", out)
	}
	if out := s.ok("settings", "-o", "json"); !strings.Contains(out, `"value": "7"`) || strings.Contains(out, "1GiB") {
		t.Errorf("settings -o json:\n%s", out)
	}
	parse(t, s.ok("settings", "set", "siblings_max", "9", "-o", "json"))
}

func TestSettingsFail(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		says string
		args string
	}{
		{`unknown command "hint_every"`, "settings hint_every"},
		{"requires at least 2 arg(s)", "settings set siblings_max"},
		{"hint_bytes_max has no value", "settings set siblings_max 1 hint_bytes_max"},
		{"siblings_max is given twice", "settings set siblings_max 1 siblings_max 2"},
		{`siblings_max: is "nonsense"`, "settings set siblings_max nonsense"},
		{"other: there is no such setting", "settings set other 1"},
		{"other: there is no such setting", "settings reset other"},
	} {
		s.fails(exit.Usage, c.says, strings.Fields(c.args)...)
	}
}

func TestSettingsComplete(t *testing.T) {
	s := start(t)
	for args, want := range map[string]string{"set h": "hint_bytes_max\t", "reset a": "anti_entropy_every\t", "reset siblings_max h": "hint_bytes_max\t", "set siblings_max h": ":4"} {
		if out := s.ok(append([]string{"__complete", "settings"}, strings.Fields(args)...)...); !strings.HasPrefix(out, want) {
			t.Errorf("completing settings %s: %s", args, out)
		}
	}
}
