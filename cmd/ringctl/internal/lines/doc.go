// Package lines reads and writes the format of import and export: one JSON
// object per line, one line per key.
//
// What is written is read back as the same keys and values, byte for byte: JSON
// values keep the order of their keys and the text of their numbers.
package lines

import "time"

// Help is the text of "ringctl help format".
const Help = `import reads and export writes JSON lines: one object for each key, in UTF-8.

  key           the key, as a string
  key_b64       the key, in base64 (for keys that are no UTF-8)
  value         a string is stored as its bytes; any other JSON value is stored
                compact, with content type application/json, its numbers and the
                order of its fields as they stand
  value_b64     the value, in base64
  siblings      several values: a list of objects with value or value_b64,
                content_type, metadata and expiry
  content_type  of the value, a MIME type
  metadata      of the value, an object of strings
  expiry        when the value expires, as in RFC 3339, counted in milliseconds,
                or "never"; without it, as the bucket type says when it is
                imported

Exactly one of key and key_b64, and one of value, value_b64 and siblings, has to
be there. Another field is an error, and so is a field that stands twice.

  {"key":"alice","value":{"milk":1,"price":1.50}}
  {"key":"bob","value":"plain text","content_type":"text/plain"}
  {"key_b64":"/wA=","value_b64":"iVBORw==","metadata":{"by":"camera 3"}}
  {"key":"carol","siblings":[{"value":"one"},{"value":"two"}]}
  {"key":"dave","value":"bye","expiry":"2030-01-31T12:00:00.000Z"}

A deletion that stands beside other siblings is not exported.`

// Entry is one line: a key and its values.
type Entry struct {
	// Key is any bytes, at least one.
	Key string
	// Values has one element, or more where the key has siblings.
	Values []Value
}

// Value is a value with what is kept beside it.
type Value struct {
	// Data is any bytes.
	Data        []byte
	ContentType string
	Metadata    map[string]string
	Expiry      Expiry
}

// Expiry is when a value expires, in Unix milliseconds. 0 leaves that to the
// bucket type.
type Expiry int64

// Never is the Expiry of a value that stays, whatever the bucket type says.
const Never Expiry = -1

// Time returns when a value with that expiry expires; the zero time is never. It
// is not for 0.
func (e Expiry) Time() time.Time {
	if e == Never {
		return time.Time{}
	}
	return time.UnixMilli(int64(e)).UTC()
}

// String returns the text that stands for e in a line; 0 has none.
func (e Expiry) String() string {
	switch e {
	case 0:
		return ""
	case Never:
		return never
	}
	return e.Time().Format(timeForm)
}

// Past reports whether a value with that expiry has expired at now.
func (e Expiry) Past(now time.Time) bool { return e > 0 && int64(e) <= now.UnixMilli() }

// never is the text of an expiry that does not come.
const never = "never"

// timeForm is how an expiry is written; one with a zone or other decimals is read
// too.
const timeForm = "2006-01-02T15:04:05.000Z"

// jsonType is the content type of values that stand as JSON in a line.
const jsonType = "application/json"

// Error is a line that can't be used.
type Error struct {
	// Field at fault, such as "value_b64" or "siblings[1].metadata"; empty if it
	// is the line as a whole.
	Field   string
	Message string
}

// Error returns the field and what is wrong with it.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}
