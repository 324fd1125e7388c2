package command

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
)

// keyFlags say which object a command is about.
type keyFlags struct {
	bucketType string
	base64     bool
}

func (k *keyFlags) define(a *app, cmd *cobra.Command) {
	a.bucketTypeFlag(cmd, &k.bucketType)
	cmd.Flags().BoolVar(&k.base64, "base64", false, "BUCKET and KEY are given in base64 (for bytes that a command line can't hold)")
}

func (a *app) bucketTypeFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "bucket-type", "default", "bucket type")
	must(cmd.RegisterFlagCompletionFunc("bucket-type", a.completeBucketTypes))
}

// name reads an argument that is any bytes.
func (k *keyFlags) name(what, arg string) (string, error) {
	if k.base64 {
		b, err := base64.StdEncoding.DecodeString(arg)
		if err != nil {
			return "", exit.Usagef("%s %q is not base64, as --base64 says it is", what, arg)
		}
		arg = string(b)
	}
	if arg == "" {
		return "", exit.Usagef("%s is empty: it has at least 1 byte", what)
	}
	return arg, nil
}

// read reads BUCKET and, if there is one, KEY.
func (k *keyFlags) read(args []string) (bucket, key string, err error) {
	if bucket, err = k.name("BUCKET", args[0]); err != nil || len(args) < 2 {
		return bucket, "", err
	}
	key, err = k.name("KEY", args[1])
	return bucket, key, err
}

// count is a flag that holds a count of owners, if it was set.
type count struct {
	set   bool
	value client.Count
}

// Set implements pflag.Value.
func (c *count) Set(s string) error {
	v, err := client.ParseCount(s)
	if err != nil {
		return fmt.Errorf("use a number, one, quorum, all or none")
	}
	c.set, c.value = true, v
	return nil
}

// String implements pflag.Value.
func (c *count) String() string {
	if !c.set {
		return ""
	}
	return c.value.String()
}

// Type implements pflag.Value.
func (*count) Type() string { return "COUNT" }

func defineCount(cmd *cobra.Command, to *count, name, usage string) {
	cmd.Flags().Var(to, name, usage)
	must(cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions([]string{"one", "quorum", "all", "none"}, cobra.ShellCompDirectiveNoFileComp)))
}

// sloppyFlags are --sloppy and --no-sloppy.
type sloppyFlags struct{ on, off bool }

func (s *sloppyFlags) define(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.on, "sloppy", false, "let others stand in for owners that can't be reached (default: as the bucket type says)")
	cmd.Flags().BoolVar(&s.off, "no-sloppy", false, "owners only")
	cmd.MarkFlagsMutuallyExclusive("sloppy", "no-sloppy")
}

// option returns nil if nothing was said.
func (s *sloppyFlags) option(cmd *cobra.Command) *client.SloppyOption {
	var o client.SloppyOption
	switch {
	case cmd.Flags().Changed("sloppy"):
		o = client.Sloppy(s.on)
	case cmd.Flags().Changed("no-sloppy"):
		o = client.Sloppy(!s.off)
	default:
		return nil
	}
	return &o
}

// readFlags are those of reads.
type readFlags struct {
	r, pr  count
	sloppy sloppyFlags
}

func (f *readFlags) define(cmd *cobra.Command) {
	defineCount(cmd, &f.r, "r", "owners to hear: a number, one, quorum or all (default: as the bucket type says)")
	defineCount(cmd, &f.pr, "pr", "how many of them are primaries: a number, one, quorum, all or none")
	f.sloppy.define(cmd)
}

func (f *readFlags) options(cmd *cobra.Command) []client.GetOption {
	var all []client.GetOption
	if f.r.set {
		all = append(all, client.R(f.r.value))
	}
	if f.pr.set {
		all = append(all, client.PR(f.pr.value))
	}
	if s := f.sloppy.option(cmd); s != nil {
		all = append(all, *s)
	}
	return all
}

// writeFlags are those of writes.
type writeFlags struct {
	w, pw, dw count
	sloppy    sloppyFlags
}

func (f *writeFlags) define(cmd *cobra.Command) {
	defineCount(cmd, &f.w, "w", "owners to acknowledge: a number, one, quorum or all (default: as the bucket type says)")
	defineCount(cmd, &f.pw, "pw", "how many of them are primaries: a number, one, quorum, all or none")
	defineCount(cmd, &f.dw, "dw", "how many of them have it on disk: a number, one, quorum, all or none")
	f.sloppy.define(cmd)
}

// writeOption is an option of both puts and deletes.
type writeOption interface {
	client.PutOption
	client.DeleteOption
}

func (f *writeFlags) options(cmd *cobra.Command) []writeOption {
	var all []writeOption
	for _, c := range []struct {
		*count
		option func(client.Count) client.WriteOption
	}{{&f.w, client.W}, {&f.pw, client.PW}, {&f.dw, client.DW}} {
		if c.set {
			all = append(all, c.option(c.value))
		}
	}
	if s := f.sloppy.option(cmd); s != nil {
		all = append(all, *s)
	}
	return all
}

// contextFlags say what a write replaces.
type contextFlags struct {
	context string
	ifMatch bool
}

func (f *contextFlags) define(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.context, "context", "", `what the write replaces: the context that "get --context-only" or "get -o json" printed`)
	cmd.Flags().BoolVar(&f.ifMatch, "if-match", false, "refuse the write if the key has anything that --context does not cover")
}

// option returns nil if no context was given.
func (f *contextFlags) option() (writeOption, error) {
	if f.context == "" {
		if f.ifMatch {
			return nil, exit.Usagef(`--if-match needs --context, as "get --context-only" prints it`)
		}
		return nil, nil
	}
	c, err := base64.StdEncoding.DecodeString(strings.TrimSpace(f.context))
	if err != nil {
		return nil, exit.Usagef("--context is not base64: give it as \"get --context-only\" printed it")
	}
	if f.ifMatch {
		return client.IfMatch(c), nil
	}
	return client.Replaces(c), nil
}

// asPut and asDelete turn options of both into those of one.
func asPut(in []writeOption) []client.PutOption {
	var out []client.PutOption
	for _, o := range in {
		out = append(out, o)
	}
	return out
}

func asDelete(in []writeOption) []client.DeleteOption {
	var out []client.DeleteOption
	for _, o := range in {
		out = append(out, o)
	}
	return out
}
