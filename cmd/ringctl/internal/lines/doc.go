// Package lines reads and writes the format of import and export: one JSON
// object per line, one line per key.
//
// What is written is read back as the same keys and values, byte for byte: JSON
// values keep the order of their keys and the text of their numbers.
package lines

// Help is the text of "ringctl help format".
const Help = `import reads and export writes JSON lines: one object for each key, in UTF-8.

  key           the key, as a string
  key_b64       the key, in base64 (for keys that are no UTF-8)
  value         a string is stored as its bytes; any other JSON value is stored
                compact, with content type application/json, its numbers and the
                order of its fields as they stand
  value_b64     the value, in base64
  siblings      several values: a list of objects with value or value_b64,
                content_type and metadata
  content_type  of the value, a MIME type
  metadata      of the value, an object of strings
  expiry        refused: values don't expire in this version

Exactly one of key and key_b64, and one of value, value_b64 and siblings, has to
be there. Another field is an error, and so is a field that stands twice.

  {"key":"alice","value":{"milk":1,"price":1.50}}
  {"key":"bob","value":"plain text","content_type":"text/plain"}
  {"key_b64":"/wA=","value_b64":"iVBORw==","metadata":{"by":"camera 3"}}
  {"key":"carol","siblings":[{"value":"one"},{"value":"two"}]}

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
}

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
