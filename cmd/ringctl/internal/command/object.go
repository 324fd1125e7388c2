package command

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/lines"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

// object is what a read or write answered about a key.
type object struct {
	bucketType, bucket, key string
	found                   client.Object
	head                    bool // without values
}

// json is the form that "ringctl get --help" describes.
func (o object) json() []byte {
	out := []byte("{")
	out = o.appendName(out)
	out = append(out, `,"found":`...)
	out = strconv.AppendBool(out, len(o.found.Siblings) > 0)
	out = append(out, `,"context":"`...)
	out = base64.StdEncoding.AppendEncode(out, o.found.Context)
	out = append(out, `",`...)
	return append(appendSiblings(out, o.found.Siblings, o.head), '}')
}

func (o object) appendName(out []byte) []byte {
	out = append(out, `"bucket_type":`...)
	out = append(out, encoded(o.bucketType)...)
	out = append(out, ',')
	out = lines.AppendKey(out, "bucket", []byte(o.bucket))
	out = append(out, ',')
	return lines.AppendKey(out, "key", []byte(o.key))
}

// appendSiblings appends the field "siblings".
func appendSiblings(out []byte, all []client.Sibling, head bool) []byte {
	out = append(out, `"siblings":[`...)
	for i, s := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"sibling":`...)
		out = strconv.AppendInt(out, int64(i+1), 10)
		out = append(out, `,"size":`...)
		out = strconv.AppendInt(out, int64(s.Size), 10)
		out = append(out, `,"modified":`...)
		out = append(out, encoded(timeText(s.Modified))...)
		if s.Deleted {
			out = append(out, `,"deleted":true}`...)
			continue
		}
		if !s.Expiry.IsZero() {
			out = append(out, `,"expiry":`...)
			out = append(out, encoded(timeText(s.Expiry))...)
		}
		if !head {
			out = append(out, ',')
			out, _ = lines.Value{Data: s.Value, ContentType: s.ContentType}.AppendData(out)
		}
		out = append(out, `,"content_type":`...)
		out = append(out, encoded(s.ContentType)...)
		if len(s.Metadata) > 0 {
			out = append(out, `,"metadata":`...)
			out = append(out, encoded(s.Metadata)...)
		}
		out = append(out, '}')
	}
	return append(out, ']')
}

// encoded is v, a string or map of strings, in JSON.
func encoded(v any) []byte {
	out, err := json.Marshal(v)
	must(err)
	return out
}

// printSiblings lists siblings with the beginning of each.
func printSiblings(w io.Writer, all []client.Sibling) {
	var rows [][]string
	for i, s := range all {
		begin, expiry := preview(s.Value), "never"
		if s.Deleted {
			begin = "(deleted)"
		}
		if !s.Expiry.IsZero() {
			expiry = timeText(s.Expiry)
		}
		rows = append(rows, []string{strconv.Itoa(i + 1), strconv.Itoa(s.Size), timeText(s.Modified), expiry, s.ContentType, begin})
	}
	printing.Table(w, []string{"sibling>", "bytes>", "modified", "expires", "content type", "begins with"}, rows)
}

// previewRunes of a value are shown where it is only to be told from others.
const previewRunes = 40

func preview(value []byte) string {
	cut := value[:min(len(value), previewRunes*utf8.UTFMax)]
	for len(cut) < len(value) && len(cut) > 0 && !utf8.RuneStart(value[len(cut)]) {
		cut = cut[:len(cut)-1]
	}
	if !utf8.Valid(cut) {
		return "(binary)"
	}
	text := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, string(cut)))
	if len(text) > previewRunes {
		return string(text[:previewRunes]) + "..."
	}
	return string(text)
}
