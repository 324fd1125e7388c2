// Package statefile writes the small files that say how far an import or export
// came.
package statefile

import (
	"os"
	"path/filepath"
)

// Write puts data in place of the file at path, whole or not at all. Its
// directory has to exist.
func Write(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it was renamed, which is meant
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
