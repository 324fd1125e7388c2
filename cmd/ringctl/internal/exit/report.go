package exit

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// document is an Error in JSON; "ringctl help exit-codes" shows it.
type document struct {
	Error struct {
		Code         string `json:"code"`
		ExitCode     Code   `json:"exit_code"`
		Message      string `json:"message"`
		Field        string `json:"field,omitempty"`
		Needed       int    `json:"needed,omitempty"`
		Got          int    `json:"got,omitempty"`
		MaybeApplied bool   `json:"maybe_applied,omitempty"`
	} `json:"error"`
}

// Report writes e to w, in a line or as a JSON object.
func Report(w io.Writer, e *Error, asJSON bool) {
	if !asJSON {
		fmt.Fprintf(w, "ringctl: %s\n", strings.TrimSpace(e.Error()))
		return
	}
	var d document
	d.Error.Code, d.Error.ExitCode, d.Error.Message = e.Code.String(), e.Code, e.Error()
	d.Error.Field, d.Error.Needed, d.Error.Got, d.Error.MaybeApplied = e.Field, e.Needed, e.Got, e.MaybeApplied
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	_ = out.Encode(d) // stderr is gone: nobody is left to tell
}
