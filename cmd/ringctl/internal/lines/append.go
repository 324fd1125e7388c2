package lines

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"
)

// Append appends e as one line, with its line break.
func (e Entry) Append(dst []byte) []byte {
	dst = append(dst, '{')
	dst = AppendKey(dst, "key", []byte(e.Key))
	if len(e.Values) == 1 {
		dst = append(dst, ',')
		dst = e.Values[0].AppendFields(dst)
		return append(dst, "}\n"...)
	}
	dst = append(dst, `,"siblings":[`...)
	for i, v := range e.Values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		dst = v.AppendFields(dst)
		dst = append(dst, '}')
	}
	return append(dst, "]}\n"...)
}

// AppendKey appends a field of that name with b as a string, or, if b is no
// UTF-8, one with "_b64" behind its name.
func AppendKey(dst []byte, name string, b []byte) []byte {
	dst = append(dst, '"')
	dst = append(dst, name...)
	if !utf8.Valid(b) {
		dst = append(dst, `_b64":`...)
		return appendBase64(dst, b)
	}
	dst = append(dst, `":`...)
	return appendQuoted(dst, b)
}

// AppendFailure appends an object that says why a key failed: "key" or "key_b64",
// "error".
func AppendFailure(dst []byte, key, reason string) []byte {
	dst = AppendKey(append(dst, '{'), "key", []byte(key))
	dst = AppendKey(append(dst, ','), "error", []byte(reason))
	return append(dst, '}')
}

// AppendFields appends the value, content type, metadata and expiry as fields of
// an object, without braces.
func (v Value) AppendFields(dst []byte) []byte {
	dst, implied := v.AppendData(dst)
	if v.ContentType != "" && !implied {
		dst = append(dst, `,"content_type":`...)
		dst = appendQuoted(dst, []byte(v.ContentType))
	}
	if len(v.Metadata) > 0 {
		dst = append(dst, `,"metadata":{`...)
		for i, name := range slices.Sorted(maps.Keys(v.Metadata)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendQuoted(dst, []byte(name))
			dst = append(dst, ':')
			dst = appendQuoted(dst, []byte(v.Metadata[name]))
		}
		dst = append(dst, '}')
	}
	if v.Expiry != 0 {
		dst = append(dst, `,"expiry":"`+v.Expiry.String()+`"`...)
	}
	return dst
}

// AppendData appends the field value or value_b64. Implied says that the content
// type follows from its form.
func (v Value) AppendData(dst []byte) (out []byte, implied bool) {
	if v.ContentType == jsonType && standsAsJSON(v.Data) {
		dst = append(dst, `"value":`...)
		return append(dst, v.Data...), true
	}
	if utf8.Valid(v.Data) {
		start := len(dst)
		dst = append(dst, `"value":`...)
		dst = appendQuoted(dst, v.Data)
		if len(dst)-start <= base64.StdEncoding.EncodedLen(len(v.Data))+escapeSlack {
			return dst, false
		}
		dst = dst[:start]
	}
	dst = append(dst, `"value_b64":`...)
	return appendBase64(dst, v.Data), false
}

// escapeSlack is how much longer than base64 a string may get by its escapes:
// short texts stay readable, and no line is much longer than base64 makes it,
// so that whatever was exported is within an import's bound.
const escapeSlack = 64

// standsAsJSON reports whether data, put into a line as it is, would be read
// back as the same bytes: it is JSON, compact, and no string, which would be
// taken for the bytes that it quotes.
func standsAsJSON(data []byte) bool {
	if len(data) == 0 || data[0] == '"' || !utf8.Valid(data) || !json.Valid(data) {
		return false
	}
	var compact bytes.Buffer
	compact.Grow(len(data))
	return json.Compact(&compact, data) == nil && bytes.Equal(compact.Bytes(), data)
}

// appendQuoted appends text, which is UTF-8, as a JSON string.
func appendQuoted(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	plain := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
			continue
		}
		dst = append(dst, text[plain:i]...)
		plain = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	dst = append(dst, text[plain:]...)
	return append(dst, '"')
}

func appendBase64(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}
