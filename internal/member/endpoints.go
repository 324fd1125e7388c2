package member

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Endpoints is where a member serves. While it does, they stand in the file
// endpoints.json of its data directory.
type Endpoints struct {
	GRPC   string `json:"grpc"`
	Gossip string `json:"gossip"`
	HTTP   string `json:"http"`
}

const endpointsFile = "endpoints.json"

// ReadEndpoints returns where the member of a data directory serves.
func ReadEndpoints(dir string) (Endpoints, error) {
	var e Endpoints
	raw, err := os.ReadFile(filepath.Join(dir, endpointsFile))
	if err == nil {
		err = json.Unmarshal(raw, &e)
	}
	if err != nil {
		return e, fmt.Errorf("the member of %s does not serve: %w", dir, err)
	}
	return e, nil
}

// RemoveEndpoints removes what a process that was killed left behind.
func RemoveEndpoints(dir string) error {
	err := os.Remove(filepath.Join(dir, endpointsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (e Endpoints) write(dir string) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	// Whole or not at all: others wait for the file.
	path := filepath.Join(dir, endpointsFile)
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
