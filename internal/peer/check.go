package peer

import (
	"errors"
	"fmt"

	"github.com/ringd/ringd/replica"
)

// What no message between members is beyond.
const (
	slotMax  = 255
	classMax = 255
	// partsMax bounds the keys, objects, leaves or ranges of one message: ten
	// times what any vnode answers or asks for at once, and little to hold.
	partsMax = 1 << 14
)

// leavesMax is of a ring with one partition.
var leavesMax = replica.Leaves(1)

// check returns what is wrong with a message that compares, mends or moves, beside its
// vectors and objects. Both ends hold it to that.
func check(m replica.Message) error {
	switch m := m.(type) {
	case replica.CaptureAnswer:
		return checkRoots(m.Roots)
	case replica.Sums:
		return first(checkClass(m.Class), checkRanges(m.Ranges))
	case replica.Entries:
		if m.Started && len(m.Leaves) == 0 {
			return errors.New("a cursor without the leaf that it is in")
		}
		return first(checkClass(m.Class), checkLimit(m.Limit), checkLeaves(m.Leaves))
	case replica.EntriesAnswer:
		return checkEntries(m.Entries)
	case replica.Heads:
		return checkParts(len(m.Keys))
	case replica.HeadsAnswer:
		return checkHeads(m.Heads)
	case replica.Scan:
		return first(checkClass(m.Class), checkLimit(m.Limit))
	case replica.ScanAnswer:
		return first(checkPairs(len(m.Keys), len(m.Heads)), checkHeads(m.Heads))
	case replica.Fetch:
		return checkParts(len(m.Keys))
	case replica.FetchAnswer:
		return checkParts(len(m.Objects))
	case replica.Transfer:
		if m.Move != 0 && len(m.Items) == 0 {
			return errors.New("a cursor of a move without the item that it is at")
		}
		return checkItems(m.Items)
	case replica.TransferAnswer:
		return checkLimit(m.Changed)
	case replica.Adopt:
		if m.From.IsZero() {
			return errors.New("what no member had seen")
		}
	case replica.Inherit:
		if m.Rebuild {
			return errors.New("only a member itself has its slot rebuilt")
		}
		return checkMove(m.Move)
	case replica.Settle:
		return checkMove(m.Move)
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkClass(class int) error {
	if class < 0 || class > classMax {
		return fmt.Errorf("class %d", class)
	}
	return nil
}

// checkLimit is for all counts that the wire has in 32 bits.
func checkLimit(n int) error {
	if n < 0 || int64(n) > maxUint32 {
		return fmt.Errorf("a count of %d", n)
	}
	return nil
}

func checkMove(number uint64) error {
	if number == 0 {
		return errors.New("a move without number")
	}
	return nil
}

func checkParts(n int) error {
	if n > partsMax {
		return fmt.Errorf("%d parts, and the most is %d", n, partsMax)
	}
	return nil
}

func checkPairs(a, b int) error {
	if a != b {
		return fmt.Errorf("%d of one, and %d of what belongs to them", a, b)
	}
	return checkParts(a)
}

func checkRoots(roots []replica.Root) error {
	var known [classMax + 1]bool
	for _, r := range roots {
		if err := checkClass(r.Class); err != nil {
			return err
		}
		if known[r.Class] {
			return fmt.Errorf("two roots of class %d", r.Class)
		}
		known[r.Class] = true
	}
	return nil
}

func checkRanges(ranges []replica.LeafRange) error {
	for _, r := range ranges {
		if r.From >= r.To || r.To > leavesMax {
			return fmt.Errorf("leaves from %d up to %d", r.From, r.To)
		}
	}
	return checkParts(len(ranges))
}

func checkLeaves(leaves []uint32) error {
	for _, leaf := range leaves {
		if leaf >= leavesMax {
			return fmt.Errorf("leaf %d", leaf)
		}
	}
	return checkParts(len(leaves))
}

func checkEntries(entries []replica.Entry) error {
	for i := range entries {
		if entries[i].Leaf >= leavesMax {
			return fmt.Errorf("leaf %d", entries[i].Leaf)
		}
	}
	return checkParts(len(entries))
}

func checkHeads(heads []replica.Head) error {
	for i := range heads {
		if heads[i].Bad && !isNone(&heads[i].Object) {
			return fmt.Errorf("head %d of a corrupt record says something", i)
		}
	}
	return checkParts(len(heads))
}

func checkItems(items []replica.Item) error {
	for i := range items {
		if len(items[i].Object) == 0 {
			return fmt.Errorf("item %d is no object", i)
		}
	}
	return checkParts(len(items))
}
