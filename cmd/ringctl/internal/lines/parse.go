package lines

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Parse reads one line, without its line break. The error is an [*Error]. If
// the key could be read, the entry has it even then.
func Parse(line []byte) (Entry, error) {
	if !utf8.Valid(line) {
		return Entry{}, &Error{Message: "the line is not UTF-8: put such bytes in key_b64 or value_b64"}
	}
	fields, err := object(line)
	if err != nil {
		return Entry{}, err
	}
	var e Entry
	if e.Key, err = key(fields); err != nil {
		return Entry{}, err
	}
	raw, ok := fields["siblings"]
	if !ok {
		v, err := value(fields, "", "key", "key_b64", "siblings")
		if err != nil {
			return e, err
		}
		e.Values = []Value{v}
		return e, nil
	}
	for _, other := range []string{"value", "value_b64", "content_type", "metadata", "expiry"} {
		if _, ok := fields[other]; ok {
			return e, &Error{other, "stands beside siblings: it belongs into each of them"}
		}
	}
	e.Values, err = siblings(raw)
	if err != nil {
		return e, err
	}
	return e, unknownFields(fields, "", "key", "key_b64", "siblings")
}

func siblings(raw json.RawMessage) ([]Value, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 {
		return nil, &Error{"siblings", "has to be a list of at least one object"}
	}
	values := make([]Value, len(list))
	for i, raw := range list {
		at := fmt.Sprintf("siblings[%d]", i)
		fields, err := object(raw)
		if err != nil {
			return nil, &Error{at, err.Error()}
		}
		if values[i], err = value(fields, at+"."); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// object splits a JSON object into its fields, and refuses one that stands
// twice: which of the two was meant can't be known.
func object(src []byte) (map[string]json.RawMessage, error) {
	if err := syntax(src); err != nil {
		return nil, err
	}
	if trimmed := bytes.TrimLeft(src, " \t\r"); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, &Error{Message: "not a JSON object"}
	}
	d := json.NewDecoder(bytes.NewReader(src))
	if _, err := d.Token(); err != nil {
		return nil, &Error{Message: err.Error()}
	}
	fields := make(map[string]json.RawMessage, 4)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, &Error{Message: err.Error()}
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, &Error{Message: err.Error()}
		}
		field := name.(string) // in an object, every other token is one
		if _, twice := fields[field]; twice {
			return nil, &Error{field, "stands twice"}
		}
		fields[field] = raw
	}
	return fields, nil
}

// syntax says in words what keeps src from being JSON.
func syntax(src []byte) error {
	if json.Valid(src) {
		return nil
	}
	var ignored json.RawMessage
	err := json.Unmarshal(src, &ignored)
	s, ok := errors.AsType[*json.SyntaxError](err)
	switch {
	case !ok:
		return &Error{Message: fmt.Sprintf("not JSON: %v", err)}
	case s.Offset >= int64(len(src)) && s.Error() == "unexpected end of JSON input":
		return &Error{Message: fmt.Sprintf("not JSON: it ends in the middle, after %d bytes (is the file cut off?)", len(src))}
	}
	return &Error{Message: fmt.Sprintf("not JSON: %v, at byte %d", s, s.Offset)}
}

func key(fields map[string]json.RawMessage) (string, error) {
	text, isText := fields["key"]
	coded, isCoded := fields["key_b64"]
	var k, name string
	switch {
	case isText && isCoded:
		return "", &Error{"key_b64", "stands beside key: give one of the two"}
	case isText:
		name = "key"
		s, err := unquote(text)
		if err != nil {
			return "", &Error{name, err.Error()}
		}
		k = s
	case isCoded:
		name = "key_b64"
		b, err := decode(coded)
		if err != nil {
			return "", &Error{name, err.Error()}
		}
		k = string(b)
	default:
		return "", &Error{"key", "is missing: give key or key_b64"}
	}
	if k == "" {
		return "", &Error{name, "is empty: a key has at least 1 byte"}
	}
	return k, nil
}

// value reads the fields of one value; at goes before their names in errors,
// and others are the fields that may stand beside them.
func value(fields map[string]json.RawMessage, at string, others ...string) (Value, error) {
	var v Value
	if err := unknownFields(fields, at, append(others, "value", "value_b64", "content_type", "metadata", "expiry")...); err != nil {
		return v, err
	}
	if raw, ok := fields["content_type"]; ok {
		s, err := unquote(raw)
		if err != nil {
			return v, &Error{at + "content_type", err.Error()}
		}
		v.ContentType = s
	}
	if raw, ok := fields["metadata"]; ok {
		pairs, err := object(raw)
		if err != nil {
			return v, &Error{at + "metadata", "has to be an object of strings"}
		}
		v.Metadata = make(map[string]string, len(pairs))
		for name, raw := range pairs {
			s, err := unquote(raw)
			if err != nil {
				return v, &Error{at + "metadata." + name, err.Error()}
			}
			v.Metadata[name] = s
		}
	}
	if raw, ok := fields["expiry"]; ok {
		var err error
		if v.Expiry, err = expiry(raw); err != nil {
			return v, &Error{at + "expiry", err.Error()}
		}
	}
	plain, isPlain := fields["value"]
	coded, isCoded := fields["value_b64"]
	switch {
	case isPlain && isCoded:
		return v, &Error{at + "value_b64", "stands beside value: give one of the two"}
	case isCoded:
		b, err := decode(coded)
		if err != nil {
			return v, &Error{at + "value_b64", err.Error()}
		}
		v.Data = b
	case !isPlain:
		return v, &Error{at + "value", "is missing: give value, value_b64 or siblings"}
	case plain[0] == '"':
		s, err := unquote(plain)
		if err != nil {
			return v, &Error{at + "value", err.Error()}
		}
		v.Data = []byte(s)
	default:
		var compact bytes.Buffer
		if err := json.Compact(&compact, plain); err != nil {
			return v, &Error{at + "value", err.Error()}
		}
		v.Data = compact.Bytes()
		if v.ContentType == "" {
			v.ContentType = jsonType
		}
	}
	return v, nil
}

// expiry reads a time, to the millisecond as members keep it.
func expiry(raw json.RawMessage) (Expiry, error) {
	s, err := unquote(raw)
	if err != nil {
		return 0, err
	}
	if s == never {
		return Never, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.UnixMilli() <= 0 || t.UTC().Year() > 9999 {
		return 0, fmt.Errorf("%q is no time as in RFC 3339, such as %q, and not %q", s, "2030-01-31T12:00:00Z", never)
	}
	return Expiry(t.UnixMilli()), nil
}

func unknownFields(fields map[string]json.RawMessage, at string, known ...string) error {
next:
	for name := range fields {
		for _, k := range known {
			if name == k {
				continue next
			}
		}
		return &Error{at + name, `no such field: see "ringctl help format"`}
	}
	return nil
}

func decode(raw json.RawMessage) ([]byte, error) {
	s, err := unquote(raw)
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("not base64 (the standard alphabet, with padding)")
	}
	return b, nil
}
