package moves_test

// The members: a slot's former and new owner, and the owners of the other two.
const (
	memberA uint8 = iota
	memberD
	memberX
	memberY
	members
)

const others = set(1<<memberX | 1<<memberY)

// rules are the protections that can be taken out one at a time.
type rules struct {
	fence          bool // the former owner takes no more before the last comparison
	fenceDurable   bool // also after a restart
	fenceKept      bool // until the log has decided
	fenceOfLost    bool // an owner that lost its store counts as fenced
	closing        bool // the two are compared after the fence
	wholeOnly      bool // an owner that lost data hands nothing over
	settled        bool // the new owner settles before the move is proposed
	settledDurable bool // and says so once that is durable
	settleMove     bool // it names the move
	settleLife     bool // and the life that was compared
	standing       bool // an owner answers only as far as its disk says that it holds the slot
	arrivalNumber  bool // by the move that the ring says
	logNumber      bool // the log refuses a move that is not under way
	inheritNumber  bool // and so does the new owner
	adoptLife      bool // what was seen is adopted only in the life that was compared
	drop           bool // the new owner begins with nothing
	dropSeen       bool // nor with having seen anything
	ringKnown      bool // the new owner answers once its ring says so, not on the former one's word
	epochCheck     bool // other owners refuse messages of rings before the present one
	epochDurable   bool // also after a restart
	heard          bool // a rebuilt owner takes writes once the other owners know of it
	sources        bool // and answers reads once it has what enough of them have
}

var allRules = rules{
	true, true, true, true, true, true, true, true, true, true, true, true,
	true, true, true, true, true, true, true, true, true, true,
}

// disk is what a vnode has: the key, and vnode's standing.
type disk struct {
	object         object
	seen           set
	arrival, fence uint8
	settled        bool
	incomplete     bool
}

// member is what a member works with, and what a crash leaves. What it knows of the
// agreed state it saves before it acts on it.
type member struct {
	mem, dur disk
	taken    set   // writes taken and not yet acknowledged
	view     uint8 // the entry of the log that it knows
	life     uint8
	sources  set
	heard    set
}

func (m *member) synced() bool { return m.mem == m.dur }

// entry is what the agreed state says of the partition after a command.
type entry struct {
	owner   uint8 // of the slot
	epoch   uint8
	arrival uint8 // the move by which it got it
	move    uint8 // under way; 0 for none
}

const entries = 5

// write is a client's: the object of it goes to the owners of the ring of its epoch.
type write struct {
	epoch   uint8 // 0: not begun
	by      uint8 // who coordinates it
	over    bool  // its coordinator restarted: acknowledgements come to nobody
	object  object
	pending set // members that it is on its way to
	acks    set
}

// strict: a quorum acknowledged it.
func (w *write) strict() bool {
	n := 0
	for _, slot := range []set{1<<memberA | 1<<memberD, 1 << memberX, 1 << memberY} {
		if w.acks&slot != 0 {
			n++
		}
	}
	return n >= 2
}

type stage uint8

const (
	idle stage = iota
	inheriting
	comparing
	transferring
	adopting
	fencing
	fenced
	settling
	finished
)

// op is a handoff.Move under way, and the message of it that is: of stages inheriting,
// transferring, adopting and settling.
type op struct {
	message
	closing  bool // the comparison is that after the fence
	answered bool // the message has arrived, and is answered once that is durable
}

// message goes from a move's former owner to the new one; its stage says what it is.
type message struct {
	stage         stage
	number, epoch uint8
	life          uint8
	object        object
	seen          set // captured from the former owner
	seenBack      set // from the new one
}

// reading is a client's read of two owners, after the first answer.
type reading struct {
	epoch  uint8 // 0: none
	from   uint8
	must   set // acknowledged before it began
	object object
	seen   set
}

// state is one of the model's. It is compared as it stands.
type state struct {
	m        [members]member
	w        [writes]write
	log      [entries]entry
	n        uint8 // entries
	proposed set   // moves whose proposal is under way
	op       op
	late     message
	read     reading
	crashes  uint8 // left
	wipes    uint8
}

func (s *state) last() entry      { return s.log[s.n-1] }
func (s *state) at(m uint8) entry { return s.log[s.m[m].view] }
func (s *state) append(e entry)   { s.log[s.n] = e; s.n++ }
func (s *state) sync(m uint8) {
	v := &s.m[m]
	v.dur = v.mem
	for w := range uint8(writes) {
		if v.taken.has(w) && !s.w[w].over {
			s.w[w].acks |= of(m)
		}
	}
	v.taken = 0
}

// ownersAt are those of the ring of an epoch.
func (s *state) ownersAt(epoch uint8) set {
	for _, e := range s.log[:s.n] {
		if e.epoch == epoch {
			return others | of(e.owner)
		}
	}
	return 0
}

// acknowledged are the writes that a read must not miss.
func (s *state) acknowledged() set {
	var out set
	for w := range s.w {
		if s.w[w].epoch > 0 && s.w[w].strict() {
			out |= of(uint8(w))
		}
	}
	return out
}

func (s *state) receive(m uint8, o object) {
	d := &s.m[m].mem
	d.object = received[d.object.index()][d.seen][o.index()]
}
