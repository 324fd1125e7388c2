package plants

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Root returns the module's root, for a process whose directory is in the module.
func Root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("plants are laid over ringd's source, and it was not found from the current directory: run this in the source tree (go list -m: %w)", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Overlay writes the edited files into dir, and returns the file that the go
// command's -overlay takes. Root is the module's.
func (p Plant) Overlay(root, dir string) (string, error) {
	replace := make(map[string]string)
	for i, file := range p.Files() {
		source := filepath.Join(root, filepath.FromSlash(file))
		raw, err := os.ReadFile(source)
		if err != nil {
			return "", fmt.Errorf("plant %s: %w", p.Name, err)
		}
		planted, err := p.Apply(file, string(raw))
		if err != nil {
			return "", err
		}
		replace[source] = filepath.Join(dir, fmt.Sprintf("planted%d.go", i))
		if err := os.WriteFile(replace[source], []byte(planted), 0o644); err != nil {
			return "", err
		}
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, raw, 0o644)
}

// Build builds a ringd with the named plant, and with the build tags, if there are any,
// and returns its path, which is below outDir.
func Build(ctx context.Context, name, outDir string, tags ...string) (string, error) {
	p, err := Named(name)
	if err != nil {
		return "", err
	}
	root, err := Root(ctx)
	if err != nil {
		return "", err
	}
	dir, err := filepath.Abs(filepath.Join(outDir, strings.Join(append([]string{p.Name}, tags...), "+")))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	overlay, err := p.Overlay(root, dir)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "ringd")
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-tags", strings.Join(tags, ","), "-o", binary, "./cmd/ringd")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building ringd with plant %s: %w\n%s", p.Name, err, out)
	}
	return binary, nil
}
