// Package history is what the clients of a run saw, and when what was broken.
//
// A history is kept as one line of JSON per operation, in the order in which
// they ended, so that the end of a run that was killed is missing and nothing else.
package history

import "time"

// Outcome is what a client knows of its operation when it ends.
type Outcome string

// The outcomes. A read that was not answered is Failed: it has no effect.
const (
	OK Outcome = "ok"
	// Failed: it certainly had no effect, and never will have.
	Failed Outcome = "failed"
	// Unknown: it may have had an effect, or may yet have one, for ever.
	Unknown Outcome = "unknown"
)

// Op is one operation of one client. Times are since the run began.
type Op struct {
	ID     int    `json:"id"` // in the order in which they began, from 0
	Client int    `json:"client"`
	Member string `json:"member"` // the name of the member that was asked last
	Kind   string `json:"kind"`   // as its workload names it: put, get, delete
	Key    string `json:"key,omitempty"`
	// Write: it may change something. A write without an answer is Unknown, not Failed.
	Write bool          `json:"write,omitempty"`
	Begin time.Duration `json:"begin"`
	End   time.Duration `json:"end"`

	// Value is what was written. A workload writes no value twice.
	Value string `json:"value,omitempty"`
	// Replaces are the values that the write replaces: all that the read which
	// gave its context had found.
	Replaces []string `json:"replaces,omitempty"`
	// Values are what was read, sorted; the siblings of a key.
	Values []string `json:"values,omitempty"`
	// Level is what was asked of replicas, such as "r=2 pr=2".
	Level string `json:"level,omitempty"`
	// Final marks what was done once all faults were over and healed.
	Final bool `json:"final,omitempty"`

	Outcome  Outcome `json:"outcome"`
	Attempts int     `json:"attempts,omitempty"` // 0 is 1
	Error    string  `json:"error,omitempty"`
}

// Fault is something that was broken on purpose, on whom, and for how long.
type Fault struct {
	Name    string        `json:"name"`              // as the nemesis names it
	Members []string      `json:"members,omitempty"` // names
	Detail  string        `json:"detail,omitempty"`
	Begin   time.Duration `json:"begin"`
	End     time.Duration `json:"end"` // 0: it lasted to the end of the run
}

// Anomaly is one breach of a property.
type Anomaly struct {
	Property string `json:"property"` // the checker's name for what was promised
	Key      string `json:"key,omitempty"`
	Ops      []int  `json:"ops,omitempty"` // ids of the operations that show it
	Text     string `json:"text"`
	// Cluster: it was seen of the members, and can't be seen in the history.
	Cluster bool `json:"cluster,omitempty"`
}

// History is all of a run that a checker sees.
type History struct {
	Ops    []Op // by ID
	Faults []Fault
}
