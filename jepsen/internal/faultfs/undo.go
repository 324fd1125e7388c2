package faultfs

import (
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
)

// pageBytes is what a disk writes whole or not at all.
const pageBytes = 4096

// content is what the undo needs of a file.
type content interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

// undo is what it takes to bring a file back to what was synced. It is not safe for
// use by several goroutines.
type undo struct {
	// layers from the oldest. All but the last are closed: an fsync that has not
	// ended, or failed, began after what they undo.
	layers []*layer
	next   uint64 // id of the next layer
}

// layer undoes the changes between two fsyncs.
type layer struct {
	id     uint64
	closed bool
	size   int64 // of the file before
	// pages that were changed, as they were before, up to size. Those beyond need
	// none: cutting the file to its size undoes them.
	pages map[int64][]byte
}

// clean reports whether everything is synced.
func (u *undo) clean() bool { return len(u.layers) == 0 }

// open returns the layer that takes changes of a file of that size.
func (u *undo) open(size int64) *layer {
	if n := len(u.layers); n > 0 && !u.layers[n-1].closed {
		return u.layers[n-1]
	}
	l := &layer{id: u.next, size: size, pages: make(map[int64][]byte)}
	u.next++
	u.layers = append(u.layers, l)
	return l
}

// changes keeps what is at [from, to) of a file of that size, before it is written
// or cut off.
func (u *undo) changes(f io.ReaderAt, size, from, to int64) error {
	l := u.open(size)
	to = min(to, l.size)
	for page := from / pageBytes; page*pageBytes < to; page++ {
		if _, known := l.pages[page]; known {
			continue
		}
		old, err := readPage(f, page, l.size)
		if err != nil {
			return err
		}
		l.pages[page] = old
	}
	return nil
}

func readPage(f io.ReaderAt, page, size int64) ([]byte, error) {
	at := page * pageBytes
	buf := make([]byte, min(pageBytes, size-at))
	if _, err := f.ReadAt(buf, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return buf, nil
}

// begin closes what was changed so far, at the beginning of an fsync, and returns
// what end has to be told if the fsync is successful.
func (u *undo) begin() uint64 {
	if n := len(u.layers); n > 0 {
		u.layers[n-1].closed = true
	}
	return u.next
}

// end forgets what was changed before begin: it is synced.
func (u *undo) end(began uint64) {
	u.layers = slices.DeleteFunc(u.layers, func(l *layer) bool { return l.id < began })
}

// lose brings the file back to what was synced.
func (u *undo) lose(f content) error {
	for _, l := range slices.Backward(u.layers) {
		if err := f.Truncate(l.size); err != nil {
			return err
		}
		for page, old := range l.pages {
			if _, err := f.WriteAt(old, page*pageBytes); err != nil {
				return err
			}
		}
	}
	u.layers = nil
	return nil
}

// loseSome brings a part of what was not synced back, as the source of randomness
// has it: each page of a file of that size, and the size.
func (u *undo) loseSome(f content, size int64, random *rand.Rand) error {
	if u.clean() {
		return nil
	}
	base := u.merged()
	kept := keptSize(base.size, size, random)
	if kept < size {
		if err := f.Truncate(kept); err != nil {
			return err
		}
	}
	for _, page := range slices.Sorted(maps.Keys(base.pages)) {
		if random.IntN(2) == 0 {
			continue
		}
		if err := writeWithin(f, base.pages[page], page, kept); err != nil {
			return err
		}
	}
	// What was appended, from the first page that held nothing before.
	zeros := make([]byte, pageBytes)
	for page := (base.size + pageBytes - 1) / pageBytes; page*pageBytes < kept; page++ {
		if random.IntN(2) == 0 {
			continue
		}
		if err := writeWithin(f, zeros, page, kept); err != nil {
			return err
		}
	}
	if kept > size {
		if err := f.Truncate(kept); err != nil {
			return err
		}
	}
	u.layers = nil
	return nil
}

// merged is one layer that undoes what all of them do.
func (u *undo) merged() *layer {
	base := u.layers[0]
	for _, l := range u.layers[1:] {
		for page, old := range l.pages {
			if _, known := base.pages[page]; !known && page*pageBytes < base.size {
				base.pages[page] = old[:min(int64(len(old)), base.size-page*pageBytes)]
			}
		}
	}
	return base
}

// keptSize is between what was synced and what is: each of them in a quarter of the cases.
func keptSize(synced, now int64, random *rand.Rand) int64 {
	switch random.IntN(4) {
	case 0:
		return synced
	case 1:
		return now
	}
	low, high := min(synced, now), max(synced, now)
	return low + random.Int64N(high-low+1)
}

// writeWithin writes a page, with zeros where it held nothing, but nothing from
// the size on.
func writeWithin(f io.WriterAt, page []byte, number, size int64) error {
	at := number * pageBytes
	if at >= size {
		return nil
	}
	whole := make([]byte, min(pageBytes, size-at))
	copy(whole, page)
	_, err := f.WriteAt(whole, at)
	return err
}
