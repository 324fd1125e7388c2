package lines

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		line string
		want Entry
	}{
		{`{"key":"k","value":"text \u00e9\n"}`, Entry{"k", []Value{{Data: []byte("text é\n")}}}},
		{` { "key" : "k" , "value" : { "b" : 1.50 , "a" : [1e400, 12345678901234567890] } } `, Entry{"k", []Value{{Data: []byte(`{"b":1.50,"a":[1e400,12345678901234567890]}`), ContentType: "application/json"}}}},
		{`{"key":"k","value":null}`, Entry{"k", []Value{{Data: []byte("null"), ContentType: "application/json"}}}},
		{`{"key":"k","value":{},"content_type":"application/x+json"}`, Entry{"k", []Value{{Data: []byte("{}"), ContentType: "application/x+json"}}}},
		{`{"key_b64":"/wA=","value_b64":"AAEC","metadata":{"a":"1","":""}}`, Entry{"\xff\x00", []Value{{Data: []byte{0, 1, 2}, Metadata: map[string]string{"a": "1", "": ""}}}}},
		{`{"key":"k","value":""}`, Entry{"k", []Value{{Data: []byte{}}}}},
		{`{"key":"k","value":"\ud83d\ude00 \ufffd"}`, Entry{"k", []Value{{Data: []byte("😀 \ufffd")}}}},
		{`{"key":"k","value":"v","expiry":"2030-01-31T13:00:00.1234+01:00"}`, Entry{"k", []Value{{Data: []byte("v"), Expiry: 1896091200123}}}},
		{`{"key":"k","value":"v","expiry":"never"}`, Entry{"k", []Value{{Data: []byte("v"), Expiry: Never}}}},
		{`{"siblings":[{"value":"1"},{"value":2,"metadata":{"m":"n"}}],"key":"k"}`, Entry{"k", []Value{{Data: []byte("1")}, {Data: []byte("2"), ContentType: "application/json", Metadata: map[string]string{"m": "n"}}}}},
	} {
		got, err := Parse([]byte(c.line))
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
		} else if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.line, got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ line, field, message string }{
		{`{"key":"k","val`, "", "ends in the middle"},
		{`hello`, "", "not JSON"},
		{`{"key":"k" "value":1}`, "", "at byte 12"},
		{`{"key":"k","value":1} {}`, "", "not JSON"},
		{`[1]`, "", "not a JSON object"},
		{`"k"`, "", "not a JSON object"},
		{"{\"key\":\"\xff\",\"value\":1}", "", "not UTF-8"},
		{`{"value":1}`, "key", "missing"},
		{`{"key":"","value":1}`, "key", "empty"},
		{`{"key_b64":"","value":1}`, "key_b64", "empty"},
		{`{"key":7,"value":1}`, "key", "string"},
		{`{"key":null,"value":1}`, "key", "string"},
		{`{"key":"\ud800","value":1}`, "key", "surrogate"},
		{`{"key":"k","value":"\udc00\ud800x"}`, "value", "surrogate"},
		{`{"key":"k","key_b64":"aw==","value":1}`, "key_b64", "one of the two"},
		{`{"key_b64":"aw","value":1}`, "key_b64", "not base64"},
		{`{"key":"k"}`, "value", "missing"},
		{`{"key":"k","value":1,"value_b64":""}`, "value_b64", "one of the two"},
		{`{"key":"k","value_b64":"*"}`, "value_b64", "not base64"},
		{`{"key":"k","value_b64":{}}`, "value_b64", "string"},
		{`{"key":"k","value":1,"value":2}`, "value", "twice"},
		{`{"key":"k","value":1,"vlaue":2}`, "vlaue", "no such field"},
		{`{"key":"k","value":1,"expiry":5}`, "expiry", "string"},
		{`{"key":"k","value":1,"expiry":null}`, "expiry", "string"},
		{`{"key":"k","value":1,"expiry":"2030-01-31"}`, "expiry", "RFC 3339"},
		{`{"key":"k","value":1,"expiry":"1970-01-01T00:00:00Z"}`, "expiry", "no time"},
		{`{"key":"k","value":1,"expiry":"9999-12-31T23:00:00-01:00"}`, "expiry", "no time"},
		{`{"key":"k","siblings":[{"value":1}],"expiry":"never"}`, "expiry", "each of them"},
		{`{"key":"k","value":1,"metadata":{"a":1}}`, "metadata.a", "string"},
		{`{"key":"k","value":1,"metadata":[]}`, "metadata", "object"},
		{`{"key":"k","value":1,"content_type":1}`, "content_type", "string"},
		{`{"key":"k","siblings":[]}`, "siblings", "at least one"},
		{`{"key":"k","siblings":{}}`, "siblings", "list"},
		{`{"key":"k","siblings":[1]}`, "siblings[0]", "object"},
		{`{"key":"k","siblings":[{"value":1},{"key":"x","value":1}]}`, "siblings[1].key", "no such field"},
		{`{"key":"k","siblings":[{"value":1}],"content_type":"x"}`, "content_type", "each of them"},
		{`{"key":"k","siblings":[{"value":1}],"value":1}`, "value", "each of them"},
		{`{"key":"k","siblings":[{"value":1}],"other":1}`, "other", "no such field"},
	} {
		_, err := Parse([]byte(c.line))
		e, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%s: error %v", c.line, err)
			continue
		}
		if e.Field != c.field || !strings.Contains(e.Message, c.message) {
			t.Errorf("%s: field %q, %q; want field %q, %q", c.line, e.Field, e.Message, c.field, c.message)
		}
	}
}

func TestAppendForms(t *testing.T) {
	for _, c := range []struct {
		value Value
		want  string
	}{
		{Value{Data: []byte(`{"z":1.0,"a":"<&>"}`), ContentType: "application/json"}, `{"key":"k","value":{"z":1.0,"a":"<&>"}}`},
		{Value{Data: []byte(`{"z": 1}`), ContentType: "application/json"}, `{"key":"k","value":"{\"z\": 1}","content_type":"application/json"}`},
		{Value{Data: []byte(`"text"`), ContentType: "application/json"}, `{"key":"k","value":"\"text\"","content_type":"application/json"}`},
		{Value{Data: []byte(`{`), ContentType: "application/json"}, `{"key":"k","value":"{","content_type":"application/json"}`},
		{Value{Data: []byte(`{}`)}, `{"key":"k","value":"{}"}`},
		{Value{Data: []byte("a\tb\x00\x7f")}, `{"key":"k","value":"a\tb\u0000\u007f"}`},
		{Value{Data: []byte{0xff}, Metadata: map[string]string{"b": "2", "a": "1"}}, `{"key":"k","value_b64":"/w==","metadata":{"a":"1","b":"2"}}`},
		{Value{}, `{"key":"k","value":""}`},
		{Value{Expiry: 1896091200123}, `{"key":"k","value":"","expiry":"2030-01-31T12:00:00.123Z"}`},
		{Value{Expiry: 1896091200000, ContentType: "t", Metadata: map[string]string{"a": "1"}}, `{"key":"k","value":"","content_type":"t","metadata":{"a":"1"},"expiry":"2030-01-31T12:00:00.000Z"}`},
		{Value{Expiry: Never}, `{"key":"k","value":"","expiry":"never"}`},
		{Value{Data: make([]byte, 60)}, `{"key":"k","value_b64":"` + strings.Repeat("A", 80) + `"}`},
	} {
		if got := string(Entry{"k", []Value{c.value}}.Append(nil)); got != c.want+"\n" {
			t.Errorf("%q:\n got %s\nwant %s", c.value, got, c.want)
		}
	}
}

// same compares what is stored: no metadata is empty metadata.
func same(a, b Entry) bool {
	if a.Key != b.Key || len(a.Values) != len(b.Values) {
		return false
	}
	for i, v := range a.Values {
		w := b.Values[i]
		if string(v.Data) != string(w.Data) || v.ContentType != w.ContentType || v.Expiry != w.Expiry {
			return false
		}
		if len(v.Metadata)+len(w.Metadata) > 0 && !reflect.DeepEqual(v.Metadata, w.Metadata) {
			return false
		}
	}
	return true
}

// FuzzParse: whatever is read is written so that it is read as the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"key":"k","value":"a"}`, `{"key":"k","value":{"a":1.0}}`, `{"key_b64":"/w==","value_b64":"AA=="}`,
		`{"key":"k","siblings":[{"value":1},{"value":"x","metadata":{"a":"b"}}]}`, `{"key":"\ud83d\ude00","value":" "}`,
		`{"key":"k","value":"\"q\"","content_type":"application/json"}`,
		`{"key":"k","value":1,"expiry":"2030-01-31T12:00:00.5Z"}`, `{"key":"k","value":1,"expiry":"never"}`, `{"key":"k","va`, `[]`, "\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := Parse(line)
		if err != nil {
			return
		}
		again, err := Parse([]byte(strings.TrimSuffix(string(e.Append(nil)), "\n")))
		if err != nil || !same(e, again) {
			t.Fatalf("%q\n was written as %s and read as %q, error %v", e, e.Append(nil), again, err)
		}
	})
}

// FuzzValue: whatever is stored is exported so that it is imported as the same.
func FuzzValue(f *testing.F) {
	for _, s := range []string{"", "a", "{}", `{"a": 1}`, `"s"`, "null", "\xff", "\u2028", "12 ", "{\"a\":1}\n"} {
		f.Add([]byte("k"+s), []byte(s), true)
		f.Add([]byte("k"), []byte(s), false)
	}
	f.Fuzz(func(t *testing.T, key, data []byte, asJSON bool) {
		if len(key) == 0 {
			return
		}
		e := Entry{string(key), []Value{{Data: data}, {Data: data, Metadata: map[string]string{"x": "y"}}}}
		if asJSON {
			e.Values[0].ContentType = jsonType
		}
		line := e.Append(nil)
		if strings.IndexByte(string(line), '\n') != len(line)-1 {
			t.Fatalf("%q has another line break", line)
		}
		again, err := Parse(line[:len(line)-1])
		if err != nil || !same(e, again) {
			t.Fatalf("%q\n was written as %s and read as %q, error %v", e, line, again, err)
		}
	})
}
