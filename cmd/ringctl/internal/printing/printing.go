// Package printing puts what members answer into tables and JSON.
//
// JSON of what members answer follows api/ringd/v1 by protobuf's JSON mapping,
// with the names of the .proto files and with empty fields: 64-bit numbers are
// strings, enums their names.
package printing

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Table writes rows below a header. Columns whose header ends in ">" are
// aligned to the right.
func Table(w io.Writer, header []string, rows [][]string) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	var columns []table.ColumnConfig
	head := make(table.Row, len(header))
	for i, h := range header {
		name, right := strings.CutSuffix(h, ">")
		head[i] = name
		if right {
			columns = append(columns, table.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
		}
	}
	t.SetColumnConfigs(columns)
	t.AppendHeader(head)
	for _, r := range rows {
		row := make(table.Row, len(r))
		for i, cell := range r {
			row[i] = cell
		}
		t.AppendRow(row)
	}
	t.Render()
}

// Proto writes m as indented JSON.
func Proto(w io.Writer, m proto.Message) error {
	out, err := ProtoJSON(m)
	if err != nil {
		return err
	}
	// protojson spaces its output at random, so that nobody relies on it; who
	// compares what ringctl prints relies on it.
	return Raw(w, out)
}

// ProtoJSON returns m as JSON, to be part of other JSON.
func ProtoJSON(m proto.Message) ([]byte, error) {
	return protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
}

// JSON writes v as indented JSON.
func JSON(w io.Writer, v any) error {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	return Raw(w, out.Bytes())
}

// Raw writes src, which is JSON, indented and with a line break.
func Raw(w io.Writer, src []byte) error {
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(src), "", "  "); err != nil {
		return err
	}
	out.WriteByte('\n')
	_, err := w.Write(out.Bytes())
	return err
}

// Name returns any bytes as text in one line: as they are if that is readable
// and can't be mistaken, else quoted as in Go.
func Name(s string) string {
	if s == "" || s[0] == '"' || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// shortBytes of a name tell in a message which one is meant.
const shortBytes = 64

// Short is Name, cut off where it is long.
func Short(s string) string {
	if len(s) <= shortBytes {
		return Name(s)
	}
	cut := shortBytes
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return Name(s[:cut]) + "..."
}
