package importing

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/ringd/ringd/cmd/ringctl/internal/lines"
)

// openDir returns the regular files below root as a source, in the order of
// their paths. It walks once to know how much there is, and whether a journal
// is of the same files.
func openDir(root string) (*Source, error) {
	s := &Source{Name: root, Position: new(atomic.Int64), Close: func() error { return nil }}
	sum := sha256.New()
	left, files := 0, 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			left++
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files++
		s.Bytes += info.Size()
		fmt.Fprintf(sum, "%q %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.Identity = fmt.Sprintf("directory %s, %d files, %x", absolute(root), files, sum.Sum(nil)[:8])
	s.Items = func(skip func(int64) bool) iter.Seq2[Item, error] { return s.walk(root, skip) }
	s.Note = func() string {
		if left == 0 {
			return ""
		}
		return fmt.Sprintf("%d entries of %s are no regular files (links, sockets, devices) and were left out", left, root)
	}
	return s, nil
}

func (s *Source) walk(root string, skip func(int64) bool) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		number := int64(0)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !d.Type().IsRegular() {
				return err
			}
			number++
			if !skip(number) && !yield(s.readFile(root, path, number), nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(Item{}, err)
		}
	}
}

func (s *Source) readFile(root, path string, number int64) Item {
	item := Item{Number: number, Name: path}
	relative, err := filepath.Rel(root, path)
	if err != nil {
		item.Err = err
		return item
	}
	item.Entry.Key = filepath.ToSlash(relative)
	f, err := os.Open(path)
	if err != nil {
		item.Err = err
		return item
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(&counter{f, s.Position}, LineBytesMax+1))
	switch {
	case err != nil:
		item.Err = err
	case len(data) > LineBytesMax:
		item.Err = fmt.Errorf("the file is larger than %d bytes, the limit of an import", LineBytesMax)
	default:
		item.Size = len(data)
		item.Entry.Values = []lines.Value{{Data: data, ContentType: contentType(path)}}
	}
	return item
}

// contentTypes by extension. Not those of the machine, which differ from one to
// the next: the same file has to give the same write everywhere.
var contentTypes = map[string]string{
	".css": "text/css", ".csv": "text/csv", ".gif": "image/gif", ".go": "text/x-go", ".gz": "application/gzip",
	".htm": "text/html", ".html": "text/html", ".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".js": "text/javascript",
	".json": "application/json", ".md": "text/markdown", ".pdf": "application/pdf", ".png": "image/png", ".svg": "image/svg+xml",
	".toml": "application/toml", ".txt": "text/plain", ".wasm": "application/wasm", ".webp": "image/webp", ".xml": "text/xml",
	".yaml": "application/yaml", ".yml": "application/yaml", ".zip": "application/zip",
}

// contentType returns what path's extension stands for, or nothing.
func contentType(path string) string { return contentTypes[filepath.Ext(path)] }
