package executor

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/ringd/ringd/internal/clock"
	"github.com/ringd/ringd/replica"
	"github.com/ringd/ringd/ring"
	"github.com/ringd/ringd/storage"
	"github.com/ringd/ringd/vnode"
)

// ErrFull says that the vnode's mailbox is full: the request was refused before
// it was begun.
var ErrFull = errors.New("the mailbox of the partition's executor is full")

// ErrClosed says that the pool was closed.
var ErrClosed = errors.New("the executors are closed")

// Config describes a Pool.
type Config struct {
	// Vnode describes the executors, with the member's HintBytesMax.
	Vnode vnode.Config
	// Executors run the partitions. More than one a core, so that one that waits
	// for the disk to read leaves the core to another.
	Executors int
	// MailboxMax bounds the requests that wait per executor: at some 20 us each,
	// a tenth of a second of work.
	MailboxMax int
	// StepMax bounds the events of one step, and so the size of a batch.
	StepMax int
	// SyncsMax bounds the batches per executor that wait for their sync.
	SyncsMax int
	// Behind is called when a request shows that another member has a newer
	// ring. It must not block.
	Behind func(ring.MemberID)
	// Notice is called with what an operator may want to know. It must not block.
	Notice func(vnode.Notice)
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Vnode:      vnode.DefaultConfig(),
		Executors:  2 * runtime.GOMAXPROCS(0),
		MailboxMax: 4096,
		StepMax:    256,
		SyncsMax:   64,
		Behind:     func(ring.MemberID) {},
		Notice:     func(vnode.Notice) {},
	}
}

// Reply receives the answers to one request. It must not block.
type Reply func(replica.Envelope)

// Pool is the running executors of one member.
type Pool struct {
	executors []*runner
}

// Open starts the executors over engine, which the caller keeps open until
// after Close.
func Open(config Config, engine storage.Engine) (*Pool, error) {
	if config.Executors < 1 || config.MailboxMax < 1 || config.StepMax < 1 || config.SyncsMax < 1 {
		return nil, fmt.Errorf("executor: Executors, MailboxMax, StepMax and SyncsMax have to be at least 1: %+v", config)
	}
	p := new(Pool)
	for i := range config.Executors {
		vc := config.Vnode
		vc.Index, vc.Of = i, config.Executors
		vc.HintBytesMax /= int64(config.Executors)
		r := &runner{
			config:   config,
			engine:   engine,
			machine:  vnode.NewExecutor(vc, vnode.NewKV(vc)),
			requests: make(chan vnode.Event, config.MailboxMax),
			control:  make(chan vnode.Event, 16),
			commits:  make(chan commit, config.SyncsMax),
			synced:   make(chan vnode.Event, config.SyncsMax),
			closing:  make(chan struct{}),
		}
		r.running.Add(2)
		go r.run()
		go r.commit()
		p.executors = append(p.executors, r)
	}
	return p, nil
}

// Submit hands a request to its partition's executor. Reply is called from the
// executor's goroutine. The error is ErrFull or ErrClosed.
func (p *Pool) Submit(env replica.Envelope, reply Reply) error {
	r := p.executors[int(env.Partition)%len(p.executors)]
	r.gate.RLock()
	defer r.gate.RUnlock()
	if r.closed {
		return ErrClosed
	}
	select {
	case r.requests <- vnode.Request{Envelope: env, Reply: reply}:
		return nil
	default:
		return ErrFull
	}
}

// Install gives the executors what is agreed. HintBytesMax is of the member.
func (p *Pool) Install(e vnode.Installed) {
	e.HintBytesMax /= int64(len(p.executors))
	p.tell(e)
}

// Room tells the executors how much of the disk is left.
func (p *Pool) Room(level vnode.RoomLevel) { p.tell(vnode.Room{Level: level}) }

func (p *Pool) tell(e vnode.Event) {
	for _, r := range p.executors {
		select {
		case r.control <- e:
		case <-r.closing:
		}
	}
}

// Close stops the executors cleanly: what they took is answered, the vnodes are
// marked as cleanly stopped, and all of it is synced.
func (p *Pool) Close() error {
	for _, r := range p.executors {
		r.gate.Lock()
		if !r.closed {
			r.closed = true
			close(r.closing)
		}
		r.gate.Unlock()
	}
	var errs []error
	for _, r := range p.executors {
		r.running.Wait()
		errs = append(errs, r.failed)
	}
	return errors.Join(errs...)
}

type commit struct {
	id     vnode.BatchID
	commit storage.Commit
	err    error
}

// runner is one executor's machine and its two goroutines.
type runner struct {
	config  Config
	engine  storage.Engine
	machine *vnode.Executor

	requests chan vnode.Event // bounded by MailboxMax; closed never
	control  chan vnode.Event
	commits  chan commit      // run to commit; closed by run
	synced   chan vnode.Event // commit to run; closed by commit
	closing  chan struct{}
	running  sync.WaitGroup
	// gate is held for reading by who submits, so that nothing enters a mailbox
	// that was emptied for the last time.
	gate   sync.RWMutex
	closed bool

	failed error // of run's last batch; read after running
}

// run steps the machine until it is told to close, and then to the end of what
// it took. It never blocks on commits while commit blocks on synced: both have
// room for SyncsMax, and run counts what is under way.
func (r *runner) run() {
	defer r.running.Done()
	events := make([]vnode.Event, 0, r.config.StepMax)
	underway := 0
	closing := r.closing
	stopped := false
	for {
		requests := r.requests
		if underway == r.config.SyncsMax {
			requests = nil
		}
		events = events[:0]
		if stopped {
			if underway == 0 {
				close(r.commits)
				return
			}
			events = append(events, <-r.synced)
		} else {
			select {
			case e := <-requests:
				events = append(events, e)
			case e := <-r.control:
				events = append(events, e)
			case e := <-r.synced:
				events = append(events, e)
			case <-closing:
				closing = nil
				stopped = true
				events = drain(events, r.requests, len(r.requests))
				events = append(events, vnode.Stop{})
			}
		}
		events = drain(events, r.synced, r.config.SyncsMax)
		if requests != nil && !stopped {
			events = drain(events, requests, r.config.StepMax-len(events))
		}
		for _, e := range events {
			if s, ok := e.(vnode.Synced); ok {
				underway--
				if s.Err != nil {
					r.failed = s.Err
				}
			}
		}
		fx := r.machine.Step(clock.Now(), events, r.engine)
		clear(events)
		if fx.Batch != nil {
			c, err := r.engine.Apply(fx.Batch)
			r.commits <- commit{fx.ID, c, err}
			underway++
		}
		r.deliver(fx)
	}
}

func drain(events []vnode.Event, from chan vnode.Event, most int) []vnode.Event {
	for ; most > 0; most-- {
		select {
		case e := <-from:
			events = append(events, e)
		default:
			return events
		}
	}
	return events
}

func (r *runner) deliver(fx vnode.Effects) {
	for _, a := range fx.Answers {
		a.Reply.(Reply)(a.Envelope)
	}
	if !fx.Behind.IsZero() {
		r.config.Behind(fx.Behind)
	}
	for _, n := range fx.Notices {
		r.config.Notice(n)
	}
}

// commit waits for the batches' syncs, in order.
func (r *runner) commit() {
	defer r.running.Done()
	for c := range r.commits {
		err := c.err
		if err == nil {
			err = c.commit.Wait()
		}
		r.synced <- vnode.Synced{Batch: c.id, Err: err}
	}
}
