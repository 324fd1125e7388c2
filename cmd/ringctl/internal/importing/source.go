package importing

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/ringd/ringd/cmd/ringctl/internal/lines"
)

// Open returns the source at path: a directory, or a file of lines, gzipped if
// its name ends in .gz. The caller closes it.
func Open(path string) (*Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return openDir(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &Source{Name: path, Position: new(atomic.Int64), Note: nothing, Close: f.Close}
	if info.Mode().IsRegular() {
		s.Bytes = info.Size()
		s.Identity = fmt.Sprintf("file %s, %d bytes, of %d", absolute(path), info.Size(), info.ModTime().UnixNano())
	}
	var r io.Reader = &counter{f, s.Position}
	if strings.HasSuffix(path, ".gz") {
		if r, err = gunzip(r, path); err != nil {
			f.Close()
			return nil, err
		}
	}
	s.Items = func(skip func(int64) bool) iter.Seq2[Item, error] { return readLines(r, path, skip) }
	return s, nil
}

// Stdin returns a source of the lines in r, gzipped or not. Nobody closes r.
func Stdin(r io.Reader) (*Source, error) {
	const name = "stdin"
	s := &Source{Name: name, Position: new(atomic.Int64), Note: nothing, Close: func() error { return nil }}
	b := bufio.NewReader(&counter{r, s.Position})
	var from io.Reader = b
	if magic, _ := b.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		var err error
		if from, err = gunzip(b, name); err != nil {
			return nil, err
		}
	}
	s.Items = func(skip func(int64) bool) iter.Seq2[Item, error] { return readLines(from, name, skip) }
	return s, nil
}

func nothing() string { return "" }

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func gunzip(r io.Reader, name string) (io.Reader, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("%s can't be read as gzip, which its name or beginning says it is: %w", name, err)
	}
	return z, nil
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// readLines yields the lines of r, numbered as an editor shows them.
func readLines(r io.Reader, name string, skip func(int64) bool) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		b := bufio.NewReaderSize(r, 256<<10)
		for number := int64(1); ; number++ {
			line, long, err := readLine(b)
			if err != nil && !errors.Is(err, io.EOF) {
				yield(Item{}, damaged(name, number, err))
				return
			}
			if number == 1 {
				line = bytes.TrimPrefix(line, []byte("\ufeff"))
			}
			line = bytes.TrimSuffix(line, []byte("\r"))
			item := Item{Number: number, Name: fmt.Sprintf("%s:%d", name, number), Line: line, Size: len(line)}
			if long {
				item.Line = nil
				item.Err = &lines.Error{Message: fmt.Sprintf("the line is longer than %d bytes, the limit of an import", LineBytesMax)}
			}
			item.Blank = !long && len(bytes.TrimSpace(line)) == 0
			if (err == nil || len(line) > 0 || long) && !skip(number) && !yield(item, nil) {
				return
			}
			if err != nil {
				return
			}
		}
	}
}

func damaged(name string, number int64, err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s:%d: the gzip data ends in the middle (is the file cut off?)", name, number)
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		return fmt.Errorf("%s:%d: the gzip data is damaged: %w", name, number, err)
	}
	return fmt.Errorf("%s:%d: reading failed: %w", name, number, err)
}

// readLine returns a copy of the next line without its line break; long: it is
// above LineBytesMax, and was passed over. The last line comes with io.EOF.
func readLine(b *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := b.ReadSlice('\n')
		if !long {
			line = append(line, part...)
		}
		if len(line) > LineBytesMax+1 {
			line, long = nil, true
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return bytes.TrimSuffix(line, []byte("\n")), long, err
	}
}
