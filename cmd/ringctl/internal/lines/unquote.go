package lines

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf16"
)

// unquote reads a JSON string. It refuses half a surrogate pair, which
// encoding/json would silently replace: the bytes that were meant can't be
// known.
func unquote(raw json.RawMessage) (string, error) {
	var s string
	if len(raw) == 0 || raw[0] != '"' {
		return "", errors.New("has to be a string")
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", errors.New("has to be a string")
	}
	if loneSurrogate(raw) {
		return "", errors.New(`has half a surrogate pair (\ud800 to \udfff): give the bytes in base64`)
	}
	return s, nil
}

// loneSurrogate expects valid JSON.
func loneSurrogate(raw []byte) bool {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return false
		}
		raw = raw[i:]
		if raw[1] != 'u' {
			raw = raw[2:]
			continue
		}
		first := unit(raw)
		raw = raw[6:]
		if !utf16.IsSurrogate(first) {
			continue
		}
		if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' || utf16.DecodeRune(first, unit(raw)) == '\uFFFD' {
			return true
		}
		raw = raw[6:]
	}
}

// unit reads the \uXXXX that raw begins with.
func unit(raw []byte) rune {
	n, _ := strconv.ParseUint(string(raw[2:6]), 16, 16) // valid JSON has four digits here
	return rune(n)
}
