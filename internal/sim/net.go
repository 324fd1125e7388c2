package sim

import "time"

// network carries messages. Each direction between two members is a link of its
// own, on which messages stay in order unless they are to be reordered.
type network struct {
	w     *world
	links map[[2]*member]*link
	// What is wrong now: chances in percent, and what a message takes at the most.
	loss, duplicate int
	reorder         int // windows under way
	delayMax        time.Duration
}

type link struct {
	cuts int       // faults that cut it
	last time.Time // when its last message arrives
}

func (n *network) link(from, to *member) *link {
	k := [2]*member{from, to}
	l, ok := n.links[k]
	if !ok {
		l = new(link)
		n.links[k] = l
	}
	return l
}

// connected says that two members hear each other.
func (n *network) connected(a, b *member) bool {
	return a == b || (n.link(a, b).cuts == 0 && n.link(b, a).cuts == 0)
}

// cut cuts one direction until the returned function is called.
func (n *network) cut(from, to *member) func() {
	l := n.link(from, to)
	l.cuts++
	return func() { l.cuts-- }
}

// carry delivers something: after a delay, or never, or twice. What a member sent
// shortly before it crashed is lost with it. Lost is called for some of what is
// never delivered, as a connection that breaks tells.
func (n *network) carry(from, to *member, deliver, lost func()) {
	w := n.w
	l := n.link(from, to)
	times := 1
	switch {
	case l.cuts > 0 || w.chance(n.loss):
		w.reach("message lost")
		if w.rng.IntN(2) == 0 {
			w.after(w.upTo(400*time.Millisecond), lost)
		}
		return
	case w.chance(n.duplicate):
		w.reach("message doubled")
		times = 2
	}
	life := from.life
	for range times {
		at := w.now.Add(w.upTo(n.delayMax))
		switch {
		case n.reorder > 0 && at.Before(l.last):
			w.reach("message reordered")
		case n.reorder == 0 && at.Before(l.last):
			at = l.last
		}
		if at.After(l.last) {
			l.last = at
		}
		w.at(at, func() {
			if !from.alive(life) {
				w.reach("message lost with its sender")
				return
			}
			deliver()
		})
	}
}
